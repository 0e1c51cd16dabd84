import ArgumentParser
import Broker

/// `gossamer gossip reachability`: does a rumour get to everybody?
struct GossipReachability: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reachability",
        abstract: "Send a rumour and see whom it reaches, how fast and by how many hops.",
        discussion: """
            The broker that is asked spreads a rumour without meaning; for up to 2 s all
            brokers are asked whether they saw it. Times are by each broker's own clock.
            Exit code 10 where one that is alive was not reached, or answers by TCP only.

            EXAMPLES:
              $ gossamer gossip reachability           # UDP to member 3 is dropped
              NODE  REACHED  HOPS  FROM  AGAIN
              1     began       0  -         2
              3     +2 ms       1  1         3
              2     +4 ms       1  1         3
              all 3 reached in 4 ms, at most 1 hop
              UDP_BLOCKED: only TCP passes between 3 and 1, 2: open UDP there, both ways

              gossamer gossip reachability --from 3    # begin at member 3
            """)

    @Option(help: ArgumentHelp("The rumour's number; a random one if absent.", valueName: "n"))
    var id: UInt64?

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// A member that some brokers reach by TCP only.
    struct Blocked: Encodable, Equatable {
        let nodeId: Int32
        let seenFrom: [Int32]
    }

    /// What `-o json` prints.
    struct Answer: Encodable {
        let trace: String
        let origin: Int32
        let reached: [RumourTree.Arrival]
        let unreached: [Int32]
        let udpBlocked: [Blocked]
        let silent: [Int32]
    }

    func run() async throws {
        let probe = try await RumourProbe.run(admin, id: id ?? RumourProbe.freshID())
        let views = try await admin.ask(
            InspectionQuestion(.members, everywhere: true, patience: 500))
        let blocked = Self.blocked(views.answers)
        guard let tree = probe.tree else { throw CommandFailure(RumourProbe.nothingSeen) }
        if output.format == .json {
            try Terminal.printJSON(
                Answer(
                    trace: probe.key, origin: probe.origin, reached: tree.arrivals,
                    unreached: tree.missing, udpBlocked: blocked, silent: probe.silent))
        } else {
            Terminal.print(Self.table(tree).text(colored: Terminal.hasColor))
            for line in Self.verdict(tree, blocked, silent: probe.silent) { Terminal.print(line) }
        }
        if !tree.missing.isEmpty || !blocked.isEmpty { throw ExitCode.unhealthy }
    }

    static func blocked(_ answers: [InspectionAnswer]) -> [Blocked] {
        var observers: [Int32: [Int32]] = [:]
        for answer in answers {
            for member in answer.members ?? [] where member.isUdpBlocked {
                observers[member.nodeId, default: []].append(answer.nodeId)
            }
        }
        return observers.sorted { $0.key < $1.key }.map {
            Blocked(nodeId: $0.key, seenFrom: $0.value.sorted())
        }
    }

    static func table(_ tree: RumourTree) -> TextTable {
        var table = TextTable(["NODE", "REACHED", "HOPS", "FROM", "AGAIN"], numbers: [2, 4])
        for arrival in tree.arrivals {
            table.append([
                "\(arrival.nodeId)",
                arrival.from == nil ? "began" : "+\(arrival.milliseconds) ms",
                "\(arrival.hop ?? 0)", arrival.from.map { "\($0)" } ?? "-", "\(arrival.repeats)",
            ])
        }
        for node in tree.missing { table.append(["\(node)", "NOT REACHED", "-", "-", "-"]) }
        return table
    }

    static func verdict(_ tree: RumourTree, _ blocked: [Blocked], silent: [Int32]) -> [String] {
        var lines: [String] = []
        if tree.missing.isEmpty {
            lines.append(
                "all \(tree.reached) reached in \(tree.duration) ms, "
                    + "at most \(Counted.text(tree.depth, "hop"))")
        } else {
            let word = tree.missing.count == 1 ? "is" : "are"
            let mute = tree.missing.filter(silent.contains)
            lines.append(
                "\(NodeList.text(tree.missing)) \(word) held for alive and did not get it in 2 s"
                    + (mute.isEmpty ? "" : "; no answer from \(NodeList.text(mute)) either")
                    + ": see gossip why \(tree.missing[0])")
        }
        for hole in holes(blocked) {
            lines.append(
                "UDP_BLOCKED: only TCP passes between \(hole.nodeId) and "
                    + "\(NodeList.text(hole.seenFrom)): open UDP there, both ways")
        }
        return lines
    }

    /// Each pair once, under the member that most pairs have in common: that one is to blame.
    static func holes(_ blocked: [Blocked]) -> [Blocked] {
        var pairs = Set(
            blocked.flatMap { item in item.seenFrom.map { [item.nodeId, $0].sorted() } })
        var holes: [Blocked] = []
        while !pairs.isEmpty {
            var shares: [Int32: Int] = [:]
            for node in pairs.flatMap({ $0 }) { shares[node, default: 0] += 1 }
            let most = shares.max { ($0.value, $0.key) < ($1.value, $1.key) }
            guard let node = most?.key else { break }
            let mine = pairs.filter { $0.contains(node) }
            holes.append(
                Blocked(
                    nodeId: node, seenFrom: mine.flatMap { $0 }.filter { $0 != node }.sorted()))
            pairs.subtract(mine)
        }
        return holes
    }
}
