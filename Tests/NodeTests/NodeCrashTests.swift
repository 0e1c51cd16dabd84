import Simulation
import Storage
import Testing

/// A whole broker that loses power again and again.
@Suite struct NodeCrashTests {
    private static let seedsPerTest: UInt64 = 20

    /// Ten times twenty seeds; a failing one is named and repeats by itself.
    @Test(arguments: 0..<10 as Range<UInt64>)
    func nothingThatWasAcknowledgedIsLost(block: UInt64) {
        var acknowledged = 0
        for seed in block * Self.seedsPerTest..<(block + 1) * Self.seedsPerTest {
            var search = NodeCrashSearch(seed: seed)
            if let broken = search.run() { Issue.record("seed \(seed): \(broken)") }
            acknowledged += search.acknowledgedCount
        }
        #expect(acknowledged > 1_000, "the search has to do some work")
    }

    /// Seeds that once failed: 215 and 393 lost a record, because the batch behind a refused one
    /// was taken for the first; the flush of 678 never ended, because recovery had let the index of
    /// the segment go that became the active one; 912 met a failing sync at its last start.
    @Test(arguments: [215, 393, 662, 678, 912] as [UInt64])
    func seedsThatOnceFailed(seed: UInt64) {
        var search = NodeCrashSearch(seed: seed)
        #expect(search.run() == nil)
    }

    @Test func aSeedRepeats() {
        var first = NodeCrashSearch(seed: 3)
        var second = NodeCrashSearch(seed: 3)
        #expect(first.run() == second.run())
        #expect(first.disk.traceHash == second.disk.traceHash)
        #expect(first.disk.operationCount > 100)
    }

    /// The search is worth something: it finds what a left out sync loses.
    @Test(arguments: [
        SyncPoint.segmentData, .segmentDirectory, .partitionDirectory, .tableData,
    ])
    func aMissingSyncIsFound(point: SyncPoint) {
        for seed in 0..<200 as Range<UInt64> {
            var search = NodeCrashSearch(seed: seed)
            search.disk.skipSynchronization(of: point)
            if search.run() != nil { return }
        }
        Issue.record("nobody noticed that \(point) was left out")
    }
}
