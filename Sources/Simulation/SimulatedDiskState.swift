internal import Model
internal import Storage

/// What the simulated disk holds: files with their unsynced writes, names with their unsynced
/// changes, and the faults that are set. Owned by its disk, under the disk's lock.
struct SimulatedDiskState {
    /// A change of a file that a crash may take back.
    enum Change {
        case write(at: Int, [UInt8])
        case truncate(Int)
    }

    /// A file: what is on the device and what is only in memory.
    struct Inode {
        /// What a crash cannot take away.
        var durable: [UInt8] = []
        /// What readers see.
        var current: [UInt8] = []
        var pending: [Change] = []
        /// It was made below this directory; a file that is renamed stays what it was.
        var directory = Substring()
    }

    /// What a name stands for.
    enum Node: Equatable {
        case directory
        case file(Int)
    }

    /// A change of a directory that a crash may take back.
    enum NameChange {
        case link(String, Node)
        case unlink(String)
        case rename(String, to: String, Node)
    }

    var names: [String: Node] = [:]
    private var durableNames: [String: Node] = [:]
    private var pendingNames: [(directory: String, change: NameChange)] = []
    var inodes: [Int: Inode] = [:]
    private var nextInode = 0
    private var generation = 0
    private var random: SeededGenerator

    var capacity: Int64
    var used: Int64 = 0
    var operations = 0
    var traceHash: UInt64 = 0xCBF2_9CE4_8422_2325
    var powerOffAt = Int.max
    var syncs = 0
    var syncCounts: [SyncPoint: Int] = [:]
    var skippedPoint: SyncPoint?
    var skippedNumber = -1
    var failsNextSync = false
    var failsReads = false
    var failsWrites = false
    /// Reads below a directory that give wrong bytes, and which part of them.
    var misreads: (directory: String, part: Double)?
    /// Reads that gave wrong bytes so far.
    var wrongReads = 0
    /// Writes that a loss of power took back, and those of which it left a part.
    var lostWrites = 0
    var tornWrites = 0
    /// The bit that the next read of a file gets wrong; looked up only.
    private var wrongBits: [Int: (byte: Int, bit: Int)] = [:]

    var isPowerOff: Bool { operations >= powerOffAt }

    init(seed: UInt64, capacity: Int64) {
        random = SeededGenerator(seed: seed)
        self.capacity = capacity
    }

    /// Counts an operation into the trace; fails once the power is off.
    private mutating func begin(_ call: DiskCall, _ detail: Int = 0) throws(DiskError) {
        guard !isPowerOff else { throw .inputOutput }
        operations += 1
        for byte in call.rawValue.utf8 { mix(UInt64(byte)) }
        mix(UInt64(truncatingIfNeeded: detail))
    }

    private mutating func mix(_ value: UInt64) {
        // &* : FNV-1a multiplies modulo 2^64 by design.
        traceHash = (traceHash ^ value) &* 0x0000_0100_0000_01B3
    }

    private static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    // MARK: Names

    mutating func open(
        _ path: String, _ mode: OpenMode
    ) throws(DiskError) -> (inode: Int, generation: Int) {
        try begin(.open)
        switch names[path] {
        case .directory: throw .other(code: 21, call: .open)
        case .file(let inode):
            if case .replace = mode { apply(.truncate(0), to: inode) }
            return (inode, generation)
        case nil:
            switch mode {
            case .read, .readWrite: throw .notFound
            case .create, .replace: break
            }
        }
        let parent = Self.parent(of: path)
        guard parent.isEmpty || names[parent] == .directory else { throw .notFound }
        let inode = nextInode
        nextInode += 1
        inodes[inode] = Inode(directory: path.prefix { $0 != "/" })
        names[path] = .file(inode)
        pendingNames.append((parent, .link(path, .file(inode))))
        return (inode, generation)
    }

    mutating func list(_ directory: String) throws(DiskError) -> [String] {
        try begin(.list)
        guard directory.isEmpty || names[directory] == .directory else { throw .notFound }
        let prefix = directory.isEmpty ? "" : directory + "/"
        return names.keys.compactMap { path in
            guard path.hasPrefix(prefix) else { return nil }
            let rest = path.dropFirst(prefix.count)
            return rest.isEmpty || rest.contains("/") ? nil : String(rest)
        }.sorted()
    }

