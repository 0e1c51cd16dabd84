import Foundation
import Testing

@testable import Paxos

/// How many searches are made for each rule; none but where the test run asks for them.
enum MutationRuns {
    static let searches =
        ProcessInfo.processInfo.environment["MUTATION_RUNS"].flatMap { UInt64($0) } ?? 0
}

/// What `scripts/mutations` makes the table of: for each rule some searches from other seeds, a
/// line of JSON for each.
@Suite(.enabled(if: MutationRuns.searches > 0)) struct MutationTable {
    private static let limit: UInt64 = 6_000

    private func measure(_ rule: String, _ search: String, _ violation: (UInt64) -> String?) {
        for number in 0..<MutationRuns.searches {
            let from = number * 100_000
            let found = (from..<from + Self.limit).first { violation($0) != nil }
            let what = found.flatMap(violation) ?? ""
            let end = found.map {
                #","seeds":\#($0 - from + 1),"seed":\#($0),"violation":"\#(what)""#
            }
            print(
                #"{"rule":"registers.\#(rule)","search":"\#(search)","from":\#(from),"#
                    + #""tried":\#(found.map { $0 - from + 1 } ?? Self.limit)\#(end ?? "")}"#)
        }
    }

    @Test(arguments: Mutation.all)
    func registers(mutation: Mutation) {
        let plan = mutation.plan.without(mutation.rule)
        measure(mutation.name, "registers") {
            SearchMesh.run(plan, seed: $0).isLinearizable ? nil : "not linearizable"
        }
    }

    @Test(arguments: VoterMutation.all + VoterMutation.unseen)
    func voters(mutation: VoterMutation) {
        let plan = mutation.plan.without(mutation.rule)
        let name = mutation.name.prefix { $0 != "," }
        let isTimed = name.count < mutation.name.count
        measure(String(name), isTimed ? "voters, removed by time" : "voters") {
            VoterMesh.run(plan, seed: $0).violation
        }
    }
}
