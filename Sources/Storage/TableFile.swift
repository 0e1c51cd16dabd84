internal import Model
public import NIOCore
internal import Synchronization

/// Why a table could not be opened or written.
public enum TableError: Error, Hashable, Sendable {
    case disk(DiskError)
    /// Damage that is no torn write: nothing is guessed, the file is left as it is.
    case corrupt(position: Int)
    case unsupportedVersion(UInt32)
    /// Larger than any table that this program writes.
    case tooLarge(bytes: Int64)
    /// An earlier write failed in a way that leaves the file in doubt; open it anew.
    case failed(DiskError)
}

extension TableError {
    /// For a sentence that an operator reads.
    public var words: String {
        switch self {
        case .disk(let error): error.words
        case .corrupt(let position): "it is damaged at byte \(position)"
        case .unsupportedVersion(let version): "it is of version \(version): upgrade"
        case .tooLarge(let bytes): "it holds \(bytes) bytes, and may not hold more"
        case .failed(let error): "an earlier write left it in doubt: \(error.words)"
        }
    }
}

/// A small durable map from keys to versioned values, in one append-only file.
///
/// ```
/// file:    | GTAB | version u32 | frame | frame | ...
/// frame:   | GENT | length u32 | CRC u32 | count u32 | entry | entry | ...
/// entry:   | key length u32 | key | version u64 | value length i32, -1: removed | value |
/// ```
///
/// Holds what a broker must not forget: topics, configurations, blocks of producer ids. One `put`
/// is one frame: all of it is there after a crash or nothing. Rewritten whole once more than half
/// of the file is superseded. All entries are in memory; at most `maximumBytes`, of which the last
/// sixteenth is for changes that leave the table no larger: what is in a full table can still be
/// replaced and removed. Calls block for an fsync, so they belong on a disk thread; locked, so any
/// will do.
public final class TableFile: Sendable {
    /// One value and the version it was put with.
    public struct Entry: Equatable, Sendable {
        public let version: UInt64
        public let value: ByteBuffer

        public init(version: UInt64, value: ByteBuffer) {
            self.version = version
            self.value = value
        }
    }

    /// What a `put` changes: a value, or nil to remove the key.
    public struct Change: Sendable {
        public let key: String
        public let version: UInt64
        public let value: ByteBuffer?

        public init(key: String, version: UInt64, value: ByteBuffer?) {
            self.key = key
            self.version = version
            self.value = value
        }
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var file: any DiskFile
        var size: Int64 = 0
        /// Bytes that the entries would take in a fresh file.
        var liveBytes: Int64 = 0
        var failure: DiskError?
    }

    /// Metadata of a hundred thousand topics is far below it.
    public static let maximumBytes: Int64 = 256 << 20
    /// A file of this size holds nothing.
    public static let headerBytes: Int64 = 8
    /// A smaller file is never worth rewriting.
    private static let rewriteThreshold: Int64 = 64 * 1024

    private let disk: any Disk
    private let directory: String
    private let name: String
    private let bytesMaximum: Int64
    private let state: Mutex<State>

    private var path: String { directory.isEmpty ? name : directory + "/" + name }

    /// Opens or makes the table `name` in `directory`; a torn last frame is cut off.
    public convenience init(
        disk: any Disk, directory: String, name: String
    ) throws(TableError) {
        try self.init(
            disk: disk, directory: directory, name: name, bytesMaximum: Self.maximumBytes)
    }

    package init(
        disk: any Disk, directory: String, name: String, bytesMaximum: Int64
    ) throws(TableError) {
        self.bytesMaximum = bytesMaximum
        self.disk = disk
        self.directory = directory
        self.name = name
        let path = directory.isEmpty ? name : directory + "/" + name
        do throws(DiskError) {
            try disk.removeIfPresent(path + ".tmp")
            if !disk.exists(path) { _ = try disk.open(path, .create) }
        } catch {
            throw .disk(error)
        }
        var (loaded, size) = try Self.loadTwice(path, from: disk)
        let opened = loaded.file
        let end = loaded.size
        do throws(DiskError) {
            if end < size { try opened.truncate(to: end) }
            if end == 0 {
                try opened.write(at: 0, head: TableFormat.header, body: ByteBuffer())
                loaded.size = Int64(TableFormat.header.readableBytes)
            }
            // What was read may be in the page cache alone, and so may the name be.
            try opened.synchronize(.tableData)
            try disk.synchronizeDirectory(directory, .tableDirectory)
        } catch {
            throw .disk(error)
        }
        state = Mutex(loaded)
    }

    /// Once more where the file is not whole: what a device misread once is neither damage nor
    /// torn, and others count on it.
    private static func loadTwice(
        _ path: String, from disk: any Disk
    ) throws(TableError) -> (State, fileSize: Int64) {
        do throws(TableError) {
            let (loaded, size) = try load(path, from: disk)
            if loaded.size == size { return (loaded, size) }
        } catch {
            guard case .corrupt = error else { throw error }
        }
        return try load(path, from: disk)
    }

    /// The whole frames, and how large the file is.
    private static func load(
        _ path: String, from disk: any Disk
    ) throws(TableError) -> (State, fileSize: Int64) {
        let (file, content) = try Self.read(path, from: disk)
        var loaded = State(file: file)
        let end = try TableFormat.decode(content) { change in
            Self.apply(change, to: &loaded.entries, &loaded.liveBytes)
        }
        loaded.size = Int64(end)
        return (loaded, Int64(content.readableBytes))
    }

