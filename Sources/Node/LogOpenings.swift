public import Model
import Replication
public import Storage

/// Openings of logs that one disk thread does together.
///
/// Each new log is a directory whose entry in the topic's directory has to survive a power cut. For
/// a topic of thirty thousand partitions that is as many syncs of one directory; together they
/// share one. What can't be made together is opened one by one and says itself what is wrong.
public struct LogOpenings: Sendable {
    /// So many share a sync: its cost is spread thin by then, and other work of the threads does
    /// not wait for long.
    public static let together = 64

    private let orders: [PartitionOrder]

    public init(_ orders: [PartitionOrder]) { self.orders = orders }

    /// Does the work and says what became of each, in order. Blocks.
    public func run(
        on disk: any Disk, files: FileHandleCache, tail: TailCache, now: Now,
        each: (DiskOutcome) -> Void
    ) {
        var start = 0
        while start < orders.count {
            let topic = orders[start].partition.topic
            let part = orders[start...].prefix { $0.partition.topic == topic }
            let names = makeDirectories(part, of: topic, on: disk)
            for (order, name) in zip(part, names) {
                let result = DiskJob.open(
                    order, name: name, disk: disk, files: files, tail: tail, now: now)
                each(.opened(order, result))
            }
            start += part.count
        }
    }

    /// Makes the directories that are missing, and all of their names durable.
    private func makeDirectories(
        _ orders: ArraySlice<PartitionOrder>, of topic: TopicID, on disk: any Disk
    ) -> [DirectoryName] {
        let unknown = orders.map { _ in DirectoryName.unknown }
        guard orders.count > 1 else { return unknown }
        do throws(DiskError) {
            try DiskJob.makeTopicDirectory(of: topic, on: disk)
            var names: [DirectoryName] = []
            for order in orders {
                let directory = PartitionOrder.directory(of: order.partition)
                if disk.exists(directory) {
                    names.append(.durable)
                } else {
                    try disk.makeDirectory(directory)
                    names.append(.fresh)
                }
            }
            try disk.synchronizeDirectory(
                PartitionOrder.topicDirectory(of: topic), .partitionDirectory)
            return names
        } catch {
            return unknown
        }
    }
}
