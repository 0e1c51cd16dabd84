import ArgumentParser
import Broker

/// The secret file that the broker on this machine reads, changed and read again.
struct LocalSecret {
    let path: String
    let text: String

    init(_ file: String) throws {
        path = DataHome.absolute(file)
        do {
            guard let text = try SecretFile.read(path) else {
                throw CommandFailure(
                    "\(path): no such file. A first one is made by gossamer keys generate")
            }
            self.text = text
        } catch let failure as SecretFile.Failure {
            throw CommandFailure("\(failure)")
        }
    }

    var names: [String] { MeshSecrets.names(in: text) }

    func replace(with text: String) throws {
        do {
            try SecretFile.write(text, to: path)
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    /// Throws where the broker that is asked reads another file.
    func check(isReadBy answer: InspectionAnswer) throws {
        guard let read = answer.keys?.secretFile else {
            throw CommandFailure(
                "broker \(answer.nodeId) was started without --secret-file and takes no secret")
        }
        guard DataHome.absolute(read) == path else {
            throw CommandFailure(
                "broker \(answer.nodeId) reads \(read), not \(path): name that file, or another "
                    + "broker with --data-dir")
        }
    }
}

/// `gossamer keys rotate`: a fresh secret in front of the one that is shown now.
struct KeysRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Put a fresh admission secret in front of the current one, with no downtime.",
        discussion: """
            First step, on one machine: --secret-file FILE writes a fresh secret in front
            of the current one and lets the broker there read it again; both are taken.
            Second step, after FILE was copied to the other machines: --reload lets every
            broker read its file again. No link is closed, and brokers that have joined
            need no secret at all; only who joins meanwhile needs the file that the broker
            it asks has.

            EXAMPLES:
              $ gossamer keys rotate --secret-file /tmp/cli-mesh/secret1
              1 shows the new secret f55d18eb and still takes a0dd5c57
              next: 1. copy /tmp/cli-mesh/secret1 to the machines of 2, 3, mode 0600
                    2. gossamer keys rotate --reload
                    3. gossamer keys status, until it says that a0dd5c57 can go
                    4. gossamer keys drop-previous --secret-file /tmp/cli-mesh/secret1
              $ gossamer keys rotate --reload
              1 shows f55d18eb, still takes a0dd5c57
              2 shows f55d18eb, still takes a0dd5c57
              3 shows f55d18eb, still takes a0dd5c57
            """)

    @Flag(help: "Let every broker read its secret file again.")
    var reload = false

    @Flag(help: "Rotate although another rotation is not finished.")
    var force = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// A broker that could not read its file.
    struct Refusal: Encodable {
        let nodeId: Int32
        let error: String
    }

    /// What `-o json` prints.
    struct Answer: Encodable {
        let file: String?
        let names: [String]
        let reloaded: [Int32]
        let failed: [Refusal]
        let silent: [Int32]
    }

    func validate() throws {
        guard reload || admin.secretFile != nil else {
            throw ValidationError(
                "rotate: expected --secret-file FILE for the first step, or --reload for the second"
            )
        }
        guard admin.via == nil || reload else {
            throw ValidationError(
                "--via \(admin.via ?? ""): the file is changed on this machine: run this command "
                    + "beside the broker")
        }
    }

    func run() async throws {
        if reload { return try await reloadAll() }
        let secret = try LocalSecret(admin.secretFile ?? "")
        let status = try await KeysStatus.look(admin)
        try secret.check(isReadBy: try await admin.askOne(InspectionQuestion(.keys)))
        if secret.names.count > 1, !force, let reason = Self.unfinished(status) {
            throw CommandFailure(reason)
        }
        guard let fresh = MeshSecrets.rotated(secret.text) else {
            throw CommandFailure("\(secret.path): no secret in it")
        }
        try secret.replace(with: fresh)
        let answer = try await admin.askOne(InspectionQuestion(.useSecret))
        let names = answer.keys?.secrets ?? []
        if output.format == .json {
            return try Terminal.printJSON(
                Answer(
                    file: secret.path, names: names, reloaded: [answer.nodeId], failed: [],
                    silent: []))
        }
        let others = (answer.keys?.admissions ?? []).filter { !$0.isRevoked }.map(\.nodeId)
            .filter { $0 != answer.nodeId }
        Terminal.print(Self.next(names, answer.nodeId, others: others, path: secret.path))
    }

    /// Why the secret can't be rotated once more: the one before the last would be forgotten while
    /// some broker still shows it.
    static func unfinished(_ status: SecretStatus) -> String? {
        let behind = (status.behind + status.silent).sorted()
        guard !behind.isEmpty else { return nil }
        return "a rotation is under way: \(NodeList.text(behind)) may still show the secret that "
            + "would be forgotten. Finish it (gossamer keys status), or use --force"
    }

