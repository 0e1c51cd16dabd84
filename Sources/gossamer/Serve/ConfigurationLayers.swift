import Broker
import Configuration

/// The layers that decide the value of each key, the strongest first: flags, environment, file,
/// then the built-in default.
struct ConfigurationLayers {
    /// Where a value came from: what an error names and `--check` shows.
    enum Source: Equatable {
        case flag(String)
        case variable(String)
        case file(String)
        case standard

        var description: String {
            switch self {
            case .flag(let name): name
            case .variable(let name): name
            case .file(let place): place
            case .standard: "default"
            }
        }
    }

    /// A configuration that was put together, and the origin of each of its values by key.
    struct Result {
        var settings: ServeSettings
        var sources: [String: Source]
    }

    let flags: [String: SettingValue]
    let environment: [String: String]
    let file: ConfigurationFile?

    func resolve() throws(UsageError) -> Result {
        var settings = ServeSettings(
            dataDirectory: DataHome.defaultDirectory(environment: environment))
        var sources: [String: Source] = [:]
        let variables = EnvironmentVariablesProvider(environmentVariables: environment)
            .prefixKeys(with: "gossamer")
        for setting in Setting.all {
            guard let (value, source) = try find(setting, variables) else {
                sources[setting.key] = .standard
                continue
            }
            sources[setting.key] = source
            do {
                try setting.apply(value, &settings)
            } catch {
                throw UsageError(Self.refusal(setting, value, source, error))
            }
        }
        settings.broker.listeners = try Self.listeners(settings)
        try Self.check(settings)
        return Result(settings: settings, sources: sources)
    }

    private func find(
        _ setting: Setting, _ variables: some ConfigProvider
    ) throws(UsageError) -> (SettingValue, Source)? {
        if let value = flags[setting.key] { return (value, .flag(setting.flag ?? setting.key)) }
        let key = AbsoluteConfigKey(ConfigKey(setting.key))
        let type: ConfigType = setting.isList ? .stringArray : .string
        switch try? variables.value(forKey: key, type: type).value?.content {
        case .string(let word) where !word.isEmpty:
            return (.text(word), .variable(setting.variable))
        case .stringArray(let words) where words != [""]:
            return (.list(words), .variable(setting.variable))
        default: break
        }
        if let file, let value = try file.value(of: setting) {
            return (value, .file(file.place(of: setting.key)))
        }
        return nil
    }

    private static func refusal(
        _ setting: Setting, _ value: SettingValue, _ source: Source, _ error: Expectation
    ) -> String {
        let given = value.words.first { word in
            var scratch = ServeSettings(dataDirectory: "/")
            let alone: SettingValue = setting.isList ? .list([word]) : .text(word)
            return (try? setting.apply(alone, &scratch)) == nil
        }
        let shown = given ?? value.description
        return switch source {
        case .flag(let name): "\(name) \(shown): \(error)"
        case .variable(let name): "\(name)=\(shown): \(error)"
        case .file(let place): "\(place): \(shown): \(error)"
        case .standard: "\(setting.key) \(shown): \(error)"
        }
    }

    /// Pairs listeners with what they advertise: by name, or the one without a name with the first.
    private static func listeners(
        _ settings: ServeSettings
    ) throws(UsageError) -> [ListenerConfiguration] {
        var result: [ListenerConfiguration] = []
        for (index, listener) in settings.listeners.enumerated() {
            let name = listener.name ?? (index == 0 ? "kafka" : "kafka\(index + 1)")
            guard !result.contains(where: { $0.name == name }) else {
                throw UsageError("kafka.listen: two listeners are called \(name)")
            }
            result.append(ListenerConfiguration(name: name, bind: listener.address))
        }
        for advertised in settings.advertised {
            let name = advertised.name ?? result[0].name
            guard let index = result.firstIndex(where: { $0.name == name }) else {
                let names = result.map(\.name).joined(separator: ", ")
                throw UsageError(
                    "kafka.advertise \(advertised.description): "
                        + "no listener has that name (\(names))"
                )
            }
            guard result[index].advertise == nil else {
                throw UsageError("kafka.advertise: listener \(name) is given two addresses")
            }
            guard advertised.address.port > 0 else {
                throw UsageError(
                    "kafka.advertise \(advertised.description): port 0 is nothing to connect to")
            }
            result[index].advertise = advertised.address
        }
        return result
    }

    /// Relations between values that no single key can check.
    private static func check(_ settings: ServeSettings) throws(UsageError) {
        let mesh = settings.broker.mesh
        if mesh.listen == nil, !mesh.seeds.isEmpty {
            throw UsageError(
                "mesh.seeds \(mesh.seeds[0]): a broker that joins has to be reached by the others: "
                    + "add --mesh HOST:PORT, for example --mesh 127.0.0.1:7946")
        }
        if let listen = mesh.listen, mesh.advertise == nil,
            ["0.0.0.0", "::", "*"].contains(listen.host)
        {
            throw UsageError(
                "mesh.listen \(listen): other brokers can't connect to a wildcard: "
                    + "add --mesh-advertise HOST:PORT with an address of this machine")
        }
        if let expected = mesh.expect {
            guard mesh.seeds.count == expected, mesh.secretFile != nil else {
                throw UsageError(
                    "mesh.expect \(expected): expected the same list of \(expected) seeds on every "
                        + "broker, with its own address in it, and a secret file; "
                        + "\(mesh.seeds.count) seeds are given")
            }
        }
        let defaults = settings.broker.defaults
        if let least = defaults.minInsyncReplicas, let replicas = defaults.replicas {
            guard least <= Int(replicas) else {
                throw UsageError(
                    "defaults.minInsyncReplicas \(least): "
                        + "expected at most defaults.replicas, which is \(replicas)")
            }
        }
    }
}
