import Broker

extension Setting {
    /// The keys below `mesh`: how a broker finds others and is found by them.
    static let mesh: [Setting] = [
        Setting("mesh.listen", flag: "--mesh", show: { text($0.broker.mesh.listen) }) {
            value, settings throws(Expectation) in
            settings.broker.mesh.listen = try meshAddress(word(value))
        },
        Setting(
            "mesh.advertise", flag: "--mesh-advertise", show: { text($0.broker.mesh.advertise) }
        ) {
            value, settings throws(Expectation) in
            let address = try meshAddress(word(value))
            guard address.port > 0 else {
                throw Expectation("a port to connect to, for example 10.0.0.1:7946")
            }
            settings.broker.mesh.advertise = address
        },
        Setting(
            "mesh.seeds", flag: "--seed", isList: true,
            show: { $0.broker.mesh.seeds.map(\.description).joined(separator: ",") }
        ) { value, settings throws(Expectation) in
            var seeds: [HostPort] = []
            for word in value.words { seeds.append(try meshAddress(word)) }
            settings.broker.mesh.seeds = seeds
        },
        Setting(
            "mesh.expect", flag: "--expect",
            show: { $0.broker.mesh.expect.map(String.init) ?? "" }
        ) { value, settings throws(Expectation) in
            settings.broker.mesh.expect = try Quantities.integer(word(value), in: 1...99)
        },
        Setting(
            "mesh.secretFile", flag: "--secret-file", show: { $0.broker.mesh.secretFile ?? "" }
        ) { value, settings throws(Expectation) in
            let path = try word(value)
            guard !path.isEmpty else { throw Expectation("the path of a file") }
            settings.broker.mesh.secretFile = DataHome.absolute(path)
        },
        Setting("mesh.profile", show: { $0.broker.mesh.profile.rawValue }) {
            value, settings throws(Expectation) in
            settings.broker.mesh.profile = try Quantities.word(word(value))
        },
        Setting("mesh.links", show: { $0.broker.mesh.links.rawValue }) {
            value, settings throws(Expectation) in
            settings.broker.mesh.links = try Quantities.word(word(value))
        },
    ]

    private static func text(_ address: HostPort?) -> String { address?.description ?? "" }

    private static func meshAddress(_ text: String) throws(Expectation) -> HostPort {
        guard let address = HostPort(parsing: text) else {
            throw Expectation("HOST:PORT, for example 127.0.0.1:7946")
        }
        return address
    }
}