    mutating func remove(_ path: String) throws(DiskError) {
        try begin(.remove)
        guard let node = names[path] else { throw .notFound }
        if node == .directory, names.keys.contains(where: { $0.hasPrefix(path + "/") }) {
            throw .other(code: 39, call: .remove)
        }
        names[path] = nil
        pendingNames.append((Self.parent(of: path), .unlink(path)))
    }

    mutating func rename(_ path: String, to target: String) throws(DiskError) {
        try begin(.rename)
        guard let node = names.removeValue(forKey: path) else { throw .notFound }
        names[target] = node
        pendingNames.append((Self.parent(of: path), .rename(path, to: target, node)))
    }

    mutating func makeDirectory(_ path: String) throws(DiskError) {
        try begin(.makeDirectory)
        guard names[path] == nil else { return }
        names[path] = .directory
        pendingNames.append((Self.parent(of: path), .link(path, .directory)))
    }

    mutating func synchronize(directory: String, _ point: SyncPoint) throws(DiskError) {
        try begin(.synchronize)
        guard countSync(point) else { return }
        for item in pendingNames where item.directory == directory { makeDurable(item.change) }
        pendingNames.removeAll { $0.directory == directory }
    }

    private mutating func makeDurable(_ change: NameChange) {
        switch change {
        case .link(let path, let node): durableNames[path] = node
        case .unlink(let path): durableNames[path] = nil
        case .rename(let path, let target, let node):
            durableNames[path] = nil
            durableNames[target] = node
        }
    }

    // MARK: Files

    func file<T>(
        _ inode: Int, _ generation: Int, _ body: (Inode) -> T
    ) throws(DiskError) -> T {
        guard generation == self.generation, let file = inodes[inode] else { throw .inputOutput }
        return body(file)
    }

    mutating func read(
        _ inode: Int, _ generation: Int, at position: Int64, length: Int
    ) throws(DiskError) -> [UInt8] {
        try begin(.read, length)
        guard !failsReads else { throw .inputOutput }
        var (bytes, directory) = try file(inode, generation) { file in
            guard position < file.current.count else { return ([UInt8](), file.directory) }
            let start = Int(position)
            let end = min(file.current.count, start + length)
            return (Array(file.current[start..<end]), file.directory)
        }
        if let (byte, bit) = wrongBits[inode], bytes.indices.contains(byte - Int(position)) {
            wrongBits[inode] = nil
            bytes[byte - Int(position)] ^= 1 << UInt8(bit & 7)
        }
        guard let misreads, misreads.directory == directory, !bytes.isEmpty,
            Double.random(in: 0..<1, using: &random) < misreads.part
        else { return bytes }
        return misread(bytes)
    }

    mutating func misread(_ path: String, byte: Int, bit: Int) {
        guard case .file(let inode)? = names[path] else { return }
        wrongBits[inode] = (byte, bit)
    }

    mutating func write(
        _ inode: Int, _ generation: Int, at position: Int64, _ bytes: [UInt8]
    ) throws(DiskError) {
        try file(inode, generation) { _ in }
        do throws(DiskError) {
            try begin(.write, bytes.count)
        } catch {
            // The power went during this write: some of it may have reached the cache.
            let cut = Int(random.next(upperBound: UInt64(bytes.count) + 1))
            apply(.write(at: Int(position), Array(bytes[..<cut])), to: inode)
            throw error
        }
        guard !failsWrites else { throw .inputOutput }
        let size = try file(inode, generation) { $0.current.count }
        let growth = Int64(max(0, Int(position) + bytes.count - size))
        guard growth <= capacity - used else {
            let fits = max(0, bytes.count - Int(growth - max(0, capacity - used)))
            apply(.write(at: Int(position), Array(bytes[..<fits])), to: inode)
            throw .noSpace
        }
        apply(.write(at: Int(position), bytes), to: inode)
    }

    mutating func truncate(
        _ inode: Int, _ generation: Int, to size: Int64
    ) throws(DiskError) {
        try begin(.truncate, Int(size))
        try file(inode, generation) { _ in }
        apply(.truncate(Int(size)), to: inode)
    }

    mutating func synchronize(
        _ inode: Int, _ generation: Int, _ point: SyncPoint
    ) throws(DiskError) {
        try begin(.synchronize)
        try file(inode, generation) { _ in }
        guard !failsNextSync else {
            failsNextSync = false
            // The kernel marks the pages clean: readers see them until they are evicted, but the
            // device never does.
            inodes[inode]?.pending = []
            throw .inputOutput
        }
        guard countSync(point), let file = inodes[inode] else { return }
        inodes[inode]?.durable = file.current
        inodes[inode]?.pending = []
    }

