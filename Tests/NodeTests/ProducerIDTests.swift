import Model
import NIOCore
import Node
import Replication
import Testing

/// Producer ids are given once, whatever happens to the broker (KAFKA-15552).
@Suite struct ProducerIDTests {
    private func ids(_ bench: inout ControlBench, _ count: Int) -> [Int64] {
        for token in 0..<UInt64(count) { bench.request(token, .producerID) }
        while !bench.writes.isEmpty { bench.persist() }
        return bench.take().producerIDs.map { $0?.rawValue ?? -1 }
    }

    @Test func oneWriteServesABlock() {
        var bench = ControlBench()
        bench.request(1, .producerID)
        bench.request(2, .producerID)
        #expect(bench.writes.count == 1)
        #expect(bench.effects.producerIDs.isEmpty, "no id before its block is durable")
        bench.persist()
        #expect(bench.take().producerIDs.count == 2)
        bench.request(3, .producerID)
        #expect(bench.writes.isEmpty)
    }

    @Test func idsNeverRepeatAcrossRestarts() {
        var bench = ControlBench()
        var given: Set<Int64> = []
        var count = 0
        for round in 0..<6 {
            for id in ids(&bench, 1_500) {
                #expect(given.insert(id).inserted)
                count += 1
            }
            bench.request(1, .producerID)
            // A crash before the write, or after it and before anybody heard of it.
            if !bench.writes.isEmpty, round % 2 == 0 { bench.persist() }
            bench = ControlBench(registers: bench.registers, seed: UInt64(round))
        }
        #expect(given.count == count)
        #expect(!given.contains(-1))
    }

    @Test func aFailedWriteFailsWhoWaits() {
        var bench = ControlBench()
        bench.request(1, .producerID)
        bench.request(2, .producerID)
        bench.persist(failure: "disk full")
        #expect(bench.take().producerIDs == [nil, nil])
        #expect(ids(&bench, 1).first != nil)
    }
}
