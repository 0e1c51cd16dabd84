import ArgumentParser
import Broker

/// What came of a change of the voters.
struct VoterChangeResult: Encodable, Equatable {
    let generation: UInt64
    let voters: [Int32]
    let milliseconds: Int64
}

extension AdminOptions {
    /// Registers of a large mesh are copied within seconds; who waits longer should look.
    private static let changePatienceMilliseconds: Int64 = 60_000
    private static let changePauseMilliseconds = 50
    /// Far longer than a chosen value takes to reach every broker.
    private static let hearingMilliseconds: Int64 = 5_000

    /// Whoever was overtaken by another change asks again, on top of that one.
    private static let changeAttempts = 5

    /// Has a voter change who votes, and returns once that is in effect.
    func changeVoters(
        _ verb: InspectionQuestion.Verb, _ node: Int32? = nil, asking voter: Int32? = nil
    ) async throws -> VoterChangeResult {
        let start = WallClock.milliseconds()
        let asked: Int32
        if let voter { asked = voter } else { asked = try await voterToAsk() }
        for _ in 1...Self.changeAttempts {
            try await awaitNewestRoster(at: asked)
            let begun = try await ask(InspectionQuestion(verb, node: node, target: asked))
            let wanted = begun.answers.first?.begun ?? []
            if let roster = try await follow(wanted, at: asked) {
                return VoterChangeResult(
                    generation: roster.generation, voters: roster.voters.map(\.nodeId),
                    milliseconds: WallClock.milliseconds() - start)
            }
        }
        throw CommandFailure("other changes of the voters come first all the time: ask again later")
    }

    /// A voter that has not heard of the last change would begin on top of the one before.
    private func awaitNewestRoster(at voter: Int32) async throws {
        let end = WallClock.milliseconds() + Self.hearingMilliseconds
        while WallClock.milliseconds() < end {
            let seen = try await ask(InspectionQuestion(.roster, everywhere: true))
            let known = seen.answers.compactMap { answer in
                answer.roster.map { (answer.nodeId, $0.generation) }
            }
            let own = known.first { $0.0 == voter }?.1
            if own == known.map(\.1).max() { return }
            try await Task.sleep(for: .milliseconds(Self.changePauseMilliseconds))
        }
    }

    /// The roster once it is as wanted; nil where another change came first.
    private func follow(_ wanted: [Int32], at voter: Int32) async throws -> RosterReport? {
        let start = WallClock.milliseconds()
        while WallClock.milliseconds() - start < Self.changePatienceMilliseconds {
            try await Task.sleep(for: .milliseconds(Self.changePauseMilliseconds))
            let roster = try await askRoster(voter)
            guard roster.phase == "idle" else { continue }
            if roster.next == nil, Set(roster.voters.map(\.nodeId)) == Set(wanted) {
                return roster
            }
            guard let outcome = roster.lastOutcome, let age = roster.lastOutcomeMilliseconds,
                age <= WallClock.milliseconds() - start
            else { continue }
            if roster.wasSuperseded == true { return nil }
            throw CommandFailure("not changed: \(outcome)")
        }
        throw CommandFailure(
            "the change is not through after "
                + "\(Self.changePatienceMilliseconds / 1_000) s; it goes on by itself: see "
                + "gossamer paxos roster")
    }

    func askRoster(_ node: Int32) async throws -> RosterReport {
        let answers = try await ask(InspectionQuestion(.roster, target: node))
        guard let roster = answers.answers.first?.roster else {
            throw CommandFailure(
                "broker \(node) knows no such question: it is of an older version")
        }
        return roster
    }

    /// A voter that is there: the broker that is reached, where it votes.
    func voterToAsk(except node: Int32? = nil) async throws -> Int32 {
        let answer = try await askOne(InspectionQuestion(.members))
        let voters = (answer.members ?? []).filter {
            $0.isVoter && $0.state == "alive" && $0.nodeId != node
        }
        guard let voter = voters.first(where: \.isSelf) ?? voters.first else {
            throw CommandFailure("no voter is there: start the voters first")
        }
        return voter.nodeId
    }
}

/// `gossamer cluster add-voter`: one more voter.
struct ClusterAddVoter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-voter",
        abstract: "Let a member vote.",
        discussion: """
            Three or five voters are right for most meshes: with an even number one more has to be
            there to decide, and no more may fail. The mesh makes voters by itself up to
            voters.target; this is for meshes whose target is `fixed`, and for a voter more.
            Returns once the change is in effect.

            EXAMPLES:
              $ gossamer cluster add-voter 4
              roster 7: 1, 2, 3, 4 vote, after 120 ms
              an even number of voters survives no more failures than one fewer
            """)

    @Argument(help: "The member.")
    var node: Int32

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let result = try await admin.changeVoters(.addVoter, node)
        try VoterText.print(result, output.format)
    }
}

/// `gossamer cluster remove-voter`: one voter fewer, or another in its place.
struct ClusterRemoveVoter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove-voter",
        abstract: "Let a member vote no more.",
        discussion: """
            Where the mesh keeps a number of voters by itself (voters.target), another member takes
            its place in the same change. The member stays a broker. Its promises go with its vote:
            to bring it back is as good as a new voter. Returns once the change is in effect.

            EXAMPLES:
              $ gossamer cluster remove-voter 3
              roster 9: 1, 2, 4 vote, after 133 ms
            """)

    @Argument(help: "The member.")
    var node: Int32

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        // Not by the one that goes, where another can: it would not see the end.
        let other = try? await admin.voterToAsk(except: node)
        let result = try await admin.changeVoters(.removeVoter, node, asking: other)
        try VoterText.print(result, output.format)
    }
}

/// What the two say at the end.
enum VoterText {
    static func print(_ result: VoterChangeResult, _ format: OutputFormat) throws {
        switch format {
        case .json: try Terminal.printJSON(result)
        case .table: Terminal.print(text(result))
        }
    }

    static func text(_ result: VoterChangeResult) -> String {
        var text =
            "roster \(result.generation): \(NodeList.text(result.voters)) "
            + "\(result.voters.count == 1 ? "votes" : "vote"), after \(result.milliseconds) ms"
        if result.voters.count % 2 == 0 {
            text += "\nan even number of voters survives no more failures than one fewer"
        }
        return text
    }
}
