import Broker
import Testing

@testable import gossamer

@Suite("Configuration of serve")
struct ConfigurationTests {
    private func resolve(
        flags: [String: SettingValue] = [:], environment: [String: String] = [:],
        file: String? = nil
    ) throws -> ConfigurationLayers.Result {
        let file = try file.map { try ConfigurationFile(path: "g.yaml", text: $0) }
        return try ConfigurationLayers(flags: flags, environment: environment, file: file)
            .resolve()
    }

    private func refusal(
        flags: [String: SettingValue] = [:], environment: [String: String] = [:],
        file: String? = nil
    ) -> String {
        do {
            _ = try resolve(flags: flags, environment: environment, file: file)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test("Without anything: the user's data home and 127.0.0.1:9092")
    func defaults() throws {
        let settings = try resolve(environment: ["HOME": "/home/ann"]).settings
        #expect(settings.broker.dataDirectory == "/home/ann/.local/share/gossamer")
        #expect(
            settings.broker.listeners == [
                ListenerConfiguration(name: "kafka", bind: HostPort(host: "127.0.0.1", port: 9092))
            ])
        let xdg = try resolve(environment: ["HOME": "/h", "XDG_DATA_HOME": "/x"]).settings
        #expect(xdg.broker.dataDirectory == "/x/gossamer")
    }

    @Test("Flags win over the environment, the environment over the file, the file over defaults")
    func layering() throws {
        let file = "nodeId: 1\nrack: f\nlimits: { connections: 7 }\ndataDir: /f\n"
        let result = try resolve(
            flags: ["nodeId": .text("3")],
            environment: ["GOSSAMER_NODE_ID": "2", "GOSSAMER_RACK": "e"], file: file)
        #expect(result.settings.broker.nodeID == 3)
        #expect(result.settings.broker.rack == "e")
        #expect(result.settings.broker.limits.connections == 7)
        #expect(result.sources["nodeId"] == .flag("--node-id"))
        #expect(result.sources["rack"] == .variable("GOSSAMER_RACK"))
        #expect(result.sources["limits.connections"] == .file("g.yaml:3: limits.connections"))
        #expect(result.sources["log.level"] == .standard)
    }

    @Test("The full configuration of one broker, in flow style")
    func fullFile() throws {
        let result = try resolve(
            file: """
                nodeId: 1                     # assigned at the join if absent
                dataDir: /var/lib/gossamer
                kafka:  { listen: "0.0.0.0:9092", advertise: "broker1.example.com:9092" }
                rack: a
                roles: [voter]
                voters: { target: 5, replaceAfter: 30s }
                defaults:
                  { partitions: 6, replicas: 3, minInsyncReplicas: 2, flush: sync,
                    autoCreateTopics: false }
                limits: { connections: 10000, requestBytes: 64MiB, idle: 5m }
                """)
        let broker = result.settings.broker
        #expect(broker.listeners[0].advertise == HostPort(host: "broker1.example.com", port: 9092))
        #expect(broker.roles == [.voter])
        #expect(broker.voters.target == 5)
        #expect(broker.voters.replaceAfterMilliseconds == 30_000)
        #expect(broker.defaults.partitions == 6)
        #expect(broker.defaults.flush == .sync)
        #expect(!broker.defaults.autoCreateTopics)
        #expect(broker.limits.requestBytes == 64 << 20)
        #expect(broker.limits.idleSeconds == 300)
    }

    @Test("Who votes, by flag and by variable")
    func voters() throws {
        let result = try resolve(
            flags: ["roles": .list(["broker"]), "voters.target": .text("fixed")],
            environment: ["GOSSAMER_ROLES": "voter", "GOSSAMER_VOTERS_REPLACE_AFTER": "1h"])
        #expect(result.settings.broker.roles == [.broker])
        #expect(result.settings.broker.voters.target == nil)
        #expect(result.settings.broker.voters.replaceAfterMilliseconds == 3_600_000)
        #expect(result.sources["voters.target"] == .flag("--voters"))
        let report = ServeCommand.report(try resolve(environment: ["HOME": "/h"]))
        #expect(report.contains("broker,voter"))
        #expect(report.contains("600s"))
    }

    @Test("Listeners by name, in block style, each with its advertised address")
    func listeners() throws {
        let result = try resolve(
            file: """
                kafka:
                  listen:
                    - inside=127.0.0.1:9092
                    - outside=[::]:9093
                  advertise:
                    - outside=b.example.com:9093
                """)
        let listeners = result.settings.broker.listeners
        #expect(listeners.map(\.name) == ["inside", "outside"])
        #expect(listeners[0].advertise == nil)
        #expect(listeners[1].bind == HostPort(host: "::", port: 9093))
        #expect(listeners[1].advertise == HostPort(host: "b.example.com", port: 9093))
    }

    @Test(
        "Errors name the place, what was given and what was expected",
        arguments: [
            ("kafka: { listen: 9092 }", "g.yaml:1: kafka.listen: 9092: expected HOST:PORT"),
            ("rack: a\nnodeId: x\n", "g.yaml:2: nodeId: x: expected a whole number from 0"),
            ("limits:\n  conections: 5\n", "Did you mean limits.connections?"),
            ("limits:\n  conections: 5\n", "g.yaml:2: limits.conections: unknown key"),
            ("mesh: { listen: x }", "g.yaml:1: mesh.listen: x: expected HOST:PORT"),
            ("mash: { listen: x }", "g.yaml:1: mash: unknown key"),
            ("limits: 5", "expected keys below it"),
            ("rack: { a: 1 }", "expected a value and not keys"),
            ("defaults: { flush: never }", "expected one of async, interval, sync"),
            ("defaults: { replicas: 1, minInsyncReplicas: 3 }", "at most defaults.replicas"),
            ("roles: [broker, king]", "g.yaml:1: roles: king: expected one of broker, voter"),
            ("voters: { target: 4 }", "voters.target: 4: expected 1, 3, 5, or fixed"),
            ("voters: { replaceAfter: 10ms }", "expected a duration of at least 1s"),
            ("limits: { idle: 5 }", "expected a duration, for example 250ms"),
            ("just text", "g.yaml: not a YAML mapping"),
        ] as [(String, String)])
    func fileErrors(text: String, expected: String) {
        #expect(refusal(file: text).contains(expected), "\(refusal(file: text))")
    }

    @Test("Errors of flags and variables")
    func otherErrors() {
        #expect(
            refusal(flags: ["kafka.listen": .list(["127.0.0.1:1", "9092"])])
                == "--kafka 9092: expected HOST:PORT, for example 127.0.0.1:9092")
        #expect(
            refusal(environment: ["GOSSAMER_LIMITS_REQUEST_BYTES": "many"])
                .hasPrefix("GOSSAMER_LIMITS_REQUEST_BYTES=many: expected a number of bytes"))
        #expect(
            refusal(flags: ["kafka.advertise": .list(["x=a:1"])]).contains("no listener has that"))
        #expect(refusal(flags: ["dataDir": .text("")]).contains("expected the path"))
    }

    @Test("Every key has its own variable, and --check shows each with its origin")
    func table() throws {
        let variables = Setting.all.map(\.variable)
        #expect(Set(variables).count == variables.count)
        #expect(variables.contains("GOSSAMER_DEFAULTS_MIN_INSYNC_REPLICAS"))
        let report = ServeCommand.report(try resolve(environment: ["HOME": "/h"]))
        for setting in Setting.all { #expect(report.contains(setting.key)) }
        #expect(report.hasSuffix("configuration ok"))
    }

    @Test("Each variable of the table is the one that swift-configuration reads")
    func variablesAreRead() throws {
        for setting in Setting.all where !setting.isList {
            let result = try? resolve(environment: [setting.variable: "\u{1}"])
            let isUnread = result?.sources[setting.key] == .standard
            #expect(!isUnread, "\(setting.variable) was not read")
        }
    }

    @Test("A file of comments is no file at all")
    func blank() throws {
        #expect(
            try resolve(file: "# nothing\n\n---\n").sources.values.allSatisfy { $0 == .standard })
    }
}

@Suite("Keys of a YAML file")
struct YAMLKeysTests {
    @Test("Block and flow, comments, quotes and lists")
    func scan() {
        let keys = YAMLKeys.scan(
            """
            a: 1 # b: 2
            "q": 'x: y'
            c:
              d: [1, {e: 2}]
              f: { g: "}", h: {i: 3},
                   j: 4 }
            k:
              - l: 5
            """)
        #expect(
            keys.map { "\($0.path)@\($0.line)\($0.isLeaf ? "" : "/")" } == [
                "a@1", "q@2", "c@3/", "c.d@4", "c.f@5/", "c.f.g@5", "c.f.h@5/", "c.f.h.i@5",
                "c.f.j@6", "k@7",
            ])
    }
}
