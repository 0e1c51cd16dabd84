import ArgumentParser
import Broker

/// `gossamer gossip rtt`: how long probes take, measured and not estimated.
struct GossipRTT: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rtt",
        abstract: "Show the round trips that the probes measured, between all or between two.",
        discussion: """
            Each cell is the middle and the 99th percentile of the last direct probes by
            UDP from the broker of the row to the one of the column. `-` where none was
            answered lately.

            EXAMPLES:
              $ gossamer gossip rtt
              FROM \\ TO  1               2              3
              1          .               0.82 / 2.3 ms  0.79 / 0.94 ms
              2          0.83 / 0.83 ms  .              0.83 / 1.1 ms
              3          0.86 / 1.0 ms   0.84 / 1.0 ms  .
              $ gossamer gossip rtt 1 3
              1 -> 3  p50 0.79 ms  p99 0.94 ms
              3 -> 1  p50 0.86 ms  p99 1.0 ms
            """)

    @Argument(help: ArgumentHelp("One member.", valueName: "a"))
    var first: Int32?

    @Argument(help: ArgumentHelp("The other member.", valueName: "b"))
    var second: Int32?

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// Probes of one broker to another.
    struct Trip: Encodable, Equatable {
        let from: Int32
        let to: Int32
        let p50Microseconds: Int?
        let p99Microseconds: Int?
    }

    /// What `-o json` prints.
    struct Answer: Encodable {
        let trips: [Trip]
        let silent: [Int32]
    }

    func validate() throws {
        guard (first == nil) == (second == nil) else {
            throw ValidationError("rtt \(first ?? 0): expected two members, for example: rtt 1 3")
        }
    }

    func run() async throws {
        let seen = try await admin.ask(InspectionQuestion(.members, everywhere: true))
        var trips = Self.trips(seen.answers)
        if let first, let second {
            let pair = Set([first, second])
            trips = trips.filter { pair == [$0.from, $0.to] }
            guard !trips.isEmpty else {
                throw CommandFailure(
                    "neither \(first) nor \(second) answers and knows the other: see gossip members"
                )
            }
        }
        guard output.format != .json else {
            return try Terminal.printJSON(Answer(trips: trips, silent: seen.silent))
        }
        if first != nil {
            for trip in trips { Terminal.print(Self.line(trip)) }
        } else {
            Terminal.print(Self.matrix(trips).text(colored: Terminal.hasColor))
        }
        if !seen.silent.isEmpty {
            Terminal.print("no answer from \(NodeList.text(seen.silent))")
        }
    }

    static func trips(_ answers: [InspectionAnswer]) -> [Trip] {
        answers.flatMap { answer in
            (answer.members ?? []).filter { !$0.isSelf }.map {
                Trip(
                    from: answer.nodeId, to: $0.nodeId,
                    p50Microseconds: $0.roundTripMicrosecondsP50,
                    p99Microseconds: $0.roundTripMicrosecondsP99)
            }
        }
    }

    static func line(_ trip: Trip) -> String {
        guard let middle = trip.p50Microseconds else {
            return "\(trip.from) -> \(trip.to)  no answer by UDP yet"
        }
        return "\(trip.from) -> \(trip.to)  p50 \(Durations.microseconds(middle))  "
            + "p99 \(Durations.microseconds(trip.p99Microseconds))"
    }

    static func matrix(_ trips: [Trip]) -> TextTable {
        let columns = Set(trips.map(\.to)).sorted()
        let rows = Set(trips.map(\.from)).sorted()
        var table = TextTable(["FROM \\ TO"] + columns.map { "\($0)" })
        for row in rows {
            table.append(
                ["\(row)"]
                    + columns.map { column in
                        guard row != column,
                            let trip = trips.first(where: { $0.from == row && $0.to == column }),
                            trip.p50Microseconds != nil
                        else { return row == column ? "." : "-" }
                        let middle = Durations.microseconds(trip.p50Microseconds).dropLast(3)
                        return "\(middle) / \(Durations.microseconds(trip.p99Microseconds))"
                    })
        }
        return table
    }
}
