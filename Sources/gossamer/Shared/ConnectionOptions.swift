import ArgumentParser
import Broker
import Client
import Foundation

/// How a command reaches the brokers; the same options on every command that does.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: [.customShort("b"), .customLong("bootstrap")],
        help: ArgumentHelp(
            "A broker to ask first; repeat for more (or GOSSAMER_BOOTSTRAP, comma separated). "
                + "Default: 127.0.0.1:9092.",
            valueName: "host:port"))
    var bootstrap: [String] = []

    @Option(
        help: ArgumentHelp("How long one answer may take.", valueName: "duration"),
        transform: { text in try Quantities.milliseconds(text) })
    var timeout: Int64 = 30_000

    /// The addresses from flags, environment or default; refuses what is no address.
    func addresses(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(UsageError) -> [BrokerAddress] {
        var place = "--bootstrap "
        var words = bootstrap
        if words.isEmpty, let variable = environment["GOSSAMER_BOOTSTRAP"], !variable.isEmpty {
            place = "GOSSAMER_BOOTSTRAP="
            words = variable.split(separator: ",").map(String.init)
        }
        if words.isEmpty { return [BrokerAddress(host: "127.0.0.1", port: 9092)] }
        var result: [BrokerAddress] = []
        for word in words.flatMap({ $0.split(separator: ",").map(String.init) }) {
            guard let parsed = try? NamedAddress(word), parsed.name == nil, parsed.address.port > 0
            else {
                throw UsageError(
                    "\(place)\(word): expected HOST:PORT, for example 127.0.0.1:9092")
            }
            result.append(BrokerAddress(host: parsed.address.host, port: parsed.address.port))
        }
        return result
    }

    /// Runs `body` with a client and closes its connections afterwards.
    func withClient<Result>(
        _ body: (KafkaClient) async throws -> Result
    ) async throws -> Result {
        guard timeout > 0 else {
            throw UsageError("--timeout 0: expected a duration above zero, for example 30s")
        }
        var configuration = ClientConfiguration(
            bootstrap: try addresses(), clientID: "gossamer-cli")
        configuration.requestTimeoutMilliseconds = timeout
        configuration.connectTimeoutMilliseconds = min(timeout, 10_000)
        let client = KafkaClient(configuration)
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}

extension ClientError {
    /// The sentence that the command line prints, with what to do where that is known.
    var complaint: String {
        switch self {
        case .unreachable(let address, _):
            let isLocal = ["127.0.0.1", "localhost", "::1"].contains(address.host)
            let hint =
                isLocal
                ? "Start one with: gossamer serve" : "Check the address, or name another with -b."
            return "\(self). \(hint)"
        case .timedOut:
            return "\(self). Is it overloaded? --timeout gives it longer."
        case .closed:
            return "\(self). Its log may say why."
        default:
            return "\(self)"
        }
    }
}
