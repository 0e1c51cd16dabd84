import Model
import NIOCore
import Node
import Replication
import Testing

/// Topics: made, removed, grown and altered, each only once it is chosen.
@Suite struct ControlTopicTests {
    @Test func aTopicIsThereOnceItIsDurableAndOpen() throws {
        var bench = ControlBench()
        #expect(bench.take().ready == [[]])
        bench.create(["orders"], partitions: 2)
        #expect(bench.take().replies.isEmpty)
        #expect(bench.view?.topic(named: "orders") == nil, "nobody sees what may be lost")
        #expect(bench.opens.isEmpty)
        bench.persist()
        #expect(bench.take().replies.isEmpty)
        #expect(bench.opens.map(\.partition.index.rawValue) == [0, 1])
        bench.openAll()
        let outcomes = bench.outcomes()
        #expect(outcomes.map(\.error) == [nil])
        let entry = try #require(bench.view?.topic(named: "orders"))
        #expect(entry.partitions.count == 2)
        #expect(bench.view?.name(of: entry.id) == "orders")
        #expect(bench.view?.topic(id: entry.id)?.name == "orders")
        #expect(entry.state(1)?.leader == NodeID(1))
        #expect(entry.state(2) == nil)
    }

    @Test func defaultsAreFilledIn() {
        var bench = ControlBench()
        bench.create(["orders"], partitions: -1)
        bench.settle()
        #expect(bench.view?.topic(named: "orders")?.partitions.count == 2)
        bench.request(
            2,
            .createTopics(
                [NewTopic(name: "placed", assignments: [[1], [1], [1]])], validateOnly: false))
        bench.settle()
        #expect(bench.view?.topic(named: "placed")?.partitions.count == 3)
    }

    @Test func aPartitionHasNoMoreCopiesThanItsRegisterNames() {
        var bench = ControlBench()
        bench.handle(
            .members(
                (1...20).map {
                    BrokerMember(entry: ControlBench.broker($0), epoch: LeaderEpoch(0))
                }))
        for (replicas, error) in [(17, TopicError.invalidReplicationFactor), (16, nil)] {
            bench.request(
                UInt64(replicas),
                .createTopics(
                    [NewTopic(name: "wide", partitions: 1, replicas: Int16(replicas))],
                    validateOnly: true))
            #expect(bench.errors() == [error])
        }
    }

