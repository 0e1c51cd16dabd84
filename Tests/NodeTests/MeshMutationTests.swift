import Simulation
import Testing

/// Whole meshes whose brokers lack a rule, each from a seed on that soon misses it.
///
/// A few of those in Tests/mutations.md, so that a checker that sees nothing any more is found out
/// at once. Whoever changes what a seed does may have to take other seeds from there.
@Suite struct MeshMutationTests {
    struct Known: Sendable, CustomTestStringConvertible {
        let rule: String
        let from: UInt64

        var testDescription: String { "\(rule), from seed \(from)" }
    }

    static let known = [
        Known(rule: "groups.commitsAwaitLog", from: 1),
        Known(rule: "storage.duplicatesAnswered", from: 1),
        Known(rule: "storage.producersRecovered", from: 1),
        Known(rule: "node.consumersSeeCommitted", from: 1),
        Known(rule: "node.movesOnceStopped", from: 1),
    ]

    /// So many seeds are tried: a change elsewhere may shift the one that was known.
    private static let seeds: UInt64 = 6

    @Test("Without its rule a mesh breaks a promise, and with it none", arguments: known)
    func everyRuleIsNeeded(known: Known) throws {
        let mutation = try #require(MeshMutation.all.first { $0.name == known.rule })
        let seed = (known.from..<known.from + Self.seeds).first {
            mutation.run(seed: $0).verdict.violation != nil
        }
        let found = try #require(seed)
        #expect(MeshMutation.clean(mutation.plan, seed: found).violation == nil)
    }

    /// A leader went on for up to 250 ms with the voters before a change of the roster, of whose
    /// grants the new ones knew nothing: two brokers served one partition.
    @Test("What was found on the way stays mended", arguments: [122, 167] as [UInt64])
    func leasesFollowTheRoster(seed: UInt64) {
        #expect(MeshMutation.clean(.networks, seed: seed).violation == nil)
    }

    @Test("Every rule has a row of its own")
    func rowsAreDistinct() {
        #expect(Set(MeshMutation.all.map(\.name)).count == MeshMutation.all.count)
        #expect(Set(MeshMutation.all.map { $0.rule as AnyKeyPath }).count == MeshMutation.all.count)
        #expect(MeshMutation.all.count >= 30)
    }
}
