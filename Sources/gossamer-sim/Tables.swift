import Foundation
import Model
import Simulation

/// Section 5.1 of the gossip reference: one crash, profile `lan`.
struct DetectionTable {
    let runs: Int

    /// Seconds p50/p99 until the first declares it dead, and until all know, as computed there.
    private static let computed: [Int: (first: String, all: String, bound: Double)] = [
        5: ("1.4/2.0", "-", 2.5), 30: ("1.8/2.8", "2.0/2.9", 3.4),
        100: ("2.3/3.4", "-", 4.2),
    ]

    func fill(_ report: inout FigureReport, _ seed: UInt64) {
        var rows: [[String]] = []
        for members in [5, 30, 100] {
            let result = DetectionExperiment(members: members).run(runs: runs, seed: seed)
            let computed = Self.computed[members]
            rows.append([
                "\(members)", "\(runs)", pair(result.firstSuspicion), pair(result.first),
                computed?.first ?? "-", pair(result.all), computed?.all ?? "-",
                "\(result.falsePositives)", "\(result.incomplete)",
            ])
            report.require(
                "detection N=\(members): first p99 in s", result.first.at(0.99) ?? .infinity,
                atMost: computed?.bound ?? 5)
            report.require(
                "detection N=\(members): unnoticed or false",
                Double(result.falsePositives + result.incomplete), atMost: 0)
        }
        report.add(
            "Detection of one crash, seconds p50/p99 (profile lan = C)",
            [
                "N", "runs", "suspected", "first dead", "computed C", "all know", "computed C",
                "false", "incomplete",
            ], rows)
    }

    private func pair(_ values: Percentiles) -> String {
        "\(FigureReport.text(values.at(0.5), 2))/\(FigureReport.text(values.at(0.99), 2))"
    }
}

/// Section 5.2 of the gossip reference: one rumour at a time.
struct ConvergenceTable {
    let runs: Int?
    /// Larger meshes are left out.
    let largest: Int

    private static let computed: [String: String] = [
        "5/0": "350, 99.8 %", "5/5": "390, 99.8 %", "5/25": "640, 93.5 %",
        "30/0": "810, 99.8 %", "30/5": "900, 99.2 %", "30/25": "1090, 95.2 %",
        "100/0": "990, 99.8 %", "100/5": "1070, 99.8 %", "100/25": "1370, 98.8 %",
        "1000/0": "1330, 100 %", "1000/5": "1410, 100 %", "1000/25": "1700, 100 %",
    ]

    /// A mesh of 1,000 is slow to simulate, most of all while a quarter of its datagrams are lost.
    private func count(_ members: Int, _ percent: Int) -> Int {
        let most = members < 1_000 ? Int.max : percent < 25 ? 8 : 4
        return min(most, runs ?? (members >= 100 ? 100 : 400))
    }

    func fill(_ report: inout FigureReport, _ seed: UInt64) {
        var rows: [[String]] = []
        for members in [5, 30, 100, 1_000] where members <= largest {
            for percent in [0, 5, 25] {
                let runs = count(members, percent)
                report.progress("convergence, N=\(members), \(percent) % loss")
                var alone = ConvergenceExperiment(members: members, loss: Double(percent) / 100)
                let gossip = alone.run(runs: runs, seed: seed)
                alone.usesAntiEntropy = true
                alone.limitMilliseconds = 12_000
                let safe = alone.run(runs: max(1, runs / 4), seed: seed)
                let share = 100 * Double(gossip.covered) / Double(gossip.runs)
                rows.append([
                    "\(members)", "\(percent) %", "\(runs)",
                    FigureReport.text(gossip.times.at(0.5), 0),
                    FigureReport.text(gossip.times.at(0.99), 0),
                    "\(FigureReport.text(share)) %",
                    Self.computed["\(members)/\(percent)"] ?? "-",
                    FigureReport.text(safe.times.at(0.99), 0),
                    "\(safe.covered)/\(safe.runs)",
                    FigureReport.text(gossip.datagramsPerMember),
                ])
                report.require(
                    "convergence N=\(members) at \(percent) %: missed by gossip alone, %",
                    100 - share, atMost: 2)
                report.require(
                    "convergence N=\(members) at \(percent) %: not reached in 12 s",
                    Double(safe.runs - safe.covered), atMost: 0)
            }
        }
        report.add(
            "A rumour to all, milliseconds (computed: memberlist's, p99 and coverage)",
            [
                "N", "loss", "runs", "p50", "p99", "by gossip alone", "computed p99",
                "with digests p99", "reached", "gossip/member",
            ], rows)
    }
}

/// What a large mesh costs each member.
struct ScaleTable {
    let members: Int

    func fill(_ report: inout FigureReport, _ seed: UInt64) {
        let started = Date()
        let result = ScaleExperiment(members: members).run(seed: seed)
        let seconds = Date().timeIntervalSince(started)
        report.add(
            "\(members) members for 60 s, each and second (35 bytes of overhead a datagram)",
            [
                "", "datagrams", "bytes", "messages",
            ],
            [
                [
                    "quiet", FigureReport.text(result.quietDatagrams, 2),
                    FigureReport.text(result.quietBytes, 0), "0",
                ],
                [
                    "10 crashes, a value a second", FigureReport.text(result.busyDatagrams, 2),
                    FigureReport.text(result.busyBytes, 0),
                    FigureReport.text(result.busyMessages, 3),
                ],
            ])
        if report.format == .table {
            print(
                "\(result.events) events in \(FigureReport.text(seconds)) s, trace hash "
                    + String(result.traceHash, radix: 16))
        }
        report.require("scale: quiet datagrams", result.quietDatagrams, atMost: 10)
        report.require("scale: quiet bytes", result.quietBytes, atMost: 1_500)
        report.require(
            "scale: deaths not known", Double(result.deathsExpected - result.deathsKnown),
            atMost: 0)
        report.require("scale: false deaths", Double(result.falsePositives), atMost: 0)
        report.require(
            "scale: members without the last value",
            Double(members - 10 - result.valueReached), atMost: 0)
    }
}
