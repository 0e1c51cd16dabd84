import ArgumentParser
import Broker
import Client
import KafkaProtocol

/// `gossamer cluster balance`: every partition to its preferred leader.
struct ClusterBalance: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "balance",
        abstract: "Let every partition be led by its preferred leader again.",
        discussion: """
            The preferred leader is the first of a partition's placement, and placement spreads
            leaders over all brokers. After a broker was away others lead in its place until
            somebody moves that back. Leaders hand over by themselves, so no client fails; those
            whose preferred leader is not in sync stay where they are. Exits with 10 where some
            could not be moved.

            EXAMPLES:
              $ gossamer cluster balance
              34 of 34 leaderships moved to their preferred leader
              gossamer cluster balance --dry-run
            """)

    @Flag(help: "Say what would be moved, and move nothing.")
    var dryRun = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// Leaderships that are asked for at a time: those of one request move together.
    private static let batch = 500

    /// What `-o json` prints.
    struct Answer: Encodable, Equatable {
        /// One partition that stays where it is.
        struct Failure: Encodable, Equatable {
            let topic: String
            let partition: Int32
            let reason: String
        }

        let wanted: Int
        let moved: Int
        /// Partitions whose preferred leader is not in sync: nothing was asked for them.
        let notInSync: Int
        let failures: [Failure]
    }

    /// Partitions that their preferred leader could lead and does not.
    static func misled(_ picture: ClusterPicture) -> [PartitionReport] {
        picture.partitions.filter { row in
            row.replicas.first.map { $0 != row.leader && row.live.contains($0) } ?? false
        }
    }

    func run() async throws {
        let picture = try await admin.askPicture()
        let wanted = Self.misled(picture)
        let notInSync = picture.partitions.count { row in
            row.replicas.first.map { $0 != row.leader && !row.live.contains($0) } ?? false
        }
        var failures: [Answer.Failure] = []
        if !wanted.isEmpty, !dryRun {
            failures = try await picture.withClient { client in
                try await Self.elect(wanted, client)
            }
        }
        let answer = Answer(
            wanted: wanted.count, moved: dryRun ? 0 : wanted.count - failures.count,
            notInSync: notInSync, failures: failures)
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(Self.text(answer, wanted, isDry: dryRun))
        }
        if !failures.isEmpty { throw ExitCode.unhealthy }
    }

    private static func elect(
        _ wanted: [PartitionReport], _ client: KafkaClient
    ) async throws -> [Answer.Failure] {
        var failures: [Answer.Failure] = []
        for start in stride(from: 0, to: wanted.count, by: batch) {
            let part = wanted[start..<min(start + batch, wanted.count)]
            let request = ElectLeadersRequest(
                topics: PartitionGroups.byTopic(part).map { group in
                    ElectLeadersRequest.Topic(
                        name: group.topic, partitionIndexes: group.rows.map(\.partition))
                })
            let response = try await client.send(request, to: .controller)
            guard response.errorCode == .none else {
                throw ClientError.refused(
                    response.errorCode, subject: "electing leaders", message: nil)
            }
            for topic in response.topics {
                for row in topic.partitions
                where row.errorCode != .none && row.errorCode != .electionNotNeeded {
                    failures.append(
                        Answer.Failure(
                            topic: topic.name, partition: row.index,
                            reason: row.errorMessage ?? row.errorCode.message))
                }
            }
        }
        return failures
    }

    static func text(_ answer: Answer, _ wanted: [PartitionReport], isDry: Bool) -> String {
        var lines: [String] = []
        if answer.wanted == 0 {
            lines.append("nothing to move: every preferred leader that is in sync leads")
        } else if isDry {
            lines.append(
                "\(Counted.text(answer.wanted, "partition")) would move to the preferred leader: "
                    + PartitionList.text(wanted))
        } else {
            lines.append(
                "\(answer.moved) of \(Counted.text(answer.wanted, "leadership")) moved to their "
                    + "preferred leader")
        }
        for failure in answer.failures.prefix(10) {
            lines.append("  \(failure.topic)/\(failure.partition): \(failure.reason)")
        }
        if answer.notInSync > 0 {
            lines.append(
                "\(Counted.text(answer.notInSync, "partition")) stay: the preferred leader is not "
                    + "in sync")
        }
        return lines.joined(separator: "\n")
    }
}
