internal import Model

/// Members in a random order that is dealt out to the end before it is shuffled anew.
///
/// SWIM, section 4.3: round robin bounds the time until a member is probed, and a newcomer is
/// inserted at a random place. Small meshes are enumerated rather than drawn from, so that the
/// only eligible peer is never missed (memberlist #350). Removal costs one pass.
struct ShuffledRound {
    private var order: [NodeID] = []
    private var cursor = 0

    var count: Int { order.count }

    mutating func insert(_ node: NodeID, using generator: inout SeededGenerator) {
        let place = Int.random(in: 0...order.count, using: &generator)
        order.insert(node, at: place)
        if place < cursor { cursor += 1 }
    }

    mutating func remove(_ node: NodeID) {
        guard let place = order.firstIndex(of: node) else { return }
        order.remove(at: place)
        if place < cursor { cursor -= 1 }
    }

    mutating func next(using generator: inout SeededGenerator) -> NodeID? {
        if order.isEmpty { return nil }
        if cursor >= order.count {
            order.shuffle(using: &generator)
            cursor = 0
        }
        defer { cursor += 1 }
        return order[cursor]
    }

    /// Up to `count` different members for which `isEligible` holds, drawn at random.
    func sample(
        _ count: Int, using generator: inout SeededGenerator, where isEligible: (NodeID) -> Bool
    ) -> [NodeID] {
        guard !order.isEmpty else { return [] }
        var found: [NodeID] = []
        if order.count <= 4 * count {
            for node in order.shuffled(using: &generator) where isEligible(node) {
                found.append(node)
                if found.count == count { break }
            }
            return found
        }
        for _ in 0..<(8 * count) where found.count < count {
            let node = order[Int.random(in: 0..<order.count, using: &generator)]
            if !found.contains(node), isEligible(node) { found.append(node) }
        }
        return found
    }
}
