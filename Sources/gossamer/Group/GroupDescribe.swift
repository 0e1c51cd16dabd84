import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer group describe`.
struct GroupDescribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show members, positions and lag of consumer groups.",
        discussion: """
            LAG is the log's end minus the committed position. A partition that a member holds
            without a commit shows '-'. The coordinator is asked, and the leaders; where it can't be
            reached, or with --local, the copy that a broker on this machine (or the one that
            --data-dir or --via names) keeps of all positions is shown, with its age: nobody is
            asked for that.

            EXAMPLES:
              gossamer group describe billing
              gossamer group describe billing -o json
              gossamer group describe billing --local --data-dir /var/lib/gossamer
            """)

    @Argument(help: "Names of groups.")
    var groups: [String]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var copies: CopyOptions
    @OptionGroup var output: OutputOptions

    /// One group as `-o json` prints it.
    struct Description: Encodable, Equatable {
        var group: String
        var state: String
        var protocolName: String
        var members: Int
        var lag: Int64
        var partitions: [Row]
    }

    /// One partition as `-o json` prints it.
    struct Row: Encodable, Equatable {
        var topic: String
        var partition: Int32
        var currentOffset: Int64?
        var logEndOffset: Int64?
        var lag: Int64?
        var consumerId: String?
        var host: String?
        var clientId: String?
    }

    func run() async throws {
        for group in groups { try GroupQueries.check(group) }
        if copies.local { return try await showCopies() }
        let found: [Description]
        do {
            found = try await connection.withClient { client in
                var found: [Description] = []
                for group in groups { found.append(try await Self.describe(group, client)) }
                return found
            }
        } catch let error as ClientError {
            guard copies.admin.isNamed || copies.admin.isAtHand else { throw error }
            Terminal.complain("\(error). What follows is a broker's own copy")
            return try await showCopies()
        }
        switch output.format {
        case .json: try Terminal.printJSON(["groups": found])
        case .table: Terminal.print(found.map(Self.text).joined(separator: "\n\n"))
        }
    }

    private func showCopies() async throws {
        let found = try await GroupCopies.describe(groups, copies.admin)
        switch output.format {
        case .json: try Terminal.printJSON(found)
        case .table:
            Terminal.print(
                found.groups.map { GroupCopies.text($0, of: found.broker) }
                    .joined(separator: "\n\n"))
        }
    }

    static func describe(_ name: String, _ client: KafkaClient) async throws -> Description {
        let group = try await GroupQueries.describe(name, client)
        let committed = try await client.committedOffsets(group: name)
        var holders: [TopicPartitionName: DescribeGroupsResponse.Member] = [:]
        for member in group.members {
            let held = MembershipCodec.partitions(ofAssignment: member.memberAssignment) ?? []
            for partition in held { holders[partition] = member }
        }
        let names = Set(committed.keys).union(holders.keys).sorted()
        let ends = await ends(of: names, client)
        let rows = names.map { name in
            row(name, committed[name], ends[name], holders[name])
        }
        return Description(
            group: name, state: group.groupState, protocolName: group.protocolData,
            members: group.members.count, lag: rows.compactMap(\.lag).reduce(0, +),
            partitions: rows)
    }

    static func row(
        _ name: TopicPartitionName, _ committed: Int64?, _ end: Int64?,
        _ holder: DescribeGroupsResponse.Member?
    ) -> Row {
        var lag: Int64?
        if let committed, let end { lag = max(0, end - committed) }
        return Row(
            topic: name.topic, partition: name.partition, currentOffset: committed,
            logEndOffset: end, lag: lag, consumerId: holder?.memberID, host: holder?.clientHost,
            clientId: holder?.clientID)
    }

    /// The ends that can be had: a committed topic may have been deleted since.
    private static func ends(
        of names: [TopicPartitionName], _ client: KafkaClient
    ) async -> [TopicPartitionName: Int64] {
        if let all = try? await client.offsets(of: .latest, in: names) { return all }
        var result: [TopicPartitionName: Int64] = [:]
        for name in names {
            result[name] = try? await client.offsets(of: .latest, in: [name])[name]
        }
        return result
    }

    static func text(_ group: Description) -> String {
        var table = TextTable(
            [
                "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",
                "CONSUMER-ID", "HOST", "CLIENT-ID",
            ], numbers: [2, 3, 4, 5])
        for row in group.partitions {
            table.append([
                group.group, row.topic, "\(row.partition)",
                row.currentOffset.map(String.init) ?? "-",
                row.logEndOffset.map(String.init) ?? "-", row.lag.map(String.init) ?? "-",
                row.consumerId ?? "-", row.host ?? "-", row.clientId ?? "-",
            ])
        }
        let head =
            "group \(group.group): \(group.state), \(Counted.text(group.members, "member")), "
            + "lag \(group.lag)"
        return head + "\n" + table.text
    }
}
