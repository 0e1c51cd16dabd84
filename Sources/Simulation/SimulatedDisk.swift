internal import NIOCore
public import Storage
internal import Synchronization

/// A disk in memory that loses at a crash whatever was not synced, and fails when told to.
///
/// Harsher than POSIX asks: bytes are durable after a sync of their file, names after a sync of
/// their directory. At a crash each file keeps a random prefix of its unsynced writes, the last of
/// them torn, and each directory a random choice of its unsynced changes. Everything random comes
/// from the seed, so a run repeats. Locked, so that tasks may run on other threads; a test that
/// wants a repeatable run uses one.
public final class SimulatedDisk: Disk {
    private let state: Mutex<SimulatedDiskState>

    /// An empty disk that holds up to `capacity` bytes.
    public init(seed: UInt64, capacity: Int64 = .max) {
        state = Mutex(SimulatedDiskState(seed: seed, capacity: capacity))
    }

    /// A copy of another disk, as it would be after the power went.
    public init(copying disk: SimulatedDisk, seed: UInt64) {
        state = Mutex(disk.state.withLock { $0.image(seed: seed) })
    }

    // MARK: Faults

    /// Operations so far; a crash can be set for any later one.
    public var operationCount: Int { state.withLock { $0.operations } }

    /// A number that two runs share if they did the same operations in the same order.
    public var traceHash: UInt64 { state.withLock { $0.traceHash } }

    /// How often each sync point was reached.
    public var syncCounts: [SyncPoint: Int] { state.withLock { $0.syncCounts } }

    /// From the `count`-th operation from now on every operation fails, until `restart`.
    public func cutPower(afterOperations count: Int) {
        state.withLock { $0.powerOffAt = $0.operations + count }
    }

    public var isPowerOff: Bool { state.withLock { $0.isPowerOff } }

    /// Loses what was not synced and lets the disk work again; open handles are dead.
    public func restart() { state.withLock { $0.crash() } }

    /// Makes every sync of this kind do nothing while it reports success; nil for none.
    public func skipSynchronization(of point: SyncPoint?) {
        state.withLock { $0.skippedPoint = point }
    }

    /// Makes the `number`-th sync from now do nothing while it reports success.
    public func skipSynchronization(number: Int) {
        state.withLock { $0.skippedNumber = $0.syncs + number }
    }

    /// The next sync of a file fails with EIO, and its unsynced bytes are gone as on Linux.
    public func failNextSynchronization() { state.withLock { $0.failsNextSync = true } }

    /// Reads (or writes) fail with EIO while set.
    public func setFailing(reads: Bool, writes: Bool) {
        state.withLock {
            $0.failsReads = reads
            $0.failsWrites = writes
        }
    }

    /// A part of the reads of files below a directory of the first level give wrong bytes, with
    /// a bit that is another, or from another place; nil ends that.
    public func setMisreads(_ part: Double?, below directory: String) {
        state.withLock { $0.misreads = part.map { (directory, $0) } }
    }

    /// What reads and losses of power did so far.
    public var damage: (wrongReads: Int, lostWrites: Int, tornWrites: Int) {
        state.withLock { ($0.wrongReads, $0.lostWrites, $0.tornWrites) }
    }

    /// All files, in order.
    public var paths: [String] {
        state.withLock { state in
            state.names.compactMap { $0.value == .directory ? nil : $0.key }.sorted()
        }
    }

    /// Changes how much fits.
    public func setCapacity(_ bytes: Int64) { state.withLock { $0.capacity = bytes } }

    /// Flips one bit of a file, on the device and in the cache.
    public func flipBit(of path: String, byte: Int, bit: Int) {
        state.withLock { $0.flip(path, byte: byte, bit: bit) }
    }

    /// Has the next read of a file that covers this byte give it with one bit flipped, once: what a
    /// controller or a cable does, while what is stored is well.
    public func misreadOnce(_ path: String, byte: Int, bit: Int) {
        state.withLock { $0.misread(path, byte: byte, bit: bit) }
    }

