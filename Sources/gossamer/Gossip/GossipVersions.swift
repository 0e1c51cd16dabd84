import ArgumentParser
import Broker

/// `gossamer gossip versions`: the table of one broker.
struct GossipVersions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions",
        abstract: "List the registers in one broker's table, with their versions and hashes.",
        discussion: """
            A version is the ballot that the value was chosen at: (proposer, counter). Two
            brokers with the same version and the same hash have the same value.

            EXAMPLES:
              $ gossamer gossip versions
              KEY           VERSION  HASH
              members/1     (1, 1)   3c79af73
              members/2     (1, 3)   4abf6a11
              members/3     (1, 2)   57dc9d06
              roster        (1, 1)   f6a21a7a
              topic/orders  (2, 4)   9782f224
              5 keys at 1

              gossamer gossip versions topic/ --from 3
              gossamer gossip versions members/ -o json | jq -r '.versions[].key'
            """)

    @Argument(help: "How the names of the registers begin.")
    var prefix: String?

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let nodeId: Int32
        let versions: [VersionReport]
    }

    func run() async throws {
        let seen = try await admin.askTable(everywhere: false, prefix: prefix)
        guard let answer = seen.answers.first else { throw CommandFailure("no answer") }
        let versions = answer.versions ?? []
        guard output.format != .json else {
            return try Terminal.printJSON(Answer(nodeId: answer.nodeId, versions: versions))
        }
        if !versions.isEmpty {
            Terminal.print(
                Self.table(versions, isWide: output.format == .wide).text(
                    colored: Terminal.hasColor))
        }
        Terminal.print(Self.summary(versions, of: answer.nodeId, prefix))
    }

    static func table(_ versions: [VersionReport], isWide: Bool) -> TextTable {
        var table = TextTable(["KEY", "VERSION", "HASH", ""] + (isWide ? ["BOOT"] : []))
        for version in versions {
            table.append(
                [
                    version.key, version.ballotText,
                    isWide ? version.hash : String(version.hash.prefix(8)),
                    version.isTombstone ? "deleted" : "",
                ] + (isWide ? ["\(version.boot)"] : []))
        }
        return table
    }

    static func summary(_ versions: [VersionReport], of node: Int32, _ prefix: String?) -> String {
        let deleted = versions.count { $0.isTombstone }
        let place = prefix.map { " under \($0)" } ?? ""
        return "\(Counted.text(versions.count, "key"))\(place) at \(node)"
            + (deleted > 0 ? ", \(deleted) of them deleted" : "")
    }
}

extension VersionReport {
    /// `(1, 42)`, as every output writes ballots.
    var ballotText: String { "(\(proposer), \(counter))" }
}
