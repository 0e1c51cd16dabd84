import Model
import Replication

/// One partition's machine with short ways to talk to it; each step gives the effects it had.
struct Bench {
    typealias Effect = PartitionMachine.Effect

    var machine: PartitionMachine

    /// A machine that leads an empty log under epoch 0.
    init(syncRequired: Bool, leads: Bool = true) {
        machine = PartitionMachine(syncRequired: syncRequired)
        if leads { lead(epoch: 0) }
    }

    mutating func handle(_ input: PartitionMachine.Input) -> [Effect] {
        var effects: [Effect] = []
        machine.handle(input, into: &effects)
        return effects
    }

    @discardableResult
    mutating func lead(epoch: Int32, end: Int64 = 0, synced: Int64 = 0) -> [Effect] {
        let node = NodeID(1)
        let leadership = Leadership(
            leader: node, epoch: LeaderEpoch(epoch), replicas: [node], inSyncReplicas: [node])
        return handle(.lead(leadership, end: Offset(end), synced: Offset(synced)))
    }

    @discardableResult
    mutating func appended(_ end: Int64) -> [Effect] { handle(.appended(end: Offset(end))) }

    @discardableResult
    mutating func synced(_ offset: Int64) -> [Effect] { handle(.synced(upTo: Offset(offset))) }

    @discardableResult
    mutating func wait(
        _ token: UInt64, _ end: Int64, _ acknowledgement: Acknowledgement = .all,
        until milliseconds: Int64 = 1_000
    ) -> [Effect] {
        handle(
            .await(
                PartitionMachine.Waiter(
                    token: token, end: Offset(end), acknowledgement: acknowledgement,
                    deadline: Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds))))
    }

    mutating func expire(_ milliseconds: Int64) -> [Effect] {
        var effects: [Effect] = []
        machine.expire(
            at: Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds), into: &effects)
        return effects
    }
}