    /// Cuts or extends a file without anybody having asked, as a damaged file system does.
    public func overwrite(_ path: String, with bytes: [UInt8]) {
        state.withLock { $0.overwrite(path, with: bytes) }
    }

    /// The bytes of a file as they are now.
    public func contents(of path: String) -> [UInt8]? {
        state.withLock { state in
            guard case .file(let inode)? = state.names[path] else { return nil }
            return state.inodes[inode]?.current
        }
    }

    /// The paths below a directory as they are now, in order: a look from outside, no operation.
    public func paths(below directory: String) -> [String] {
        state.withLock { state in
            state.names.keys.filter { $0.hasPrefix(directory + "/") }.sorted()
        }
    }

    // MARK: Disk

    public func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
        let result = state.withLock { state in
            Result { () throws(DiskError) in try state.open(path, mode) }
        }
        let (inode, generation) = try result.get()
        return SimulatedFile(disk: self, inode: inode, generation: generation)
    }

    public func list(_ directory: String) throws(DiskError) -> [String] {
        try perform { state throws(DiskError) in try state.list(directory) }
    }

    public func exists(_ path: String) -> Bool {
        path.isEmpty || state.withLock { $0.names[path] != nil }
    }

    public func remove(_ path: String) throws(DiskError) {
        try perform { state throws(DiskError) in try state.remove(path) }
    }

    public func rename(_ path: String, to target: String) throws(DiskError) {
        try perform { state throws(DiskError) in try state.rename(path, to: target) }
    }

    public func makeDirectory(_ path: String) throws(DiskError) {
        try perform { state throws(DiskError) in try state.makeDirectory(path) }
    }

    public func synchronizeDirectory(_ path: String, _ point: SyncPoint) throws(DiskError) {
        try perform { state throws(DiskError) in
            try state.synchronize(directory: path, point)
        }
    }

    public func freeSpace() throws(DiskError) -> Int64 {
        state.withLock { max(0, $0.capacity - $0.used) }
    }

    fileprivate func perform<T: Sendable>(
        _ work: (inout SimulatedDiskState) throws(DiskError) -> T
    ) throws(DiskError) -> T {
        let result: Result<T, DiskError> = state.withLock { state in
            do throws(DiskError) {
                return .success(try work(&state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// A handle on a simulated file; dead after a crash, alive after its name is gone.
private final class SimulatedFile: DiskFile {
    private let disk: SimulatedDisk
    private let inode: Int
    private let generation: Int

    init(disk: SimulatedDisk, inode: Int, generation: Int) {
        self.disk = disk
        self.inode = inode
        self.generation = generation
    }

    var descriptor: CInt? { nil }

    func size() throws(DiskError) -> Int64 {
        try disk.perform { state throws(DiskError) in
            try state.file(inode, generation) { Int64($0.current.count) }
        }
    }

    func read(
        at position: Int64, length: Int, into buffer: inout ByteBuffer
    ) throws(DiskError) -> Int {
        let bytes = try disk.perform { state throws(DiskError) in
            try state.read(inode, generation, at: position, length: length)
        }
        return buffer.writeBytes(bytes)
    }

    func write(at position: Int64, head: ByteBuffer, body: ByteBuffer) throws(DiskError) {
        let bytes = Array(head.readableBytesView) + Array(body.readableBytesView)
        try disk.perform { state throws(DiskError) in
            try state.write(inode, generation, at: position, bytes)
        }
    }

    func truncate(to size: Int64) throws(DiskError) {
        try disk.perform { state throws(DiskError) in
            try state.truncate(inode, generation, to: size)
        }
    }

    func synchronize(_ point: SyncPoint) throws(DiskError) {
        try disk.perform { state throws(DiskError) in
            try state.synchronize(inode, generation, point)
        }
    }

    func readAhead(at position: Int64, length: Int64) {}
}
