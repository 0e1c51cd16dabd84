import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer config ...`.
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show and set the configs of topics and brokers.",
        discussion: """
            EXAMPLES:
              gossamer config get --topic orders
              gossamer config set --topic orders retention.ms=86400000
            """,
        subcommands: [ConfigGet.self, ConfigSet.self])
}

/// `--topic NAME` or `--broker ID`: whose configs are meant.
struct ConfigTarget: ParsableArguments {
    @Option(help: ArgumentHelp("The topic.", valueName: "name"))
    var topic: String?

    @Option(
        help: ArgumentHelp("The broker.", valueName: "id"),
        transform: { text in try Quantities.integer(text, in: 0...Int32.max) })
    var broker: Int32?

    func resource() throws(UsageError) -> ConfigResource {
        switch (topic, broker) {
        case (let name?, nil):
            try TopicName.check(name)
            return .topic(name)
        case (nil, let id?): return .broker(id)
        default: throw UsageError("expected exactly one of --topic NAME and --broker ID")
        }
    }
}

/// `gossamer config get`.
struct ConfigGet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Show configs and where each value comes from.",
        discussion: """
            EXAMPLES:
              gossamer config get --topic orders
              gossamer config get --topic orders retention.ms max.message.bytes
              gossamer config get --broker 1 -o json
            """)

    @Argument(help: "Only these keys.")
    var keys: [String] = []

    @OptionGroup var target: ConfigTarget
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// One config as `-o json` prints it.
    struct Row: Encodable, Equatable {
        var name: String
        var value: String?
        var source: String
        var readOnly: Bool
    }

    func run() async throws {
        let resource = try target.resource()
        let rows = try await connection.withClient { client in
            try await ConfigQueries.describe(resource, keys: keys.isEmpty ? nil : keys, client)
        }.map {
            Row(
                name: $0.name, value: $0.isSensitive ? nil : $0.value,
                source: ConfigQueries.source($0.configSource), readOnly: $0.readOnly)
        }
        if let absent = keys.first(where: { key in !rows.contains { $0.name == key } }) {
            throw CommandFailure("\(resource.description) has no config \(absent)")
        }
        switch output.format {
        case .json: try Terminal.printJSON(["configs": rows])
        case .table:
            var table = TextTable(["CONFIG", "VALUE", "FROM"])
            for row in rows { table.append([row.name, row.value ?? "-", row.source]) }
            Terminal.print(table.text(colored: Terminal.hasColor))
        }
    }
}

/// `gossamer config set`.
struct ConfigSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set configs, or set them back to the default.",
        discussion: """
            EXAMPLES:
              gossamer config set --topic orders retention.ms=86400000 max.message.bytes=2097152
              gossamer config set --topic orders --remove retention.ms
            """)

    @Argument(help: ArgumentHelp("Configs to set.", valueName: "key=value"))
    var pairs: [String] = []

    @Option(help: ArgumentHelp("Config to set back to the default.", valueName: "key"))
    var remove: [String] = []

    @Flag(help: "Only ask whether it would be accepted.")
    var dryRun = false

    @OptionGroup var target: ConfigTarget
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let resource = try target.resource()
        let configs = try TopicName.configs(pairs, flag: "config")
        guard !configs.isEmpty || !remove.isEmpty else {
            throw UsageError("nothing to set: expected KEY=VALUE or --remove KEY")
        }
        try await connection.withClient { client in
            try await ConfigQueries.alter(
                resource, set: configs, remove: remove, validateOnly: dryRun, client)
        }
        let verb = dryRun ? "would alter" : "altered"
        switch output.format {
        case .json: try Terminal.printJSON([verb == "altered" ? "altered" : "valid": resource.name])
        case .table: Terminal.print("\(verb) \(resource.description)")
        }
    }
}
