import Coordination
import Foundation
import Testing

/// A rule of groups that a search leaves out, and a seed that is known to miss it.
struct GroupMutation: Sendable, CustomTestStringConvertible {
    typealias Rule = WritableKeyPath<GroupRules, Bool> & Sendable

    let name: String
    let rule: any Rule

    var testDescription: String { name }

    /// `slotForgotten` is a rule of the broker that moves the slot: whole meshes miss it.
    static let all: [GroupMutation] = [
        GroupMutation(name: "commitsAwaitLog", rule: \.commitsAwaitLog),
        GroupMutation(name: "generationsFenced", rule: \.generationsFenced),
        GroupMutation(name: "membersValidated", rule: \.membersValidated),
        GroupMutation(name: "assignmentsAwaitLog", rule: \.assignmentsAwaitLog),
        GroupMutation(name: "slotReadWhole", rule: \.slotReadWhole),
        GroupMutation(name: "tombstonesRead", rule: \.tombstonesRead),
    ]

    /// Whether a schedule without the rule goes wrong, and how.
    func run(seed: UInt64) -> String? {
        var rules = GroupRules()
        rules[keyPath: rule] = false
        return GroupWorld.run(seed: seed, rules: rules).violation
    }
}

@Suite struct GroupMutationTests {
    @Test("Every rule has a schedule that misses it", arguments: GroupMutation.all)
    func everyRuleIsNeeded(mutation: GroupMutation) {
        let found = (0..<200 as Range<UInt64>).first { mutation.run(seed: $0) != nil }
        #expect(found != nil)
        if let found { #expect(GroupWorld.run(seed: found).violation == nil) }
    }
}

/// How many searches are made for each rule; none but where the test run asks for them.
enum MutationRuns {
    static let searches =
        ProcessInfo.processInfo.environment["MUTATION_RUNS"].flatMap { UInt64($0) } ?? 0
}

/// What `scripts/mutations` makes the table of: for each rule some searches from other seeds.
@Suite(.enabled(if: MutationRuns.searches > 0)) struct MutationTable {
    private static let limit: UInt64 = 2_000

    @Test func groups() {
        for mutation in GroupMutation.all {
            for search in 0..<MutationRuns.searches {
                let from = search * 100_000
                let seeds = from..<from + Self.limit
                let found = seeds.first { mutation.run(seed: $0) != nil }
                let what = (found.flatMap { mutation.run(seed: $0) } ?? "")
                    .replacing("\"", with: "'")
                print(
                    #"{"rule":"groups.\#(mutation.name)","search":"groups","from":\#(from),"#
                        + #""tried":\#(found.map { $0 - from + 1 } ?? Self.limit)"#
                        + (found.map {
                            #","seeds":\#($0 - from + 1),"seed":\#($0),"violation":"\#(what)""#
                        } ?? "") + "}")
            }
        }
    }
}
