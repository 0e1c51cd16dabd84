import Model
import NIOCore
import Node
import Storage

/// A data directory that this process holds: its lock, its identity, its table, its log epoch.
///
///     DIR/lock      held while the process lives
///     DIR/identity  cluster id and node id
///     DIR/clean     there after an orderly stop only
///     DIR/table     topics, configurations, producer ids, the log epoch
///     DIR/logs/     one directory for each topic id, one in it for each partition
final class DataStore: Sendable {
    let disk: any Disk
    let table: TableFile
    let clusterID: String
    let nodeID: NodeID
    /// Raised by each start that follows an unclean stop, durably, before anything is served.
    let logEpoch: LeaderEpoch
    let wasClean: Bool
    let entries: [TableChange]
    private let lock: DirectoryLock
    private let directory: DataDirectory

    private static let logEpochKey = "log-epoch"

    init(_ configuration: BrokerConfiguration) throws(BrokerStartError) {
        let root = configuration.dataDirectory
        do throws(DataDirectoryError) {
            lock = try DirectoryLock(root: root, owner: "gossamer serve, since \(Self.timeOfDay())")
            disk = PosixDisk(root: root)
            var generator = SystemRandomNumberGenerator()
            let proposed = DirectoryIdentity(
                clusterID: Self.identifier(using: &generator),
                nodeID: NodeID(configuration.nodeID ?? 1))
            directory = try DataDirectory(disk: disk, identity: proposed)
        } catch {
            throw .dataDirectory(Self.explain(error, root))
        }
        clusterID = directory.identity.clusterID
        nodeID = directory.identity.nodeID
        wasClean = directory.wasClean
        if let asked = configuration.nodeID, asked != nodeID.rawValue {
            throw .dataDirectory(
                "--node-id \(asked): \(root) belongs to node \(nodeID.rawValue). Leave the node id "
                    + "out, or choose another --data-dir")
        }
        let hasLogs: Bool
        do throws(DiskError) {
            try disk.makeDirectory("logs")
            hasLogs = try !disk.list("logs").isEmpty
        } catch {
            throw .dataDirectory("\(root)/logs can't be used: \(error)")
        }
        do throws(TableError) {
            table = try TableFile(disk: disk, directory: "", name: "table")
        } catch {
            throw .dataDirectory("\(root)/table: \(error). The broker does not guess what it held")
        }
        let stored = table.entry(for: Self.logEpochKey)
        guard stored != nil || !hasLogs else {
            throw .dataDirectory(
                "\(root): there are logs and no table that names their topics. Restore "
                    + "\(root)/table from the copy that the logs came from")
        }
        var value = stored?.value ?? ByteBuffer(integer: Int32(0))
        let last = value.readInteger(as: Int32.self) ?? 0
        logEpoch = LeaderEpoch(stored == nil || wasClean ? last : last + 1)
        do throws(TableError) {
            if stored == nil || !wasClean {
                let next = ByteBuffer(integer: logEpoch.rawValue)
                try table.put([
                    TableFile.Change(
                        key: Self.logEpochKey, version: (stored?.version ?? 0) + 1, value: next)
                ])
            }
        } catch {
            throw .dataDirectory("\(root)/table can't be written: \(error)")
        }
        entries = table.entries.map {
            TableChange(key: $0.key, version: $0.entry.version, value: $0.entry.value)
        }
        Self.eraseDeleted(entries, on: disk, from: table)
    }

    /// Removes the files of topics whose deletion was acknowledged before a crash came, or that a
    /// running process had still open; on the table's evidence only. What can't be removed now is
    /// tried again at the next start.
    private static func eraseDeleted(
        _ entries: [TableChange], on disk: any Disk, from table: TableFile
    ) {
        var done: [TableFile.Change] = []
        for entry in entries {
            guard let directory = ErasureRecord.directory(of: entry.key) else { continue }
            do throws(DiskError) {
                if disk.exists(directory) { try removeTopic(directory, on: disk) }
                done.append(
                    TableFile.Change(key: entry.key, version: entry.version + 1, value: nil))
            } catch { continue }
        }
        if !done.isEmpty { try? table.put(done) }
    }

    private static func removeTopic(_ topic: String, on disk: any Disk) throws(DiskError) {
        for partition in try disk.list(topic) {
            for file in try disk.list("\(topic)/\(partition)") {
                try disk.remove("\(topic)/\(partition)/\(file)")
            }
            try disk.remove("\(topic)/\(partition)")
        }
        try disk.remove(topic)
    }

    /// The last write of an orderly stop. Should it fail, the next start checks the logs.
    func markClean() { try? directory.markClean() }

    private static func explain(_ error: DataDirectoryError, _ root: String) -> String {
        switch error {
        case .locked(let owner):
            "data directory \(root) is in use by \(owner). Stop it, or choose --data-dir"
        case .disk(let reason): "data directory \(root) can't be used: \(reason)"
        case .unsupportedFormat(let format):
            "data directory \(root) has format \(format), written by a newer gossamer: upgrade"
        case .corruptIdentity:
            "data directory \(root): its identity file is damaged. Restore it from a copy"
        }
    }

    /// 22 characters of the URL-safe base-64 alphabet, like Kafka's cluster ids.
    private static func identifier(using generator: inout some RandomNumberGenerator) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        return String((0..<22).map { _ in alphabet[Int.random(in: 0..<64, using: &generator)] })
    }

    /// HH:MM in UTC, for the note in the lock.
    private static func timeOfDay() -> String {
        let minutes = Clock.now().wall.milliseconds / 60_000 % 1_440
        let hour = minutes / 60
        let minute = minutes % 60
        return "\(hour < 10 ? "0" : "")\(hour):\(minute < 10 ? "0" : "")\(minute) UTC"
    }
}
