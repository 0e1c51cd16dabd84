import Model
import NIOCore
import Testing

@testable import Paxos

/// Random schedules: with all rules on none violates, with any one off some do.
@Suite struct SearchTests {
    static let kinds: [(String, SearchPlan)] = [
        ("usual", .usual), ("crashes", .crashes), ("single", .single), ("wipes", .wipes),
        ("new roster", .newRoster), ("removals", .removals), ("reboots", .reboots),
        ("conditional", .conditional),
    ]

    private func check(_ plan: SearchPlan, seeds: Range<UInt64>) {
        var chosen = 0
        for seed in seeds {
            let result = SearchMesh.run(plan, seed: seed)
            #expect(result.isLinearizable, "seed \(seed)")
            #expect(result.isLive, "seed \(seed): the last read, in a healed mesh")
            chosen += result.chosen
        }
        #expect(chosen > seeds.count, "a search in which nothing happens finds nothing")
    }

    @Test(arguments: kinds)
    func registersAreLinearizable(kind: (name: String, plan: SearchPlan)) {
        check(kind.plan, seeds: 0..<300)
    }

    @Test(arguments: [1, 3, 5])
    func anyOddNumberVotes(voters: Int) {
        var plan = SearchPlan.usual
        plan.voters = voters
        check(plan, seeds: 1000..<1300)
    }

    @Test("Section 15: every rule has a schedule that misses it", arguments: Mutation.all)
    func everyRuleIsNeeded(mutation: Mutation) {
        let plan = mutation.plan.without(mutation.rule)
        let seeds = mutation.from..<mutation.from + 60
        let found = seeds.first { !SearchMesh.run(plan, seed: $0).isLinearizable }
        #expect(found != nil)
        if let found {
            #expect(SearchMesh.run(mutation.plan, seed: found).isLinearizable)
        }
    }

    @Test func theSameSeedComesToTheSame() {
        for (_, plan) in Self.kinds {
            let first = SearchMesh.run(plan, seed: 5, tracing: true)
            #expect(first == SearchMesh.run(plan, seed: 5, tracing: true))
            #expect(first.trace != SearchMesh.run(plan, seed: 6, tracing: true).trace)
        }
    }

    @Test func registersAreRemovedInTheSearch() {
        let removed = (0..<50 as Range<UInt64>).count {
            SearchMesh.run(.removals, seed: $0).isCollected
        }
        #expect(removed > 20)
    }
}

/// The checker finds what has no order.
@Suite struct HistoryTests {
    private func isLinearizable(_ operations: [Operation]) -> Bool {
        History(operations: operations).isLinearizable
    }

    private func append(_ id: UInt8, _ start: Int64, _ end: Int64?, _ seen: [UInt8]??) -> Operation
    {
        Operation(kind: .append(id), start: start, end: end, seen: seen)
    }

    private func read(_ start: Int64, _ end: Int64, _ seen: [UInt8]?) -> Operation {
        Operation(kind: .read, start: start, end: end, seen: .some(seen))
    }

    @Test func ordersAreFound() {
        #expect(isLinearizable([]))
        #expect(isLinearizable([append(1, 0, 9, [2, 1]), append(2, 0, 9, [2])]))
        #expect(isLinearizable([append(1, 0, nil, nil), read(5, 6, nil), read(7, 8, [1])]))
        #expect(
            isLinearizable([
                append(1, 0, 1, [1]), Operation(kind: .delete, start: 2, end: 3, seen: .some(nil)),
                read(4, 5, nil), append(2, 6, 7, [2]),
            ]))
    }

    @Test func violationsAreFound() {
        #expect(!isLinearizable([append(1, 0, 1, [1]), append(2, 2, 3, [2])]), "a lost append")
        #expect(!isLinearizable([append(1, 0, 1, [1]), read(2, 3, nil)]), "a stale read")
        #expect(!isLinearizable([append(1, 0, 1, [1]), read(2, 3, [1, 1])]), "made twice")
        #expect(!isLinearizable([append(1, 5, 6, [1]), read(2, 3, [1])]), "seen before it began")
        #expect(
            !isLinearizable([append(1, 0, nil, nil), read(5, 6, [1]), read(7, 8, nil)]),
            "seen and gone")
    }
}