    static func next(_ names: [String], _ node: Int32, others: [Int32], path: String) -> String {
        let new = names.first.map(SecretStatus.short) ?? "-"
        let old = names.dropFirst().first.map(SecretStatus.short) ?? "-"
        var lines = ["\(node) shows the new secret \(new) and still takes \(old)"]
        if others.isEmpty {
            lines.append("next: gossamer keys drop-previous --secret-file \(path)")
        } else {
            lines += [
                "next: 1. copy \(path) to the machines of \(NodeList.text(others)), mode 0600",
                "      2. gossamer keys rotate --reload",
                "      3. gossamer keys status, until it says that \(old) can go",
                "      4. gossamer keys drop-previous --secret-file \(path)",
            ]
        }
        lines.append(
            "brokers that have joined need no secret and are not disturbed; who joins by "
                + "\(node) needs the new file")
        return lines.joined(separator: "\n")
    }

    private func reloadAll() async throws {
        let seen = try await admin.ask(InspectionQuestion(.useSecret, everywhere: true))
        let failed = seen.answers.compactMap { answer in
            answer.error.map { Refusal(nodeId: answer.nodeId, error: $0) }
        }
        if output.format == .json {
            try Terminal.printJSON(
                Answer(
                    file: nil, names: seen.answers.first?.keys?.secrets ?? [],
                    reloaded: seen.answers.filter { $0.error == nil }.map(\.nodeId),
                    failed: failed, silent: seen.silent))
        } else {
            Terminal.print(Self.reloaded(seen))
        }
        let shown = Set(seen.answers.map { $0.keys?.secrets.first })
        if shown.count > 1 || !seen.silent.isEmpty { throw ExitCode.unhealthy }
    }

    static func reloaded(_ seen: InspectionAnswers) -> String {
        var lines = seen.answers.map { answer in
            if let error = answer.error { return "\(answer.nodeId): \(error)" }
            let names = (answer.keys?.secrets ?? []).map(SecretStatus.short)
            let rest = names.dropFirst().map { ", still takes \($0)" }.joined()
            return "\(answer.nodeId) shows \(names.first ?? "none")\(rest)"
        }
        if !seen.silent.isEmpty { lines.append("no answer from \(NodeList.text(seen.silent))") }
        if Set(seen.answers.compactMap { $0.keys?.secrets.first }).count > 1 {
            lines.append("not all show the same: was the file copied to all machines?")
        }
        return lines.joined(separator: "\n")
    }
}

/// `gossamer keys drop-previous`: the end of a rotation.
struct KeysDropPrevious: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop-previous",
        abstract: "Take the old secret out of the file; refuses while somebody still needs it.",
        discussion: """
            Removes the second secret from FILE and lets the broker on this machine read it
            again. Then copy FILE to the other machines and run `gossamer keys rotate
            --reload`. Refuses while `gossamer keys status` says no; --force does it all
            the same. Brokers that have joined go on without any secret.

            EXAMPLES:
              $ gossamer keys drop-previous --secret-file /tmp/cli-mesh/secret1
              1 takes a0dd5c57 no more
              next: copy /tmp/cli-mesh/secret1 to the other machines, then: gossamer keys
              rotate --reload
            """)

    @Flag(help: "Drop it although it is not safe.")
    var force = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let file: String
        let dropped: String
        let names: [String]
    }

    func validate() throws {
        guard admin.secretFile != nil else {
            throw ValidationError("drop-previous: expected --secret-file FILE")
        }
        guard admin.via == nil else {
            throw ValidationError(
                "--via \(admin.via ?? ""): the file is changed on this machine: run this command "
                    + "beside the broker")
        }
    }

    func run() async throws {
        let secret = try LocalSecret(admin.secretFile ?? "")
        guard let shorter = MeshSecrets.withoutPrevious(secret.text) else {
            throw CommandFailure("\(secret.path) holds one secret only: nothing to drop")
        }
        try secret.check(isReadBy: try await admin.askOne(InspectionQuestion(.keys)))
        let status = try await KeysStatus.look(admin)
        if !force, let reason = Self.objection(status) {
            throw CommandFailure(reason)
        }
        try secret.replace(with: shorter)
        let answer = try await admin.askOne(InspectionQuestion(.useSecret))
        let dropped = secret.names.dropFirst().first ?? ""
        if output.format == .json {
            return try Terminal.printJSON(
                Answer(
                    file: secret.path, dropped: dropped, names: answer.keys?.secrets ?? []))
        }
        Terminal.print("\(answer.nodeId) takes \(SecretStatus.short(dropped)) no more")
        Terminal.print(
            "next: copy \(secret.path) to the other machines, then: gossamer keys rotate --reload")
    }

    static func objection(_ status: SecretStatus) -> String? {
        let verdict = status.verdict
        return verdict.isSafe == false ? verdict.sentence + " (--force drops it)" : nil
    }
}
