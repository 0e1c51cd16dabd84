import ArgumentParser
import Broker
import Client
import KafkaProtocol

/// `gossamer cluster drain`: a broker that shall hold nothing.
struct ClusterDrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Move all leaderships and copies off a broker, then say that it can go.",
        discussion: """
            Another broker copies each partition first, then takes the place of this one: no
            partition has fewer copies at any moment. Refused where a partition has a copy on every
            other broker already. One that is dead or forgotten can be drained too: its copies are
            made from those of the others. New topics are placed on it as long as it is a broker:
            with `roles: [voter]` they are not. It votes on: gossamer cluster remove-voter. Waits
            for the end; interrupt it, and the moves go on: run it again to wait for them. A move
            that is refused is asked for again for a while, and the others go on; what can't be
            moved is listed at the end, with exit code 1.

            EXAMPLES:
              $ gossamer cluster drain 3
              33 partitions to move
              3 holds nothing after 4.2 s
              gossamer cluster drain 3 --dry-run
            """)

    @Argument(help: "The broker.")
    var node: Int32

    @Flag(help: "Say what would be moved, and move nothing.")
    var dryRun = false

    @Flag(help: "Begin the moves and do not wait for their end.")
    var noWait = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// Moves that are asked for at a time.
    private static let batch = 200
    private static let pauseMilliseconds = 250
    /// How often a refused move is asked for: for ten seconds and more, in which a partition that
    /// changes hands has settled.
    private static let attemptsMaximum = 40

    /// What `-o json` prints.
    struct Answer: Encodable, Equatable {
        /// One partition and who holds it afterwards.
        struct Move: Encodable, Equatable {
            let topic: String
            let partition: Int32
            let from: [Int32]
            let to: [Int32]
        }

        let drained: Int32
        let moves: [Move]
        /// A move that was refused to the end, and why.
        struct Refusal: Encodable, Equatable {
            let topic: String
            let partition: Int32
            let reason: String
        }

        /// Partitions with a copy on it yet.
        let left: Int
        let refused: [Refusal]
        let milliseconds: Int64
    }

    func run() async throws {
        let start = WallClock.milliseconds()
        let picture = try await admin.askPicture()
        let isHolder = picture.partitions.contains { $0.replicas.contains(node) }
        guard picture.member(node) != nil || isHolder else {
            throw CommandFailure("no member \(node): see gossamer gossip members")
        }
        let plan = DrainPlan(of: node, in: picture)
        if let refusal = Self.refusal(plan) { throw CommandFailure(refusal) }
        if !dryRun {
            if output.format == .table, !plan.moves.isEmpty {
                Terminal.print("\(Counted.text(plan.moves.count, "partition")) to move")
            }
        }
        var refused: [Answer.Refusal] = []
        if !dryRun {
            refused = try await picture.withClient { client in
                try await Self.begin(plan.moves, client)
            }
        }
        var left = plan.moves.map(\.partition)
        while DrainPlan.isMoving(left, refused: refused), !dryRun, !noWait {
            try await Task.sleep(for: .milliseconds(Self.pauseMilliseconds))
            left = plan.left(in: try await admin.askPartitions())
        }
        let answer = Answer(
            drained: node,
            moves: plan.moves.map {
                Answer.Move(
                    topic: $0.partition.topic, partition: $0.partition.partition,
                    from: $0.partition.replicas, to: $0.replicas)
            }, left: left.count, refused: refused, milliseconds: WallClock.milliseconds() - start)
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(Self.text(answer, isDry: dryRun, picture.votes(node)))
        }
        if !refused.isEmpty { throw ExitCode(1) }
    }

    static func refusal(_ plan: DrainPlan) -> String? {
        guard let first = plan.stuck.first else { return nil }
        return "\(Counted.text(plan.stuck.count, "partition")) can't leave \(plan.node): no other "
            + "broker is there that has no copy of it already (\(PartitionList.text(plan.stuck))). "
            + "Start another broker; \(first.topic) has \(first.replicas.count) copies"
    }

    /// Asks for the moves, and again for those that are refused; those that were to the end.
    private static func begin(
        _ moves: [DrainPlan.Move], _ client: KafkaClient
    ) async throws -> [Answer.Refusal] {
        var open = moves
        var refusals: [Answer.Refusal] = []
        for attempt in 0..<attemptsMaximum where !open.isEmpty {
            if attempt > 0 { try await Task.sleep(for: .milliseconds(pauseMilliseconds)) }
            refusals = []
            for start in stride(from: 0, to: open.count, by: batch) {
                let part = open[start..<min(start + batch, open.count)]
                refusals += try await ask(for: part, client)
            }
            let names = Set(refusals.map { "\($0.topic)/\($0.partition)" })
            open = open.filter {
                names.contains("\($0.partition.topic)/\($0.partition.partition)")
            }
        }
        return refusals
    }

    private static func ask(
        for moves: ArraySlice<DrainPlan.Move>, _ client: KafkaClient
    ) async throws -> [Answer.Refusal] {
        var topics: [AlterPartitionReassignmentsRequest.Topic] = []
        for move in moves {
            let row = AlterPartitionReassignmentsRequest.Partition(
                index: move.partition.partition, replicas: move.replicas)
            if topics.last?.name == move.partition.topic {
                topics[topics.count - 1].partitions.append(row)
            } else {
                topics.append(.init(name: move.partition.topic, partitions: [row]))
            }
        }
        let response = try await client.send(
            AlterPartitionReassignmentsRequest(topics: topics), to: .controller)
        guard response.errorCode == .none else {
            throw ClientError.refused(
                response.errorCode, subject: "moving partitions", message: response.errorMessage)
        }
        return response.topics.flatMap { topic in
            topic.partitions.filter { $0.errorCode != .none }.map { row in
                Answer.Refusal(
                    topic: topic.name, partition: row.index,
                    reason: row.errorMessage ?? "\(row.errorCode)")
            }
        }
    }

    static func text(_ answer: Answer, isDry: Bool, _ isVoter: Bool) -> String {
        var lines: [String] = []
        if isDry {
            lines = answer.moves.map { move in
                "\(move.topic)/\(move.partition): \(NodeList.text(move.from)) -> "
                    + NodeList.text(move.to)
            }
            lines.append("\(Counted.text(answer.moves.count, "partition")) would move")
        } else if !answer.refused.isEmpty {
            lines = answer.refused.map { "\($0.topic)/\($0.partition): \($0.reason)" }
            lines.append(
                "\(answer.drained) has copies of \(Counted.text(answer.left, "partition")) yet: "
                    + "\(Counted.text(answer.refused.count, "move")) refused")
        } else if answer.left > 0 {
            lines.append(
                "\(answer.drained) has copies of \(Counted.text(answer.left, "partition")) yet; "
                    + "they are on the move")
        } else {
            lines.append(
                answer.moves.isEmpty
                    ? "\(answer.drained) holds nothing"
                    : "\(answer.drained) holds nothing after "
                        + Durations.milliseconds(answer.milliseconds))
        }
        if isVoter, !isDry {
            lines.append("it votes yet: gossamer cluster remove-voter \(answer.drained)")
        }
        return lines.joined(separator: "\n")
    }
}
