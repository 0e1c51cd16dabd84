import Model
import NIOPosix
import Node
import Storage
import Synchronization

/// Writes durable tables on a thread of its own, one change after the other.
///
/// The order of the writes is the order of the calls, across tables too: one thread serves them.
/// Each is one fsync, and how long it took is counted: a broker with a slow disk answers its voters
/// and its clients late, and should doubt itself before it accuses others.
final class TableWriter: Sendable {
    /// A write that takes longer is slow: other brokers give a round of Paxos up by then.
    static let slowMilliseconds: Int64 = 500

    private let thread: NIOThreadPool
    private let times = Mutex(WriteTimes())
    /// Called on the writer's thread.
    private let whenSlow: @Sendable (Int64) -> Void

    private let slowMilliseconds: Int64

    init(
        slowMilliseconds: Int64 = TableWriter.slowMilliseconds,
        whenSlow: @escaping @Sendable (_ milliseconds: Int64) -> Void
    ) {
        self.slowMilliseconds = slowMilliseconds
        self.whenSlow = whenSlow
        thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
    }

    /// How long the writes took, so far.
    var writeTimes: WriteTimes { times.withLock { $0 } }

    /// Ends the thread once what it was given is written: the pool itself would drop it.
    func stop() async {
        await withCheckedContinuation { (last: CheckedContinuation<Void, Never>) in
            thread.submit { _ in last.resume() }
        }
        try? await thread.shutdownGracefully()
    }

    /// Makes the changes durable, then says so, or says why not; on the writer's thread.
    func write(
        _ changes: [TableChange], to table: TableFile,
        then: @escaping @Sendable (TableError?) -> Void
    ) {
        thread.submit { state in
            guard case .active = state else { return }
            let began = Clock.now().instant
            defer { self.count(since: began) }
            do throws(TableError) {
                try table.put(
                    changes.map {
                        TableFile.Change(key: $0.key, version: $0.version, value: $0.value)
                    })
                then(nil)
            } catch {
                then(error)
            }
        }
    }

    private func count(since began: Instant) {
        let took = Clock.now().instant.milliseconds(since: began)
        let isSlow = took > slowMilliseconds
        times.withLock { $0.add(took, isSlow: isSlow) }
        if isSlow { whenSlow(took) }
    }
}

/// How long the writes of a table took.
struct WriteTimes: Sendable {
    private(set) var writes: UInt64 = 0
    private(set) var slowWrites: UInt64 = 0
    private(set) var totalMilliseconds: UInt64 = 0
    private(set) var longestMilliseconds: UInt64 = 0

    mutating func add(_ milliseconds: Int64, isSlow: Bool) {
        let took = UInt64(max(0, milliseconds))
        writes += 1
        slowWrites += isSlow ? 1 : 0
        totalMilliseconds += took
        longestMilliseconds = max(longestMilliseconds, took)
    }
}
