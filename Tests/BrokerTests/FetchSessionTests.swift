import KafkaProtocol
import Model
import OrderedCollections
import Testing

@testable import Broker
@testable import Routes

/// Incremental fetch sessions (KIP-227).
@Suite struct FetchSessionTests {
    private func request(
        _ partitions: [(String, Int32)], forgetting: [(String, Int32)] = [], maxBytes: Int32 = 10
    ) -> FetchRequest {
        FetchRequest(
            topics: partitions.map {
                FetchRequest.Topic(
                    name: $0.0,
                    partitions: [
                        FetchRequest.Partition(index: $0.1, partitionMaxBytes: maxBytes)
                    ])
            },
            forgottenTopics: forgetting.map {
                FetchRequest.ForgottenTopic(name: $0.0, partitionIndexes: [$0.1])
            })
    }

    private func keys(_ session: FetchSession?) -> [String] {
        (session?.partitions.keys ?? []).map { key in
            switch key.topic {
            case .name(let name): "\(name)-\(key.index)"
            case .id(let id): "\(id.low)-\(key.index)"
            }
        }
    }

    private func instant(_ milliseconds: Int64) -> Instant {
        Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds)
    }

    @Test func idsOfDifferentLoopsDiffer() throws {
        var ids: Set<Int32> = []
        for loop in 0..<4 {
            var cache = FetchSessionCache(loop: loop, loops: 4)
            for _ in 0..<10 {
                let madeSession = cache.make(request([("a", 0)]), usesIDs: false, now: instant(0))
                let session = try #require(madeSession)
                #expect(session.id > 0)
                #expect(ids.insert(session.id).inserted)
                #expect(cache[session.id] != nil)
            }
        }
    }

    @Test func aSessionKnowsWhatWasNamedLast() throws {
        var cache = FetchSessionCache(loop: 0, loops: 1)
        let madeSession = cache.make(
            request([("a", 0), ("a", 1), ("b", 0)]), usesIDs: false, now: instant(0))
        var session = try #require(madeSession)
        #expect(keys(session) == ["a-0", "a-1", "b-0"])
        session.update(
            request([("c", 0), ("a", 1)], forgetting: [("a", 0), ("z", 9)], maxBytes: 7))
        #expect(keys(session) == ["a-1", "b-0", "c-0"])
        #expect(
            session.partitions[FetchKey(topic: .name("a"), index: 1)]?.wish.partitionMaxBytes == 7)
        #expect(
            session.partitions[FetchKey(topic: .name("b"), index: 0)]?.wish.partitionMaxBytes == 10)
    }

    /// From version 13 of Fetch on: the same index of two topics is two partitions, whatever name
    /// either of them has or had.
    @Test func aSessionByIDTellsTopicsApartByID() throws {
        func request(_ adding: [UInt64], forgetting: [UInt64] = []) -> FetchRequest {
            FetchRequest(
                topics: adding.map {
                    .init(topicID: TopicID(high: 1, low: $0), partitions: [.init(index: 0)])
                },
                forgottenTopics: forgetting.map {
                    .init(topicID: TopicID(high: 1, low: $0), partitionIndexes: [0])
                })
        }
        var cache = FetchSessionCache(loop: 0, loops: 1)
        let madeSession = cache.make(request([7, 8]), usesIDs: true, now: instant(0))
        var session = try #require(madeSession)
        #expect(session.usesIDs)
        #expect(keys(session) == ["7-0", "8-0"])
        session.update(request([9], forgetting: [7, 5]))
        #expect(keys(session) == ["8-0", "9-0"])
    }

    @Test func whoWasServedGoesBehindTheOthers() throws {
        var cache = FetchSessionCache(loop: 0, loops: 1)
        let madeSession = cache.make(
            request([("a", 0), ("b", 0), ("c", 0)]), usesIDs: false, now: instant(0))
        var session = try #require(madeSession)
        session.partitions[FetchKey(topic: .name("a"), index: 0)]?.toldHighWatermark = 5
        session.moveToEnd([FetchKey(topic: .name("a"), index: 0)])
        session.moveToEnd([FetchKey(topic: .name("unknown"), index: 0)])
        #expect(keys(session) == ["b-0", "c-0", "a-0"])
        #expect(session.partitions[FetchKey(topic: .name("a"), index: 0)]?.toldHighWatermark == 5)
    }

    @Test func epochsWrapToOne() {
        var session = FetchSession(id: 1, usesIDs: false, lastUsed: instant(0))
        #expect(session.nextEpoch == 1)
        session.advanceEpoch()
        #expect(session.nextEpoch == 2)
        session.nextEpoch = .max
        session.advanceEpoch()
        #expect(session.nextEpoch == 1, "0 and -1 mean something else")
    }

    @Test func theLeastRecentlyUsedGoesForANewOne() throws {
        var cache = FetchSessionCache(loop: 0, loops: 1)
        var ids: [Int32] = []
        for number in 0..<FetchSessionCache.sessionsMaximum {
            let madeSession = cache.make(
                request([("a", 0)]), usesIDs: false, now: instant(Int64(number)))
            let session = try #require(madeSession)
            ids.append(session.id)
        }
        cache[ids[0]]?.lastUsed = instant(1_000_000)
        let madeNewest = cache.make(request([("a", 0)]), usesIDs: false, now: instant(1_000_001))
        let newest = try #require(madeNewest)
        #expect(cache[ids[0]] != nil, "it was used since")
        #expect(cache[ids[1]] == nil)
        #expect(cache[ids[2]] != nil)
        #expect(cache[newest.id] != nil)
    }

    @Test func aRequestForTooMuchGetsNoSession() {
        var cache = FetchSessionCache(loop: 0, loops: 1)
        let partitions = (0...Int32(FetchSessionCache.partitionsMaximum)).map {
            FetchRequest.Partition(index: $0)
        }
        let request = FetchRequest(topics: [FetchRequest.Topic(name: "a", partitions: partitions)])
        #expect(cache.make(request, usesIDs: false, now: instant(0)) == nil)
    }
}
