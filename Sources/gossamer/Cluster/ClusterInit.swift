import ArgumentParser
import Broker
import Foundation

/// `gossamer cluster init`: formats the first broker's data directory and writes the secret.
struct ClusterInit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make the first broker of a new mesh, and the secret that lets others join.",
        discussion: """
            Formats an empty data directory and writes the admission secret, readable by you only.
            Copy the secret file to every machine whose broker shall join. Only the first broker of
            a mesh is made this way; a second mesh made by mistake can't be merged.

            EXAMPLES:
              gossamer cluster init --data-dir /var/lib/gossamer --secret-file /etc/gossamer/secret
              gossamer serve --data-dir /var/lib/gossamer --secret-file /etc/gossamer/secret \\
                --mesh 10.0.0.1:7946 --kafka 10.0.0.1:9092
            """)

    @Option(
        help: ArgumentHelp(
            "Where data is kept. Default: gossamer under the user's data home.", valueName: "dir"))
    var dataDir: String?

    @Option(help: ArgumentHelp("This broker's id.", valueName: "n"))
    var nodeId: Int32 = 1

    @Option(
        help: ArgumentHelp(
            "Where the secret is written; one that is there already is used.", valueName: "file"))
    var secretFile: String

    @OptionGroup var output: OutputOptions

    /// What `-o json` prints.
    private struct Answer: Encodable {
        let clusterId: String
        let nodeId: Int32
        let dataDir: String
        let secretFile: String
    }

    func validate() throws {
        guard nodeId >= 0 else {
            throw ValidationError("--node-id \(nodeId): expected a number from 0")
        }
        guard !secretFile.isEmpty else {
            throw ValidationError("--secret-file: expected the path of a file")
        }
    }

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let directory =
            dataDir.map(DataHome.absolute) ?? DataHome.defaultDirectory(environment: environment)
        let secret = DataHome.absolute(secretFile)
        let made: Founding.Result
        do {
            made = try Founding.run(dataDirectory: directory, nodeID: nodeId, secretFile: secret)
        } catch {
            throw CommandFailure("\(error)")
        }
        if output.format == .json {
            try Terminal.printJSON(
                Answer(
                    clusterId: made.clusterID, nodeId: made.nodeID, dataDir: directory,
                    secretFile: secret))
            return
        }
        Terminal.print("cluster \(made.clusterID), node \(made.nodeID), data \(directory)")
        Terminal.print(
            made.keptSecret
                ? "secret \(secret) (was there, is used)"
                : "secret \(secret) (new: copy it to every machine whose broker shall join)")
        Terminal.print(
            "next: gossamer serve --data-dir \(directory) --secret-file \(secret) --mesh HOST:7946")
    }
}
