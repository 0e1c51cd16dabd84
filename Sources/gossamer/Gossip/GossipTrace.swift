import ArgumentParser
import Broker

/// `gossamer gossip trace`: how a value went through the mesh.
struct GossipTrace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show hop by hop how a value, or a fresh rumour, reached every broker.",
        discussion: """
            Takes the newest version of KEY that any broker has, and what each says of
            where it had it from. A broker without an arrow read the value through Paxos
            itself. --inject sends a rumour without meaning and watches it instead;
            `reachability` does the same and judges. Times are by each broker's own clock.
            Exit code 10 where a broker that is there did not get it.

            EXAMPLES:
              $ gossamer gossip trace topic/orders
              topic/orders (2, 4) 9782f224, first seen 2026-11-24T16:16:08.060Z by 2
              +0 ms  2
              +3 ms     2 -> 1
              +3 ms     2 -> 3
              reached 3 of 3 in 3 ms, 1 hop, 0 repeats

              gossamer gossip trace --inject
              gossamer gossip versions                    # for the keys there are
            """)

    @Argument(help: "The register.")
    var key: String?

    @Flag(help: "Send a fresh rumour from the broker that is asked, and trace that.")
    var inject = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let key: String
        let version: VersionReport?
        let startedAt: Int64
        let hops: [RumourTree.Arrival]
        let missing: [Int32]
        let silent: [Int32]
    }

    func validate() throws {
        guard (key == nil) == inject else {
            throw ValidationError(
                "trace: expected a key or --inject, for example: gossip trace topic/orders")
        }
    }

    func run() async throws {
        if inject {
            let probe = try await RumourProbe.run(admin, id: RumourProbe.freshID())
            guard let tree = probe.tree else { throw CommandFailure(RumourProbe.nothingSeen) }
            return try report(probe.key, nil, tree, probe.silent)
        }
        let key = key ?? ""
        let seen = try await admin.ask(
            InspectionQuestion(.events, everywhere: true, key: key, limit: 2_000))
        let tables = try await admin.ask(
            InspectionQuestion(.versions, everywhere: true, key: key))
        let copies = tables.answers.compactMap { answer in
            answer.versions?.first { $0.key == key }.map { (node: answer.nodeId, version: $0) }
        }
        guard
            let newest = copies.map(\.version).max(by: {
                ($0.counter, $0.proposer) < ($1.counter, $1.proposer)
            })
        else {
            throw CommandFailure("no broker has \(key): see gossip versions for the keys there are")
        }
        let alive = tables.answers.map(\.nodeId)
        let arrivals = Self.arrivals(EventMerge(seen.answers).events, of: newest)
        let holders = Set(copies.filter { $0.version == newest }.map(\.node))
        guard let tree = RumourTree(arrivals, alive: alive.filter { !holders.contains($0) }) else {
            throw CommandFailure(
                "\(key) at \(newest.ballotText) is older than the brokers' memory: they hold it "
                    + "since before their start. \(NodeList.text(holders.sorted())) of "
                    + "\(NodeList.text(alive.sorted())) have it")
        }
        try report(key, newest, tree, tables.silent)
    }

    /// The events by which brokers took one version.
    static func arrivals(_ events: [SeenEvent], of version: VersionReport) -> [SeenEvent] {
        events.filter {
            $0.event.kind == "valueApplied" && $0.event.key == version.key
                && $0.event.counter == version.counter && $0.event.proposer == version.proposer
        }
    }

    private func report(
        _ key: String, _ version: VersionReport?, _ tree: RumourTree, _ silent: [Int32]
    ) throws {
        if output.format == .json {
            try Terminal.printJSON(
                Answer(
                    key: key, version: version, startedAt: tree.startedAt, hops: tree.arrivals,
                    missing: tree.missing, silent: silent))
        } else {
            Terminal.print(Self.text(key, version, tree, silent))
        }
        if !tree.missing.isEmpty || !silent.isEmpty { throw ExitCode.unhealthy }
    }

    static func text(
        _ key: String, _ version: VersionReport?, _ tree: RumourTree, _ silent: [Int32]
    ) -> String {
        var head = key
        if let version {
            head += " \(version.ballotText) \(version.hash.prefix(8))"
            if version.isTombstone { head += " (deleted)" }
        }
        let start = WallClock.text(milliseconds: tree.startedAt)
        var lines = ["\(head), first seen \(start) by \(tree.arrivals.first?.nodeId ?? 0)"]
        lines += tree.lines()
        lines.append(tree.summary())
        if !silent.isEmpty { lines.append("no answer from \(NodeList.text(silent))") }
        return lines.joined(separator: "\n")
    }
}
