import Model
import Replication
import Testing

/// A machine under a random schedule, beside what a reader and the producers are owed.
private struct Schedule {
    private(set) var bench: Bench
    private(set) var acknowledged = 0
    private var random: SeededGenerator
    private var end: Int64 = 0
    private var synced: Int64 = 0
    private var syncTarget: Int64?
    private var milliseconds: Int64 = 0
    private var nextToken: UInt64 = 0
    private var epoch: Int32 = 0
    private var open: [UInt64: PartitionMachine.Waiter] = [:]

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        bench = Bench(syncRequired: seed % 2 == 0)
    }

    mutating func step() -> String? {
        let before = bench.machine.highWatermark
        let refusesAll: Bool
        let effects: [Bench.Effect]
        switch random.next(upperBound: 12 as UInt64) {
        case 0...3: (effects, refusesAll) = (append(), false)
        case 4...6: (effects, refusesAll) = (wait(), false)
        case 7...9: (effects, refusesAll) = (endSync(), false)
        case 10:
            milliseconds += 30
            (effects, refusesAll) = (bench.expire(milliseconds), false)
        default:
            epoch += 1
            (effects, refusesAll) = (bench.lead(epoch: epoch, end: end, synced: synced), true)
        }
        return settle(effects) ?? check(before) ?? (refusesAll && !open.isEmpty ? "left" : nil)
    }

    private mutating func append() -> [Bench.Effect] {
        end += 1 + Int64(random.next(upperBound: 4 as UInt64))
        return bench.appended(end)
    }

    private mutating func wait() -> [Bench.Effect] {
        nextToken += 1
        let kinds: [Acknowledgement] = [.none, .leader, .all]
        let waiter = PartitionMachine.Waiter(
            token: nextToken, end: Offset(Int64(random.next(upperBound: UInt64(end + 1)))),
            acknowledgement: kinds[Int(random.next(upperBound: 3 as UInt64))],
            deadline: Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds + 100))
        open[nextToken] = waiter
        return bench.handle(.await(waiter))
    }

    private mutating func endSync() -> [Bench.Effect] {
        guard let target = syncTarget else { return [] }
        syncTarget = nil
        if random.next(upperBound: 10 as UInt64) == 0 { return bench.handle(.syncFailed) }
        synced = max(synced, target)
        return bench.synced(target)
    }

    /// Every waiter hears exactly once, and a yes only when it is due.
    private mutating func settle(_ effects: [Bench.Effect]) -> String? {
        for effect in effects {
            switch effect {
            case .sync:
                if syncTarget != nil { return "two syncs at once" }
                syncTarget = end
            case .highWatermark: continue
            case .proposeInSync: return "a sole replica has nothing to propose"
            case .refuse(let token, _):
                if open.removeValue(forKey: token) == nil { return "\(token) was told twice" }
            case .acknowledge(let token):
                guard let waiter = open.removeValue(forKey: token) else {
                    return "\(token) was told twice"
                }
                acknowledged += 1
                let isSafe = !bench.machine.syncRequired || waiter.end.rawValue <= synced
                if !isSafe, waiter.acknowledgement != .none { return "\(token) came too early" }
            }
        }
        return nil
    }

    private func check(_ before: Offset) -> String? {
        let machine = bench.machine
        if machine.highWatermark < before { return "the high watermark fell" }
        if machine.highWatermark > machine.end { return "the high watermark passed the end" }
        if machine.syncRequired, machine.highWatermark.rawValue > synced {
            return "the high watermark passed what is on the device"
        }
        if machine.hasWaiters != !open.isEmpty { return "somebody was forgotten" }
        return nil
    }
}

@Suite struct PartitionScheduleTests {
    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func theInvariantsHold(seed: UInt64) {
        var schedule = Schedule(seed: seed)
        for step in 0..<2_000 {
            if let broken = schedule.step() {
                Issue.record("seed \(seed), step \(step): \(broken)")
                return
            }
        }
        #expect(schedule.acknowledged > 100)
    }
}
