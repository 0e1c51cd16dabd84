import NIOPosix
import Node
import Storage

/// Writes durable tables on a thread of its own, one change after the other.
///
/// The order of the writes is the order of the calls, across tables too: one thread serves them.
final class TableWriter: Sendable {
    private let thread: NIOThreadPool

    init() {
        thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
    }

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
}
