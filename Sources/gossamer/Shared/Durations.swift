/// Spans of time as a person reads them.
enum Durations {
    static func milliseconds(_ span: Int64) -> String {
        switch span {
        case ..<1_000: "\(span) ms"
        case ..<60_000: "\(span / 1_000).\(span % 1_000 / 100) s"
        case ..<3_600_000: "\(span / 60_000) min"
        case ..<172_800_000: "\(span / 3_600_000) h"
        default: "\(span / 86_400_000) d"
        }
    }

    static func microseconds(_ span: Int?) -> String {
        guard let span else { return "-" }
        guard span >= 1_000 else { return "0.\(span / 100 % 10)\(span / 10 % 10) ms" }
        return "\(span / 1_000).\(span % 1_000 / 100) ms"
    }

    /// The time of day in UTC; with the date where it is not today's.
    static func moment(_ milliseconds: Int64, now: Int64) -> String {
        let text = WallClock.text(milliseconds: milliseconds)
        let isToday = text.prefix(10) == WallClock.text(milliseconds: now).prefix(10)
        return isToday ? String(text.dropFirst(11).dropLast()) : String(text.dropLast())
    }
}

/// Members as they stand in a sentence.
enum NodeList {
    static func text(_ nodes: some Sequence<Int32>) -> String {
        let nodes = nodes.map { "\($0)" }
        return nodes.isEmpty ? "nobody" : nodes.joined(separator: ", ")
    }
}
