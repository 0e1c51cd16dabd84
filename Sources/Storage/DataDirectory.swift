internal import CRuntime
internal import Glibc
public import Model
internal import NIOCore

/// Why a data directory cannot be used.
public enum DataDirectoryError: Error, Hashable, Sendable {
    case disk(DiskError)
    /// Another process has it; `owner` is what that process wrote of itself.
    case locked(owner: String)
    /// Written by a program that knows more.
    case unsupportedFormat(Int)
    /// The identity is unreadable: nothing is guessed.
    case corruptIdentity
}

/// Who a data directory belongs to; fixed when it is made.
public struct DirectoryIdentity: Equatable, Sendable {
    public let clusterID: String
    public let nodeID: NodeID
    /// Whether the broker was let into a cluster that was there; else it began the cluster.
    public let hasJoined: Bool

    public init(clusterID: String, nodeID: NodeID, hasJoined: Bool = false) {
        self.clusterID = clusterID
        self.nodeID = nodeID
        self.hasJoined = hasJoined
    }
}

/// The directory that a broker keeps everything in: its identity and whether it was left cleanly.
///
/// ```
/// identity       format, cluster id and node id, as lines of text with a checksum
/// clean          there only while no process writes: the last stop was orderly, and the logs were
///                as the file says (`CleanMark`)
/// lock           held by the process that uses the directory (`DirectoryLock`)
/// ```
public struct DataDirectory: Sendable {
    public let identity: DirectoryIdentity
    /// Whether the last process stopped in order, and the logs are as it left them; false for a new
    /// directory.
    public let wasClean: Bool
    private let disk: any Disk

    private static let format = 1
    private static let identityName = "identity"
    private static let cleanName = "clean"
    /// An identity is a few lines.
    private static let maximumIdentityBytes = 4096

    /// Whether nobody has given the directory an identity yet.
    public static func isBlank(_ disk: any Disk) -> Bool { !disk.exists(identityName) }

    /// Who a directory belongs to, without changing it.
    public static func identity(
        in disk: any Disk
    ) throws(DataDirectoryError) -> DirectoryIdentity {
        let stored: ByteBuffer?
        do throws(DiskError) {
            stored = try disk.readWhole(identityName, limit: maximumIdentityBytes)
        } catch {
            throw .disk(error)
        }
        guard let stored else { throw .disk(.notFound) }
        return try decode(stored)
    }

    /// Reads the identity, or writes `identity` into a new directory, and removes the mark of a
    /// clean stop, durably, before anything else can be written.
    public init(
        disk: any Disk, identity proposed: DirectoryIdentity
    ) throws(DataDirectoryError) {
        self.disk = disk
        let stored: ByteBuffer
        do throws(DiskError) {
            if let bytes = try disk.readWhole(
                Self.identityName, limit: Self.maximumIdentityBytes)
            {
                stored = bytes
            } else if disk.exists(Self.identityName) {
                throw DiskError.inputOutput
            } else {
                stored = Self.encode(proposed)
                try disk.replaceDurably(
                    Self.identityName, in: "", content: stored, file: .identityFile,
                    directory: .identityDirectory)
            }
        } catch {
            throw .disk(error)
        }
        identity = try Self.decode(stored)
        guard disk.exists(Self.cleanName) else {
            wasClean = false
            return
        }
        do throws(DiskError) {
            wasClean = try CleanMark.holds(
                try disk.readWhole(Self.cleanName, limit: CleanMark.maximumBytes), on: disk)
            try disk.remove(Self.cleanName)
            try disk.synchronizeDirectory("", .cleanMarkRemoval)
        } catch {
            throw .disk(error)
        }
    }

    /// Marks that everything was closed in order: the last thing that a process does. Not synced:
    /// should it be lost, the next start merely takes the stop for a crash.
    public func markClean() throws(DiskError) {
        let content = try CleanMark.content(of: disk)
        let file = try disk.open(Self.cleanName, .create)
        try file.write(at: 0, head: content, body: ByteBuffer())
    }

    private static func encode(_ identity: DirectoryIdentity) -> ByteBuffer {
        let text =
            "format=\(format)\ncluster.id=\(identity.clusterID)\n"
            + "node.id=\(identity.nodeID.rawValue)\n" + (identity.hasJoined ? "joined=1\n" : "")
        let crc = CRC32C.checksum(of: ByteBuffer(string: text))
        return ByteBuffer(string: text + "crc=\(crc)\n")
    }

    private static func decode(
        _ bytes: ByteBuffer
    ) throws(DataDirectoryError) -> DirectoryIdentity {
        let text = String(buffer: bytes)
        var values: [Substring: Substring] = [:]
        var covered = ""
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw .corruptIdentity }
            values[parts[0]] = parts[1]
            if parts[0] != "crc" { covered += line + "\n" }
        }
        guard let format = values["format"].flatMap({ Int($0) }) else { throw .corruptIdentity }
        guard format == Self.format else { throw .unsupportedFormat(format) }
        guard let crc = values["crc"].flatMap({ UInt32($0) }),
            CRC32C.checksum(of: ByteBuffer(string: covered)) == crc,
            let cluster = values["cluster.id"],
            let node = values["node.id"].flatMap({ Int32($0) })
        else { throw .corruptIdentity }
        return DirectoryIdentity(
            clusterID: String(cluster), nodeID: NodeID(node), hasJoined: values["joined"] == "1")
    }
}

/// The exclusive right to a data directory, until it is let go or the process ends.
///
/// An advisory `flock` on a file that holds what the owner says of itself, so that a second process
/// can name the first. The kernel releases it however the owner ends.
public final class DirectoryLock: Sendable {
    private let descriptor: CInt

    /// What an owner may say of itself.
    private static let maximumOwnerBytes = 512

    /// Makes `root` where it is missing and locks it; `owner` is a line such as a time of start.
    public init(root: String, owner: String) throws(DataDirectoryError) {
        var path = root.hasPrefix("/") ? "" : "."
        for part in root.split(separator: "/") {
            path += "/" + part
            guard unsafe mkdir(path, 0o755) == 0 || errno == EEXIST else {
                throw .disk(DiskError(errno: errno, .makeDirectory))
            }
        }
        let file = unsafe gossamer_open(root + "/lock", O_RDWR | O_CREAT, 0o644)
        guard file >= 0 else { throw .disk(DiskError(errno: errno, .open)) }
        guard gossamer_lock_exclusively(file) == 0 else {
            let code = errno
            defer { close(file) }
            guard code == EWOULDBLOCK else { throw .disk(DiskError(errno: code, .lock)) }
            throw .locked(owner: Self.read(file))
        }
        descriptor = file
        let line = ByteBuffer(string: "pid \(getpid()), \(owner)\n")
        do throws(DiskError) {
            guard ftruncate(file, 0) == 0 else { throw DiskError(errno: errno, .truncate) }
            // The descriptor is duplicated: the file object closes its own.
            let copy = dup(file)
            guard copy >= 0 else { throw DiskError(errno: errno, .open) }
            try PosixFile(descriptor: copy).write(at: 0, head: line, body: ByteBuffer())
        } catch {
            throw .disk(error)
        }
    }

    deinit { close(descriptor) }

    private static func read(_ file: CInt) -> String {
        var bytes = ByteBuffer()
        let copy = dup(file)
        guard copy >= 0 else { return "unknown" }
        _ = try? PosixFile(descriptor: copy).read(at: 0, length: maximumOwnerBytes, into: &bytes)
        let text = String(buffer: bytes)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
