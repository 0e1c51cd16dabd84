import Model
import NIOCore
import Node
import Storage
import Synchronization
import Testing

@testable import Broker

/// Writes of durable tables, and how long they take.
@Suite struct TableWriterTests {
    private final class Slow: Sendable {
        private let times = Mutex<[Int64]>([])

        var count: Int { times.withLock { $0.count } }

        func note(_ milliseconds: Int64) { times.withLock { $0.append(milliseconds) } }
    }

    private func write(_ count: Int, with writer: TableWriter) async throws {
        let directory = TemporaryDirectory()
        let lock = try DirectoryLock(root: directory.path, owner: "test")
        let table = try TableFile(
            disk: PosixDisk(root: directory.path), directory: "", name: "table")
        for number in 1...count {
            let change = TableChange(
                key: "k", version: UInt64(number), value: ByteBuffer(integer: number))
            await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                writer.write([change], to: table) { failure in
                    #expect(failure == nil)
                    done.resume()
                }
            }
        }
        await writer.stop()
        _ = lock
    }

    @Test func slowWritesAreCountedAndSaid() async throws {
        let slow = Slow()
        // Nothing takes less than no time.
        let writer = TableWriter(slowMilliseconds: -1) { milliseconds in
            slow.note(milliseconds)
        }
        try await write(3, with: writer)
        #expect(slow.count == 3)
        #expect(writer.writeTimes.writes == 3 && writer.writeTimes.slowWrites == 3)
    }

    @Test func othersAreOnlyCounted() async throws {
        let slow = Slow()
        let writer = TableWriter(slowMilliseconds: 600_000) { milliseconds in
            slow.note(milliseconds)
        }
        try await write(3, with: writer)
        #expect(slow.count == 0)
        #expect(writer.writeTimes.writes == 3 && writer.writeTimes.slowWrites == 0)
    }
}