    /// False where this sync is to be left out.
    private mutating func countSync(_ point: SyncPoint) -> Bool {
        syncs += 1
        syncCounts[point, default: 0] += 1
        return point != skippedPoint && syncs != skippedNumber
    }

    private mutating func apply(_ change: Change, to inode: Int) {
        guard var file = inodes.removeValue(forKey: inode) else { return }
        let before = file.current.count
        Self.apply(change, to: &file.current)
        file.pending.append(change)
        used += Int64(file.current.count - before)
        inodes[inode] = file
    }

    private static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .write(let start, let new):
            let end = start + new.count
            if bytes.count < end {
                bytes.append(contentsOf: repeatElement(0, count: end - bytes.count))
            }
            bytes.replaceSubrange(start..<end, with: new)
        case .truncate(let size):
            if size < bytes.count {
                bytes.removeLast(bytes.count - size)
            } else {
                bytes.append(contentsOf: repeatElement(0, count: size - bytes.count))
            }
        }
    }

    // MARK: Damage

    /// What a device gives in place of what was asked for: one bit of it is wrong, or it comes from
    /// another place.
    private mutating func misread(_ bytes: [UInt8]) -> [UInt8] {
        wrongReads += 1
        var wrong = bytes
        if Bool.random(using: &random) {
            let place = Int.random(in: bytes.indices, using: &random)
            wrong[place] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &random)
            return wrong
        }
        let others = inodes.keys.sorted()
        let other = inodes[others[Int.random(in: others.indices, using: &random)]]?.current ?? []
        let start = Int.random(in: 0...other.count, using: &random)
        for place in wrong.indices {
            wrong[place] = start + place < other.count ? other[start + place] : 0
        }
        return wrong
    }

    /// The same disk as it would be after the power went now.
    func image(seed: UInt64) -> SimulatedDiskState {
        var image = self
        image.random = SeededGenerator(seed: seed)
        image.crash()
        return image
    }

    mutating func flip(_ path: String, byte: Int, bit: Int) {
        guard case .file(let inode)? = names[path] else { return }
        let mask = UInt8(1) << UInt8(bit & 7)
        if let file = inodes[inode], byte < file.current.count {
            inodes[inode]?.current[byte] ^= mask
            if byte < file.durable.count { inodes[inode]?.durable[byte] ^= mask }
        }
    }

    mutating func overwrite(_ path: String, with bytes: [UInt8]) {
        guard case .file(let inode)? = names[path] else { return }
        used += Int64(bytes.count - (inodes[inode]?.current.count ?? 0))
        inodes[inode] = Inode(
            durable: bytes, current: bytes, pending: [],
            directory: inodes[inode]?.directory ?? Substring())
    }

    /// Keeps what is durable, a random part of what is pending, and lets the disk work again.
    mutating func crash() {
        generation += 1
        powerOffAt = .max
        // Names in any order: no file system promises one without a sync.
        let chance = random.next(upperBound: 5 as UInt64)
        for item in pendingNames where random.next(upperBound: 4 as UInt64) < chance {
            makeDurable(item.change)
        }
        pendingNames = []
        // What lies in a directory that is gone is gone with it.
        names = durableNames.filter { path, _ in
            var parent = Self.parent(of: path)
            while !parent.isEmpty {
                guard durableNames[parent] == .directory else { return false }
                parent = Self.parent(of: parent)
            }
            return true
        }
        durableNames = names
        used = 0
        var live: [Int: Inode] = [:]
        for path in names.keys.sorted() {
            guard case .file(let inode)? = names[path], let file = inodes[inode] else { continue }
            let bytes = surviving(file)
            used += Int64(bytes.count)
            live[inode] = Inode(
                durable: bytes, current: bytes, pending: [], directory: file.directory)
        }
        inodes = live
    }

    private mutating func surviving(_ file: Inode) -> [UInt8] {
        var bytes = file.durable
        let kept = Int(random.next(upperBound: UInt64(file.pending.count) + 1))
        lostWrites += file.pending.count - kept
        for change in file.pending.prefix(kept) { Self.apply(change, to: &bytes) }
        if kept < file.pending.count, case .write(let start, let new) = file.pending[kept] {
            let torn = Int(random.next(upperBound: UInt64(new.count) + 1))
            if torn > 0 { tornWrites += 1 }
            Self.apply(.write(at: start, Array(new[..<torn])), to: &bytes)
        }
        return bytes
    }
}
