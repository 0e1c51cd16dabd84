import ArgumentParser
import Broker

/// `gossamer gossip diff`: which keys brokers have in different versions.
struct GossipDiff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Compare the tables of all brokers, key by key.",
        discussion: """
            Says where the broker that is asked differs from what most have; with --all,
            where any broker does. What differs is looked at again after a second, so that
            a value on its way is no finding. Exit code 10 where something differs.

            lagging        it has an older version than most
            missing        it has none
            ahead          it has a newer version, which spreads
            SPLIT_VERSION  the same version with another hash: an alarm

            EXAMPLES:
              $ gossamer gossip diff --all
              all 3 brokers agree on 5 keys

              gossamer gossip diff --from 3 topic/
            """)

    @Flag(help: "Show what is different at any broker, not only at the one that is asked.")
    var all = false

    @Argument(help: "How the names of the registers begin.")
    var prefix: String?

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// Values spread in well under this.
    private static let settleMilliseconds = 1_000

    /// What `-o json` prints.
    struct Answer: Encodable {
        let brokers: [Int32]
        let keys: Int
        let differences: [TableDivergence.Difference]
        let silent: [Int32]
    }

    func run() async throws {
        var (divergence, silent, asked) = try await look()
        if !divergence.differences.isEmpty {
            try await Task.sleep(for: .milliseconds(Self.settleMilliseconds))
            let earlier = divergence
            (divergence, silent, asked) = try await look()
            divergence.keepLasting(earlier)
        }
        let subject = all ? nil : admin.from ?? asked
        if let subject { divergence.keep(of: subject) }
        if output.format == .json {
            try Terminal.printJSON(
                Answer(
                    brokers: divergence.brokers, keys: divergence.keys,
                    differences: divergence.differences, silent: silent))
        } else {
            Terminal.print(
                Self.text(divergence, subject, silent, colored: Terminal.hasColor))
        }
        if !divergence.differences.isEmpty { throw ExitCode.unhealthy }
    }

    private func look() async throws -> (TableDivergence, silent: [Int32], asked: Int32) {
        let own = try await admin.askOne(InspectionQuestion(.info))
        let seen = try await admin.askTable(everywhere: true, prefix: prefix)
        let tables = seen.answers.compactMap { answer in
            answer.versions.map { (answer.nodeId, $0) }
        }
        return (TableDivergence(tables), seen.silent, own.nodeId)
    }

    static func text(
        _ divergence: TableDivergence, _ subject: Int32?, _ silent: [Int32], colored: Bool = false
    ) -> String {
        var lines: [String] = []
        let keys = Counted.text(divergence.keys, "key")
        if divergence.differences.isEmpty {
            let count = divergence.brokers.count
            lines.append(
                subject.map { "\($0) agrees with most of \(count) brokers on \(keys)" }
                    ?? "all \(count) brokers agree on \(keys)")
        } else {
            lines.append(divergence.table.text(colored: colored))
            lines.append("\(divergence.differences.count) of \(keys) differ")
            lines += divergence.advice
        }
        if !silent.isEmpty { lines.append("no answer from \(NodeList.text(silent))") }
        return lines.joined(separator: "\n")
    }
}
