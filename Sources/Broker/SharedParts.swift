import Model
import NIOPosix
import Node
import Storage
import Synchronization

/// What all reactors of a broker have in common: values and thread-safe parts, no loop's state.
final class SharedParts: Sendable {
    let mailboxes: [Mailbox]
    let disk: any Disk
    let files: FileHandleCache
    /// The hot tail's memory, one account for each loop.
    let tail: [TailCache]
    /// Where work that may block is run; results come back through mailboxes.
    let diskThreads: NIOThreadPool
    let maintenanceThread: NIOThreadPool
    /// The broker's own records and the table of chosen values, written in one order.
    let tables: TableWriter
    /// What this broker promised as a voter: fsyncs that others wait for.
    let registers: TableWriter
    let store: DataStore
    let events: BrokerEvents
    let progress: BrokerProgress
    let openConnections = Atomic<Int>(0)
    let nextConnection = Atomic<UInt64>(0)
    let bufferedBytesPerLoop: Int
    let dataDirectory: String

    init(
        mailboxes: [Mailbox], disk: any Disk, files: FileHandleCache, tail: [TailCache],
        diskThreads: NIOThreadPool, maintenanceThread: NIOThreadPool, tables: TableWriter,
        registers: TableWriter, store: DataStore, events: BrokerEvents,
        progress: BrokerProgress,
        limits: BrokerLimits, dataDirectory: String
    ) {
        self.mailboxes = mailboxes
        self.disk = disk
        self.files = files
        self.tail = tail
        self.diskThreads = diskThreads
        self.maintenanceThread = maintenanceThread
        self.tables = tables
        self.registers = registers
        self.store = store
        self.events = events
        self.progress = progress
        self.bufferedBytesPerLoop = max(1, limits.bufferedBytes / mailboxes.count)
        self.dataDirectory = dataDirectory
    }

    /// Spreads a topic's partitions over the shards in turn, and topics by their ids.
    func shardIndex(of partition: TopicPartition) -> Int {
        let spread = partition.topic.low &+ UInt64(UInt32(bitPattern: partition.index.rawValue))
        return Int(spread % UInt64(mailboxes.count))  // wraps: only the spread matters
    }
}
