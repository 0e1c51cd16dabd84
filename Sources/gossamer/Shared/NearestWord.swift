/// Finds the word that was probably meant, for "did you mean".
enum NearestWord {
    /// The candidate within a third of the word's length in edits, the nearest first; nil if none.
    static func of(_ word: String, in candidates: [String]) -> String? {
        let reach = max(2, word.count / 3)
        return candidates.map { ($0, distance(word.lowercased(), $0.lowercased())) }
            .filter { $0.1 <= reach }
            .min { $0.1 < $1.1 }?.0
    }

    /// Edit distance (Levenshtein 1966), two rows.
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left)
        let right = Array(right)
        var previous = Array(0...right.count)
        for (row, a) in left.enumerated() {
            var current = [row + 1]
            for (column, b) in right.enumerated() {
                current.append(
                    min(
                        previous[column + 1] + 1, current[column] + 1,
                        previous[column] + (a == b ? 0 : 1)))
            }
            previous = current
        }
        return previous[right.count]
    }
}
