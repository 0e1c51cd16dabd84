import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer group delete`.
struct GroupDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete consumer groups that have no members, with their positions.",
        discussion: """
            EXAMPLES:
              gossamer group delete billing
            """)

    @Argument(help: "Names of groups.")
    var groups: [String]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        for group in groups { try GroupQueries.check(group) }
        try await connection.withClient { client in
            for group in groups { try await Self.delete(group, client) }
        }
        switch output.format {
        case .json: try Terminal.printJSON(["deleted": groups])
        case .table: for group in groups { Terminal.print("deleted group \(group)") }
        }
    }

    private static func delete(_ name: String, _ client: KafkaClient) async throws {
        let response = try await client.send(
            DeleteGroupsRequest(groupIDs: [name]), to: .coordinator(group: name),
            retryingUnless: { response throws(ClientError) in
                for group in response.groups where group.errorCode.isRetriable {
                    throw .refused(group.errorCode, subject: "group \(name)", message: nil)
                }
            })
        switch response.groups.first?.errorCode ?? .none {
        case .none: return
        case .groupIDNotFound:
            throw CommandFailure("there is no group \(name). See: gossamer group list")
        case .nonEmptyGroup:
            throw CommandFailure(
                "group \(name) has members: stop them first. See: gossamer group describe \(name)")
        case let code:
            throw ClientError.refused(code, subject: "group \(name)", message: nil)
        }
    }
}
