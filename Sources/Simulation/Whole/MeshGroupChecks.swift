import Model
import NIOCore

/// What members of one group are promised, whoever coordinates it.
///
/// A generation whose assignment a member was given is durable: nobody is given another assignment
/// under its number, later joins never bring an older one, and commits of older ones are refused
/// from then on. So each partition has one owner in a generation, and the offset that a new owner
/// is told is never behind one that was acknowledged to an owner before it.
struct MeshGroupChecks {
    /// Assignments that leaders sent, by generation: one of them at most takes effect.
    private var sent: [Int32: [[String: ByteBuffer]]] = [:]
    /// The newest generation of which a member was given its part.
    private(set) var newest: Int32 = -1
    private var acknowledged: [Int32: Int64] = [:]
    private var lastSent: [Int32: Int64] = [:]

    mutating func noteSent(_ assignments: [String: ByteBuffer], in generation: Int32) {
        sent[generation, default: []].append(assignments)
    }

    /// A member was given its part; nil where that may be.
    mutating func noteGiven(
        _ part: ByteBuffer, to member: String, in generation: Int32
    ) -> String? {
        newest = max(newest, generation)
        let possible = (sent[generation] ?? []).filter { ($0[member] ?? ByteBuffer()) == part }
        guard !possible.isEmpty else {
            return "\(member) was given a part in generation \(generation) that fits none that its "
                + "leaders sent with what others were given"
        }
        sent[generation] = possible
        return nil
    }

    /// A join that was sent when `before` was the newest generation was answered.
    func judge(join generation: Int32, sentAt before: Int32) -> String? {
        generation >= before
            ? nil : "a join came to generation \(generation), though \(before) was in effect before"
    }

    /// The next offset for a partition: greater than all before it.
    mutating func nextOffset(of partition: Int32) -> Int64 {
        lastSent[partition, default: -1] += 1
        return lastSent[partition] ?? 0
    }

    mutating func noteCommitted(
        _ offset: Int64, of partition: Int32, in generation: Int32, sentAt newest: Int32
    ) -> String? {
        acknowledged[partition] = max(acknowledged[partition] ?? -1, offset)
        return generation >= newest
            ? nil
            : "a commit of generation \(generation) was taken, though \(newest) was in effect "
                + "before it was sent"
    }

    /// What was acknowledged of a partition so far.
    func floor(of partition: Int32) -> Int64 { acknowledged[partition] ?? -1 }

    /// An owner that asked when `floor` was acknowledged was told an offset.
    func judge(told offset: Int64, of partition: Int32, floor: Int64) -> String? {
        let most = lastSent[partition] ?? -1
        return (floor...max(floor, most)).contains(offset)
            ? nil
            : "partition \(partition): \(floor) was committed, at most \(most), and \(offset) is "
                + "what its owner is told"
    }
}
