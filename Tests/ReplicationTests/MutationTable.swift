import Foundation
import Model
import Replication
import Testing

/// How many searches are made for each rule; none but where the test run asks for them.
enum MutationRuns {
    static let searches =
        ProcessInfo.processInfo.environment["MUTATION_RUNS"].flatMap { UInt64($0) } ?? 0
}

/// What `scripts/mutations` makes the table of: for each rule some searches from other seeds, a
/// line of JSON for each.
@Suite(.enabled(if: MutationRuns.searches > 0)) struct MutationTable {
    private static let limit: UInt64 = 6_000

    /// A few rules are missed by one seed of many thousands: those are tried for as long as that
    /// takes.
    private func limit(_ mutation: ReplicationMutation) -> UInt64 {
        max(Self.limit, UInt64(mutation.oneIn) * 4)
    }

    /// And searched for twice, not more often.
    private func searches(_ mutation: ReplicationMutation) -> UInt64 {
        mutation.oneIn > 1_000 ? min(2, MutationRuns.searches) : MutationRuns.searches
    }

    @Test(arguments: ReplicationMutation.all)
    func partitions(mutation: ReplicationMutation) {
        let plan = mutation.plan.without(mutation.rule)
        let rule = mutation.key
        for number in 0..<searches(mutation) {
            let from = number * 100_000
            let limit = limit(mutation)
            let found = (from..<from + limit).first {
                SearchMesh.run(plan, seed: $0).violation != nil
            }
            let what = (found.flatMap { SearchMesh.run(plan, seed: $0).violation } ?? "")
                .replacing("\"", with: "'")
            let end = found.map {
                #","seeds":\#($0 - from + 1),"seed":\#($0),"violation":"\#(what)""#
            }
            let tried = found.map { $0 - from + 1 } ?? limit
            print(
                #"{"rule":"replication.\#(rule)","search":"partitions (\#(mutation.name))","#
                    + #""from":\#(from),"tried":\#(tried)\#(end ?? "")}"#)
        }
    }
}
