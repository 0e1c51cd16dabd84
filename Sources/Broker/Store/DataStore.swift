import Model
import NIOCore
import Node
import Paxos
import Sodium
import Storage

/// A data directory with a place in a cluster: its identity, its tables, its log epoch.
///
///     DIR/lock      held while the process lives
///     DIR/identity  cluster id and node id
///     DIR/keys/     the identity key; nobody else may read it
///     DIR/clean     there after an orderly stop only
///     DIR/table     the broker's own records: store, boot and log epoch, members, erasures
///     DIR/chosen    the table of chosen values: topics, members, roster
///     DIR/registers what this broker promised and accepted as a voter
///     DIR/copies/   what gossip told of committed offsets: see `FeedFiles`
///     DIR/logs/     one directory for each topic id, one in it for each partition
final class DataStore: Sendable {
    let opening: StoreOpening
    let chosen: TableFile
    let registers: TableFile
    let clusterID: String
    let nodeID: NodeID
    /// Whether this broker began the cluster.
    let isFounder: Bool
    /// Raised by each start that follows an unclean stop, durably, before anything is served.
    let logEpoch: LeaderEpoch
    let wasClean: Bool
    private let directory: DataDirectory
    /// Directories of topics whose end the table gives evidence of.
    private let ended: Set<String>

    var disk: any Disk { opening.disk }
    var table: TableFile { opening.table }

    private static let logEpochKey = "log-epoch"

    /// - Parameter proposed: who the broker is, where the directory is blank.
    init(
        _ opening: StoreOpening, identity proposed: DirectoryIdentity, nodeID asked: Int32?
    ) throws(BrokerStartError) {
        self.opening = opening
        let root = opening.root
        do throws(DataDirectoryError) {
            directory = try DataDirectory(disk: opening.disk, identity: proposed)
        } catch {
            throw .dataDirectory(StoreOpening.explain(error, root))
        }
        clusterID = directory.identity.clusterID
        nodeID = directory.identity.nodeID
        isFounder = !directory.identity.hasJoined
        wasClean = directory.wasClean
        if let asked, asked != nodeID.rawValue {
            throw .dataDirectory(
                "--node-id \(asked): \(root) belongs to node \(nodeID.rawValue). Leave the node id "
                    + "out, or choose another --data-dir")
        }
        chosen = try Self.file(
            "chosen", in: opening,
            isFounder
                ? "The broker does not guess"
                : "Remove \(root)/chosen and start again: this broker fetches it from its mesh")
        registers = try Self.file("registers", in: opening, "The broker does not guess")
        logEpoch = try Self.raiseLogEpoch(opening, wasClean: wasClean)
        ended = ErasureRecord.erase(by: opening.table, on: opening.disk)
    }

    private static func file(
        _ name: String, in opening: StoreOpening, _ advice: String
    ) throws(BrokerStartError) -> TableFile {
        do throws(TableError) {
            return try TableFile(disk: opening.disk, directory: "", name: name)
        } catch {
            throw .dataDirectory("\(opening.root)/\(name): \(error). \(advice)")
        }
    }

    /// Who the broker is, where the directory has a place in a cluster already.
    static func identity(in opening: StoreOpening) throws(BrokerStartError) -> DirectoryIdentity {
        do throws(DataDirectoryError) {
            return try DataDirectory.identity(in: opening.disk)
        } catch {
            throw .dataDirectory(StoreOpening.explain(error, opening.root))
        }
    }

    /// Whether there is nothing in the table of chosen values: a broker that joined was given some
    /// before it knew who it is, so it has been taken away since.
    static func hasLostTable(in opening: StoreOpening) throws(BrokerStartError) -> Bool {
        guard opening.disk.exists("chosen") else { return true }
        do throws(DiskError) {
            return try opening.disk.open("chosen", .readWrite).size() <= TableFile.headerBytes
        } catch {
            throw .dataDirectory("\(opening.root)/chosen can't be read: \(error)")
        }
    }

    /// A cluster that begins with this directory.
    static func founding(nodeID: Int32?) -> DirectoryIdentity {
        DirectoryIdentity(clusterID: identifier(), nodeID: NodeID(nodeID ?? 1))
    }

