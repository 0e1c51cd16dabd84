import Model
import Node
import Replication
import Testing

/// What may be set on a topic, and what holds where nothing is.
@Suite struct TopicConfigurationTests {
    @Test func aTopicsValueGoesBeforeTheBrokersAndThatBeforeTheStandard() throws {
        let key = try #require(TopicConfigurationKey.named("retention.ms"))
        let plain = TopicConfiguration(overrides: [:], broker: [:])
        #expect(plain.value(of: key).value == "604800000")
        #expect(plain.value(of: key).source == .standard)
        let broad = TopicConfiguration(overrides: [:], broker: ["retention.ms": "5"])
        #expect(broad.value(of: key).value == "5")
        #expect(broad.value(of: key).source == .broker)
        let own = broad.overriding(with: ["retention.ms": "7"])
        #expect(own.value(of: key).value == "7")
        #expect(own.value(of: key).source == .topic)
        #expect(own.integer("retention.ms") == 7)
        #expect(own.overriding(with: [:]).integer("retention.ms") == 5)
    }

    @Test func durabilityIsKafkasUnderAnyOfItsNames() {
        func durability(_ overrides: [String: String], _ broker: String = "async") -> Durability {
            TopicConfiguration(overrides: overrides, broker: ["flush": broker]).durability
        }
        #expect(durability([:]) == .async)
        #expect(durability([:], "sync") == .sync)
        #expect(durability(["flush": "interval"], "sync") == .interval)
        #expect(durability(["flush.messages": "1"]) == .sync)
        #expect(durability(["flush.messages": "2"]) == .async)
        #expect(durability(["flush.ms": "1000"]) == .interval)
        #expect(durability(["flush.ms": "1000", "flush": "sync"]) == .sync)
    }

    @Test func policiesAreAList() {
        let both = TopicConfiguration(
            overrides: ["cleanup.policy": "compact, delete"], broker: [:])
        #expect(both.isCompacted && both.isDeleted)
        let one = TopicConfiguration(overrides: ["cleanup.policy": "compact"], broker: [:])
        #expect(one.isCompacted && !one.isDeleted)
    }

    @Test func everyStandardValueIsLegal() {
        var names: Set<String> = []
        for key in TopicConfigurationKey.all {
            #expect(names.insert(key.name).inserted)
            #expect(!key.documentation.isEmpty && !key.synonym.isEmpty)
            #expect(key.refusal(of: key.standard) == nil, "\(key.name)=\(key.standard)")
        }
    }

    @Test(arguments: [
        ("retention.ms", "-1", true), ("retention.ms", "-2", false),
        ("retention.ms", "9223372036854775808", false), ("retention.ms", "", false),
        ("segment.bytes", "1024", true), ("segment.bytes", "1023", false),
        ("segment.bytes", "2147483648", false), ("min.cleanable.dirty.ratio", "1", true),
        ("min.cleanable.dirty.ratio", "1.01", false), ("min.cleanable.dirty.ratio", "nan", false),
        ("preallocate", "true", true), ("preallocate", "yes", false),
        ("cleanup.policy", "compact,delete", true), ("cleanup.policy", "compact,", false),
        ("flush", "never", false), ("unclean.leader.election.enable", "true", false),
        ("leader.replication.throttled.replicas", "0:1,1:2", true), ("no.such.key", "1", false),
    ])
    func valuesAreChecked(name: String, value: String, isLegal: Bool) {
        let refusal = TopicConfiguration.refusal(of: [name: value])
        #expect((refusal == nil) == isLegal, "\(refusal ?? "taken")")
        #expect(refusal?.contains(name) != false, "a refusal names what it refuses")
    }

    @Test func valuesAreBounded() {
        let name = "leader.replication.throttled.replicas"
        let long = String(repeating: "0:1,", count: 3_000)
        #expect(TopicConfiguration.refusal(of: [name: long]) != nil)
    }

    @Test func clientsAreSentBackThroughTheDoorTheyCameBy() {
        let broker = BrokerEntry(
            id: NodeID(1), rack: nil,
            endpoints: [
                Endpoint(listener: "IN", host: "a", port: 1),
                Endpoint(listener: "OUT", host: "b", port: 2),
            ])
        #expect(broker.endpoint(for: "OUT")?.host == "b")
        #expect(broker.endpoint(for: "unknown")?.host == "a")
    }
}
