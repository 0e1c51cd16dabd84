public import Model
public import NIOCore
import OrderedCollections
public import Replication

/// How far the deletion of a topic is: decided, and the name not yet free.
///
/// The topic's register holds it until no leader of that id can serve any more, so that whoever
/// wants the name next knows what to wait for, also where the broker that deleted has died.
public struct TopicDeletion: Hashable, Sendable {
    /// Copies whose broker did not say that it stopped. No voter accepts a record that names one
    /// while a lease that it granted to it may be valid (reference, section 12).
    public var unheard: [ReplicaID]

    public init(unheard: [ReplicaID] = []) { self.unheard = unheard }
}

/// The value of the register `topic/<name>`: what was decided about one topic.
///
///     version u8 = 4
///     topic id            16 bytes
///     copies i16          of each partition; -1: as many as there are brokers, up to three
///     life u8             0: there; 1: being deleted
///     unheard             where it is being deleted: u16, each: node i32, admission u32,
///                         log epoch u64
///     configurations      u16, each: name u16 + bytes, value u16 + bytes, ascending by name
///     brokers             u16, each: node i32, admission u32, log epoch u64
///     partitions          i32
///     placement           cycles: count i32, length u32, each: replicas u8, each u16, the place
///                         of a broker
///
/// Integers are big-endian. A cycle says that as many partitions in a row have these replicas in
/// turn, in placement order: partitions are spread in turns, so a large topic stays small. Version
/// 3 has no copies and no life: such a topic is there, and wants as many copies as it was placed
/// with; where that says everything it is written, so that brokers of before read it. Version 2
/// had no brokers and named node ids, in cycles of length 1 that was not written; version 1 had
/// the partitions before the configurations and no placement: all of it was on the one broker
/// there was. What they hold is in one copy each, which no election has to compare with anything:
/// its admission and log epoch are 0.
public struct TopicRecord: Hashable, Sendable {
    public var id: TopicID
    /// Who holds each partition at first, by index; the first is the preferred leader. It stays as
    /// it was chosen: later changes are in the partition's own register.
    public var placement: [[ReplicaID]]
    public var overrides: [String: String]
    /// How many copies of each partition were asked for; -1 where nobody asked: then there are
    /// more of them as brokers join.
    public var copies: Int16
    /// Its deletion, which is decided and not over: leaders may serve it still.
    public var deletion: TopicDeletion?

    /// - Parameter copies: as many as it is placed with where nothing is said.
    public init(
        id: TopicID, placement: [[ReplicaID]], overrides: [String: String], copies: Int16? = nil,
        deletion: TopicDeletion? = nil
    ) {
        precondition(!placement.isEmpty, "a topic has a partition")
        self.id = id
        self.placement = placement
        self.overrides = overrides
        self.copies = copies ?? Int16(clamping: placement[0].count)
        self.deletion = deletion
    }

    public var partitions: Int32 { Int32(clamping: placement.count) }

    /// Why bytes are not a topic record.
    public enum DecodeError: Error, Equatable {
        case truncated
        case version(UInt8)
        case outOfRange(String)
    }

    /// Copies where nobody said how many, once there are so many brokers: two failures of one
    /// broker after the other lose nothing, and most meshes are no larger. The broker's own topics
    /// have as many, whatever the defaults of clients' topics are.
    static let copiesByDefault = 3

