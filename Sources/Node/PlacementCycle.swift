import Model
import Replication

/// Partitions in a row that are placed in turns: the i-th of them on the (i modulo length)-th set.
///
/// What keeps the record of a large topic small: partitions are spread over brokers in turns, so
/// thousands of them repeat a few sets. Found by the failure function of Knuth, Morris and Pratt;
/// costs one comparison of neighbours for each partition, and a second one where a topic grew.
struct PlacementCycle: Hashable {
    let sets: [[ReplicaID]]
    /// Partitions that it places; at least as many as there are sets.
    let count: Int

    /// The whole placement, in as few cycles as repeat at least once; the rest as it is.
    static func cycles(of placement: [[ReplicaID]]) -> [PlacementCycle] {
        var cycles: [PlacementCycle] = []
        var start = 0
        while start < placement.count {
            let rest = placement[start...]
            let (count, period) = longest(rest)
            cycles.append(
                PlacementCycle(sets: Array(rest.prefix(period)), count: count))
            start += count
        }
        return cycles
    }

    /// The longest prefix that repeats its beginning at least once, and its period; everything as
    /// one period where there is none.
    private static func longest(
        _ sets: ArraySlice<[ReplicaID]>
    ) -> (count: Int, period: Int) {
        let base = sets.startIndex
        var failure = [0]
        var best = (count: sets.count, period: sets.count)
        var hasRepeated = false
        for length in 1..<max(1, sets.count) {
            var matched = failure[length - 1]
            while matched > 0, sets[base + length] != sets[base + matched] {
                matched = failure[matched - 1]
            }
            if sets[base + length] == sets[base + matched] { matched += 1 }
            failure.append(matched)
            let period = length + 1 - matched
            if period * 2 <= length + 1 {
                best = (length + 1, period)
                hasRepeated = true
            }
        }
        return hasRepeated || sets.count < 2 ? best : (sets.count, sets.count)
    }
}
