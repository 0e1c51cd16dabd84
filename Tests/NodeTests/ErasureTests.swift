import Model
import NIOCore
import Node
import Simulation
import Storage
import Testing

/// The files of deleted topics: they go on evidence alone, and they do go.
@Suite struct ErasureTests {
    /// Seeds 13 and 53 of the simulated meshes: a disk that is full just then kept them for ever.
    @Test func aFullDiskKeepsFilesForAWhileOnly() throws {
        var bench = ControlBench()
        bench.create(["orders"])
        bench.settle()
        let id = try #require(bench.view?.topic(named: "orders")?.id)
        bench.request(2, .deleteTopics(["orders"]))
        bench.persist()
        bench.effects = []
        bench.persist(failure: "no space")
        #expect(bench.deletions == [false], "the topic is let go of, and its files stay")
        bench.settle()
        bench.effects = []
        bench.handle(.wake)
        #expect(bench.writes.isEmpty, "a full disk is not asked all the time")
        bench.now = Now(
            instant: bench.now.instant.advanced(byMilliseconds: 30_000), wall: bench.now.wall)
        bench.handle(.wake)
        bench.persist()
        #expect(bench.deletions == [true])
        #expect(
            bench.records.keys.compactMap(ErasureRecord.directory) == [
                PartitionOrder.topicDirectory(of: id)
            ])
    }

    @Test func aShardErasesWhatItLetGoOfBefore() throws {
        let partition = ShardBench.partition(0)
        var bench = ShardBench()
        bench.open(partition)
        bench.produce(1, [(partition, bench.batch(["a"]))])
        bench.handle(.close(partition, delete: false))
        bench.runJobs()
        #expect(bench.disk.exists(PartitionOrder.directory(of: partition)))
        bench.handle(.close(partition, delete: true))
        bench.runJobs()
        #expect(!bench.disk.exists(PartitionOrder.directory(of: partition)))
    }

    /// The name comes back with a loss of power, unless the directory was synced first: and then
    /// nothing would be left that allows it to be removed.
    @Test(arguments: 1...20) func evidenceGoesOnlyOnceTheFilesAreGone(seed: UInt64) throws {
        let topic = TopicID(high: 7, low: seed)
        let directory = PartitionOrder.topicDirectory(of: topic)
        let disk = SimulatedDisk(seed: seed)
        for path in ["logs", directory, directory + "/0"] { try disk.makeDirectory(path) }
        _ = try disk.open(directory + "/0/0.log", .create)
        for path in ["", "logs", directory, directory + "/0"] {
            try disk.synchronizeDirectory(path, .partitionDirectory)
        }
        let key = "erase/" + directory.dropFirst("logs/".count)
        let table = try TableFile(disk: disk, directory: "", name: "table")
        try table.put([TableFile.Change(key: key, version: 1, value: ByteBuffer())])
        #expect(ErasureRecord.erase(by: table, on: disk) == [directory])
        disk.restart()
        let isKnown = try TableFile(disk: disk, directory: "", name: "table").entry(for: key) != nil
        #expect(isKnown || !disk.exists(directory))
    }
}

extension ControlBench {
    /// What was closed, and whether its files were to go.
    fileprivate var deletions: [Bool] {
        effects.compactMap { effect in
            if case .close(_, let delete) = effect { delete } else { nil }
        }
    }
}
