/// Shrinks a schedule that breaks a promise to one that breaks the same promise with less.
///
/// Delta debugging (Zeller and Hildebrandt 2002, ddmin) over the list of faults, then fewer
/// partitions and brokers, an ideal network and shorter faults, each kept where the promise still
/// breaks. A run without one of its faults is another run, whose messages meet in other ways:
/// what the given seed does not break any more, one of the next few may.
public struct MeshMinimizer {
    /// Further seeds that are tried of a schedule before it is held for harmless.
    private static let otherSeeds: UInt64 = 2

    private let promise: MeshPromise
    private let runsMaximum: Int
    private let run: (MeshSchedule) -> MeshVerdict
    private let report: (String) -> Void
    public private(set) var best: MeshVerdict
    public private(set) var runs = 0

    /// - Parameter verdict: of a run that broke a promise.
    /// - Parameter report: hears a line whenever something less breaks the promise too.
    public init(
        _ verdict: MeshVerdict, promise: MeshPromise, runsMaximum: Int,
        run: @escaping (MeshSchedule) -> MeshVerdict = {
            MeshWorld(seed: $0.seed, schedule: $0).run()
        }, report: @escaping (String) -> Void = { _ in }
    ) {
        best = verdict
        self.promise = promise
        self.runsMaximum = runsMaximum
        self.run = run
        self.report = report
    }

    /// Ends with the least that was found; `best` is its run.
    public mutating func minimize() {
        var size = 0
        repeat {
            size = best.schedule.faults.count
            shrinkFaults()
            shrinkMesh()
            shortenFaults()
        } while best.schedule.faults.count < size && runs < runsMaximum
    }

    /// Whether a schedule breaks the promise too; then it is the best one.
    private mutating func breaks(_ schedule: MeshSchedule) -> Bool {
        for step in 0...Self.otherSeeds {
            guard runs < runsMaximum else { return false }
            runs += 1
            var candidate = schedule
            candidate.seed = schedule.seed &+ step  // wraps: any seed will do
            let verdict = run(candidate)
            guard verdict.failure?.promise == promise else { continue }
            best = verdict
            let options = verdict.schedule.options
            report(
                "run \(runs): \(verdict.schedule.faults.count) faults, \(options.brokers) brokers, "
                    + "\(options.partitions) partitions break it too")
            return true
        }
        return false
    }

    private mutating func shrinkFaults() {
        var parts = 2
        while !best.schedule.faults.isEmpty, runs < runsMaximum {
            let faults = best.schedule.faults
            parts = min(parts, faults.count)
            var isSmaller = false
            // The last are the likeliest to matter: those before them go first.
            for part in 0..<parts {
                let removed = (faults.count * part / parts)..<(faults.count * (part + 1) / parts)
                var candidate = best.schedule
                candidate.faults = Array(faults[..<removed.lowerBound])
                candidate.faults += faults[removed.upperBound...]
                if breaks(candidate) {
                    isSmaller = true
                    break
                }
            }
            if isSmaller {
                parts = max(2, parts - 1)
            } else if parts >= faults.count {
                return
            } else {
                parts *= 2
            }
        }
    }

    private mutating func shrinkMesh() {
        while best.schedule.options.partitions > 1 {
            var candidate = best.schedule
            candidate.options.partitions /= 2
            if !breaks(candidate) { break }
        }
        while best.schedule.options.brokers > 3 {
            var candidate = best.schedule
            candidate.options.brokers -= 1
            let last = candidate.options.brokers
            candidate.faults.removeAll { $0.victim >= last }
            if !breaks(candidate) { break }
        }
        var candidate = best.schedule
        candidate.options.network = .lan
        if candidate != best.schedule { _ = breaks(candidate) }
        candidate = best.schedule
        let last = candidate.faults.map { $0.at + $0.milliseconds }.max() ?? 0
        candidate.options.faultsMilliseconds = min(candidate.options.faultsMilliseconds, last + 1)
        if candidate != best.schedule { _ = breaks(candidate) }
    }

    /// Faults of half the length, one after the other.
    private mutating func shortenFaults() {
        var place = 0
        while place < best.schedule.faults.count, runs < runsMaximum {
            var candidate = best.schedule
            candidate.faults[place].milliseconds /= 2
            if candidate.faults[place].milliseconds < 10 || !breaks(candidate) { place += 1 }
        }
    }
}
