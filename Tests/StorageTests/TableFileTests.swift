import Model
import NIOCore
import Simulation
import Storage
import Testing

@Suite("Tables and the data directory")
struct TableFileTests {
    private func change(_ key: String, _ version: UInt64, _ value: String?) -> TableFile.Change {
        TableFile.Change(key: key, version: version, value: value.map { ByteBuffer(string: $0) })
    }

    private func contents(_ table: TableFile) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: table.entries.map { ($0.key, String(buffer: $0.entry.value)) })
    }

    @Test("What was put is there after opening again; old versions are dropped")
    func putAndReopen() throws {
        let disk = SimulatedDisk(seed: 1)
        let table = try TableFile(disk: disk, directory: "", name: "topics")
        try table.put([change("a", 1, "one"), change("b", 1, "two")])
        try table.put([change("a", 3, "three"), change("b", 2, nil)])
        try table.put([change("a", 2, "late")])
        disk.restart()
        let reopened = try TableFile(disk: disk, directory: "", name: "topics")
        #expect(contents(reopened) == ["a": "three"])
        #expect(reopened.entry(for: "a")?.version == 3)
    }

    @Test("The file is rewritten once more than half of it is superseded")
    func rewriting() throws {
        let disk = SimulatedDisk(seed: 1)
        let table = try TableFile(disk: disk, directory: "", name: "t")
        let value = String(repeating: "v", count: 1000)
        for version in 1...300 as ClosedRange<UInt64> {
            try table.put([change("k", version, value + "\(version)")])
        }
        let size = try #require(disk.contents(of: "t")).count
        #expect(size < 80_000)
        disk.restart()
        let reopened = try TableFile(disk: disk, directory: "", name: "t")
        #expect(contents(reopened) == ["k": value + "300"])
    }

    @Test("Every torn end is cut off; every damaged middle is refused")
    func tornAndCorrupt() throws {
        let disk = SimulatedDisk(seed: 1)
        let table = try TableFile(disk: disk, directory: "", name: "t")
        try table.put([change("a", 1, "one")])
        let first = try #require(disk.contents(of: "t"))
        try table.put([change("b", 1, "two")])
        let whole = try #require(disk.contents(of: "t"))
        for length in first.count..<whole.count {
            disk.overwrite("t", with: Array(whole[..<length]))
            let cut = try TableFile(disk: disk, directory: "", name: "t")
            #expect(contents(cut) == ["a": "one"])
        }
        for index in 8..<first.count {
            disk.overwrite("t", with: whole)
            disk.flipBit(of: "t", byte: index, bit: index % 8)
            #expect(throws: TableError.corrupt(position: 8)) {
                _ = try TableFile(disk: disk, directory: "", name: "t")
            }
        }
    }

    @Test("What the device misreads once is neither cut off nor refused")
    func misread() throws {
        let disk = SimulatedDisk(seed: 1)
        let table = try TableFile(disk: disk, directory: "", name: "t")
        try table.put([change("a", 1, "one")])
        try table.put([change("b", 1, "two")])
        let whole = try #require(disk.contents(of: "t"))
        for byte in 8..<whole.count {
            disk.misreadOnce("t", byte: byte, bit: byte % 8)
            let opened = try TableFile(disk: disk, directory: "", name: "t")
            #expect(contents(opened) == ["a": "one", "b": "two"], "byte \(byte)")
            #expect(disk.contents(of: "t") == whole)
        }
    }

    @Test("A full disk fails the put and leaves the table whole")
    func noSpace() throws {
        let disk = SimulatedDisk(seed: 1)
        let table = try TableFile(disk: disk, directory: "", name: "t")
        try table.put([change("a", 1, "one")])
        disk.setCapacity(Int64(try #require(disk.contents(of: "t")).count) + 10)
        #expect(throws: TableError.disk(.noSpace)) { try table.put([change("b", 1, "two")]) }
        disk.setCapacity(.max)
        try table.put([change("c", 1, "three")])
        disk.restart()
        let reopened = try TableFile(disk: disk, directory: "", name: "t")
        #expect(contents(reopened) == ["a": "one", "c": "three"])
    }

    @Test("What is in a full table can be replaced and removed, and refusals rewrite nothing")
    func full() throws {
        let disk = SimulatedDisk(seed: 1)
        let bound: Int64 = 16 * 1024
        let table = try TableFile(disk: disk, directory: "", name: "t", bytesMaximum: bound)
        let padding = String(repeating: "p", count: 1_000)
        var version: UInt64 = 0
        var held = 0
        while true {
            version += 1
            do throws(TableError) {
                try table.put([change("k\(held)", version, padding)])
                held += 1
            } catch {
                guard case .tooLarge = error else { throw error }
                break
            }
        }
        #expect(held == 14)
        let before = try #require(disk.contents(of: "t"))
        #expect(throws: TableError.self) { try table.put([change("new", version, padding)]) }
        #expect(disk.contents(of: "t") == before)
        // More often than there is room for without a rewrite.
        for _ in 0..<40 {
            version += 1
            try table.put([change("k3", version, padding)])
            #expect(try #require(disk.contents(of: "t")).count <= bound)
        }
        try table.put([TableFile.Change(key: "k3", version: version + 1, value: nil)])
        try table.put([change("new", version + 2, padding)])
        disk.restart()
        let reopened = try TableFile(disk: disk, directory: "", name: "t", bytesMaximum: bound)
        #expect(contents(reopened).count == held)
        #expect(contents(reopened)["k3"] == nil)
    }

    @Test("A failed sync fails all later puts until the table is opened anew")
    func failedSync() throws {
        let disk = SimulatedDisk(seed: 1)
        let table = try TableFile(disk: disk, directory: "", name: "t")
        disk.failNextSynchronization()
        #expect(throws: TableError.disk(.inputOutput)) { try table.put([change("a", 1, "x")]) }
        #expect(throws: TableError.failed(.inputOutput)) { try table.put([change("a", 1, "x")]) }
    }

    /// Puts until the power goes; true if everything acknowledged was there afterwards.
    private func survives(seed: UInt64, skipping point: SyncPoint?) -> Bool {
        var random = SeededGenerator(seed: seed)
        let disk = SimulatedDisk(seed: seed)
        disk.skipSynchronization(of: point)
        var expected: [String: String] = [:]
        var version: UInt64 = 0
        for _ in 0..<5 {
            disk.cutPower(afterOperations: Int.random(in: 1...150, using: &random))
            var attempted: (key: String, value: String)?
            if let table = try? TableFile(disk: disk, directory: "", name: "t") {
                let padding = String(repeating: "p", count: 2500)
                while true {
                    version += 1
                    let key = "k\(Int.random(in: 0..<4, using: &random))"
                    let value = "\(version)" + padding
                    attempted = (key, value)
                    guard (try? table.put([change(key, version, value)])) != nil else { break }
                    expected[key] = value
                }
            }
            disk.restart()
            guard let table = try? TableFile(disk: disk, directory: "", name: "t") else {
                return false
            }
            let found = contents(table)
            for (key, value) in expected where found[key] != value {
                guard let attempted, attempted.key == key, attempted.value == found[key] else {
                    return false
                }
            }
            expected = found
        }
        return true
    }

    @Test("Nothing acknowledged is lost, by 100 seeds")
    func crashes() {
        for seed in 0..<100 as Range<UInt64> {
            #expect(survives(seed: seed, skipping: nil), "seed \(seed)")
        }
    }

    @Test(
        "Leaving out any sync of a table loses something",
        arguments: [SyncPoint.tableData, .tableDirectory, .tableRewrite, .tableRewriteDirectory])
    func syncs(point: SyncPoint) {
        let isFound = (0..<500 as Range<UInt64>).contains { !survives(seed: $0, skipping: point) }
        #expect(isFound)
    }

    // MARK: Data directory

    private let identity = DirectoryIdentity(clusterID: "c1", nodeID: NodeID(3))

    @Test("The identity stays; the mark of a clean stop holds for one start")
    func dataDirectory() throws {
        let disk = SimulatedDisk(seed: 1)
        let first = try DataDirectory(disk: disk, identity: identity)
        #expect(first.identity == identity && !first.wasClean)
        try first.markClean()
        let other = DirectoryIdentity(clusterID: "c2", nodeID: NodeID(9))
        let second = try DataDirectory(disk: disk, identity: other)
        #expect(second.identity == identity && second.wasClean)
        #expect(try !DataDirectory(disk: disk, identity: other).wasClean)
    }

    /// Two partitions with a segment each, stopped in order.
    private func stoppedDisk() throws -> SimulatedDisk {
        let disk = SimulatedDisk(seed: 1)
        let directory = try DataDirectory(disk: disk, identity: identity)
        for name in ["logs", "logs/t", "logs/t/0", "logs/t/1"] { try disk.makeDirectory(name) }
        for name in ["logs/t/0/00.log", "logs/t/1/00.log"] {
            try disk.open(name, .create).write(
                at: 0, head: ByteBuffer(string: "records"), body: ByteBuffer())
        }
        try directory.markClean()
        return disk
    }

    @Test(
        "A stop is clean only as long as the logs are what they were",
        arguments: ["nothing", "size", "segment", "partition", "torn mark", "empty mark"])
    func cleanMark(what: String) throws {
        let disk = try stoppedDisk()
        switch what {
        case "size": try disk.open("logs/t/1/00.log", .readWrite).truncate(to: 6)
        case "segment": try disk.remove("logs/t/1/00.log")
        case "partition":
            try disk.remove("logs/t/1/00.log")
            try disk.remove("logs/t/1")
        case "torn mark": try disk.open("clean", .readWrite).truncate(to: 20)
        // What a power cut leaves of one: it was not synced.
        case "empty mark": try disk.open("clean", .readWrite).truncate(to: 0)
        default: break
        }
        let next = try DataDirectory(disk: disk, identity: identity)
        #expect(next.wasClean == (what == "nothing"))
        #expect(!disk.exists("clean"), "it is taken for one start")
    }

    @Test("A damaged identity is refused, bit by bit")
    func damagedIdentity() throws {
        let disk = SimulatedDisk(seed: 1)
        _ = try DataDirectory(disk: disk, identity: identity)
        let bytes = try #require(disk.contents(of: "identity"))
        for index in bytes.indices {
            disk.overwrite("identity", with: bytes)
            disk.flipBit(of: "identity", byte: index, bit: index % 7)
            #expect(throws: DataDirectoryError.self) {
                let opened = try DataDirectory(disk: disk, identity: identity)
                // A flip that turns the last line's end into something else changes nothing.
                if opened.identity == identity { throw DataDirectoryError.corruptIdentity }
            }
        }
    }

    private func directorySurvives(seed: UInt64, skipping point: SyncPoint) throws -> Bool {
        let disk = SimulatedDisk(seed: seed)
        disk.skipSynchronization(of: point)
        _ = try DataDirectory(disk: disk, identity: identity)
        disk.restart()
        let other = DirectoryIdentity(clusterID: "c2", nodeID: NodeID(9))
        guard let second = try? DataDirectory(disk: disk, identity: other),
            second.identity == identity
        else { return false }
        // The mark reaches the device, the process starts again and crashes.
        try second.markClean()
        try disk.synchronizeDirectory("", .segmentDirectory)
        _ = try DataDirectory(disk: disk, identity: identity)
        disk.restart()
        return try !DataDirectory(disk: disk, identity: identity).wasClean
    }

    @Test(
        "Leaving out any sync of the data directory loses something",
        arguments: [SyncPoint.identityFile, .identityDirectory, .cleanMarkRemoval])
    func directorySyncs(point: SyncPoint) throws {
        let isFound = try (0..<50 as Range<UInt64>).contains {
            try !directorySurvives(seed: $0, skipping: point)
        }
        #expect(isFound)
        #expect(
            try (0..<50 as Range<UInt64>).allSatisfy {
                try directorySurvives(seed: $0, skipping: .tableData)
            })
    }
}
