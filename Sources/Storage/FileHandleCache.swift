internal import Synchronization

/// Which file a cached handle belongs to: a log by number and one of its segments.
struct FileKey: Hashable, Sendable {
    let log: UInt64
    let baseOffset: Int64
}

/// Keeps the most recently used segment files open, up to a bound, for all logs of a process.
///
/// Logs ask for a file each time they use it and hold none, so that ten thousand partitions do not
/// need ten thousand descriptors. Evicting drops the cache's reference; whoever still reads or
/// sends keeps its own. Shared by event loops and disk threads under one short lock; files are
/// opened outside of it. A hit costs a dictionary look-up.
public final class FileHandleCache: Sendable {
    private struct Entry {
        let file: any DiskFile
        var lastUse: UInt64
    }

    private struct State {
        var entries: [FileKey: Entry] = [:]
        var clock: UInt64 = 0
        var nextLog: UInt64 = 0
    }

    private let state = Mutex(State())
    private let capacity: Int

    /// Keeps at most `capacity` files open.
    public init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    /// How many files it holds open now.
    public var count: Int { state.withLock { $0.entries.count } }

    /// A number that no other log of this process has.
    func nextLogNumber() -> UInt64 {
        state.withLock { state in
            state.nextLog += 1
            return state.nextLog
        }
    }

    /// The open file for `key`, or the one that `open` gives.
    func file(
        for key: FileKey, open: () throws(DiskError) -> any DiskFile
    ) throws(DiskError) -> any DiskFile {
        let cached: (any DiskFile)? = state.withLock { state in
            state.clock += 1
            guard let entry = state.entries[key] else { return nil }
            state.entries[key]?.lastUse = state.clock
            return entry.file
        }
        if let cached { return cached }
        let file = try opening(open)
        state.withLock { state in
            if state.entries.count >= capacity { Self.evict(&state) }
            state.entries[key] = Entry(file: file, lastUse: state.clock)
        }
        return file
    }

    /// Forgets a file that was removed or replaced.
    func forget(_ key: FileKey) {
        _ = state.withLock { $0.entries.removeValue(forKey: key) }
    }

    /// Opens, and once more after letting all idle handles go where descriptors ran out.
    private func opening(
        _ open: () throws(DiskError) -> any DiskFile
    ) throws(DiskError) -> any DiskFile {
        do throws(DiskError) {
            return try open()
        } catch .tooManyOpenFiles {
            let dropped = state.withLock { state in
                let dropped = state.entries
                state.entries = [:]
                return dropped
            }
            guard !dropped.isEmpty else { throw .tooManyOpenFiles }
        }
        return try open()
    }

    /// Drops the older half: one pass over the entries for many openings.
    private static func evict(_ state: inout State) {
        let uses = state.entries.values.map(\.lastUse).sorted()
        let median = uses[uses.count / 2]
        state.entries = state.entries.filter { $0.value.lastUse > median }
    }
}
