import Model
import Node
import Simulation
import Storage
import Testing

/// Many logs that are opened together.
@Suite struct LogOpeningTests {
    private func open(
        _ indices: Range<Int32>, on disk: SimulatedDisk
    ) -> [(partition: TopicPartition, isOpen: Bool)] {
        let orders = indices.map { ShardBench.order(ShardBench.partition($0)) }
        var outcomes: [(partition: TopicPartition, isOpen: Bool)] = []
        LogOpenings(orders).run(
            on: disk, files: FileHandleCache(capacity: 64), tail: TailCache(budgetBytes: 1 << 20),
            now: Now(
                instant: Instant(nanoseconds: 1),
                wall: Timestamp(milliseconds: 1_700_000_000_000))
        ) { outcome in
            guard case .opened(let order, let result) = outcome else { return }
            if case .success = result {
                outcomes.append((order.partition, true))
            } else {
                outcomes.append((order.partition, false))
            }
        }
        return outcomes
    }

    private func names(of indices: Range<Int32>, on disk: SimulatedDisk) -> Int {
        indices.count { disk.exists(PartitionOrder.directory(of: ShardBench.partition($0))) }
    }

    @Test("They share the sync of their directory, and survive a power cut all the same")
    func sharedSync() {
        let disk = SimulatedDisk(seed: 1)
        let outcomes = open(0..<50, on: disk)
        #expect(outcomes.map(\.partition) == (0..<50).map { ShardBench.partition($0) })
        #expect(outcomes.allSatisfy { $0.isOpen })
        // One for `logs`, one for the topic, one for all partitions.
        #expect(disk.syncCounts[.partitionDirectory] == 3)
        disk.restart()
        #expect(names(of: 0..<50, on: disk) == 50)
        // What is there already is opened with what is new, at the price of one more sync.
        #expect(open(40..<60, on: disk).allSatisfy { $0.isOpen })
        #expect(disk.syncCounts[.partitionDirectory] == 4)
        disk.restart()
        #expect(names(of: 0..<60, on: disk) == 60)
    }

    @Test("Without the sync a power cut takes some of them")
    func missingSync() {
        let disk = SimulatedDisk(seed: 1)
        _ = open(0..<2, on: disk)
        disk.skipSynchronization(of: .partitionDirectory)
        _ = open(2..<50, on: disk)
        disk.restart()
        #expect(names(of: 0..<50, on: disk) < 50)
    }

    @Test("Where the disk fails each says so itself")
    func failingDisk() {
        let disk = SimulatedDisk(seed: 1)
        disk.cutPower(afterOperations: 4)
        let outcomes = open(0..<5, on: disk)
        #expect(outcomes.count == 5)
        #expect(outcomes.contains { !$0.isOpen })
    }
}
