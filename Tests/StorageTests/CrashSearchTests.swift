import Model
import NIOCore
import Simulation
import Storage
import Testing

@Suite("Crash search: nothing acknowledged is lost, doubled or reordered")
struct CrashSearchTests {
    @Test("Logs, by 400 seeds")
    func logs() {
        for seed in 0..<400 as Range<UInt64> {
            do {
                var search = LogCrashSearch(seed: seed, skipping: nil)
                _ = try search.run()
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
    }

    @Test("Compacted logs, by 200 seeds")
    func compactedLogs() {
        for seed in 0..<200 as Range<UInt64> {
            do {
                var search = CompactionCrashSearch(seed: seed, skipping: nil)
                try search.run()
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
    }

    @Test("A seed repeats to the operation")
    func determinism() throws {
        for seed in 0..<5 as Range<UInt64> {
            var first = LogCrashSearch(seed: seed, skipping: nil)
            var second = LogCrashSearch(seed: seed, skipping: nil)
            #expect(try first.run() == second.run())
        }
    }

    @Test(
        "Leaving out any sync of the log loses something",
        arguments: [
            SyncPoint.segmentData, .segmentDirectory, .partitionDirectory, .truncationDirectory,
            .droppedDirectory, .deletionSnapshot, .startFile, .startDirectory,
        ])
    func logSyncs(point: SyncPoint) {
        let isFound = (0..<3000 as Range<UInt64>).contains { seed in
            var search = LogCrashSearch(seed: seed, skipping: point)
            do {
                _ = try search.run()
                return false
            } catch {
                return true
            }
        }
        #expect(isFound, "no seed notices that \(point) is missing")
    }

    @Test(
        "Leaving out any sync of a compaction loses something",
        arguments: [SyncPoint.compactedData, .compactedDirectory, .originalsDirectory])
    func compactionSyncs(point: SyncPoint) {
        let isFound = (0..<1000 as Range<UInt64>).contains { seed in
            var search = CompactionCrashSearch(seed: seed, skipping: point)
            do {
                try search.run()
                return false
            } catch {
                return true
            }
        }
        #expect(isFound, "no seed notices that \(point) is missing")
    }
}
