import Model
import Replication
import Storage
import Testing

@testable import Node

/// How a coordinator reads the log of its slot.
@Suite struct SlotReadingTests {
    private let id = ShardBench.partition(0)

    /// A coordinator asks for its slot while the log is at a disk thread.
    @Test func aLogThatIsAwayIsReadWhenItIsBack() {
        var bench = ShardBench()
        bench.handle(.open(ShardBench.order(id)))
        let load = SlotLoad(partition: id, number: 4)
        bench.handle(.scan(load, from: .zero))
        bench.runJobs()
        let scanned = bench.effects.compactMap {
            if case .scanned(let load, _) = $0 { load } else { nil }
        }
        #expect(scanned == [load])
    }

    /// What its predecessor wrote and acknowledged to nobody may still be taken back.
    @Test func aSlotIsReadToItsEndOnceAllOfItIsCommitted() throws {
        var bench = ShardBench()
        bench.open(id)
        bench.handle(.lease(until: bench.deadline(10_000)))
        let state = PartitionState.initial(placement: [copy(1), copy(2)])
        bench.handle(.assume(id, .leads(state, as: copy(1), minInSync: 1)))
        bench.produce(1, [(id, bench.batch(["a"]))])
        bench.runJobs()
        let load = SlotLoad(partition: id, number: 4)
        bench.effects = []
        bench.handle(.scan(load, from: Offset(1)))
        bench.runJobs()
        func ends() -> Int {
            bench.effects.count { if case .scanned(_, .empty) = $0 { true } else { false } }
        }
        #expect(ends() == 0, "its follower has not got the record")
        let alone = try state.alterInSync(
            to: [copy(1)], by: NodeID(1), leaderEpoch: state.leaderEpoch,
            expecting: state.partitionEpoch, minInSync: 1
        ).get()
        bench.handle(.assume(id, .leads(alone, as: copy(1), minInSync: 1)))
        #expect(ends() == 1)
    }
}
