import Foundation

/// The wall clock and its text form, RFC 3339 in UTC with milliseconds.
///
/// Written by hand because a formatter of the standard kind costs more than a whole start of the
/// broker. The calendar arithmetic is Hinnant's "chrono-compatible low-level date algorithms".
enum WallClock {
    /// Milliseconds since the Unix epoch.
    static func milliseconds() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// `2026-11-22T14:02:11.204Z`; years 0001 to 9999, others are clamped.
    static func text(milliseconds: Int64) -> String {
        let clamped = min(max(milliseconds, -62_135_596_800_000), 253_402_300_799_999)
        let second = clamped >= 0 ? clamped / 1_000 : (clamped - 999) / 1_000
        let fraction = clamped - second * 1_000
        let days = second >= 0 ? second / 86_400 : (second - 86_399) / 86_400
        let ofDay = second - days * 86_400
        let (year, month, day) = civil(days: days)
        return digits(year, 4) + "-" + digits(month, 2) + "-" + digits(day, 2) + "T"
            + digits(ofDay / 3_600, 2) + ":" + digits(ofDay / 60 % 60, 2) + ":"
            + digits(ofDay % 60, 2) + "." + digits(fraction, 3) + "Z"
    }

    /// Reads `2026-11-22`, `2026-11-22T14:02`, `..:11`, `..11.204`, with or without a final Z, or
    /// a number of milliseconds since the epoch; nil for everything else.
    static func parse(_ text: String) -> Int64? {
        if Quantities.isDigits(text) { return text.count <= 15 ? Int64(text) : nil }
        let body = text.hasSuffix("Z") ? text.dropLast() : text[...]
        let halves = body.split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        let date = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        guard date.map(\.count) == [4, 2, 2], let year = number(date[0]),
            let month = number(date[1], 1...12), let day = number(date[2], 1...31)
        else { return nil }
        let days = daysFromCivil(year, month, day)
        guard civil(days: days) == (year, month, day) else { return nil }
        guard halves.count == 2 else { return days * 86_400_000 }
        let clock = halves[1].split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(clock.count), let hour = number(clock[0], 0...23),
            let minute = number(clock[1], 0...59)
        else { return nil }
        var result = days * 86_400_000 + hour * 3_600_000 + minute * 60_000
        if clock.count == 3 {
            let parts = clock[2].split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count <= 2, let second = number(parts[0], 0...59) else { return nil }
            result += second * 1_000
            if parts.count == 2 {
                guard (1...3).contains(parts[1].count), Quantities.isDigits(parts[1]),
                    let fraction = Int64(parts[1])
                else { return nil }
                result += [0, 100, 10, 1][parts[1].count] * fraction
            }
        }
        return result
    }

    private static func number(_ text: Substring, _ range: ClosedRange<Int64> = 1...9999) -> Int64?
    {
        guard Quantities.isDigits(text), text.count <= 4, let value = Int64(text),
            range.contains(value)
        else { return nil }
        return value
    }

    private static func digits(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func daysFromCivil(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
