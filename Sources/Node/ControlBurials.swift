import Model
import OrderedCollections
import Replication

/// The registers of deleted topics' partitions: they go before the topic's own, and again where
/// somebody who had not heard of the deletion writes one.
extension Control {
    /// Topics that are remembered as gone: more than are deleted while a broker is cut off.
    private static let latelyMaximum = 4_096

    /// Has what registers of these partitions hold removed.
    mutating func bury(
        _ partitions: [TopicPartition], of id: TopicID, into effects: inout [Effect]
    ) {
        let number = nextSerial()
        changes[number] = PendingChange(kind: .burial(id), token: nil, names: [], outcomes: [])
        effects.append(
            .propose(
                number,
                partitions.map {
                    RegisterProposal(key: PartitionRegister.key($0), operation: .bury)
                }))
    }

    mutating func burialDecided(
        _ id: TopicID, _ decisions: [Decision], now: Now, into effects: inout [Effect]
    ) {
        guard stops[id] != nil else { return }
        stops[id]?.burying -= 1
        if !decisions.allSatisfy(Self.isSettled) { stops[id]?.isBuried = false }
        guard stops[id]?.burying == 0 else { return }
        stops[id]?.isDeciding = false
        if stops[id]?.isBuried == true { lookAtStop(id, now: now, into: &effects) }
    }

    /// A register was written of a partition whose topic is gone: by a broker that had not heard of
    /// it. One broker buries it again.
    mutating func buryLate(
        _ partition: TopicPartition, _ value: ChosenValue, into effects: inout [Effect]
    ) {
        guard value.value != nil, lately.contains(partition.topic),
            deletions.values.allSatisfy({ $0.id != partition.topic }),
            members.map(\.entry.id).min() == identity.broker.id
        else { return }
        states[partition] = nil
        bury([partition], of: partition.topic, into: &effects)
    }

    /// The name of a deleted topic is free: registers that were written while it was being deleted,
    /// and that nobody buried with the others, are buried now.
    mutating func buryLeft(of entry: TopicEntry, into effects: inout [Effect]) {
        guard members.map(\.entry.id).min() == identity.broker.id else { return }
        let left = entry.partitions.indices.map { entry.partition(Int32($0)) }.filter {
            states[$0] != nil
        }
        for partition in left { states[partition] = nil }
        for batch in Self.batches(of: left) {
            bury(Array(batch), of: entry.id, into: &effects)
        }
    }

    /// Remembers that a topic is gone, for as long as the list of them is.
    mutating func noteGone(_ id: TopicID) {
        lately.append(id)
        if lately.count > Self.latelyMaximum { lately.removeFirst() }
    }
}
