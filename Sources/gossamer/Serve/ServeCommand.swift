import ArgumentParser
import Broker
import Foundation
import Logging

/// `gossamer serve`: the broker.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run a broker until it is told to stop.",
        discussion: """
            Each setting is taken from the first place that has it: flag, GOSSAMER_* variable,
            configuration file, default. `--check` shows the result and where each value came from.
            SIGTERM or Ctrl-C stop it cleanly; a second one at once.

            EXAMPLES:
              gossamer serve
              gossamer cluster init --data-dir /var/lib/gossamer --secret-file secret
              gossamer serve --data-dir /var/lib/gossamer --secret-file secret \\
                --mesh 10.0.0.1:7946 --kafka 10.0.0.1:9092
              gossamer serve --data-dir /var/lib/gossamer --secret-file secret \\
                --mesh 10.0.0.2:7946 --kafka 10.0.0.2:9092 --seed 10.0.0.1:7946
              gossamer serve --kafka inside=127.0.0.1:9092 --kafka outside=0.0.0.0:9093 \\
                --advertise outside=broker1.example.com:9093
              GOSSAMER_LOG_FORMAT=json gossamer serve --config /etc/gossamer.yaml
              gossamer serve --config /etc/gossamer.yaml --check
            """)

    @Option(
        help: ArgumentHelp("Configuration file in YAML (or GOSSAMER_CONFIG).", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Where data is kept. Default: gossamer under the user's data home.", valueName: "dir"))
    var dataDir: String?

    @Option(
        help: ArgumentHelp(
            "This broker's id. Default: the one kept with the data, or 1.", valueName: "n"))
    var nodeId: String?

    @Option(
        help: ArgumentHelp(
            "Address for Kafka clients; repeat for more. Default: 127.0.0.1:9092.",
            valueName: "[name=]host:port"))
    var kafka: [String] = []

    @Option(
        help: ArgumentHelp(
            "Address that clients are told, if not the one listened on; repeat by name.",
            valueName: "[name=]host:port"))
    var advertise: [String] = []

    @Option(
        help: ArgumentHelp(
            "Address for other brokers, TCP and UDP. Default: none, a mesh of one.",
            valueName: "host:port"))
    var mesh: String?

    @Option(
        help: ArgumentHelp(
            "Address that other brokers are told, if not the one listened on.",
            valueName: "host:port"))
    var meshAdvertise: String?

    @Option(
        help: ArgumentHelp(
            "A broker of the mesh to join, or to find again; repeat for more.",
            valueName: "host:port"))
    var seed: [String] = []

    @Option(
        help: ArgumentHelp(
            "Form a mesh of so many blank brokers, all with the same --seed list.", valueName: "n"))
    var expect: String?

    @Option(
        help: ArgumentHelp(
            "broker, voter or both (repeat). Default: both. A broker alone never votes, a voter "
                + "alone holds no partitions.",
            valueName: "role"))
    var role: [String] = []

    @Option(
        help: ArgumentHelp(
            "How many vote: 1, 3, 5, or fixed for those that an operator chose. Default: 3.",
            valueName: "n"))
    var voters: String?

    @Option(
        help: ArgumentHelp(
            "spread or masterBackup. Default: spread, partitions over all brokers. masterBackup: "
                + "brokers 1 and 2, 3 and 4 and so on are a master and its backup, and a "
                + "partition's two copies are on one such pair.",
            valueName: "policy"))
    var placement: String?

    @Option(
        help: ArgumentHelp(
            "How long a voter may be away before another takes its place. Default: 10m.",
            valueName: "time"))
    var replaceVoterAfter: String?

    @Option(
        help: ArgumentHelp(
            "File with the admission secret that `gossamer cluster init` made.",
            valueName: "file"))
    var secretFile: String?

    @Option(
        help: ArgumentHelp(
            "trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?

    @Option(help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat: String?

    @Flag(help: "Check the configuration, print it with the origin of each value, and exit.")
    var check = false

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let result = try layers(environment: environment).resolve()
        if check {
            Terminal.print(Self.report(result))
            return
        }
        try await BrokerProcess.run(result.settings)
    }

    /// The layers that this command line makes, not yet resolved.
    func layers(environment: [String: String]) throws(UsageError) -> ConfigurationLayers {
        var flags: [String: SettingValue] = [:]
        if let dataDir { flags["dataDir"] = .text(dataDir) }
        if let nodeId { flags["nodeId"] = .text(nodeId) }
        if !kafka.isEmpty { flags["kafka.listen"] = .list(kafka) }
        if !advertise.isEmpty { flags["kafka.advertise"] = .list(advertise) }
        if let mesh { flags["mesh.listen"] = .text(mesh) }
        if let meshAdvertise { flags["mesh.advertise"] = .text(meshAdvertise) }
        if !seed.isEmpty { flags["mesh.seeds"] = .list(seed) }
        if let expect { flags["mesh.expect"] = .text(expect) }
        if let secretFile { flags["mesh.secretFile"] = .text(secretFile) }
        if !role.isEmpty { flags["roles"] = .list(role) }
        if let voters { flags["voters.target"] = .text(voters) }
        if let placement { flags["placement"] = .text(placement) }
        if let replaceVoterAfter { flags["voters.replaceAfter"] = .text(replaceVoterAfter) }
        if let logLevel { flags["log.level"] = .text(logLevel) }
        if let logFormat { flags["log.format"] = .text(logFormat) }
        var file: ConfigurationFile?
        if let path = config ?? environment["GOSSAMER_CONFIG"], !path.isEmpty {
            file = try ConfigurationFile(path: path)
        }
        return ConfigurationLayers(flags: flags, environment: environment, file: file)
    }

    /// The table that `--check` prints.
    static func report(_ result: ConfigurationLayers.Result) -> String {
        var table = TextTable(["KEY", "VALUE", "FROM"])
        for setting in Setting.all {
            let value = setting.show(result.settings)
            table.append([
                setting.key, value.isEmpty ? "-" : value,
                result.sources[setting.key]?.description ?? "default",
            ])
        }
        return table.text + "\nconfiguration ok"
    }
}
