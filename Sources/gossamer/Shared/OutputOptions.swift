import ArgumentParser

/// The two forms that every answer has: one to read, one to compute with.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}

/// `-o table|json`, the same on every command.
struct OutputOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .customLong("output")], help: "Form of the answer.")
    var format: OutputFormat = .table
}
