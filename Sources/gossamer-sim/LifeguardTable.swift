import Model
import Simulation

/// The Lifeguard paper's table, as ratios to plain SWIM.
///
/// Without `runs` it is the everyday one: 22 cells of the grid, where the two rows that are
/// compared get five runs of each and the others one. With it, the paper's 648 cells, `runs` times
/// each in all rows: about 50 minutes of one core for each.
struct LifeguardTable {
    let runs: Int?

    /// One row: what is on, and the paper's figures in % of SWIM.
    private struct Row {
        let name: String
        let parts: LifeguardParts
        let paper: (falsePositives: Double, atHealthy: Double, messages: Double, bytes: Double)
        let everydayRuns: Int
    }

    private static let rows = [
        Row(name: "SWIM", parts: [], paper: (100, 100, 100, 100), everydayRuns: 5),
        Row(
            name: "LHA-Probe", parts: .probe, paper: (67.72, 32.88, 98.46, 90.03), everydayRuns: 1),
        Row(
            name: "LHA-Suspicion", parts: .suspicion, paper: (3, 6.71, 111.31, 106.52),
            everydayRuns: 1),
        Row(name: "Buddy", parts: .buddy, paper: (94.08, 44.57, 100.07, 99.01), everydayRuns: 1),
        Row(name: "Lifeguard", parts: .all, paper: (1.53, 1.89, 110.59, 97.97), everydayRuns: 5),
    ]

    /// What plain SWIM has to get wrong before a ratio to it proves anything: with 20 at healthy
    /// members one more or less is 5 %.
    private static let falsePositivesToProve = 100
    private static let atHealthyToProve = 20

    private var cells: [LifeguardCell] {
        runs == nil ? LifeguardCell.everyday : LifeguardCell.grid
    }

    func fill(_ report: inout FigureReport, _ seed: UInt64) {
        var lines: [[String]] = []
        var ratios: [[String]] = []
        var byAnomalies: [[String]] = []
        var plain: (counts: LifeguardCounts, runs: Int)?
        for row in Self.rows {
            let runs = runs ?? row.everydayRuns
            let (total, byCount) = measure(row, runs, seed, report)
            let base = plain ?? (total, runs)
            plain = base
            lines.append(figures(row, total, cells.count * runs))
            let part = { (figure: KeyPath<LifeguardCounts, Int>) in
                percent(total[keyPath: figure], runs, base.counts[keyPath: figure], base.runs)
            }
            ratios.append(
                [row.name]
                    + zip(
                        [
                            part(\.falsePositives), part(\.falsePositivesAtHealthy),
                            part(\.messages), part(\.bytes),
                        ],
                        [
                            row.paper.falsePositives, row.paper.atHealthy, row.paper.messages,
                            row.paper.bytes,
                        ]
                    ).flatMap { [FigureReport.text($0, 2), FigureReport.text($1, 2)] })
            byAnomalies.append(
                [row.name] + LifeguardCell.anomalyCounts.compactMap { byCount[$0] })
            if row.parts == .all { judge(&report, base.counts, part) }
        }
        add(to: &report, lines, ratios, byAnomalies)
    }

    /// All cells of one row, and its false positives by the number of slow members.
    private func measure(
        _ row: Row, _ runs: Int, _ seed: UInt64, _ report: FigureReport
    ) -> (LifeguardCounts, [Int: String]) {
        var total = LifeguardCounts()
        var byCount: [Int: Int] = [:]
        for (number, cell) in cells.enumerated() {
            if number.isMultiple(of: 6) {
                report.progress(
                    "lifeguard, \(row.name): cell \(number) of \(cells.count), FP "
                        + "\(total.falsePositives), FP- \(total.falsePositivesAtHealthy)")
            }
            for run in 0..<runs {
                let counts = LifeguardExperiment().run(
                    row.parts, cell, seed: seed &* 1_000_003 &+ UInt64(number * 101 + run))
                total.add(counts)
                byCount[cell.anomalies, default: 0] += counts.falsePositives
            }
        }
        report.progress(
            "  \(row.name): FP \(total.falsePositives), FP- \(total.falsePositivesAtHealthy), "
                + "messages \(total.messages) in \(cells.count * runs) runs")
        return (total, byCount.mapValues { FigureReport.text(Double($0) / Double(runs), 0) })
    }

    private func figures(_ row: Row, _ total: LifeguardCounts, _ runs: Int) -> [String] {
        [
            row.name, "\(runs)", "\(total.falsePositives)", "\(total.falsePositivesAtHealthy)",
            "\(total.falselyTold)", FigureReport.text(Double(total.messages) / 1e6, 2),
            FigureReport.text(Double(total.bytes) / 1e9, 2), "\(total.slowDeclared)",
            pair(Percentiles(total.firstSeconds)), pair(Percentiles(total.allSeconds)),
        ]
    }

    private func judge(
        _ report: inout FigureReport, _ plain: LifeguardCounts,
        _ part: (KeyPath<LifeguardCounts, Int>) -> Double
    ) {
        report.require(
            "Lifeguard, not proven unless 0: SWIM's FP lack of 100",
            Double(max(0, Self.falsePositivesToProve - plain.falsePositives)), atMost: 0)
        report.require(
            "Lifeguard, not proven unless 0: SWIM's FP- lack of 20",
            Double(max(0, Self.atHealthyToProve - plain.falsePositivesAtHealthy)), atMost: 0)
        report.require("Lifeguard: FP in % of SWIM", part(\.falsePositives), atMost: 3)
        report.require("Lifeguard: FP- in % of SWIM", part(\.falsePositivesAtHealthy), atMost: 4)
        report.require("Lifeguard: messages in % of SWIM", part(\.messages), atMost: 115)
    }

    private func add(
        to report: inout FigureReport, _ lines: [[String]], _ ratios: [[String]],
        _ byAnomalies: [[String]]
    ) {
        let what = runs == nil ? "22 cells of the paper's grid" : "the paper's grid of 648 cells"
        report.add(
            "Lifeguard, 128 members, runs of 120 s over \(what); seconds p50/p99 to detect",
            [
                "", "runs", "FP", "FP-", "told", "msgs M", "GB", "slow declared", "first dead",
                "all know",
            ], lines)
        report.add(
            "A run's part of SWIM's, beside the paper's, %",
            ["", "FP", "paper", "FP-", "paper", "msgs", "paper", "bytes", "paper"], ratios)
        let counts = LifeguardCell.anomalyCounts.filter { count in
            cells.contains { $0.anomalies == count }
        }
        report.add(
            "FP by concurrent anomalies, once over the cells", [""] + counts.map { "\($0)" },
            byAnomalies)
    }

    private func pair(_ values: Percentiles) -> String {
        "\(FigureReport.text(values.at(0.5), 1))/\(FigureReport.text(values.at(0.99), 1))"
    }

    private func percent(_ value: Int, _ runs: Int, _ base: Int, _ baseRuns: Int) -> Double {
        if base == 0 { return value == 0 ? 0 : .infinity }
        return 100 * Double(value * baseRuns) / Double(base * runs)
    }
}
