import ArgumentParser
import Client
import Foundation
import KafkaProtocol
import UnixSignals

/// `gossamer consume`.
struct ConsumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consume",
        abstract: "Print the records of topics, until Ctrl-C or as many as asked for.",
        discussion: """
            Without --group every partition is read and nothing is remembered. With --group the
            partitions are shared with the other members and positions are committed; --from then
            only counts where nothing is committed yet.

            FORMAT: %t topic, %p partition, %o offset, %k key, %v value, %T timestamp, %h headers,
            %K and %S lengths of key and value, %% percent; \\n \\t \\r \\0 \\\\ \\xHH. \
            -o json prints an object a line.

            EXAMPLES:
              gossamer consume orders
              gossamer consume orders --from beginning --exit-at-end --format '%p/%o %k %v\\n'
              gossamer consume orders --from -10 --exit-at-end
              gossamer consume orders --from 2026-11-22T14:00:00Z --count 100 -o json
              gossamer consume orders payments --group billing
            """)

    @Argument(help: "Names of topics.")
    var topics: [String]

    @Option(
        name: [.customShort("g"), .customLong("group")],
        help: ArgumentHelp("Join this consumer group.", valueName: "name"))
    var group: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "beginning, end, an offset, -N (before the end), a time or a duration ago. "
                + "Default: end; beginning with --exit-at-end.", valueName: "position"))
    var from: String?

    @Option(help: ArgumentHelp("Only this partition; repeat for more.", valueName: "n"))
    var partition: [Int32] = []

    @Option(
        name: [.customShort("c"), .customLong("count")],
        help: ArgumentHelp("Stop after so many records.", valueName: "n"),
        transform: { text in try Quantities.integer(text, in: 1...Int.max) })
    var count: Int?

    @Option(name: .shortAndLong, help: ArgumentHelp("How a record is printed.", valueName: "text"))
    var format: String?

    @Flag(
        name: [.customShort("e"), .customLong("exit-at-end")], help: "Stop at what is the end now.")
    var exitAtEnd = false

    @Flag(name: .shortAndLong, help: "No summary on standard error.")
    var quiet = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let plan = try plan(now: WallClock.milliseconds())
        let printed = try await connection.withClient { client in
            try await Self.untilInterrupted { stop in
                let session = ConsumeSession(plan: plan, client: client, stop: stop)
                return try await session.run()
            }
        }
        if !quiet, isatty(STDERR_FILENO) == 1 {
            Terminal.complain(Counted.text(printed, "record"))
        }
    }

    /// Checks everything that can be checked without a broker.
    func plan(now: Int64) throws(UsageError) -> ConsumePlan {
        for topic in topics { try TopicName.check(topic) }
        if format != nil, output.format == .json {
            throw UsageError("--format and -o json exclude each other")
        }
        if group != nil, !partition.isEmpty {
            throw UsageError("--group and --partition exclude each other: a group shares them out")
        }
        if group?.isEmpty == true { throw UsageError("--group '': expected a name") }
        var position: LogPosition = exitAtEnd ? .beginning : .end
        if let from {
            do {
                position = try LogPosition(from, now: now)
            } catch {
                throw UsageError("--from \(from): \(error)")
            }
        }
        var form = RecordFormat.standard
        if let format { form = try RecordFormat(format) }
        return ConsumePlan(
            topics: Array(Set(topics)).sorted(), group: group, position: position,
            partitions: Set(partition), count: count, exitAtEnd: exitAtEnd,
            format: output.format == .json ? nil : form)
    }

    /// Runs `body` until it returns or a signal asks it to stop; a second signal ends the process.
    private static func untilInterrupted(
        _ body: @escaping @Sendable (StopFlag) async throws -> Int
    ) async throws -> Int {
        let stop = StopFlag()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let watcher = Task {
            for await _ in signals {
                if stop.isSet { _exit(130) }
                stop.set()
            }
        }
        defer { watcher.cancel() }
        return try await body(stop)
    }
}

/// What `consume` was asked to do, checked.
struct ConsumePlan: Equatable, Sendable {
    var topics: [String]
    var group: String?
    var position: LogPosition
    var partitions: Set<Int32>
    var count: Int?
    var exitAtEnd: Bool
    /// Nil prints JSON.
    var format: RecordFormat?
}
