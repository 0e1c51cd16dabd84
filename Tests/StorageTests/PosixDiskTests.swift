import Foundation
import Model
import NIOCore
import Storage
import Testing

@Suite("The real file system")
struct PosixDiskTests {
    private func withDirectory(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "gossamer-storage-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test("Files are written, read, cut, renamed, listed and removed")
    func files() throws {
        try withDirectory { root in
            let disk = PosixDisk(root: root)
            #expect(throws: DiskError.notFound) { _ = try disk.open("a", .read) }
            let file = try disk.open("a", .create)
            try file.write(
                at: 2, head: ByteBuffer(string: "head"), body: ByteBuffer(string: "body"))
            try file.synchronize(.segmentData)
            #expect(try file.size() == 10)
            var bytes = ByteBuffer()
            #expect(try file.read(at: 4, length: 100, into: &bytes) == 6)
            #expect(String(buffer: bytes) == "adbody")
            try file.truncate(to: 4)
            try disk.rename("a", to: "b")
            try disk.makeDirectory("d")
            try disk.makeDirectory("d")
            try disk.synchronizeDirectory("", .segmentDirectory)
            #expect(try disk.list("") == ["b", "d"])
            #expect(disk.exists("b") && !disk.exists("a"))
            try disk.remove("b")
            try disk.remove("d")
            #expect(throws: DiskError.notFound) { try disk.remove("b") }
            #expect(try disk.freeSpace() > 0)
        }
    }

    @Test("A log lives on it as on the simulated one")
    func log() throws {
        try withDirectory { root in
            var configuration = LogConfiguration()
            configuration.segmentBytes = 1000
            let fixture = LogFixture()
            for round in 0..<3 {
                var (log, report) = try PartitionLog.open(
                    directory: "p", disk: PosixDisk(root: root),
                    files: FileHandleCache(capacity: 2), tail: TailCache(budgetBytes: 0),
                    configuration: configuration, cleanShutdown: false, now: fixture.now)
                #expect(report.corruption == nil)
                #expect(try log.values() == (0..<(round * 20)).map { "v\($0)" })
                for index in 0..<20 {
                    try log.append(fixture.batch(["v\(round * 20 + index)"]), now: fixture.now)
                }
                if round == 1 { try log.close() } else { try log.flush() }
            }
        }
    }

    @Test("A second owner of a data directory is told of the first")
    func lock() throws {
        try withDirectory { root in
            do {
                let lock = try DirectoryLock(root: root + "/x/y", owner: "started at noon")
                do throws(DataDirectoryError) {
                    _ = try DirectoryLock(root: root + "/x/y", owner: "second")
                    Issue.record("locked twice")
                } catch {
                    guard case .locked(let owner) = error else {
                        Issue.record("\(error)")
                        return
                    }
                    #expect(owner.hasPrefix("pid ") && owner.hasSuffix("started at noon"))
                }
                withExtendedLifetime(lock) {}
            }
            _ = try DirectoryLock(root: root + "/x/y", owner: "third")
        }
    }

    @Test("A thousand partitions with 64 MiB open again at once after a kill")
    func manyPartitions() throws {
        try withDirectory { root in
            let disk = PosixDisk(root: root)
            let files = FileHandleCache(capacity: 64)
            let fixture = LogFixture()
            let batch = fixture.batch([String(repeating: "x", count: 64 * 1024)])
            func open(_ index: Int) throws -> PartitionLog {
                try PartitionLog.open(
                    directory: "p\(index)", disk: disk, files: files,
                    tail: TailCache(budgetBytes: 0), configuration: LogConfiguration(),
                    cleanShutdown: false, now: fixture.now
                ).log
            }
            for index in 0..<1000 {
                var log = try open(index)
                try log.append(batch, now: fixture.now)
            }
            #expect(files.count <= 64)
            for index in 0..<1000 { #expect(try open(index).endOffset == Offset(1)) }
        }
    }
}
