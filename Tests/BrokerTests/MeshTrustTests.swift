import Gossip
import Model
import Node
import Testing

@testable import Broker
@testable import Transport

/// Restarts, copies and roll-backs, told apart by what the members see of them.
@Suite struct MeshTrustTests {
    private let node = NodeID(3)
    private let trust = MeshTrust()
    private let clock = Box()

    /// What the trust store's closures look at.
    private final class Box {
        var now: Int64 = 100
        /// The boot that is there.
        var there: UInt64 = 0
        var found: [UInt64] = []
    }

    init() {
        let clock = clock
        trust.now = { Instant(nanoseconds: clock.now) }
        trust.laterBootIsThere = { _, boot in clock.there > boot.rawValue }
        trust.whenDuplicate = { _, twins in
            clock.found += [twins.older.rawValue, twins.newer.rawValue]
        }
        trust.admit(
            AdmissionRecord(
                node: node, key: Self.key, store: Self.store, number: AdmissionNumber(1)))
    }

    private static let key = PublicKey(words: InlineWords4(3, 0, 0, 0))
    private static let store = StoreID(high: 1, low: 3)

    private func verdict(boot: UInt64, answeredAt: Int64, process: UInt64? = nil) -> Verdict {
        trust.judge(
            PeerClaim(
                role: .broker, clusterID: .none, publicKey: Self.key, nodeID: node,
                storeID: Self.store, bootEpoch: BootEpoch(boot),
                bootNonce: BootNonce(high: 0, low: process ?? boot), meshPort: 7946,
                admission: .absent, challengedAt: Instant(nanoseconds: answeredAt)))
    }

    @Test func aRestartIsTakenAtOnce() {
        #expect(verdict(boot: 4, answeredAt: 90) == .member(node))
        clock.there = 4
        clock.now = 200
        #expect(verdict(boot: 5, answeredAt: 190) == .member(node))
        #expect(clock.found.isEmpty)
        #expect(trust.duplicate(of: node) == nil)
    }

    @Test func aCopyOfARunningBrokerShutsOutBoth() {
        #expect(verdict(boot: 4, answeredAt: 90) == .member(node))
        clock.there = 5
        clock.now = 200
        #expect(verdict(boot: 5, answeredAt: 190) == .member(node))
        clock.now = 300
        #expect(verdict(boot: 4, answeredAt: 290) == .refuse(.duplicateStore))
        #expect(clock.found == [4, 5], "said once")
        for boot: UInt64 in [5, 4, 3] {
            #expect(verdict(boot: boot, answeredAt: 310) == .refuse(.duplicateStore))
        }
        #expect(clock.found == [4, 5])
        #expect(trust.duplicate(of: node)?.newer == BootEpoch(5))
        #expect(verdict(boot: 6, answeredAt: 400) == .member(node), "one of them, started again")
        #expect(trust.duplicate(of: node) == nil)
    }

    /// Gossip is often quicker than the link, which brings nothing new then.
    @Test func aStartThatOthersTellOfEndsTheMark() {
        #expect(verdict(boot: 4, answeredAt: 90) == .member(node))
        clock.there = 5
        clock.now = 200
        #expect(verdict(boot: 5, answeredAt: 190) == .member(node))
        clock.now = 300
        #expect(verdict(boot: 4, answeredAt: 290) == .refuse(.duplicateStore))
        trust.heard(node, BootEpoch(5))
        #expect(trust.duplicate(of: node) != nil)
        trust.heard(node, BootEpoch(6))
        #expect(trust.duplicate(of: node) == nil)
        #expect(verdict(boot: 6, answeredAt: 400) == .member(node))
        #expect(verdict(boot: 5, answeredAt: 410) == .refuse(.staleBoot))
    }

    /// The dead have signed too: what they sent before the restart may be read after it.
    @Test func whatWasSignedBeforeTheRestartProvesNothing() {
        #expect(verdict(boot: 4, answeredAt: 90) == .member(node))
        clock.there = 5
        clock.now = 200
        trust.heard(node, BootEpoch(5))
        #expect(verdict(boot: 4, answeredAt: 190) == .refuse(.staleBoot))
        #expect(verdict(boot: 5, answeredAt: 210) == .member(node))
        #expect(clock.found.isEmpty)
    }

    @Test func aDirectoryThatWasRolledBackIsNoDuplicate() {
        trust.heard(node, BootEpoch(7))
        clock.there = 0
        #expect(verdict(boot: 5, answeredAt: 300) == .refuse(.staleBoot))
        #expect(clock.found.isEmpty)
        #expect(verdict(boot: 8, answeredAt: 310) == .member(node))
    }

    @Test func ofTwoWithOneBootTheFirstStays() {
        #expect(verdict(boot: 4, answeredAt: 90, process: 1) == .member(node))
        clock.there = 4
        #expect(verdict(boot: 4, answeredAt: 300, process: 2) == .refuse(.staleBoot))
        #expect(verdict(boot: 4, answeredAt: 310, process: 1) == .member(node))
        #expect(clock.found.isEmpty)
    }
}
