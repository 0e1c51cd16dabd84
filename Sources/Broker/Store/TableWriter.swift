import NIOPosix
import Node
import Storage

/// Writes the durable table on a thread of its own, one change after the other.
///
/// The order of the writes is the order of the calls: one thread serves them.
final class TableWriter: Sendable {
    private let table: TableFile
    private let thread: NIOThreadPool

    init(table: TableFile, thread: NIOThreadPool) {
        self.table = table
        self.thread = thread
    }

    /// Ends the thread once what it was given is written.
    func stop() async { try? await thread.shutdownGracefully() }

    /// Makes the changes durable, then says so, or says why not; on the writer's thread.
    func write(_ changes: [TableChange], then: @escaping @Sendable (String?) -> Void) {
        thread.submit { state in
            guard case .active = state else { return }
            do throws(TableError) {
                try self.table.put(
                    changes.map {
                        TableFile.Change(key: $0.key, version: $0.version, value: $0.value)
                    })
                then(nil)
            } catch {
                then("the table was not written: \(error)")
            }
        }
    }
}
