import ArgumentParser
import Client
import Foundation
import Model
import NIOCore

/// `gossamer produce`.
struct ProduceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "produce",
        abstract: "Send the lines of standard input to a topic, one record each.",
        discussion: """
            A line is sent as soon as no more input waits; a full pipe is sent in large batches.
            Equal keys go to equal partitions, as with Kafka's own clients.

            EXAMPLES:
              echo 'hello' | gossamer produce orders
              gossamer produce orders --key-separator : < lines.txt
              gossamer produce orders --header source=shop --partition 0 --acks 1
            """)

    @Argument(help: "Name of the topic.")
    var topic: String

    @Option(
        name: [.customShort("K"), .customLong("key-separator")],
        help: ArgumentHelp(
            "What stands between key and value on a line; lines without it have no key.",
            valueName: "text"))
    var keySeparator: String?

    @Option(
        name: [.customShort("H"), .customLong("header")],
        help: ArgumentHelp("Header of every record; repeat for more.", valueName: "name=value"))
    var header: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Send to this partition only.", valueName: "n"),
        transform: { text in try Quantities.integer(text, in: 0...Int32.max) })
    var partition: Int32?

    @Option(
        help: ArgumentHelp(
            "Wait for all in-sync replicas, the leader (1) or nobody (0).", valueName: "all|1|0"))
    var acks: String = "all"

    @Flag(help: "Send empty values as null: a tombstone in a compacted topic.")
    var tombstones = false

    @Flag(name: .shortAndLong, help: "No summary on standard error.")
    var quiet = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// The summary as `-o json` prints it.
    struct Summary: Encodable {
        var topic: String
        var records: Int
        var milliseconds: Int64
        var lastOffsets: [String: Int64]
    }

    func run() async throws {
        try TopicName.check(topic)
        let acks = try Self.acknowledgement(acks)
        let parser = LineRecords(
            separator: try Self.separator(keySeparator), headers: try Self.headers(header),
            partition: partition, tombstones: tombstones)
        let start = WallClock.milliseconds()
        let progress = try await connection.withClient { client in
            let producer = Producer(
                client, topic: topic, acks: acks, timeoutMilliseconds: connection.timeout)
            let count = try await producer.open()
            if let partition, partition >= count {
                throw CommandFailure(
                    "--partition \(partition): topic \(topic) has "
                        + "\(Counted.text(Int(count), "partition")), from 0")
            }
            try await send(parser, producer)
            return await producer.progress
        }
        try report(progress, milliseconds: WallClock.milliseconds() - start)
    }

    private func send(_ parser: LineRecords, _ producer: Producer) async throws {
        var input = LineReader(descriptor: STDIN_FILENO)
        var shown = WallClock.milliseconds()
        let isWatched = !quiet && isatty(STDERR_FILENO) == 1 && isatty(STDIN_FILENO) == 0
        while let lines = try input.next() {
            let now = Timestamp(milliseconds: WallClock.milliseconds())
            for line in lines { try await producer.send(parser.record(line, now)) }
            if !input.hasMoreWaiting { try await producer.flush() }
            if isWatched, now.milliseconds - shown >= 1_000 {
                shown = now.milliseconds
                Terminal.complain("\(await producer.progress.records) records")
            }
        }
        try await producer.flush()
    }

    private func report(_ progress: Producer.Progress, milliseconds: Int64) throws {
        switch output.format {
        case .json:
            let offsets = progress.lastOffsets.map { ("\($0.key)", $0.value) }
            try Terminal.printJSON(
                Summary(
                    topic: topic, records: progress.records, milliseconds: milliseconds,
                    lastOffsets: Dictionary(uniqueKeysWithValues: offsets)))
        case .table:
            guard !quiet else { return }
            let seconds = Double(milliseconds) / 1_000
            Terminal.complain(
                "\(Counted.text(progress.records, "record")) to \(topic) in \(seconds) s")
        }
    }

    static func acknowledgement(_ text: String) throws(UsageError) -> Acknowledgement {
        switch text {
        case "all", "-1": return .all
        case "1": return .leader
        case "0": return .none
        default: throw UsageError("--acks \(text): expected all, 1 or 0")
        }
    }

    static func separator(_ text: String?) throws(UsageError) -> [UInt8]? {
        guard let text else { return nil }
        guard !text.isEmpty else {
            throw UsageError("--key-separator '': expected one character or more, for example ':'")
        }
        return Array(Escapes.resolve(text).utf8)
    }

    static func headers(_ pairs: [String]) throws(UsageError) -> [RecordField] {
        var result: [RecordField] = []
        for pair in pairs {
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
                throw UsageError("--header \(pair): expected NAME=VALUE, for example source=shop")
            }
            result.append(
                RecordField(
                    name: ByteBuffer(substring: pair[..<equals]),
                    value: ByteBuffer(substring: pair[pair.index(after: equals)...])))
        }
        return result
    }
}
