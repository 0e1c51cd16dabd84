import ArgumentParser
import Broker

/// `gossamer cluster voters`: who votes, and who could.
struct ClusterVoters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "voters",
        abstract: "Show who votes, and who could.",
        discussion: """
            VOTE is yes, no, joining or leaving; MAY says whether a member's roles let it vote. What
            each voter holds, and how fast its disk is: `gossamer paxos roster`.

            EXAMPLES:
              gossamer cluster voters
              gossamer cluster voters -o json | jq '.members[] | select(.vote == "yes")'
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable, Equatable {
        /// One member, and what it has to do with votes.
        struct Row: Encodable, Equatable {
            let nodeId: Int32
            let state: String
            let rack: String?
            let vote: String
            let mayVote: Bool
        }

        let generation: UInt64
        let target: Int?
        let replaceAfterMilliseconds: Int64
        let hasQuorum: Bool
        let members: [Row]

        init(_ members: [MemberReport], _ roster: RosterReport) {
            generation = roster.generation
            target = roster.target
            replaceAfterMilliseconds = roster.replaceAfterMilliseconds
            hasQuorum = roster.hasQuorum
            self.members = members.map { member in
                let votes = roster.voters.contains { $0.nodeId == member.nodeId }
                let shall = roster.next?.contains { $0.nodeId == member.nodeId }
                let vote =
                    switch (votes, shall) {
                    case (true, false?): "leaving"
                    case (true, _): "yes"
                    case (false, true?): "joining"
                    case (false, _): "no"
                    }
                return Row(
                    nodeId: member.nodeId, state: member.state, rack: member.rack, vote: vote,
                    mayVote: member.roles?.contains("voter") ?? true)
            }
        }
    }

    func run() async throws {
        let members = try await admin.askOne(InspectionQuestion(.members)).members ?? []
        guard let roster = try await admin.askOne(InspectionQuestion(.roster)).roster else {
            throw CommandFailure("the broker knows no such question: it is of an older version")
        }
        let answer = Answer(members, roster)
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(Self.text(answer))
        }
        if !answer.hasQuorum { throw ExitCode.unhealthy }
    }

    static func text(_ answer: Answer) -> String {
        var table = TextTable(["ID", "STATE", "RACK", "VOTE", "MAY"])
        for row in answer.members {
            table.append([
                "\(row.nodeId)", row.state, row.rack ?? "-", row.vote, row.mayVote ? "yes" : "no",
            ])
        }
        let manner =
            answer.target.map {
                "the mesh keeps \($0), and replaces one that is away for "
                    + Durations.milliseconds(answer.replaceAfterMilliseconds)
            } ?? "only an operator changes them"
        return "roster \(answer.generation): \(manner)\n" + table.text
            + (answer.hasQuorum ? "" : "\ntoo few voters are there: nothing is decided")
    }
}
