internal import Model
internal import NIOCore

/// This member's copy of all chosen values, with a digest tree over their versions.
///
/// Merged by ballot, never by arrival. A lookup costs one hash; a change adds one step for each
/// level of the tree. The bucket lists, not the dictionary, give the order of iteration.
struct GossipTable {
    /// A value with its fingerprint.
    struct Entry {
        var value: ChosenValue
        var hash: ContentHash
        var leaf: Int
        var fingerprint: UInt64
    }

    /// Looked up, never iterated.
    private var entries: [String: Entry] = [:]
    private var buckets = [[String]](repeating: [], count: GossipLimits.digestLeaves)
    private(set) var tree = DigestTree()
    private(set) var tombstones = 0

    var count: Int { entries.count }

    subscript(key: String) -> Entry? { entries[key] }

    func keys(inLeaf leaf: Int) -> [String] { buckets[leaf] }

    mutating func set(_ value: ChosenValue, hash: ContentHash) {
        let keyHash = Self.hash(value.key)
        let leaf = Int(keyHash % UInt64(GossipLimits.digestLeaves))
        let fingerprint = DigestTree.fingerprint(
            keyHash, value.ballot.counter,
            UInt64(UInt32(bitPattern: value.ballot.proposer.rawValue)),
            value.ballot.boot.rawValue, hash.rawValue)
        if let old = entries[value.key] {
            tree.toggle(old.fingerprint, leaf: leaf)
            if old.value.value == nil { tombstones -= 1 }
        } else {
            buckets[leaf].append(value.key)
        }
        tree.toggle(fingerprint, leaf: leaf)
        if value.value == nil { tombstones += 1 }
        entries[value.key] = Entry(
            value: value, hash: hash, leaf: leaf, fingerprint: fingerprint)
    }

    mutating func remove(_ key: String) {
        guard let old = entries.removeValue(forKey: key) else { return }
        tree.toggle(old.fingerprint, leaf: old.leaf)
        buckets[old.leaf].removeAll { $0 == key }
        if old.value.value == nil { tombstones -= 1 }
    }

    /// Forgets the tombstones that the floor has passed: one pass over the table, at a raise of
    /// the floor only.
    mutating func removeTombstones(upTo floor: Ballot) {
        guard tombstones > 0 else { return }
        for leaf in buckets.indices {
            for key in buckets[leaf] {
                guard let entry = entries[key], entry.value.value == nil,
                    entry.value.ballot <= floor
                else { continue }
                remove(key)
            }
        }
    }

    /// All entries, by bucket.
    func forEach(_ body: (Entry) -> Void) {
        for bucket in buckets {
            for key in bucket {
                if let entry = entries[key] { body(entry) }
            }
        }
    }

    /// FNV-1a over the key: the same bucket on every host.
    private static func hash(_ key: String) -> UInt64 {
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key.utf8 {
            state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3  // wraps: a hash
        }
        return DigestTree.fingerprint(state)
    }
}
