internal import CRuntime
internal import Glibc
internal import NIOCore

/// The real file system beneath one root directory.
///
/// Stateless: any thread may use it. Every call is a system call and may block.
public struct PosixDisk: Disk {
    private let root: String

    public init(root: String) { self.root = root }

    private func full(_ path: String) -> String { path.isEmpty ? root : root + "/" + path }

    public func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT
            case .replace: O_RDWR | O_CREAT | O_TRUNC
            }
        let descriptor = unsafe gossamer_open(full(path), flags, 0o644)
        guard descriptor >= 0 else { throw DiskError(errno: errno, .open) }
        return PosixFile(descriptor: descriptor)
    }

    public func list(_ directory: String) throws(DiskError) -> [String] {
        guard let stream = unsafe opendir(full(directory)) else {
            throw DiskError(errno: errno, .list)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { characters in
                    unsafe String(cString: characters)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    public func exists(_ path: String) -> Bool { unsafe access(full(path), F_OK) == 0 }

    public func remove(_ path: String) throws(DiskError) {
        guard unsafe Glibc.remove(full(path)) == 0 else { throw DiskError(errno: errno, .remove) }
    }

    public func rename(_ path: String, to target: String) throws(DiskError) {
        guard unsafe Glibc.rename(full(path), full(target)) == 0 else {
            throw DiskError(errno: errno, .rename)
        }
    }

    public func makeDirectory(_ path: String) throws(DiskError) {
        guard unsafe mkdir(full(path), 0o755) == 0 || errno == EEXIST else {
            throw DiskError(errno: errno, .makeDirectory)
        }
    }

    public func synchronizeDirectory(_ path: String, _ point: SyncPoint) throws(DiskError) {
        let descriptor = unsafe gossamer_open(full(path), O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw DiskError(errno: errno, .open) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw DiskError(errno: errno, .synchronize) }
    }

    public func freeSpace() throws(DiskError) -> Int64 {
        var information = statvfs()
        guard unsafe statvfs(root, &information) == 0 else { throw DiskError(errno: errno, .stat) }
        let blocks = Int64(clamping: information.f_bavail)
        let (bytes, overflow) = blocks.multipliedReportingOverflow(
            by: Int64(clamping: information.f_frsize))
        return overflow ? Int64.max : bytes
    }
}

extension DiskError {
    init(errno code: CInt, _ call: DiskCall) {
        switch code {
        case ENOSPC, EDQUOT: self = .noSpace
        case EIO: self = .inputOutput
        case ENOENT: self = .notFound
        case EEXIST: self = .alreadyExists
        case EMFILE, ENFILE: self = .tooManyOpenFiles
        default: self = .other(code: code, call: call)
        }
    }
}

/// One descriptor of the real file system.
final class PosixFile: DiskFile {
    private let handle: CInt

    init(descriptor: CInt) { handle = descriptor }

    deinit { close(handle) }

    var descriptor: CInt? { handle }

    func size() throws(DiskError) -> Int64 {
        var information = stat()
        guard unsafe fstat(handle, &information) == 0 else { throw DiskError(errno: errno, .stat) }
        return Int64(information.st_size)
    }

    func read(
        at position: Int64, length: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        var total = 0
        while total < length {
            var failure: CInt = 0
            let count = unsafe buffer.writeWithUnsafeMutableBytes(
                minimumWritableBytes: length - total
            ) { bytes in
                let read = unsafe pread(
                    handle, bytes.baseAddress, length - total, off_t(position) + off_t(total))
                if read < 0 { failure = errno }
                return max(0, read)
            }
            if failure == EINTR { continue }
            guard failure == 0 else { throw DiskError(errno: failure, .read) }
            guard count > 0 else { break }
            total += count
        }
        return total
    }

    func write(at position: Int64, head: ByteBuffer, body: ByteBuffer) throws(DiskError) {
        let total = head.readableBytes + body.readableBytes
        var done = 0
        while done < total {
            var failure: CInt = 0
            let written = unsafe head.withUnsafeReadableBytes { headBytes in
                unsafe body.withUnsafeReadableBytes { bodyBytes in
                    let inHead = min(done, headBytes.count)
                    let inBody = done - inHead
                    let first = unsafe UnsafeRawBufferPointer(rebasing: headBytes[inHead...])
                    let second = unsafe UnsafeRawBufferPointer(rebasing: bodyBytes[inBody...])
                    let count = unsafe gossamer_write_pair(
                        handle, first.baseAddress, first.count, second.baseAddress, second.count,
                        off_t(position) + off_t(done))
                    if count < 0 { failure = errno }
                    return count
                }
            }
            guard failure == 0 else { throw DiskError(errno: failure, .write) }
            guard written > 0 else { throw .noSpace }
            done += written
        }
    }

    func truncate(to size: Int64) throws(DiskError) {
        guard ftruncate(handle, off_t(size)) == 0 else { throw DiskError(errno: errno, .truncate) }
    }

    func synchronize(_ point: SyncPoint) throws(DiskError) {
        guard fdatasync(handle) == 0 else { throw DiskError(errno: errno, .synchronize) }
    }

    func readAhead(at position: Int64, length: Int64) {
        _ = posix_fadvise(handle, off_t(position), off_t(length), CInt(POSIX_FADV_WILLNEED))
    }
}
