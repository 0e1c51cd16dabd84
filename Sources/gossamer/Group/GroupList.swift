import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer group list`.
struct GroupList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List consumer groups, asking every broker.",
        discussion: """
            With --local, no broker is asked but one for its copy of all groups' positions: it shows
            the lag of each group, and how old that is.

            EXAMPLES:
              gossamer group list
              gossamer group list --local
              gossamer group list -o json
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var copies: CopyOptions
    @OptionGroup var output: OutputOptions

    /// One group as `-o json` prints it.
    struct Row: Encodable, Equatable {
        var group: String
        var state: String
        var protocolType: String
        var coordinator: Int32
    }

    func run() async throws {
        if copies.local { return try await showCopies() }
        let rows = try await connection.withClient { try await Self.list($0) }
        switch output.format {
        case .json: try Terminal.printJSON(["groups": rows])
        case .table:
            var table = TextTable(["GROUP", "STATE", "PROTOCOL", "COORDINATOR"], numbers: [3])
            for row in rows {
                table.append([
                    row.group, row.state.isEmpty ? "-" : row.state,
                    row.protocolType.isEmpty ? "-" : row.protocolType, "\(row.coordinator)",
                ])
            }
            Terminal.print(table.text(colored: Terminal.hasColor))
        }
    }

    private func showCopies() async throws {
        let found = try await GroupCopies.ask(copies.admin)
        switch output.format {
        case .json: try Terminal.printJSON(found)
        case .table:
            Terminal.print(GroupCopies.table(found.groups).text(colored: Terminal.hasColor))
        }
    }

    /// A broker lists only the groups that it coordinates.
    static func list(_ client: KafkaClient) async throws -> [Row] {
        let brokers = try await client.metadata(topics: []).brokers.map(\.nodeID).sorted()
        var rows: [Row] = []
        for broker in brokers {
            let response = try await client.send(
                ListGroupsRequest(), to: .node(broker),
                retryingUnless: { response throws(ClientError) in
                    guard response.errorCode == .none else {
                        throw .refused(
                            response.errorCode, subject: "groups of broker \(broker)", message: nil)
                    }
                })
            rows += response.groups.map {
                Row(
                    group: $0.groupID, state: $0.groupState, protocolType: $0.protocolType,
                    coordinator: broker)
            }
        }
        return rows.sorted { $0.group < $1.group }
    }
}