    @Test func aWitnessHoldsNothing() {
        var bench = ControlBench()
        let data = BrokerMember(entry: ControlBench.broker(1), epoch: LeaderEpoch(0))
        let witness = BrokerMember(
            entry: ControlBench.broker(2), epoch: LeaderEpoch(0), holdsPartitions: false)
        bench.handle(.members([data, witness]))
        bench.create(["orders"], partitions: 4)
        bench.settle()
        let orders = bench.view?.topic(named: "orders")
        #expect(orders?.partitions.map(\.leader) == Array(repeating: NodeID(1), count: 4))
        #expect(
            bench.view?.brokers.map(\.id.rawValue) == [1, 2], "clients may ask it all the same")
        _ = bench.take()
        bench.request(
            2,
            .createTopics(
                [
                    NewTopic(name: "two", partitions: 1, replicas: 2),
                    NewTopic(name: "placed", assignments: [[2]]),
                ], validateOnly: false))
        #expect(bench.errors() == [.invalidReplicationFactor, .invalidReplicaAssignment])
        bench.handle(.members([witness]))
        bench.request(
            3, .createTopics([NewTopic(name: "nowhere", partitions: 1)], validateOnly: false))
        #expect(bench.errors() == [.invalidReplicationFactor])
        bench.request(
            4, .createPartitions([NewPartitions(name: "orders", count: 5)], validateOnly: false))
        #expect(bench.errors() == [.invalidReplicationFactor])
    }

    @Test func aFailedWriteLeavesNothing() {
        var bench = ControlBench()
        bench.create(["orders"])
        bench.persist(failure: "disk full")
        let outcomes = bench.outcomes()
        #expect(outcomes.map(\.error) == [.timedOut])
        #expect(outcomes[0].message == "disk full")
        #expect(bench.view?.topic(named: "orders") == nil)
        #expect(bench.opens.isEmpty)
        bench.create(["orders"])
        bench.settle()
        #expect(bench.errors() == [nil], "the name is free again")
        bench.request(2, .deleteTopics(["orders"]))
        bench.persist(failure: "disk full")
        #expect(bench.errors() == [.timedOut])
        bench.request(
            3, .createPartitions([NewPartitions(name: "orders", count: 4)], validateOnly: false))
        bench.persist(failure: "disk full")
        #expect(bench.errors() == [.timedOut])
        bench.request(
            4, .alterTopics([("orders", .replacing(with: ["flush": "sync"]))], validateOnly: false))
        bench.persist(failure: "disk full")
        #expect(bench.errors() == [.timedOut])
        let entry = bench.view?.topic(named: "orders")
        #expect(entry?.partitions.count == 1)
        #expect(entry?.configuration.durability == .async)
    }

    @Test func aNameThatIsBeingMadeOrRemovedIsTaken() {
        var bench = ControlBench()
        bench.create(["orders"], token: 1)
        bench.create(["orders"], token: 2)
        #expect(bench.errors() == [.alreadyExists])
        bench.request(3, .deleteTopics(["orders"]))
        #expect(bench.errors() == [.unknown])
        bench.persist()
        for token: UInt64 in 4...5 {
            bench.request(token, .deleteTopics(["orders"]))
            #expect(bench.errors() == [.timedOut], "its partitions are still being opened")
        }
        bench.request(
            6, .createPartitions([NewPartitions(name: "orders", count: 5)], validateOnly: false))
        #expect(bench.errors() == [.timedOut])
        bench.settle()
        #expect(bench.errors() == [nil])
        bench.request(7, .deleteTopics(["orders"]))
        bench.create(["orders"], token: 8)
        #expect(bench.errors() == [.alreadyExists])
        bench.request(9, .deleteTopics(["orders"]))
        #expect(bench.errors() == [.timedOut], "it is there, and whoever asks again is told")
        bench.persist()
        #expect(bench.effects.closed.isEmpty, "files go on durable evidence")
        bench.persist()
        #expect(bench.effects.closed.count == 1)
        #expect(bench.effects.replies.isEmpty, "the name is not free")
        bench.persist()
        #expect(bench.take().replies.map(\.token) == [7])
        bench.create(["orders"], token: 10)
        bench.settle()
        #expect(bench.errors() == [nil])
    }

    @Test func aTopicMadeAgainIsAnotherOne() throws {
        var bench = ControlBench()
        bench.create(["orders"])
        bench.settle()
        let first = try #require(bench.view?.topic(named: "orders")?.id)
        bench.request(2, .deleteTopics(["orders", "unknown"]))
        bench.settle()
        #expect(bench.errors() == [.unknown, nil].reversed())
        #expect(bench.view?.name(of: first) == nil)
        // What is left is the leave to remove its files.
        #expect(bench.records.keys.allSatisfy { $0.hasPrefix("erase/") })
        bench.create(["orders"])
        bench.settle()
        #expect(bench.view?.topic(named: "orders")?.id != first)
    }

    @Test func illegalTopicsAreRefused() {
        var bench = ControlBench()
        let long = String(repeating: "x", count: 250)
        let cases: [(NewTopic, TopicError)] = [
            (NewTopic(name: ""), .invalidTopic),
            (NewTopic(name: ".."), .invalidTopic),
            (NewTopic(name: long), .invalidTopic),
            (NewTopic(name: "a/b"), .invalidTopic),
            (NewTopic(name: "é"), .invalidTopic),
            (NewTopic(name: "t", partitions: 0), .invalidPartitions),
            (NewTopic(name: "t", partitions: -2), .invalidPartitions),
            (NewTopic(name: "t", partitions: 100_001), .invalidPartitions),
            (NewTopic(name: "t", replicas: 2), .invalidReplicationFactor),
            (NewTopic(name: "t", replicas: 0), .invalidReplicationFactor),
            (NewTopic(name: "t", assignments: [[1], [2]]), .invalidReplicaAssignment),
            (NewTopic(name: "t", assignments: [[]]), .invalidReplicaAssignment),
            (NewTopic(name: "t", overrides: ["flush": "maybe"]), .invalidConfiguration),
            (NewTopic(name: "t", overrides: ["retention.ms": "1h"]), .invalidConfiguration),
            (NewTopic(name: "t", overrides: ["no.such.key": "1"]), .invalidConfiguration),
        ]
        for (topic, error) in cases {
            bench.request(1, .createTopics([topic], validateOnly: false))
            #expect(bench.errors() == [error], "\(topic)")
        }
        #expect(bench.writes.isEmpty)
        bench.create([String(repeating: "x", count: 249)])
        bench.settle()
        #expect(bench.errors() == [nil])
    }

    @Test func namesThatMetricsCouldNotTellApartCollide() {
        var bench = ControlBench()
        bench.create(["a.b"])
        bench.create(["a_b"], token: 2)
        #expect(bench.errors() == [.invalidTopic], "while the other is being made")
        bench.settle()
        bench.effects = []
        bench.create(["a_b", "a.c", "a_c", "a.c"])
        bench.settle()
        #expect(
            bench.errors() == [.invalidTopic, nil, .invalidTopic, .invalidRequest],
            "within one request")
        bench.request(2, .deleteTopics(["a.b"]))
        bench.settle()
        bench.effects = []
        bench.create(["a_b"])
        bench.settle()
        #expect(bench.errors() == [nil])
    }

    @Test func allTopicsTogetherAreBounded() {
        var bench = ControlBench()
        bench.create(["a", "b", "c"], partitions: 100_000)
        bench.create(["d"], partitions: 1, token: 2)
        #expect(bench.errors() == [.invalidPartitions], "what is being made counts")
        bench.persist(failure: "no")
        #expect(bench.errors() == [.timedOut, .timedOut, .invalidPartitions])
        bench.create(["d"], partitions: 100_000)
        bench.settle()
        bench.create(["e"], partitions: 99_999)
        bench.settle()
        bench.effects = []
        bench.request(
            3, .createPartitions([NewPartitions(name: "e", count: 100_000)], validateOnly: false))
        bench.settle()
        #expect(bench.errors() == [nil])
        bench.create(["f"], partitions: 1)
        #expect(bench.errors() == [.invalidPartitions])
    }

    @Test func validationChangesNothing() {
        var bench = ControlBench()
        bench.request(1, .createTopics([NewTopic(name: "a")], validateOnly: true))
        #expect(bench.outcomes().first?.entry?.partitions.count == 2)
        bench.create(["a"])
        bench.settle()
        bench.effects = []
        bench.request(
            2, .createPartitions([NewPartitions(name: "a", count: 9)], validateOnly: true))
        #expect(bench.errors() == [nil])
        bench.request(
            3, .alterTopics([("a", .replacing(with: ["flush": "sync"]))], validateOnly: true))
        #expect(bench.errors() == [nil])
        #expect(bench.writes.isEmpty)
        #expect(bench.view?.topic(named: "a")?.partitions.count == 1)
    }

    @Test func topicsGrowAndNeverShrink() {
        var bench = ControlBench()
        bench.create(["a"], partitions: 2)
        bench.settle()
        bench.effects = []
        for count: Int32 in [2, 1, 0, -1, 100_001] {
            bench.request(
                2, .createPartitions([NewPartitions(name: "a", count: count)], validateOnly: false))
            #expect(bench.errors() == [.invalidPartitions])
        }
        bench.request(
            2, .createPartitions([NewPartitions(name: "b", count: 3)], validateOnly: false))
        #expect(bench.errors() == [.unknown])
        bench.request(
            3, .createPartitions([NewPartitions(name: "a", count: 4)], validateOnly: false))
        bench.persist()
        #expect(bench.opens.map(\.partition.index.rawValue) == [2, 3])
        #expect(bench.take().replies.isEmpty)
        bench.openAll()
        #expect(bench.errors() == [nil])
        #expect(bench.view?.topic(named: "a")?.partitions.count == 4)
    }

    @Test func aTopicNamedTwiceGrowsOnce() {
        var bench = ControlBench()
        bench.create(["a"])
        bench.settle()
        bench.effects = []
        bench.request(
            2,
            .createPartitions(
                [NewPartitions(name: "a", count: 3), NewPartitions(name: "a", count: 5)],
                validateOnly: false))
        bench.request(3, .alterTopics([("b", .replacing(with: [:]))], validateOnly: false))
        bench.settle()
        #expect(bench.view?.topic(named: "a")?.partitions.count == 3)
        #expect(bench.opens.isEmpty)
    }

    @Test func configurationsReachTheirPartitions() {
        var bench = ControlBench()
        bench.create(["a"], partitions: 2)
        bench.settle()
        bench.effects = []
        bench.request(
            2, .alterTopics([("a", .replacing(with: ["flush": "sync"]))], validateOnly: false))
        #expect(bench.take().isEmpty)
        bench.persist()
        let configured = bench.effects.compactMap { effect -> Durability? in
            if case .configure(_, let configuration) = effect {
                configuration.durability
            } else {
                nil
            }
        }
        #expect(configured == [.sync, .sync])
        #expect(bench.errors() == [nil])
        bench.request(
            3,
            .alterTopics(
                [("a", .replacing(with: ["flush": "soon"])), ("b", .replacing(with: [:]))],
                validateOnly: false))
        #expect(bench.errors() == [.invalidConfiguration, .unknown])
    }
}

