public import Model
public import NIOCore

/// Names one change for ever, so that a retry of one that was already chosen is a no-op.
///
/// Whoever first asks for the change mints it, and keeps it when it asks again, also at another
/// broker.
public struct OperationID: Hashable, Comparable, Sendable {
    public let node: NodeID
    public let boot: BootEpoch
    public let sequence: UInt64

    public init(node: NodeID, boot: BootEpoch, sequence: UInt64) {
        self.node = node
        self.boot = boot
        self.sequence = sequence
    }

    public static func < (left: OperationID, right: OperationID) -> Bool {
        (left.node, left.boot, left.sequence) < (right.node, right.boot, right.sequence)
    }
}

/// Why a change function left its register alone: a number that its author gives a meaning to.
public struct AbandonReason: Hashable, Sendable {
    public let rawValue: UInt16

    @inlinable public init(_ rawValue: UInt16) { self.rawValue = rawValue }
}

/// What a change function makes of the value it was shown.
public enum ChangeDecision: Hashable, Sendable {
    /// The new value; nil is a tombstone.
    case write(ByteBuffer?)
    /// Leave the register as it is.
    case abandon(AbandonReason)
}

/// One change of one register.
///
/// The function is pure: it may be called several times, with other values each time, and only its
/// last call counts. A register that was never written shows nil and `Ballot.zero`.
public struct RegisterChange: Sendable {
    public typealias Function = @Sendable (_ current: ByteBuffer?, _ at: Ballot) -> ChangeDecision

    public let key: String
    public let operation: OperationID
    /// Set where an earlier proposal of this operation was answered `unknown`, to the ballot of
    /// that answer, or to `Ballot.zero` where it is lost: its value may lie somewhere yet. Nobody
    /// proposes an operation twice at a time.
    public let retrying: Ballot?
    /// How many rivals are expected to want the same before this broker: 0 goes at once, every
    /// further one waits a little longer, and looks at the register before it competes for it
    /// (reference, section 10). Its function abandons where somebody else was first.
    public let rank: Int
    /// Whether a change that the voters hold back for the sake of a lease waits for its end, or is
    /// answered `held` at once.
    public let waitsForLease: Bool
    public let function: Function

    public init(
        key: String, operation: OperationID, retrying: Ballot? = nil, rank: Int = 0,
        waitsForLease: Bool = true, function: @escaping Function
    ) {
        self.key = key
        self.operation = operation
        self.retrying = retrying
        self.rank = max(0, min(rank, Limits.rankMaximum))
        self.waitsForLease = waitsForLease
        self.function = function
    }

    /// The same change, asked for again after an answer of `unknown` or `held`.
    public func again(since: Ballot) -> RegisterChange {
        RegisterChange(
            key: key, operation: operation, retrying: since, rank: rank,
            waitsForLease: waitsForLease, function: function)
    }
}

/// What became of one change or one read.
public enum Outcome: Hashable, Sendable {
    /// The change is in the register. The value is the register's at the moment of the answer,
    /// which a later change may have made already; a read's is the value read. `Ballot.zero` is
    /// "never written": such a value was not decided by anybody and must not be spread.
    case chosen(ChosenValue)
    /// The change is not in the register and will not be.
    case notChosen(Reason)
    /// The change may be in the register now, later, or never: ask again with its operation id and
    /// this ballot, the first that may have carried it. It stays unknown for good once the register
    /// has forgotten so much that nobody can tell.
    case unknown(since: Ballot)
    /// Voters refuse it for so long, because of a lease that they granted; the change did not want
    /// to wait. With a ballot it may be in the register all the same, now, later, or never, as if
    /// it were `unknown`: some voter may have accepted it. Without one it was never proposed to be
    /// accepted, and is not in the register and will not be.
    case held(milliseconds: Int64, since: Ballot?)

    /// Why a change was not chosen, or a read not answered.
    public enum Reason: Hashable, Sendable {
        /// Its function said so, having seen this value.
        case abandoned(AbandonReason, current: ChosenValue)
        /// Rivals or silence used up its time.
        case exhausted
        /// Too many others wait already; nothing was sent.
        case overloaded
        /// The register holds bytes that are no envelope: nothing is built on them.
        case damaged
        /// The key or the value is longer than a register may hold.
        case tooLarge
        /// The voters' stores have no room for it.
        case full
    }
}

/// What an acceptor holds of one register.
public struct RegisterState: Hashable, Sendable {
    /// The highest ballot that it promised or accepted: both raise it (reference, section 4).
    public var maxSeen: Ballot
    /// The ballot of `value`; zero where nothing was ever accepted.
    public var acceptedBallot: Ballot
    /// The encoded `Envelope`; nil where nothing was ever accepted.
    public var value: ByteBuffer?

    public init(
        maxSeen: Ballot = .zero, acceptedBallot: Ballot = .zero, value: ByteBuffer? = nil
    ) {
        self.maxSeen = maxSeen
        self.acceptedBallot = acceptedBallot
        self.value = value
    }
}

/// What a ballot really writes: the value, and the last changes that made it.
///
/// ```
/// +---------+-------+-------+------------------------------------+-----------+
/// | version | flags | count | count x (node i32, boot u64,       | the value |
/// | u8 = 1  | u8    | u8    |          sequence u64), old to new | (rest)    |
/// +---------+-------+-------+------------------------------------+-----------+
/// ```
///
/// Bit 0 of the flags says that there is a value; without it the register holds a tombstone.
public struct Envelope: Hashable, Sendable {
    public var value: ByteBuffer?
    /// At most eight, the newest last.
    public private(set) var operations: [OperationID]

    public init(value: ByteBuffer?, operations: [OperationID] = []) {
        self.value = value
        self.operations = operations.suffix(Limits.operationsRemembered)
    }

    /// The envelope after `operation` wrote `value`.
    func following(value: ByteBuffer?, operation: OperationID) -> Envelope {
        Envelope(value: value, operations: operations + [operation])
    }

    static let headerBytes = 3
}
