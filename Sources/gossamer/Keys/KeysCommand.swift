import ArgumentParser
import Broker

/// `gossamer keys`: who is let in, by which secret, and who no more.
struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Make, rotate and drop the admission secret; shut members out.",
        discussion: """
            The admission secret lets new brokers join and command lines ask from
            elsewhere. A broker that has joined is known by its own key and does not need
            the secret any more, so rotating it disturbs nobody. Secrets are shown by name
            only: the first digits of a hash.

            To replace the secret without downtime:
              1. gossamer keys rotate --secret-file FILE   the new one in front, the old
                                                           one still taken
              2. copy FILE to the other machines, then: gossamer keys rotate --reload
              3. gossamer keys status                      until the old one can go
              4. gossamer keys drop-previous --secret-file FILE, copy FILE, reload again

            EXAMPLES:
              gossamer keys status
              gossamer keys rotate --secret-file /etc/gossamer/secret
              gossamer keys revoke 3
            """,
        subcommands: [
            KeysGenerate.self, KeysShow.self, KeysStatus.self, KeysRotate.self,
            KeysDropPrevious.self, KeysRevoke.self,
        ])
}

/// `gossamer keys generate`: a fresh secret in a new file.
struct KeysGenerate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Write a fresh admission secret to a new file, readable by you only.",
        discussion: """
            For machines that are set up before the mesh is begun; `gossamer cluster init`
            makes one too. Never overwrites.

            EXAMPLES:
              gossamer keys generate /etc/gossamer/secret
            """)

    @Argument(help: ArgumentHelp("Where to write it.", valueName: "file"))
    var file: String

    @OptionGroup var output: OutputOptions

    func run() async throws {
        let path = DataHome.absolute(file)
        let text = MeshSecrets.mint()
        do {
            guard try SecretFile.read(path) == nil else {
                throw CommandFailure(
                    "\(path) is there already: a secret is never overwritten. To replace it use "
                        + "gossamer keys rotate --secret-file \(path)")
            }
            try SecretFile.write(text, to: path)
        } catch let failure as SecretFile.Failure {
            throw CommandFailure("\(failure)")
        }
        let name = MeshSecrets.names(in: text).first ?? ""
        switch output.format {
        case .json: try Terminal.printJSON(["file": path, "name": name])
        case .table:
            Terminal.print("secret \(SecretStatus.short(name)) in \(path), mode 0600")
            Terminal.print(
                "next: gossamer cluster init --secret-file \(path), and copy it to every machine "
                    + "whose broker shall join")
        }
    }
}

/// `gossamer keys show`: a broker's identity.
struct KeysShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract:
            "Show a broker's public key, its admission and the names of the secrets it takes.",
        discussion: """
            Never shows a secret or a private key. -o wide lists the admissions of all
            members.

            EXAMPLES:
              gossamer keys show
              gossamer keys show --from 3 -o wide
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let nodeId: Int32
        let clusterId: String
        let keys: KeysReport
    }

    func run() async throws {
        let answer = try await admin.askOne(InspectionQuestion(.keys))
        guard let keys = answer.keys else { throw CommandFailure("no answer") }
        guard output.format != .json else {
            return try Terminal.printJSON(
                Answer(nodeId: answer.nodeId, clusterId: answer.clusterId, keys: keys))
        }
        Terminal.print(Self.text(answer.nodeId, keys))
        if output.format == .wide {
            Terminal.print(Self.admissions(keys).text(colored: Terminal.hasColor))
        }
    }

    static func text(_ node: Int32, _ keys: KeysReport) -> String {
        let own = keys.admissions.first { $0.nodeId == node }
        let shown = keys.secrets.first.map { "shows \(SecretStatus.short($0))" } ?? "has none"
        let taken = keys.secrets.dropFirst().map { ", still takes \(SecretStatus.short($0))" }
        let rows = [
            ("node", "\(node)"), ("key", keys.publicKey), ("store", own?.storeId ?? "-"),
            (
                "admission",
                own.map { "number \($0.number)\($0.isRevoked ? ", REVOKED" : "")" }
                    ?? "not admitted yet"
            ),
            ("secret", shown + taken.joined()),
            ("file", keys.secretFile ?? "none was given: nobody can join by this broker"),
        ]
        return rows.map { name, value in
            name + String(repeating: " ", count: 11 - name.count) + value
        }.joined(separator: "\n")
    }

    static func admissions(_ keys: KeysReport) -> TextTable {
        var table = TextTable(["NODE", "NUMBER", "KEY", "STORE", ""], numbers: [1])
        for admission in keys.admissions {
            table.append([
                "\(admission.nodeId)", "\(admission.number)", admission.publicKey,
                admission.storeId, admission.isRevoked ? "REVOKED" : "",
            ])
        }
        return table
    }
}

/// `gossamer keys status`, and `gossamer gossip keys`: how far a rotation is.
struct KeysStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show which broker takes which admission secret, and whether the old one can go.",
        discussion: discussion)

    static let discussion = """
        One row for each broker: the secret that it shows to others, what it takes
        besides, and how often each was needed since its start by joiners and by
        command lines elsewhere. Members are known by their keys and need none. Exit
        code 10 while the old secret can't be dropped.

        EXAMPLES:
          $ gossamer keys status
          NODE  SHOWS     ALSO TAKES  JOINS AND OPERATORS
          1     f55d18eb  a0dd5c57    f55d18eb: 0  a0dd5c57: 2
          2     a0dd5c57  -           a0dd5c57: 0               <- another secret
          3     a0dd5c57  -           a0dd5c57: 0               <- another secret
          safe to drop a0dd5c57: no, because 2, 3 show another: copy the file there,
          then gossamer keys rotate --reload

          gossamer keys status -o json | jq -r .verdict.sentence
        """

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let brokers: [SecretStatus.Row]
        let current: String?
        let previous: String?
        let verdict: SecretStatus.Verdict
        let silent: [Int32]
        let absent: [Int32]
    }

    func run() async throws { try await Self.report(admin, output.format) }

    static func report(_ admin: AdminOptions, _ format: WideFormat) async throws {
        let status = try await look(admin)
        let verdict = status.verdict
        if format == .json {
            try Terminal.printJSON(
                Answer(
                    brokers: status.rows, current: status.current, previous: status.previous,
                    verdict: verdict, silent: status.silent, absent: status.absent))
        } else {
            Terminal.print(status.table.text(colored: Terminal.hasColor))
            Terminal.print(verdict.sentence)
        }
        if verdict.isSafe == false { throw ExitCode.unhealthy }
    }

    static func look(_ admin: AdminOptions) async throws -> SecretStatus {
        let own = try await admin.askOne(InspectionQuestion(.keys))
        let answers = try await admin.ask(InspectionQuestion(.keys, everywhere: true))
        return SecretStatus(answers, reference: own.nodeId)
    }
}

/// `gossamer gossip keys`: the same under the name that people look for.
struct GossipKeys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Show which broker takes which admission secret (as `gossamer keys status`).",
        discussion: KeysStatus.discussion)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    func run() async throws { try await KeysStatus.report(admin, output.format) }
}
