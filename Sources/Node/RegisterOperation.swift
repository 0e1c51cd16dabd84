public import Model
public import NIOCore
public import Replication

/// What somebody wants to become of a register: a pure function from its value to the next.
///
/// A value and not a closure, so that it can be compared, logged and simulated. Run by whichever
/// broker proposes, on the value that a majority of voters holds; run again after a lost round.
public enum RegisterOperation: Hashable, Sendable {
    /// The name must be free.
    case createTopic(TopicRecord)
    /// Only while the topic is still the one with this id. The name is not free yet: leaders may
    /// serve the topic still.
    case deleteTopic(TopicID)
    /// Chosen once no lease that voters granted to these copies can be valid any more: they are
    /// the brokers that did not say that they stopped.
    case outlive(TopicID, [ReplicaID])
    /// Nobody serves the deleted topic any more: its name is free.
    case freeName(TopicID)
    /// Adds partitions behind the first `from`, which must be all that there are.
    case growTopic(TopicID, from: Int32, placement: [[ReplicaID]])
    case alterTopic(TopicID, ConfigurationChange, defaults: [String: String])
    /// Raises the number that the register holds: what lies between is the caller's alone.
    case reserve(Int64)
    /// Gives the register its first value.
    case begin(ByteBuffer)
    case member(MemberOperation)
    case partition(PartitionChange)
    /// Takes the register of a partition away whose topic is deleted.
    case bury
    case raiseFloor(Ballot)
    /// Changes nothing, and has a majority of the voters promise: what it finds is chosen, and
    /// nothing before it can still be.
    case confirm

    /// What becomes of the register.
    public enum Verdict: Hashable, Sendable {
        /// The value that it takes; nil removes.
        case write(ByteBuffer?)
        /// It stays as it is.
        case refuse(RegisterRefusal)
    }

    public func applied(to current: ByteBuffer?) -> Verdict {
        applied(to: current, rules: ReplicationRules())
    }

    func applied(to current: ByteBuffer?, rules: ReplicationRules) -> Verdict {
        switch self {
        case .createTopic(let record):
            current == nil
                ? .write(record.encoded()) : .refuse(Self.isDeleted(current) ? .deleted : .exists)
        case .deleteTopic(let id):
            Self.topic(id, in: current) { record in
                var next = record
                next.deletion = TopicDeletion()
                // Nobody needs them any more, and the record must not outgrow its bound.
                next.overrides = [:]
                return .write(next.encoded())
            }
        case .outlive(let id, let copies):
            Self.deletedTopic(id, in: current) { record in
                var next = record
                next.deletion = TopicDeletion(unheard: copies)
                return .write(next.encoded())
            }
        case .freeName(let id): Self.deletedTopic(id, in: current) { _ in .write(nil) }
        case .growTopic(let id, let from, let placement):
            Self.topic(id, in: current) { record in
                guard record.partitions == from else {
                    return .refuse(.notGrowing(record.partitions))
                }
                var next = record
                next.placement += placement
                return .write(next.encoded())
            }
        case .alterTopic(let id, let change, let defaults):
            Self.topic(id, in: current) { record in
                let held = TopicConfiguration(overrides: record.overrides, broker: defaults)
                do throws(ConfigurationChange.Refusal) {
                    var next = record
                    next.overrides = try change.applied(to: held).overrides
                    return .write(next.encoded())
                } catch {
                    return .refuse(.invalid(error.message))
                }
            }
        case .reserve(let size): Self.reserved(size, from: current)
        case .begin(let value): current == nil ? .write(value) : .refuse(.exists)
        case .member(let operation): operation.applied(to: current)
        case .partition(let change): Self.changed(change, current, rules)
        case .bury: current == nil ? .refuse(.absent) : .write(nil)
        case .raiseFloor(let ballot):
            current.flatMap(FloorRegister.ballot).map { $0 >= ballot } == true
                ? .refuse(.exists) : .write(FloorRegister.encoded(ballot))
        case .confirm: .refuse(.confirmed)
        }
    }

    private static func reserved(_ size: Int64, from current: ByteBuffer?) -> Verdict {
        var bytes = current ?? ByteBuffer(integer: Int64(0))
        guard let held: Int64 = bytes.readInteger(), held >= 0, held <= Int64.max - size else {
            return .refuse(.unreadable)
        }
        return .write(ByteBuffer(integer: held + size))
    }

    private static func changed(
        _ change: PartitionChange, _ current: ByteBuffer?, _ rules: ReplicationRules
    ) -> Verdict {
        var state = change.initial
        if let current {
            guard let held = try? PartitionState(decoding: current) else {
                return .refuse(.unreadable)
            }
            state = held
        }
        let outcome = change.operation.applied(
            to: state, expecting: change.expecting, minInSync: change.minInSync, rules: rules)
        switch outcome {
        case .success(let next): return .write(next.encoded())
        case .failure(let refusal): return .refuse(.partition(refusal))
        }
    }

    private static func topic(
        _ id: TopicID, in current: ByteBuffer?, then change: (TopicRecord) -> Verdict
    ) -> Verdict {
        guard let current else { return .refuse(.absent) }
        guard let record = try? TopicRecord(decoding: current) else { return .refuse(.unreadable) }
        guard record.deletion == nil else { return .refuse(.absent) }
        return record.id == id ? change(record) : .refuse(.absent)
    }

    private static func deletedTopic(
        _ id: TopicID, in current: ByteBuffer?, then change: (TopicRecord) -> Verdict
    ) -> Verdict {
        guard let current else { return .refuse(.absent) }
        guard let record = try? TopicRecord(decoding: current) else { return .refuse(.unreadable) }
        guard record.id == id, record.deletion != nil else { return .refuse(.absent) }
        return change(record)
    }

    private static func isDeleted(_ current: ByteBuffer?) -> Bool {
        current.flatMap { try? TopicRecord(decoding: $0) }?.deletion != nil
    }
}

/// Why a register stayed as it was.
public enum RegisterRefusal: Hashable, Sendable {
    case exists
    /// The name belongs to a topic that is being deleted.
    case deleted
    case absent
    /// Partitions only grow; this many there are.
    case notGrowing(Int32)
    case invalid(String)
    /// The node id belongs to another key or store that is not known to be gone.
    case taken
    /// The key was shut out.
    case revoked
    case partition(ChangeRefusal)
    /// Nothing was to be changed.
    case confirmed
    /// The register holds what this version does not understand.
    case unreadable
    /// The value is larger than a register may be.
    case tooLarge
    /// The voters' stores have no room for it.
    case full
}

/// One change that a broker wants decided.
public struct RegisterProposal: Hashable, Sendable {
    public let key: String
    public let operation: RegisterOperation

    public init(key: String, operation: RegisterOperation) {
        self.key = key
        self.operation = operation
    }
}

/// What became of a proposal. `unknown` is a case of its own: it may still come to pass.
public enum Decision: Hashable, Sendable {
    case chosen(ChosenValue)
    case refused(RegisterRefusal, current: ChosenValue?)
    /// Nothing was written, and nothing will be.
    case notChosen(String)
    case unknown(String)
    /// Voters hold it back for so long, because of a lease that they granted. It may have been
    /// accepted by some of them, so it may come to pass.
    case held(milliseconds: Int64)
}
