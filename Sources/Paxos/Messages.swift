public import Model
public import NIOCore

/// One register's new value on its way to an acceptor; the value is an encoded `Envelope`.
public struct Proposal: Hashable, Sendable {
    public let key: String
    public let value: ByteBuffer

    public init(key: String, value: ByteBuffer) {
        self.key = key
        self.value = value
    }
}

/// A register that may be forgotten, with the ballot of its tombstone.
public struct Tombstone: Hashable, Sendable {
    public let key: String
    public let ballot: Ballot

    public init(key: String, ballot: Ballot) {
        self.key = key
        self.ballot = ballot
    }
}

/// One register of an acceptor, on its way to a new voter.
public struct RegisterEntry: Hashable, Sendable {
    public let key: String
    public let state: RegisterState

    public init(key: String, state: RegisterState) {
        self.key = key
        self.state = state
    }
}

/// What a proposer asks of one acceptor.
///
/// Carries the roster generation that it was made under and the store that it is meant for: an
/// acceptor with a newer roster, or with another store, refuses it (reference, sections 7 and 8).
/// Keys within one message are in ascending order and unique.
public struct PaxosRequest: Hashable, Sendable {
    public let generation: RosterGeneration
    public let store: StoreID
    public let body: Body

    public init(generation: RosterGeneration, store: StoreID, body: Body) {
        self.generation = generation
        self.store = store
        self.body = body
    }

    /// No request and no reply is longer, encoded: the bound for whoever frames them.
    public static let encodedBytesMaximum = Limits.messageBytesMaximum

    /// What is asked.
    public enum Body: Hashable, Sendable {
        /// Promise to refuse lower ballots for these registers, and show what was accepted.
        case prepare(Ballot, [String])
        case accept(Ballot, [Proposal])
        /// Show the registers; promises nothing and persists nothing.
        case read([String])
        /// This is the roster now. An acceptor takes it where it is of its cluster and may follow
        /// what it has; one that has none, only where it is being brought in by it. It can't know
        /// whether the roster was chosen: a ballot beside it would be made up by whoever makes up
        /// the roster, and stale copies are stopped by the generation already. Whoever lets
        /// requests in lets them in from members alone.
        case adopt(Roster)
        /// Refuse ballots up to this one for ever, for every register.
        case raiseFloor(Ballot)
        /// Forget these registers where nothing happened since their tombstones.
        case remove([Tombstone])
        /// Show up to so many registers after this key, in order of their keys.
        case scan(after: String, limit: Int)
        /// Hold no less than this: what a majority of the old voters showed, given to a new one
        /// while a roster change is under way.
        case install(floor: Ballot, [RegisterEntry])
    }
}

/// What an acceptor answers.
///
/// The answers are in the order of the request's keys and may end early, where values are too
/// large for one message: nothing happened to the registers that are not answered. The ballot is
/// repeated, so that an answer to an earlier life of the proposer is never taken for another's.
public struct PaxosReply: Hashable, Sendable {
    public let generation: RosterGeneration
    public let store: StoreID
    public let body: Body

    public init(generation: RosterGeneration, store: StoreID, body: Body) {
        self.generation = generation
        self.store = store
        self.body = body
    }

    /// What was asked, answered; or why not.
    public enum Body: Hashable, Sendable {
        /// With the floor, below which this acceptor may have forgotten registers.
        case prepared(Ballot, floor: Ballot, [PrepareAnswer])
        case accepted(Ballot, [AcceptAnswer])
        case values([RegisterState])
        case adopted(RosterGeneration)
        case floorRaised(Ballot)
        /// One for each tombstone: whether the register is gone.
        case removed([Bool])
        /// In order of their keys; `remaining` is how many may come after them.
        case scanned(floor: Ballot, remaining: Int, [RegisterEntry])
        case installed
        case refused(Refusal)
    }
}

/// What became of one register's prepare.
public enum PrepareAnswer: Hashable, Sendable {
    case promised(acceptedBallot: Ballot, value: ByteBuffer?)
    /// Promised as well, but a promise above the accepted ballot was outstanding. The value may
    /// have been given to this acceptor by a roster change in spite of that promise, so a quorum
    /// that shows it does not show that it was chosen: it has to be accepted anew. Not said before
    /// the first roster change, so that brokers from before understand every answer.
    case overtaken(acceptedBallot: Ballot, value: ByteBuffer)
    case conflict(Conflict)
}

/// What became of one register's accept.
public enum AcceptAnswer: Hashable, Sendable {
    case accepted
    case conflict(Conflict)
    /// Not for so long: a lease that this voter granted may hold until then. Nothing happened.
    case held(milliseconds: Int64)
}

/// An accept that is about to happen: whoever grants leases is asked whether it may.
///
/// Costs nothing until a value is looked at.
public struct LeaseQuestion: Sendable {
    public let key: String
    public let ballot: Ballot
    let proposed: ByteBuffer
    let held: ByteBuffer?

    /// What the register would hold; nil for a tombstone, and for bytes that are no envelope.
    public var value: ByteBuffer? { (try? Envelope(decoding: proposed))?.value }

    /// What this acceptor accepted last, which may not have been chosen; nil where there is none.
    public var current: ByteBuffer? { held.flatMap { (try? Envelope(decoding: $0))?.value } }
}

/// A ballot that was too low, with all that the proposer needs to choose a better one.
public struct Conflict: Hashable, Sendable {
    public let maxSeen: Ballot
    public let floor: Ballot

    public init(maxSeen: Ballot, floor: Ballot) {
        self.maxSeen = maxSeen
        self.floor = floor
    }

    /// Whose ballot was in the way.
    public var rival: NodeID { max(maxSeen, floor).proposer }
}

/// Why an acceptor did nothing at all with a request.
public enum Refusal: Hashable, Sendable {
    /// The request was made under an older roster: here is the newer one.
    case staleRoster(Roster)
    /// The request was made under a newer roster than the acceptor's: it must be told first.
    case rosterNeeded
    /// The request is for another store: this one never made the promises that it counts on.
    case wrongStore
    /// Too much waits for the disk already.
    case overloaded
    /// The store has no room for what the request would have written: nothing was.
    case full
}

/// One line of an acceptor's log; the state is the replay of all lines in order.
public enum AcceptorRecord: Hashable, Sendable {
    /// Whose log it is: the first record, so that a copied log is noticed.
    case identity(cluster: String, store: StoreID)
    case roster(Roster)
    case floor(Ballot)
    case promise(key: String, Ballot)
    case accept(key: String, Ballot, ByteBuffer)
    case remove(key: String)
}
