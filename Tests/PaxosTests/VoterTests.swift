import Foundation
import Model
import NIOCore
import Testing

@testable import Paxos

/// A kind of schedule by its name.
struct VoterSearch: Sendable, CustomTestStringConvertible {
    let name: String
    let plan: VoterPlan

    var testDescription: String { name }

    static let all = [
        VoterSearch(name: "growth", plan: .growth),
        VoterSearch(name: "rotation", plan: .rotation),
        VoterSearch(name: "wipes", plan: .wipes),
        VoterSearch(name: "holds", plan: .holds),
        VoterSearch(name: "deletions", plan: .deletions),
        VoterSearch(name: "handover", plan: .handover),
        VoterSearch(name: "removals", plan: .removals),
    ]

    static var isLong: Bool { ProcessInfo.processInfo.environment["SEEDS"] != nil }

    /// `SEARCH=deletions` runs that kind alone.
    static let chosen: [VoterSearch] = {
        let name = ProcessInfo.processInfo.environment["SEARCH"]
        return all.filter { name == nil || name == $0.name }
    }()

    /// `SEEDS=0..100000 swift test -c release -Xswiftc -enable-testing --filter VoterTests` runs as
    /// many; the usual run is short.
    static let seeds: Range<UInt64> = {
        let words = ProcessInfo.processInfo.environment["SEEDS"]?.split(separator: ".") ?? []
        let bounds = words.compactMap { UInt64($0) }
        guard bounds.count == 2, bounds[0] < bounds[1] else { return 0..<145 }
        return bounds[0]..<bounds[1]
    }()
}

/// Random schedules in which the voters change.
@Suite struct VoterTests {
    @Test(arguments: VoterSearch.chosen)
    func registersAreLinearizable(search: VoterSearch) {
        var total = VoterTotals()
        for seed in VoterSearch.seeds {
            let result = VoterMesh.run(search.plan, seed: seed)
            #expect(result.isLinearizable, "\(search.name), seed \(seed)")
            #expect(result.isLive, "\(search.name), seed \(seed): the last reads, all healed")
            #expect(result.isComplete, "\(search.name), seed \(seed): all changes, all healed")
            total.add(result)
        }
        #expect(total.chosen > VoterSearch.seeds.count * 5, "else it finds nothing")
        let wanted = search.plan.changes.count
        #expect(total.changes >= VoterSearch.seeds.count * wanted)
        #expect(!search.plan.sweeps || total.removed > VoterSearch.seeds.count)
        print("\(search.name): \(VoterSearch.seeds.count) schedules, \(total)")
    }
}

/// What many schedules came to.
struct VoterTotals: CustomStringConvertible {
    var chosen = 0
    var changes = 0
    var removed = 0
    var held = 0

    mutating func add(_ result: VoterResult) {
        chosen += result.chosen
        changes += result.changes
        removed += result.removed
        held += result.held
    }

    var description: String {
        "\(chosen) chosen, \(changes) rosters, \(removed) removed, \(held) held"
    }
}
