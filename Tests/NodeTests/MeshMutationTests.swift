import Simulation
import Testing

/// Whole meshes whose brokers lack a rule, each with a seed that is known to miss it.
///
/// A few of those in docs/mutations.md, so that a checker that sees nothing any more is found out
/// at once. Whoever changes what a seed does runs `scripts/mutations` and takes seeds from there.
@Suite struct MeshMutationTests {
    struct Known: Sendable, CustomTestStringConvertible {
        let rule: String
        let seed: UInt64

        var testDescription: String { "\(rule), seed \(seed)" }
    }

    static let known = [
        Known(rule: "groups.commitsAwaitLog", seed: 6),
        Known(rule: "storage.duplicatesAnswered", seed: 1),
        Known(rule: "storage.producersRecovered", seed: 1),
    ]

    @Test("Without its rule a mesh breaks a promise, and with it none", arguments: known)
    func everyRuleIsNeeded(known: Known) throws {
        let mutation = try #require(MeshMutation.all.first { $0.name == known.rule })
        #expect(mutation.run(seed: known.seed).verdict.violation != nil)
        #expect(MeshMutation.clean(mutation.plan, seed: known.seed).violation == nil)
    }

    @Test("Every rule has one row, and switching it off changes the value")
    func rowsAreDistinct() {
        #expect(Set(MeshMutation.all.map(\.name)).count == MeshMutation.all.count)
        #expect(Set(MeshMutation.all.map { $0.rule as AnyKeyPath }).count == MeshMutation.all.count)
        #expect(MeshMutation.all.count >= 30)
    }
}
