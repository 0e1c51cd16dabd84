import ArgumentParser
import Broker

/// `gossamer cluster safe-to-stop`: a verdict for scripts that restart brokers.
struct ClusterSafeToStop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "safe-to-stop",
        abstract: "Say whether a broker can be stopped while everything goes on.",
        discussion: """
            Safe is: the voters that are left decide, and every partition of the broker keeps
            min.insync.replicas of live copies. Exits with 10 and says why where it is not. With
            --wait it waits until it is, as a rolling restart wants.

            EXAMPLES:
              gossamer cluster safe-to-stop 3
              gossamer cluster safe-to-stop 3 --wait 5m && systemctl restart gossamer
            """)

    @Argument(help: "The broker.")
    var node: Int32

    @Option(help: ArgumentHelp("Wait for so long until it is safe.", valueName: "time"))
    var wait: String?

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    private static let pauseMilliseconds = 500

    func run() async throws {
        var patience: Int64 = 0
        if let wait {
            do {
                patience = try Quantities.milliseconds(wait)
            } catch {
                throw UsageError("--wait \(wait): \(error)")
            }
        }
        let end = WallClock.milliseconds() + patience
        var verdict = try await look()
        while !verdict.isSafe, WallClock.milliseconds() < end {
            try await Task.sleep(for: .milliseconds(Self.pauseMilliseconds))
            verdict = try await look()
        }
        switch output.format {
        case .json: try Terminal.printJSON(verdict)
        case .table: Terminal.print(verdict.text)
        }
        if !verdict.isSafe { throw ExitCode.unhealthy }
    }

    private func look() async throws -> StopVerdict {
        let picture = try await admin.askPicture()
        guard picture.member(node) != nil else {
            throw CommandFailure("no member \(node): see gossamer gossip members")
        }
        return StopVerdict(of: node, in: picture)
    }
}