    private static func read(
        _ path: String, from disk: any Disk
    ) throws(TableError) -> (any DiskFile, ByteBuffer) {
        let file: any DiskFile
        let size: Int64
        var content = ByteBuffer()
        do throws(DiskError) {
            file = try disk.open(path, .readWrite)
            size = try file.size()
            if size <= maximumBytes {
                let read = try file.read(at: 0, length: Int(size), into: &content)
                // What is not read is not to be cut off.
                guard Int64(read) == size else { throw DiskError.inputOutput }
            }
        } catch {
            throw .disk(error)
        }
        guard size <= maximumBytes else { throw .tooLarge(bytes: size) }
        return (file, content)
    }

    /// All entries, by key.
    public var entries: [(key: String, entry: Entry)] {
        state.withLock { state in
            state.entries.map { (key: $0.key, entry: $0.value) }.sorted { $0.key < $1.key }
        }
    }

    public func entry(for key: String) -> Entry? { state.withLock { $0.entries[key] } }

    /// Makes all changes at once, durable when it returns. A change with a lower version than what
    /// is stored is dropped: it was overtaken. After an error nothing is changed.
    public func put(_ changes: [Change]) throws(TableError) {
        let result: Result<Void, TableError> = state.withLock { state in
            do throws(TableError) {
                return .success(try put(changes, &state))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    private func put(_ changes: [Change], _ state: inout State) throws(TableError) {
        if let failure = state.failure { throw .failed(failure) }
        let current = changes.filter { $0.version >= state.entries[$0.key]?.version ?? 0 }
        guard !current.isEmpty else { return }
        let frame = TableFormat.frame(current)
        try makeRoom(for: Int64(frame.readableBytes), current, &state)
        do throws(DiskError) {
            try state.file.write(at: state.size, head: frame, body: ByteBuffer())
        } catch {
            // What was written in part is cut off; a later frame must not stand behind it.
            do throws(DiskError) {
                try state.file.truncate(to: state.size)
            } catch let second {
                state.failure = second
            }
            throw .disk(error)
        }
        do throws(DiskError) {
            try state.file.synchronize(.tableData)
        } catch {
            state.failure = error
            throw .disk(error)
        }
        state.size += Int64(frame.readableBytes)
        for change in current { Self.apply(change, to: &state.entries, &state.liveBytes) }
        if state.size > Self.rewriteThreshold, state.size > 2 * state.liveBytes {
            rewrite(&state)
        }
    }

    /// A table at its bound refuses what would make it larger before anything is rewritten, so that
    /// whoever asks in vain costs nothing.
    private func makeRoom(
        for frameBytes: Int64, _ changes: [Change], _ state: inout State
    ) throws(TableError) {
        let growth = Self.growth(by: changes, of: state.entries)
        let bound = growth > 0 ? bytesMaximum - bytesMaximum / 16 : bytesMaximum
        let live = Self.headerBytes + state.liveBytes
        guard growth <= 0 || live + growth <= bound else { throw .tooLarge(bytes: state.size) }
        if state.size + frameBytes > bytesMaximum, live + frameBytes <= bytesMaximum {
            // Without what is superseded there is room.
            rewrite(&state)
        }
        guard state.size + frameBytes <= bytesMaximum else { throw .tooLarge(bytes: state.size) }
    }

    /// Bytes that the changes add to a fresh file; less than none where they take some away.
    private static func growth(by changes: [Change], of entries: [String: Entry]) -> Int64 {
        var costs: [String: Int64] = [:]
        var growth: Int64 = 0
        for change in changes {
            let old =
                costs[change.key]
                ?? entries[change.key].map { TableFormat.cost(key: change.key, value: $0.value) }
            let new = change.value.map { TableFormat.cost(key: change.key, value: $0) } ?? 0
            growth += new - (old ?? 0)
            costs[change.key] = new
        }
        return growth
    }

    /// Writes the live entries to a new file and puts it in place. A failure leaves the old file,
    /// which is whole; it will be tried again.
    private func rewrite(_ state: inout State) {
        var content = TableFormat.header
        for (key, entry) in state.entries.sorted(by: { $0.key < $1.key }) {
            content.writeImmutableBuffer(
                TableFormat.frame([
                    Change(key: key, version: entry.version, value: entry.value)
                ]))
        }
        do throws(DiskError) {
            let temporary = path + ".tmp"
            let file = try disk.open(temporary, .replace)
            try file.write(at: 0, head: content, body: ByteBuffer())
            try file.synchronize(.tableRewrite)
            try disk.rename(temporary, to: path)
            // From here on the new file has the name; the old handle would write into nowhere.
            state.file = file
            state.size = Int64(content.readableBytes)
            do throws(DiskError) {
                try disk.synchronizeDirectory(directory, .tableRewriteDirectory)
            } catch {
                state.failure = error
            }
        } catch {
            return
        }
    }

    private static func apply(
        _ change: Change, to entries: inout [String: Entry], _ liveBytes: inout Int64
    ) {
        if let old = entries[change.key] {
            guard change.version >= old.version else { return }
            liveBytes -= TableFormat.cost(key: change.key, value: old.value)
        }
        entries[change.key] = change.value.map { Entry(version: change.version, value: $0) }
        if let value = change.value {
            liveBytes += TableFormat.cost(key: change.key, value: value)
        }
    }
}
