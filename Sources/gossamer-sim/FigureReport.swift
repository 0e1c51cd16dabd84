import ArgumentParser
import Foundation

/// The form of a report.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}

/// Tables of figures with the bounds that they must keep, printed as they come or as one JSON.
struct FigureReport {
    /// One table.
    struct Table: Encodable {
        let name: String
        let columns: [String]
        var rows: [[String]]
    }

    /// A bound and whether it was kept.
    struct Bound: Encodable {
        let name: String
        let figure: Double
        let bound: Double
        let isKept: Bool
    }

    private struct Document: Encodable {
        let tables: [Table]
        let bounds: [Bound]
    }

    let format: ReportFormat
    private(set) var tables: [Table] = []
    private(set) var bounds: [Bound] = []

    init(format: ReportFormat) { self.format = format }

    var missed: [Bound] { bounds.filter { !$0.isKept } }

    mutating func add(_ name: String, _ columns: [String], _ rows: [[String]]) {
        let table = Table(name: name, columns: columns, rows: rows)
        tables.append(table)
        if format == .table { show(table) }
    }

    /// A figure that must not be above its bound.
    mutating func require(_ name: String, _ figure: Double, atMost bound: Double) {
        let kept = Bound(name: name, figure: figure, bound: bound, isKept: figure <= bound)
        bounds.append(kept)
        guard format == .table else { return }
        let verdict = kept.isKept ? "kept" : "MISSED"
        print("\(verdict): \(name) \(Self.text(figure, 3)), at most \(Self.text(bound, 3))")
    }

    /// What is under way, beside the report.
    func progress(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    func finish() {
        guard format == .json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(tables: tables, bounds: bounds)
        if let data = try? encoder.encode(document) {
            print(String(decoding: data, as: UTF8.self))
        }
    }

    private func show(_ table: Table) {
        let lines = [table.columns] + table.rows
        let widths = table.columns.indices.map { column in
            lines.map { $0[column].count }.max() ?? 0
        }
        print("\n\(table.name)")
        for line in lines {
            let cells = line.indices.map { column in
                let pad = String(repeating: " ", count: widths[column] - line[column].count)
                return column == 0 ? line[column] + pad : pad + line[column]
            }
            print(cells.joined(separator: "  "))
        }
    }

    static func text(_ value: Double?, _ digits: Int = 1) -> String {
        guard let value else { return "-" }
        return String(format: "%.\(digits)f", value)
    }
}