/// What a start makes of the table.
@Suite struct ControlStartTests {
    @Test func topicsAreThereAgain() throws {
        var bench = ControlBench()
        bench.request(
            1,
            .createTopics(
                [
                    NewTopic(name: "a", partitions: 3, overrides: ["flush": "sync"]),
                    NewTopic(name: "b", partitions: 1),
                ], validateOnly: false))
        bench.settle()
        bench.request(2, .deleteTopics(["b"]))
        bench.settle()
        let id = bench.view?.topic(named: "a")?.id
        var next = ControlBench(registers: bench.registers, seed: 2, epoch: 1)
        #expect(next.take().ready.isEmpty, "clients wait for the logs")
        #expect(next.opens.count == 3)
        #expect(next.opens.allSatisfy { $0.epoch == LeaderEpoch(1) })
        next.openAll()
        #expect(next.take().ready == [[]])
        let entry = try #require(next.view?.topic(named: "a"))
        #expect(entry.id == id)
        #expect(entry.configuration.durability == .sync)
        #expect(next.view?.sortedNames == ["a"])
    }

    @Test func whatCannotBeOpenedOrReadIsNamed() {
        var bench = ControlBench()
        bench.create(["a", "b"])
        bench.settle()
        bench.registers.put("topic/c", ByteBuffer(string: "?"))
        var next = ControlBench(registers: bench.registers)
        next.handle(.opened(next.opens.removeFirst().partition, failure: "no"))
        next.openAll()
        let ready = next.take().ready
        #expect(ready.count == 1 && ready[0].count == 2)
    }
}
