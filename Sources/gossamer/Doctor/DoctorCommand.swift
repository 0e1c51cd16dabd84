import ArgumentParser
import Broker

/// `gossamer doctor`: what an operator should know of a mesh.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look a mesh over: one line for each thing that an operator should know.",
        discussion: """
            Each line says what is wrong, why it matters, and what to do. Looks at partitions,
            voters, members, versions, disks, clocks and settings of every broker that is there.
            Exits with 10 where it finds anything.

            EXAMPLES:
              gossamer doctor
              gossamer doctor --via 10.0.0.2:7946 --secret-file secret
              gossamer doctor -o json | jq -r '.findings[].name'
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable, Equatable {
        let clusterId: String
        let brokers: Int
        let voters: Int
        let partitions: Int
        let findings: [Finding]
    }

    func run() async throws {
        let picture = try await admin.askPicture()
        let health = try await admin.ask(InspectionQuestion(.health, everywhere: true))
        let rosters = try await admin.ask(InspectionQuestion(.roster, everywhere: true))
        let examination = Examination(
            picture: picture, health: health, rosters: rosters.answers)
        let answer = Answer(
            clusterId: picture.clusterId, brokers: picture.members.count,
            voters: picture.roster.voters.count, partitions: picture.partitions.count,
            findings: examination.findings)
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(Self.text(answer))
        }
        if !answer.findings.isEmpty { throw ExitCode.unhealthy }
    }

    static func text(_ answer: Answer) -> String {
        let looked =
            "\(Counted.text(answer.brokers, "broker")), \(Counted.text(answer.voters, "voter")), "
            + "\(Counted.text(answer.partitions, "partition")) looked at"
        guard !answer.findings.isEmpty else { return "nothing found: \(looked)" }
        let width = answer.findings.map(\.name.count).max() ?? 0
        let lines = answer.findings.map { finding in
            finding.name + String(repeating: " ", count: width - finding.name.count + 2)
                + "\(finding.what). \(finding.why). Do: \(finding.action)."
        }
        return (lines + ["\(Counted.text(answer.findings.count, "finding")); \(looked)"])
            .joined(separator: "\n")
    }
}

/// One thing that an operator should know.
struct Finding: Encodable, Equatable {
    /// For scripts: it stays the same between versions.
    let name: String
    let what: String
    let why: String
    let action: String
    /// The brokers that it is about.
    let nodes: [Int32]

    init(_ name: String, _ what: String, why: String, do action: String, nodes: [Int32] = []) {
        self.name = name
        self.what = what
        self.why = why
        self.action = action
        self.nodes = nodes
    }
}
