import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer group ...`.
struct GroupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "List, describe, reset, recover and delete consumer groups.",
        discussion: """
            EXAMPLES:
              gossamer group list
              gossamer group describe billing
              gossamer group describe billing --local
              gossamer group reset-offsets billing --topic orders --to earliest --dry-run
            """,
        subcommands: [
            GroupList.self, GroupDescribe.self, GroupReset.self, GroupRecover.self,
            GroupDelete.self,
        ])
}

/// What several group commands ask alike.
enum GroupQueries {
    /// The state of one group as its coordinator tells it.
    static func describe(
        _ name: String, _ client: KafkaClient
    ) async throws -> DescribeGroupsResponse.Group {
        let response = try await client.send(
            DescribeGroupsRequest(groupIDs: [name]), to: .coordinator(group: name),
            retryingUnless: { response throws(ClientError) in
                for group in response.groups
                where group.errorCode != .none && group.errorCode != .groupIDNotFound {
                    throw .refused(
                        group.errorCode, subject: "group \(name)", message: group.errorMessage)
                }
            })
        guard let group = response.groups.first, group.errorCode == .none,
            group.groupState != "Dead"
        else {
            throw CommandFailure("there is no group \(name). See: gossamer group list")
        }
        return group
    }

    /// Refuses a name that no group has.
    static func check(_ name: String) throws(UsageError) {
        guard !name.isEmpty, name.utf8.count <= 32_767 else {
            throw UsageError("group '': expected the name of a group")
        }
    }
}