    private static func raiseLogEpoch(
        _ opening: StoreOpening, wasClean: Bool
    ) throws(BrokerStartError) -> LeaderEpoch {
        let root = opening.root
        let stored = opening.table.entry(for: logEpochKey)
        let hasLogs: Bool
        do throws(DiskError) {
            hasLogs = try !opening.disk.list("logs").isEmpty
        } catch {
            throw .dataDirectory("\(root)/logs can't be used: \(error)")
        }
        guard stored != nil || !hasLogs else {
            throw .dataDirectory(
                "\(root): there are logs and no table that names their topics. Restore "
                    + "\(root)/table from the copy that the logs came from")
        }
        var value = stored?.value ?? ByteBuffer(integer: Int32(0))
        let last = value.readInteger(as: Int32.self) ?? 0
        let epoch = LeaderEpoch(stored == nil || wasClean ? last : last + 1)
        guard stored == nil || !wasClean else { return epoch }
        do throws(TableError) {
            try opening.table.put([
                TableFile.Change(
                    key: logEpochKey, version: (stored?.version ?? 0) + 1,
                    value: ByteBuffer(integer: epoch.rawValue))
            ])
        } catch {
            throw .dataDirectory("\(root)/table can't be written: \(error)")
        }
        return epoch
    }

    /// The last write of an orderly stop. Should it fail, the next start checks the logs.
    func markClean() { try? directory.markClean() }

    /// 22 characters of the URL-safe base-64 alphabet, like Kafka's cluster ids.
    private static func identifier() -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        return String((0..<22).map { _ in alphabet[Int(Libsodium.randomWord() % 64)] })
    }
}

extension DataStore {
    /// What the disk remembers of the mesh, and what a table from before there was one held.
    func memory() throws(BrokerStartError) -> MeshMemory {
        var memory = MeshMemory()
        memory.feeds = FeedFiles.read(on: disk)
        for entry in Self.changes(chosen) {
            guard let value = MeshRecords.chosen(entry) else {
                throw .dataDirectory("\(opening.root)/chosen: \(entry.key) is damaged")
            }
            if !ErasureRecord.isEnded(value, in: ended) { memory.chosen.append(value) }
            memory.version = max(memory.version, entry.version)
        }
        let log = Self.changes(registers)
        guard let records = MeshRecords.acceptorLog(log) else {
            throw .dataDirectory(
                "\(opening.root)/registers is damaged: a voter that forgot what it promised must "
                    + "not vote. Restore the file from a copy")
        }
        guard !isFounder || !records.isEmpty || memory.chosen.isEmpty else {
            throw .dataDirectory(
                "\(opening.root)/registers is gone: this voter would forget what was decided. "
                    + "Restore the file from the copy that the directory came from")
        }
        memory.acceptorLog = records
        memory.version = log.reduce(memory.version) { max($0, $1.version) }
        for entry in Self.changes(table) {
            memory.version = max(memory.version, entry.version)
            if let member = MeshRecords.member(entry) {
                memory.members.append(member)
            } else if let value = entry.value,
                let proposal = try imported(entry.key, value, unless: memory.chosen)
            {
                memory.imports.append(proposal)
            }
        }
        return memory
    }

    /// A topic, or the producer ids, as the table of a single broker held them.
    private func imported(
        _ key: String, _ value: ByteBuffer, unless chosen: [ChosenValue]
    ) throws(BrokerStartError) -> RegisterProposal? {
        guard key.hasPrefix("topic/") || key == "producer-ids" else { return nil }
        guard isFounder, !chosen.contains(where: { $0.key == key }) else { return nil }
        guard key.hasPrefix("topic/") else {
            return RegisterProposal(key: key, operation: .begin(value))
        }
        do throws(TopicRecord.DecodeError) {
            let record = try TopicRecord(decoding: value, home: nodeID)
            return RegisterProposal(key: key, operation: .begin(record.encoded()))
        } catch {
            throw .dataDirectory("\(opening.root)/table: \(key) can't be read: \(error)")
        }
    }

    static func changes(_ file: TableFile) -> [TableChange] {
        file.entries.map {
            TableChange(key: $0.key, version: $0.entry.version, value: $0.entry.value)
        }
    }

    /// Takes away what a blank directory may hold of a join that did not come to its end: another
    /// mesh's decisions must never be taken for this one's.
    static func forgetDecisions(in opening: StoreOpening) throws(BrokerStartError) {
        do throws(DiskError) {
            for name in ["chosen", "registers"] where opening.disk.exists(name) {
                try opening.disk.remove(name)
            }
            try FeedFiles.remove(on: opening.disk)
        } catch {
            throw .dataDirectory("\(opening.root) can't be used: \(error)")
        }
    }

    /// What a newcomer was given when it was admitted, so that it knows whom to trust.
    static func remember(
        _ values: [ChosenValue], in opening: StoreOpening
    ) throws(BrokerStartError) {
        do throws(TableError) {
            let chosen = try TableFile(disk: opening.disk, directory: "", name: "chosen")
            try chosen.put(
                values.enumerated().map { place, value in
                    let change = MeshRecords.change(value, version: UInt64(place) + 1)
                    return TableFile.Change(
                        key: change.key, version: change.version, value: change.value)
                })
        } catch {
            throw .dataDirectory("\(opening.root)/chosen can't be written: \(error)")
        }
    }
}
