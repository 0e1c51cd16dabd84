import ArgumentParser
import Foundation
import Model
import Simulation

/// `gossamer-sim gossip`: the figures of membership and dissemination, under virtual time.
struct GossipTables: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossip",
        abstract: "Measure membership and dissemination under virtual time.",
        discussion: """
            The machine is the one that brokers run; network, keys and clock are simulated. The \
            same seed gives the same figures. Exit code 1 when an acceptance bound is missed.

            EXAMPLES:
              gossamer-sim gossip
              gossamer-sim gossip --table detection --runs 200
              gossamer-sim gossip --table convergence --seed 3 -o json
              gossamer-sim gossip --table lifeguard
              gossamer-sim gossip --table lifeguard --runs 1   # the paper's whole grid, an hour
              gossamer-sim gossip --table scale --members 1000
            """)

    /// Which figures.
    enum Table: String, ExpressibleByArgument, CaseIterable {
        case detection
        case convergence
        case lifeguard
        case scale
        case all
    }

    @Option(help: "Which figures: detection, convergence, lifeguard, scale or all.")
    var table = Table.all

    @Option(help: "What the run is repeated by.")
    var seed: UInt64 = 1

    @Option(help: "Runs of each cell; as many as the table's default where absent.")
    var runs: Int?

    @Option(help: "Members of the scale table, and of the largest mesh of convergence.")
    var members = 1_000

    @Option(name: [.customShort("o"), .customLong("output")], help: "Form of the report.")
    var format = ReportFormat.table

    func validate() throws {
        if let runs, runs < 1 {
            throw ValidationError("--runs \(runs): expected at least 1")
        }
        if !(20...5_000).contains(members) {
            throw ValidationError("--members \(members): expected 20 to 5000")
        }
    }

    func run() throws {
        var report = FigureReport(format: format)
        let wanted = table == .all ? [.detection, .convergence, .lifeguard, .scale] : [table]
        for table in wanted {
            let started = Date()
            let spent = clock()
            fill(table, &report)
            let wall = FigureReport.text(Date().timeIntervalSince(started))
            let processor = Double(clock() - spent) / Double(CLOCKS_PER_SEC)
            report.progress(
                "\(table.rawValue): \(wall) s, \(FigureReport.text(processor)) s of processor")
        }
        report.finish()
        if !report.missed.isEmpty { throw ExitCode(1) }
    }

    /// The whole grid of the Lifeguard paper only where it is asked for by name.
    private func fill(_ table: Table, _ report: inout FigureReport) {
        switch table {
        case .detection: DetectionTable(runs: runs ?? 300).fill(&report, seed)
        case .convergence: ConvergenceTable(runs: runs, largest: members).fill(&report, seed)
        case .lifeguard:
            LifeguardTable(runs: self.table == .lifeguard ? runs : nil).fill(&report, seed)
        case .scale: ScaleTable(members: members).fill(&report, seed)
        case .all: preconditionFailure("all tables are filled one by one")
        }
    }
}
