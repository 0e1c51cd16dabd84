public import NIOCore

/// What a file operation failed with; the state of the file is as the operation's comment says.
public enum DiskError: Error, Hashable, Sendable {
    case noSpace
    /// The device failed. After an fsync this means that data may be gone (fsyncgate).
    case inputOutput
    case notFound
    case alreadyExists
    case tooManyOpenFiles
    case other(code: Int32, call: DiskCall)
}

extension DiskError {
    /// For a sentence that an operator reads.
    public var words: String {
        switch self {
        case .noSpace: "the disk is full"
        case .inputOutput: "the device failed"
        case .notFound: "a file is missing"
        case .alreadyExists: "a file is there already"
        case .tooManyOpenFiles: "too many files are open: raise the limit (ulimit -n)"
        case .other(let code, let call): "\(call.rawValue) failed with errno \(code)"
        }
    }
}

/// The operation that a `DiskError.other` came from.
public enum DiskCall: String, Hashable, Sendable {
    case open, read, write, truncate, synchronize, list, remove, rename, makeDirectory, stat, lock
}

/// The places where Storage forces bytes to the device, each named so that a test can leave one
/// out and see that something acknowledged is lost.
public enum SyncPoint: String, Hashable, Sendable, CaseIterable {
    /// Appended batches, before a flush is acknowledged.
    case segmentData
    /// The directory entries of new segments, before a flush is acknowledged.
    case segmentDirectory
    /// The directory entry of a new partition.
    case partitionDirectory
    /// The removal of index and snapshot files before a log is cut beneath them.
    case truncationDirectory
    /// The removal of segments behind a cut or a lost tail, before their place is written again.
    case droppedDirectory
    /// The snapshot of producers, before the segments go that it was made from.
    case deletionSnapshot
    /// The content of the file that holds a log's start.
    case startFile
    /// The directory entry that puts that file in place.
    case startDirectory
    /// The content of a compacted segment, before it replaces anything.
    case compactedData
    /// The names of compacted segments, before their originals go.
    case compactedDirectory
    /// The removal of their originals, before the last of them is replaced.
    case originalsDirectory
    /// An entry of a table.
    case tableData
    /// The directory entry of a new table.
    case tableDirectory
    /// The content of a rewritten table.
    case tableRewrite
    /// The directory entry that puts a rewritten table in place.
    case tableRewriteDirectory
    /// The content of a data directory's identity.
    case identityFile
    /// The directory entry of that identity.
    case identityDirectory
    /// The removal of the mark of a clean stop, before anything is written.
    case cleanMarkRemoval
}

/// How a file is opened.
public enum OpenMode: Sendable {
    /// Must exist; never written.
    case read
    /// Must exist.
    case readWrite
    /// Made where missing, otherwise as it is.
    case create
    /// Made empty, whatever was there.
    case replace
}

/// One open file; closed when the last reference goes.
///
/// Reads and writes name their position, so a file may be used by several threads as long as they
/// do not write the same range. Lives as long as whoever sends from it needs it, even after the
/// handle cache has let it go.
public protocol DiskFile: AnyObject, Sendable {
    /// The descriptor for `sendfile`; nil on a simulated disk.
    var descriptor: CInt? { get }

    func size() throws(DiskError) -> Int64

    /// Appends up to `length` bytes from `position` to `buffer`; fewer only at the file's end.
    func read(
        at position: Int64, length: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int

    /// Writes `head` and then `body` at `position`, in one system call where the kernel takes it
    /// whole. After an error any part of the range may have been written.
    func write(at position: Int64, head: ByteBuffer, body: ByteBuffer) throws(DiskError)

    func truncate(to size: Int64) throws(DiskError)

    /// Returns when the content and the size are on the device.
    func synchronize(_ point: SyncPoint) throws(DiskError)

    /// Asks the kernel to bring a range into the page cache; a hint.
    func readAhead(at position: Int64, length: Int64)
}

/// A file system as far as Storage needs it: real, or simulated with faults.
///
/// Paths are relative to the disk's root, separated by "/". One witness call per operation is
/// nothing beside the operation.
public protocol Disk: Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile
    /// Names in a directory, sorted.
    func list(_ directory: String) throws(DiskError) -> [String]
    func exists(_ path: String) -> Bool
    /// Removes a file, or an empty directory.
    func remove(_ path: String) throws(DiskError)
    /// Replaces `target` where it exists.
    func rename(_ path: String, to target: String) throws(DiskError)
    /// Makes one directory; it is no error if it is there already.
    func makeDirectory(_ path: String) throws(DiskError)
    /// Returns when the directory's entries are on the device.
    func synchronizeDirectory(_ path: String, _ point: SyncPoint) throws(DiskError)
    /// Bytes that can still be written.
    func freeSpace() throws(DiskError) -> Int64
}

extension Disk {
    /// Removes a file if it is there.
    func removeIfPresent(_ path: String) throws(DiskError) {
        do throws(DiskError) {
            try remove(path)
        } catch .notFound {
            return
        }
    }

    /// The whole content of a small file; nil if it is missing or larger than `limit`.
    package func readWhole(_ path: String, limit: Int) throws(DiskError) -> ByteBuffer? {
        let file: any DiskFile
        do throws(DiskError) {
            file = try open(path, .read)
        } catch .notFound {
            return nil
        }
        let size = try file.size()
        guard size <= Int64(limit) else { return nil }
        var buffer = ByteBuffer()
        _ = try file.read(at: 0, length: Int(size), into: &buffer)
        return buffer
    }

    /// Puts `content` at `path` so that a crash leaves either the old file or the new one:
    /// temporary file, fsync, rename, fsync of the directory.
    package func replaceDurably(
        _ path: String, in directory: String, content: ByteBuffer, file point: SyncPoint,
        directory directoryPoint: SyncPoint
    ) throws(DiskError) {
        let temporary = path + ".tmp"
        let file = try open(temporary, .replace)
        try file.write(at: 0, head: content, body: ByteBuffer())
        try file.synchronize(point)
        try rename(temporary, to: path)
        try synchronizeDirectory(directory, directoryPoint)
    }
}
