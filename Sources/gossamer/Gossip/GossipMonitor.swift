import ArgumentParser
import Broker

/// `gossamer gossip monitor`: what happens, as it happens.
struct GossipMonitor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "monitor",
        abstract: "Follow what happens in the mesh, as one broker or as all see it.",
        discussion: """
            One line for each event: time (UTC), the broker that saw it, what happened.
            Runs until Ctrl-C. With --all the brokers' events are merged by time. -o json
            prints one object a line. Probes that are answered in time make no event: a
            quiet mesh prints nothing.

            KINDS: \(EventKinds.all.joined(separator: ", "))

            EXAMPLES:
              $ gossamer gossip monitor --all --kind refutedOwn --kind rejoined --count 3
              16:33:59.860  3  refuted what 1 said of this broker: incarnation 1
              16:33:59.862  1  3 is BACK
              16:33:59.862  2  3 is BACK

              gossamer gossip monitor --all --node 3 --kind suspected --kind declaredDead
              gossamer gossip monitor --last 20 --count 20
              gossamer gossip monitor -o json | jq 'select(.event.kind == "traced")'
            """)

    @Flag(help: "Follow all brokers.")
    var all = false

    @Option(help: ArgumentHelp("Events of this kind only; may be repeated.", valueName: "kind"))
    var kind: [String] = []

    @Option(help: ArgumentHelp("Events about this member only.", valueName: "n"))
    var node: Int32?

    @Option(help: ArgumentHelp("End after so many events.", valueName: "n"))
    var count: Int?

    @Option(help: ArgumentHelp("Begin with so many that happened before.", valueName: "n"))
    var last: Int = 0

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    func validate() throws {
        for kind in kind where !EventKinds.all.contains(kind) {
            let near = NearestWord.of(kind, in: EventKinds.all).map { ", did you mean \($0)?" }
            throw ValidationError(
                "--kind \(kind): no such kind of event\(near ?? ""); see gossip monitor --help")
        }
        guard count.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--count \(count ?? 0): expected a number from 1")
        }
        guard last >= 0 else { throw ValidationError("--last \(last): expected a number from 0") }
    }

    func run() async throws {
        let stop = await Interruption.flag()
        var follower = EventFollower(kinds: Set(kind), node: node, last: last)
        var printed = 0
        while !stop.isSet {
            let answers = try await admin.ask(follower.question(everywhere: all))
            for seen in follower.take(answers.answers, now: WallClock.milliseconds()) {
                Terminal.print(
                    output.format == .json
                        ? try JSONText.line(seen) : seen.line(now: seen.event.at))
                printed += 1
                if printed == count { return }
            }
            try await Interruption.pause(milliseconds: admin.pollMilliseconds, stop)
        }
    }
}

/// Words for what happens, as `--kind` takes them.
enum EventKinds {
    static let all = [
        "acceptorHalted", "confirmed", "datagramsBlocked", "declaredDead", "departed",
        "digestsDiffered", "duplicateIdentity", "duplicateStore", "forged", "healthChanged",
        "helperAnswered",
        "helpersAsked", "isolated", "joined", "linkAnswered", "linkFailed", "linkProbed",
        "malformed", "malformedAdmission", "outOfPlace", "probeFailed", "probeUnanswered",
        "refusedBytes", "refuted", "refutedOwn", "rejoined", "restarted", "revoked",
        "rosterLearned", "rosterProgress", "rosterChanged", "outOfTurn", "beginningDelayed",
        "splitVersion", "suspected",
        "suspicionWithheld", "traced",
        "valueApplied", "valueDoubted", "valueWanted",
    ]
}

/// Remembers how far each broker's events were read, and which of them are wanted.
struct EventFollower {
    let kinds: Set<String>
    let node: Int32?
    /// How many of what happened before the start are wanted.
    let last: Int
    private var cursors: [Int32: UInt64] = [:]
    private var startedAt: Int64?

    /// A broker that has no event yet has no number to go on from; this one is before all.
    private static let beforeAll: UInt64 = 1 << 62
    /// More than happen in a poll of a mesh in uproar.
    private static let batch = 2_000

    init(kinds: Set<String>, node: Int32?, last: Int) {
        self.kinds = kinds
        self.node = node
        self.last = last
    }

    func question(everywhere: Bool) -> InspectionQuestion {
        InspectionQuestion(
            .events, everywhere: everywhere, node: node,
            limit: startedAt == nil && kinds.isEmpty ? max(1, last) : Self.batch,
            cursors: cursors.isEmpty
                ? nil : cursors.map { EventCursor(nodeId: $0.key, after: $0.value) },
            patience: 500)
    }

    /// The wanted ones of what is new, in order of time.
    mutating func take(_ answers: [InspectionAnswer], now: Int64) -> [SeenEvent] {
        let isFirst = startedAt == nil
        let start = startedAt ?? now
        startedAt = start
        var fresh = answers
        for index in fresh.indices {
            let answer = fresh[index]
            let known = cursors[answer.nodeId]
            if let number = answer.events?.last?.number {
                cursors[answer.nodeId] = number
            } else if known == nil {
                cursors[answer.nodeId] = Self.beforeAll
            }
            // One that was silent at first tells old stories: older than this view.
            if known == nil, !isFirst {
                fresh[index].events?.removeAll { answer.at - $0.at > now - start }
            }
        }
        let events = EventMerge(fresh).events.filter {
            kinds.isEmpty || kinds.contains($0.event.kind)
        }
        return isFirst ? events.suffix(last) : events
    }
}
