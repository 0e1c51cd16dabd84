import Broker
import Logging

/// What a layer holds for a key: one word or several.
enum SettingValue: Equatable, Sendable {
    case text(String)
    case list([String])

    var words: [String] {
        switch self {
        case .text(let word): [word]
        case .list(let words): words
        }
    }

    var description: String { words.joined(separator: ",") }
}

/// One configuration key: its name, how it is read, and how it is shown again by `--check`.
///
/// The same table drives the file, the environment, the flags, the listing of unknown keys and the
/// output of `--check`, so they cannot drift apart.
struct Setting: Sendable {
    let key: String
    /// The flag that sets it too, if any.
    let flag: String?
    let isList: Bool
    let apply: @Sendable (SettingValue, inout ServeSettings) throws(Expectation) -> Void
    let show: @Sendable (ServeSettings) -> String

    init(
        _ key: String, flag: String? = nil, isList: Bool = false,
        show: @escaping @Sendable (ServeSettings) -> String,
        apply: @escaping @Sendable (SettingValue, inout ServeSettings) throws(Expectation) -> Void
    ) {
        self.key = key
        self.flag = flag
        self.isList = isList
        self.show = show
        self.apply = apply
    }

    /// The variable that sets it: `limits.requestBytes` is `GOSSAMER_LIMITS_REQUEST_BYTES`.
    var variable: String {
        var name = "GOSSAMER_"
        var previous: Character = "."
        for character in key {
            if character == "." {
                name += "_"
            } else {
                if character.isUppercase, previous.isLowercase { name += "_" }
                name += character.uppercased()
            }
            previous = character
        }
        return name
    }
}

/// Everything that `serve` can be told, before it is split between broker and process.
struct ServeSettings: Sendable, Equatable {
    var broker: BrokerConfiguration
    var listeners: [NamedAddress] = [NamedAddress(address: HostPort(host: "127.0.0.1", port: 9092))]
    var advertised: [NamedAddress] = []
    var logLevel: Logger.Level = .info
    var logFormat: LogFormat = .text

    init(dataDirectory: String) {
        broker = BrokerConfiguration(dataDirectory: dataDirectory, listeners: [])
    }
}

/// `HOST:PORT` or `NAME=HOST:PORT`, as listeners and advertised addresses are written.
struct NamedAddress: Equatable, Sendable {
    var name: String?
    var address: HostPort

    init(name: String? = nil, address: HostPort) {
        self.name = name
        self.address = address
    }

    init(_ text: String) throws(Expectation) {
        var rest = text[...]
        if let equals = text.firstIndex(of: "=") {
            let name = text[..<equals]
            guard !name.isEmpty, name.utf8.count <= 64,
                name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
            else { throw Expectation("NAME=HOST:PORT, for example internal=127.0.0.1:9092") }
            self.name = String(name)
            rest = text[text.index(after: equals)...]
        }
        guard let address = HostPort(parsing: String(rest)) else {
            throw Expectation("HOST:PORT, for example 127.0.0.1:9092")
        }
        self.address = address
    }

    var description: String { name.map { "\($0)=\(address)" } ?? "\(address)" }
}
