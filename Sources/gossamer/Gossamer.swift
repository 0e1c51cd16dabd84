import ArgumentParser

/// The root of the command line: every subcommand hangs below it.
///
/// It has its own `main` because the exit codes and the form of errors are a promise of this
/// program (0 well, 1 failed, 2 usage, 10 unhealthy), and the parser's own differ.
@main
struct Gossamer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossamer",
        abstract: "A message broker mesh for Kafka clients, in one binary.",
        discussion: """
            EXAMPLES:
              gossamer serve                                  # a broker on 127.0.0.1:9092
              gossamer topic create orders --partitions 6
              echo 'hello' | gossamer produce orders
              gossamer consume orders --from beginning --exit-at-end

            EXIT CODES: 0 well, 1 failed, 2 wrong usage, 10 unhealthy.

            COMPLETION: gossamer --generate-completion-script bash|zsh|fish
            """,
        version: Version.line,
        subcommands: [
            ServeCommand.self, ClusterCommand.self, GossipCommand.self, PaxosCommand.self,
            KeysCommand.self,
            TopicCommand.self, GroupCommand.self, ProduceCommand.self, ConsumeCommand.self,
            ConfigCommand.self, DoctorCommand.self,
            LogCommand.self, VersionCommand.self,
        ])

    static func main() async {
        let code = await run(Array(CommandLine.arguments.dropFirst()))
        Terminal.exit(code)
    }

    /// Parses and runs one command line, and turns whatever happens into an exit code.
    static func run(_ arguments: [String]) async -> ExitCode {
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return .success
        } catch {
            return Complaint(error).report()
        }
    }
}
