/// Readers of the quantities that people type: durations, byte counts, ranges.
///
/// Each throws an ``Expectation`` that says what it would have taken and gives an example.
enum Quantities {
    /// Longest duration taken, in milliseconds: 100 years, so that sums never come near overflow.
    static let maximumMilliseconds: Int64 = 100 * 365 * 86_400_000

    /// Reads `250ms`, `30s`, `10m`, `2h`, `7d`.
    static func milliseconds(_ text: String) throws(Expectation) -> Int64 {
        let units: [(String, Int64)] = [
            ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ]
        let expected = Expectation("a duration, for example 250ms, 30s, 10m, 2h or 7d")
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            let digits = text.dropLast(suffix.count)
            guard isDigits(digits) else { continue }
            guard let count = Int64(digits), count <= maximumMilliseconds / factor else {
                throw Expectation("a duration of at most 100 years")
            }
            return count * factor
        }
        throw expected
    }

    /// Reads `1048576`, `64KiB`, `10MiB`, `1GiB` (and the same with a bare K, M, G, T).
    static func bytes(_ text: String) throws(Expectation) -> Int {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).lowercased()
        let shift: Int? =
            switch unit {
            case "", "b": 0
            case "k", "kib", "kb": 10
            case "m", "mib", "mb": 20
            case "g", "gib", "gb": 30
            case "t", "tib", "tb": 40
            default: nil
            }
        guard let shift, !digits.isEmpty, let count = Int(digits), count <= Int.max >> shift
        else { throw Expectation("a number of bytes, for example 1048576, 64KiB or 1GiB") }
        return count << shift
    }

    /// Reads a whole number within a range.
    static func integer<Value: FixedWidthInteger>(
        _ text: String, in range: ClosedRange<Value>
    ) throws(Expectation) -> Value {
        guard let value = Value(text), range.contains(value) else {
            throw Expectation(
                "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// Reads `true` or `false`.
    static func boolean(_ text: String) throws(Expectation) -> Bool {
        switch text.lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw Expectation("true or false")
        }
    }

    /// Reads one of a closed set of words.
    static func word<Value: RawRepresentable<String> & CaseIterable>(
        _ text: String, _ type: Value.Type = Value.self
    ) throws(Expectation) -> Value {
        if let value = Value(rawValue: text) { return value }
        let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
        throw Expectation("one of \(words)")
    }

    static func isDigits(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.allSatisfy { $0.isASCII && $0.isNumber }
    }
}
