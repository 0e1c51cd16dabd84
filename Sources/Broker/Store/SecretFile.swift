import CRuntime
import Glibc

/// Small files that only their owner may read: keys and admission secrets.
///
/// Made with mode 0600 and refused with a laxer one, as ssh does, so that a secret that others
/// could have read is never trusted in silence. Calls block for an fsync; made at start and by
/// commands, never on an event loop.
public enum SecretFile {
    /// Far more than two secrets in hexadecimal take.
    private static let bytesMaximum = 4_096

    /// Why a secret could not be read or written; says what to do.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// The file's text; nil where there is no such file.
    public static func read(_ path: String) throws(Failure) -> String? {
        let file = unsafe gossamer_open(path, O_RDONLY | O_NONBLOCK, 0)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(path, "can't be opened")
        }
        defer { close(file) }
        var state = stat()
        guard unsafe fstat(file, &state) == 0 else { throw failure(path, "can't be examined") }
        guard state.st_mode & S_IFMT == S_IFREG else {
            throw Failure(description: "\(path): expected a regular file")
        }
        guard state.st_mode & 0o077 == 0 else {
            let mode = String(state.st_mode & 0o777, radix: 8)
            throw Failure(
                description: "\(path) holds a secret and has mode 0\(mode), which lets others at "
                    + "it: chmod 600 \(path), and replace the secret if others could read it")
        }
        guard state.st_size <= bytesMaximum else {
            throw Failure(description: "\(path): larger than any secret file")
        }
        var bytes = [UInt8](repeating: 0, count: bytesMaximum)
        let count = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe Glibc.read(file, buffer.baseAddress, buffer.count)
        }
        guard count >= 0 else { throw failure(path, "can't be read") }
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        unsafe bytes.withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { unsafe explicit_bzero(start, buffer.count) }
        }
        return text
    }

    /// Puts `text` at `path` so that a crash leaves the old file or the new one.
    public static func write(_ text: String, to path: String) throws(Failure) {
        let temporary = path + ".tmp"
        unsafe unlink(temporary)
        let file = unsafe gossamer_open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard file >= 0 else { throw failure(path, "can't be made") }
        let isWritten = write(Array(text.utf8), to: file)
        guard isWritten, fsync(file) == 0 else {
            let problem = failure(path, "can't be written")
            close(file)
            unsafe unlink(temporary)
            throw problem
        }
        close(file)
        guard unsafe rename(temporary, path) == 0 else { throw failure(path, "can't be made") }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let directory = unsafe gossamer_open(folder.isEmpty ? "/" : folder, O_RDONLY, 0)
        guard directory >= 0 else { throw failure(path, "its directory can't be opened") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure(path, "its directory can't be synced") }
    }

    private static func write(_ bytes: [UInt8], to file: CInt) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(file, buffer.baseAddress! + sent, buffer.count - sent)
            }
            guard written > 0 || errno == EINTR else { return false }
            sent += max(0, written)
        }
        return true
    }

    private static func failure(_ path: String, _ what: String) -> Failure {
        let reason = unsafe String(cString: strerror(errno))
        return Failure(description: "\(path) \(what): \(reason)")
    }
}
