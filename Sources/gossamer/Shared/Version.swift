import ArgumentParser

/// What this build calls itself.
enum Version {
    static let number = "0.1.0"
    static let line = "gossamer \(number)"
}

/// `gossamer version`: the same line as `--version`, or an object for programs.
struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of this program.",
        discussion: """
            EXAMPLES:
              gossamer version
              gossamer version -o json
            """)

    @OptionGroup var output: OutputOptions

    func run() async throws {
        switch output.format {
        case .table: Terminal.print(Version.line)
        case .json: try Terminal.printJSON(["version": Version.number])
        }
    }
}
