/// Fingerprints of a set of entries in 1,024 buckets, 32 branches and one root.
///
/// Kept up to date by one exclusive-or for each level when an entry changes, so that the root
/// costs nothing to send every few seconds; two members descend only where theirs differ. A
/// fingerprint mixes what identifies an entry's version, so order does not matter.
struct DigestTree {
    private(set) var root: UInt64 = 0
    private(set) var branches = [UInt64](repeating: 0, count: GossipLimits.digestBranches)
    private(set) var leaves = [UInt64](repeating: 0, count: GossipLimits.digestLeaves)

    private static let leavesPerBranch = GossipLimits.digestLeaves / GossipLimits.digestBranches

    /// Adds an entry's fingerprint, or takes it away again.
    mutating func toggle(_ fingerprint: UInt64, leaf: Int) {
        leaves[leaf] ^= fingerprint
        branches[leaf / Self.leavesPerBranch] ^= fingerprint
        root ^= fingerprint
    }

    /// Which branches differ from a peer's.
    func mask(differingFrom other: [UInt64]) -> UInt32 {
        var mask: UInt32 = 0
        for (index, pair) in zip(branches, other).enumerated() where pair.0 != pair.1 {
            mask |= 1 << UInt32(index)
        }
        return mask
    }

    /// The leaves below the branches of `mask`, in order.
    func leaves(under mask: UInt32) -> [UInt64] {
        Self.leafIndices(under: mask).map { leaves[$0] }
    }

    /// Which leaves below `mask` differ from a peer's.
    func leaves(under mask: UInt32, differingFrom other: [UInt64]) -> [UInt16] {
        zip(Self.leafIndices(under: mask), other)
            .filter { leaves[$0.0] != $0.1 }
            .map { UInt16($0.0) }
    }

    private static func leafIndices(under mask: UInt32) -> [Int] {
        var indices: [Int] = []
        for branch in 0..<GossipLimits.digestBranches where mask & (1 << UInt32(branch)) != 0 {
            indices += (branch * leavesPerBranch)..<((branch + 1) * leavesPerBranch)
        }
        return indices
    }

    /// SplitMix64's finish over words: a fingerprint of a version.
    static func fingerprint(_ words: UInt64...) -> UInt64 {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for word in words {
            state = (state ^ word) &* 0xBF58_476D_1CE4_E5B9  // wraps: a hash
            state = (state ^ (state >> 31)) &* 0x94D0_49BB_1331_11EB  // wraps: a hash
            state ^= state >> 29
        }
        return state
    }
}