    /// Kafka has no such bound; a topic beyond it is a slip of the hand, and each partition costs
    /// files and memory.
    public static let partitionsMaximum: Int32 = 100_000

    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        let isPlain = deletion == nil && Int(copies) == placement[0].count
        buffer.writeInteger(UInt8(isPlain ? 3 : 4))
        buffer.writeInteger(id.high)
        buffer.writeInteger(id.low)
        if !isPlain {
            buffer.writeInteger(copies)
            buffer.writeInteger(UInt8(deletion == nil ? 0 : 1))
            if let deletion { Self.write(brokers: deletion.unheard, into: &buffer) }
        }
        buffer.writeInteger(UInt16(overrides.count))
        for name in overrides.keys.sorted() {
            for text in [name, overrides[name] ?? ""] {
                buffer.writeInteger(UInt16(text.utf8.count))
                buffer.writeString(text)
            }
        }
        let brokers = OrderedSet(placement.joined())
        Self.write(brokers: Array(brokers), into: &buffer)
        buffer.writeInteger(partitions)
        for cycle in PlacementCycle.cycles(of: placement) {
            buffer.writeMultipleIntegers(Int32(cycle.count), UInt32(cycle.sets.count))
            for set in cycle.sets {
                buffer.writeInteger(UInt8(set.count))
                for replica in set {
                    buffer.writeInteger(UInt16(brokers.firstIndex(of: replica) ?? 0))
                }
            }
        }
        return buffer
    }

    private static func write(brokers: [ReplicaID], into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt16(brokers.count))
        for broker in brokers {
            buffer.writeMultipleIntegers(
                broker.node.rawValue, broker.admission.rawValue, broker.logEpoch.rawValue)
        }
    }

    /// - Parameter home: where the partitions of a record of version 1 are; without it such a
    ///   record is refused, because only the table of a single broker ever held one.
    public init(decoding bytes: ByteBuffer, home: NodeID? = nil) throws(DecodeError) {
        var bytes = bytes
        guard let version: UInt8 = bytes.readInteger() else { throw .truncated }
        guard (2...4).contains(version) || (version == 1 && home != nil) else {
            throw .version(version)
        }
        guard let high: UInt64 = bytes.readInteger(), let low: UInt64 = bytes.readInteger() else {
            throw .truncated
        }
        var copies: Int16?
        var deletion: TopicDeletion?
        if version == 4 { (copies, deletion) = try Self.readLife(&bytes) }
        var count = version == 1 ? try Self.readCount(&bytes) : 0
        let overrides = try Self.readOverrides(&bytes)
        let brokers = version >= 3 ? try Self.readBrokers(&bytes) : nil
        if version != 1 { count = try Self.readCount(&bytes) }
        let placement =
            version == 1
            ? Array(repeating: [Self.unidentified(home ?? NodeID(0))], count: count)
            : try Self.readPlacement(&bytes, count, brokers)
        guard bytes.readableBytes == 0 else { throw .outOfRange("bytes behind the record") }
        self.init(
            id: TopicID(high: high, low: low), placement: placement, overrides: overrides,
            copies: copies, deletion: deletion)
    }

    private static func readLife(
        _ bytes: inout ByteBuffer
    ) throws(DecodeError) -> (Int16, TopicDeletion?) {
        guard let copies: Int16 = bytes.readInteger(), let life: UInt8 = bytes.readInteger() else {
            throw .truncated
        }
        guard copies == -1 || (1...ReplicationLimits.replicasMaximum).contains(Int(copies)) else {
            throw .outOfRange("\(copies) copies")
        }
        switch life {
        case 0: return (copies, nil)
        case 1: return (copies, TopicDeletion(unheard: try readBrokers(&bytes)))
        default: throw .outOfRange("life \(life)")
        }
    }

    private static func readCount(_ bytes: inout ByteBuffer) throws(DecodeError) -> Int {
        guard let count: Int32 = bytes.readInteger() else { throw .truncated }
        guard (1...partitionsMaximum).contains(count) else {
            throw .outOfRange("\(count) partitions")
        }
        return Int(count)
    }

    private static func readOverrides(
        _ bytes: inout ByteBuffer
    ) throws(DecodeError) -> [String: String] {
        guard let count: UInt16 = bytes.readInteger() else { throw .truncated }
        var overrides: [String: String] = [:]
        for _ in 0..<count {
            guard let name = Self.readText(&bytes), let value = Self.readText(&bytes) else {
                throw .truncated
            }
            overrides[name] = value
        }
        return overrides
    }

    /// A copy from before replicas had identities.
    private static func unidentified(_ node: NodeID) -> ReplicaID {
        ReplicaID(node: node, admission: AdmissionNumber(0), logEpoch: BootEpoch(0))
    }

    private static func readBrokers(
        _ bytes: inout ByteBuffer
    ) throws(DecodeError) -> [ReplicaID] {
        guard let count: UInt16 = bytes.readInteger() else { throw .truncated }
        var brokers: [ReplicaID] = []
        for _ in 0..<count {
            guard
                let (node, admission, epoch) = bytes.readMultipleIntegers(
                    as: (Int32, UInt32, UInt64).self)
            else { throw .truncated }
            guard node >= 0 else { throw .outOfRange("broker \(node)") }
            brokers.append(
                ReplicaID(
                    node: NodeID(node), admission: AdmissionNumber(admission),
                    logEpoch: BootEpoch(epoch)))
        }
        return brokers
    }

    /// Without a list of brokers the sets name node ids.
    private static func readPlacement(
        _ bytes: inout ByteBuffer, _ count: Int, _ brokers: [ReplicaID]?
    ) throws(DecodeError) -> [[ReplicaID]] {
        var placement: [[ReplicaID]] = []
        while placement.count < count {
            guard let run: Int32 = bytes.readInteger() else { throw .truncated }
            guard run >= 1, Int(run) <= count - placement.count else {
                throw .outOfRange("a run of \(run) partitions")
            }
            var length: UInt32 = 1
            if brokers != nil {
                guard let read: UInt32 = bytes.readInteger() else { throw .truncated }
                length = read
            }
            guard length >= 1, Int(length) <= Int(run) else {
                throw .outOfRange("a cycle of \(length) sets")
            }
            var sets: [[ReplicaID]] = []
            for _ in 0..<length { sets.append(try Self.readSet(&bytes, brokers)) }
            for index in 0..<Int(run) { placement.append(sets[index % sets.count]) }
        }
        return placement
    }

    private static func readSet(
        _ bytes: inout ByteBuffer, _ brokers: [ReplicaID]?
    ) throws(DecodeError) -> [ReplicaID] {
        guard let copies: UInt8 = bytes.readInteger() else { throw .truncated }
        guard (1...ReplicationLimits.replicasMaximum).contains(Int(copies)) else {
            throw .outOfRange("\(copies) replicas")
        }
        var set: [ReplicaID] = []
        for _ in 0..<copies {
            let replica = try Self.readReplica(&bytes, brokers)
            guard !set.contains(where: { $0.node == replica.node }) else {
                throw .outOfRange("replica \(replica.node.rawValue)")
            }
            set.append(replica)
        }
        return set
    }

    private static func readReplica(
        _ bytes: inout ByteBuffer, _ brokers: [ReplicaID]?
    ) throws(DecodeError) -> ReplicaID {
        guard let brokers else {
            guard let node: Int32 = bytes.readInteger() else { throw .truncated }
            guard node >= 0 else { throw .outOfRange("replica \(node)") }
            return unidentified(NodeID(node))
        }
        guard let place: UInt16 = bytes.readInteger() else { throw .truncated }
        guard brokers.indices.contains(Int(place)) else { throw .outOfRange("place \(place)") }
        return brokers[Int(place)]
    }

    private static func readText(_ bytes: inout ByteBuffer) -> String? {
        guard let length: UInt16 = bytes.readInteger() else { return nil }
        return bytes.readText(length: Int(length))
    }
}
