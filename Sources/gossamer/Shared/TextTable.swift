/// A table for people: a header, columns as wide as they need, numbers to the right.
///
/// The last column is never padded, so lines carry no trailing blanks.
struct TextTable {
    private let header: [String]
    private let rightAligned: Set<Int>
    private var rows: [[String]] = []

    /// `numbers` names the columns that are aligned to the right.
    init(_ header: [String], numbers: Set<Int> = []) {
        self.header = header
        self.rightAligned = numbers
    }

    var isEmpty: Bool { rows.isEmpty }

    /// Adds a row; it must have as many cells as the header.
    mutating func append(_ row: [String]) {
        precondition(row.count == header.count, "\(row.count) cells under \(header.count) headers")
        rows.append(row.map(Self.printable))
    }

    var text: String { text(colored: false) }

    /// The lines without a final line end; with `colored` the header is bold.
    func text(colored: Bool) -> String {
        let widths = header.indices.map { column in
            ([header] + rows).map { $0[column].count }.max() ?? 0
        }
        var lines = [line(header, widths)]
        if colored { lines[0] = "\u{1B}[1m\(lines[0])\u{1B}[0m" }
        lines += rows.map { line($0, widths) }
        return lines.joined(separator: "\n")
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var result = ""
        for (column, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[column] - cell.count)
            if rightAligned.contains(column) {
                result += padding + cell
            } else {
                result += column == cells.count - 1 ? cell : cell + padding
            }
            if column < cells.count - 1 { result += "  " }
        }
        while result.hasSuffix(" ") { result.removeLast() }
        return result
    }

    /// Names come from strangers: nothing that moves the cursor reaches the terminal.
    static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
            return text
        }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "\u{FFFD}" : $0 }))
    }
}
