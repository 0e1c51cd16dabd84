import Model
import OrderedCollections
import Replication

/// The registers of deleted topics' partitions: they go before the topic's own, and again where
/// somebody who had not heard of the deletion writes one.
extension Control {
    /// Topics that are remembered as gone: more than are deleted while a broker is cut off.
    private static let latelyMaximum = 4_096

    /// How long each broker leaves a burial to those before it: longer than a decision takes, and
    /// than its word to all.
    private static let burialTurnMilliseconds: Int64 = 5_000

    /// Registers that wait to be buried by this broker: more than are written late.
    private static let unburiedMaximum = 4_096

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
    /// it. It is buried again.
    mutating func buryLate(
        _ partition: TopicPartition, _ value: ChosenValue, now: Now, into effects: inout [Effect]
    ) {
        guard value.value != nil, lately.contains(partition.topic),
            deletions.values.allSatisfy({ $0.id != partition.topic })
        else { return }
        buryInTurn([partition], of: partition.topic, now: now, into: &effects)
    }

    /// The name of a deleted topic is free: registers that were written while it was being deleted,
    /// and that nobody buried with the others, are buried now.
    mutating func buryLeft(of entry: TopicEntry, now: Now, into effects: inout [Effect]) {
        let left = entry.partitions.indices.map { entry.partition(Int32($0)) }.filter {
            states[$0] != nil
        }
        for batch in Self.batches(of: left) {
            buryInTurn(Array(batch), of: entry.id, now: now, into: &effects)
        }
    }

    /// The broker with the lowest id does it at once. The next ones wait in turn: it may have
    /// started since, and not know any more that there was such a topic. What is buried by then
    /// they leave alone.
    private mutating func buryInTurn(
        _ partitions: [TopicPartition], of id: TopicID, now: Now, into effects: inout [Effect]
    ) {
        let before = members.count { $0.entry.id < identity.broker.id }
        guard before > 0 else {
            for partition in partitions { states[partition] = nil }
            return bury(partitions, of: id, into: &effects)
        }
        let due = now.instant.advanced(
            byMilliseconds: Int64(before) * Self.burialTurnMilliseconds)
        for partition in partitions where unburied.count < Self.unburiedMaximum {
            unburied[partition] = due
        }
        burialsDue = min(burialsDue ?? due, due)
    }

    mutating func buryOverdue(now: Now, into effects: inout [Effect]) {
        guard let due = burialsDue, due <= now.instant else { return }
        let overdue = unburied.filter { $1 <= now.instant }.keys
        unburied.removeAll { $1 <= now.instant }
        burialsDue = unburied.values.min()
        for partition in overdue where states[partition] != nil {
            guard topics.name(of: partition.topic) == nil else { continue }
            states[partition] = nil
            bury([partition], of: partition.topic, into: &effects)
        }
    }

    /// Remembers that a topic is gone, for as long as the list of them is.
    mutating func noteGone(_ id: TopicID) {
        lately.append(id)
        if lately.count > Self.latelyMaximum { lately.removeFirst() }
    }
}
