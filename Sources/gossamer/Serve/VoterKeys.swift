import Broker

extension Setting {
    /// What a broker is for, and who decides.
    static let voters: [Setting] = [
        Setting(
            "roles", flag: "--role", isList: true,
            show: { settings in
                BrokerRole.allCases.filter(settings.broker.roles.contains).map(\.rawValue)
                    .joined(separator: ",")
            }
        ) { value, settings throws(Expectation) in
            var roles: Set<BrokerRole> = []
            for word in value.words { roles.insert(try Quantities.word(word)) }
            guard !roles.isEmpty else { throw Expectation("broker, voter or both") }
            settings.broker.roles = roles
        },
        Setting(
            "voters.target", flag: "--voters",
            show: { $0.broker.voters.target.map(String.init) ?? fixed }
        ) { value, settings throws(Expectation) in
            switch try word(value) {
            case fixed: settings.broker.voters.target = nil
            case "1": settings.broker.voters.target = 1
            case "3": settings.broker.voters.target = 3
            case "5": settings.broker.voters.target = 5
            default:
                throw Expectation("1, 3, 5, or fixed for voters that only an operator changes")
            }
        },
        Setting(
            "voters.replaceAfter", flag: "--replace-voter-after",
            show: { "\($0.broker.voters.replaceAfterMilliseconds / 1_000)s" }
        ) { value, settings throws(Expectation) in
            let time = try Quantities.milliseconds(word(value))
            guard time >= 1_000 else { throw Expectation("a duration of at least 1s") }
            settings.broker.voters.replaceAfterMilliseconds = time
        },
    ]

    /// The roster changes by `gossamer cluster add-voter` and `remove-voter` only.
    private static let fixed = "fixed"
}
