import Foundation
import Simulation

/// The runs of several seeds together.
struct MeshTally {
    /// Below these a run proves little. At most seven partitions, those of groups among them, have
    /// a first leader each: with eight leaderships one at least had another. Of the first 300
    /// seeds some twenty are below.
    private static let acknowledgedMinimum = 100
    private static let electionsMinimum = 8
    private static let faultsMinimum = 3

    /// The bounds in words.
    static let thinBounds =
        "fewer than \(acknowledgedMinimum) acknowledged records, "
        + "\(electionsMinimum) leaderships or \(faultsMinimum) faults"

    /// With so many seeds, most have to prove something: few seeds may all be thin by chance.
    static let judgedSeeds = 20

    static func isThin(_ counts: MeshCounts) -> Bool {
        counts.acknowledged < acknowledgedMinimum || counts.elections < electionsMinimum
            || counts.faults < faultsMinimum
    }

    private(set) var seeds = 0
    /// How many of them an earlier process ran.
    private(set) var earlier = 0
    private(set) var clean = 0
    private(set) var thin = 0
    private(set) var broken: [UInt64] = []
    private var milliseconds: Int64 = 0
    /// Of those that this process ran.
    private var ownMilliseconds: Int64 = 0
    private var faults = 0
    private var kinds: [String: Int] = [:]
    private var reached: [String: Int] = [:]
    private var elections = 0
    private var acknowledged = 0
    /// FNV-1a over the hashes of all runs, in their order.
    private var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    private let began = Date()

    var traceHash: String { String(hash, radix: 16) }

    var hasFailed: Bool {
        !broken.isEmpty || (seeds >= Self.judgedSeeds && thin * 2 > seeds)
    }

    mutating func add(_ run: MeshRun, isEarlier: Bool) {
        seeds += 1
        if isEarlier { earlier += 1 }
        switch run.verdict {
        case .clean: clean += 1
        case .thin: thin += 1
        case .violation: broken.append(run.seed)
        }
        milliseconds += run.milliseconds
        if !isEarlier { ownMilliseconds += run.milliseconds }
        faults += run.faults
        kinds.merge(run.kinds, uniquingKeysWith: +)
        reached.merge(run.reached ?? [:], uniquingKeysWith: +)
        elections += run.elections
        acknowledged += run.acknowledged
        for byte in run.traceHash.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3  // wraps: a hash
        }
    }

    /// Of those that this process ran; 0 before the first.
    var secondsPerSeed: Double {
        let ran = seeds - earlier
        return ran == 0 ? 0 : Date().timeIntervalSince(began) / Double(ran)
    }

    /// How often there was each, in the order of their names.
    static func text(of counts: [String: Int]) -> String {
        counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    /// What ran, what went wrong in it and what of that was met, and what is wrong with the runs.
    var summary: [String] {
        let hours = FigureReport.text(Double(milliseconds) / 3_600_000, 2)
        let pace = secondsPerSeed > 0 ? FigureReport.text(60 / secondsPerSeed, 1) : "-"
        let speed =
            secondsPerSeed > 0
            ? FigureReport.text(
                Double(ownMilliseconds) / 1_000 / (secondsPerSeed * Double(seeds - earlier)), 0)
            : "-"
        let before = earlier == 0 ? "" : " (\(earlier) of them ran before)"
        var lines = [
            "\(seeds) seeds\(before): \(clean) clean, \(thin) thin, \(broken.count) violations; "
                + "\(hours) virtual hours, \(speed) of them in an hour, \(pace) seeds per minute; "
                + "\(faults) faults, "
                + "\(acknowledged) acknowledged, \(elections) leaderships"
        ]
        if !kinds.isEmpty { lines.append("faults: " + Self.text(of: kinds)) }
        if !reached.isEmpty { lines.append("reached: " + Self.text(of: reached)) }
        if !broken.isEmpty {
            lines.append("violations: " + broken.map { "\($0)" }.joined(separator: " "))
        }
        if hasFailed, broken.isEmpty {
            lines.append("more than half are thin: they had \(Self.thinBounds)")
        }
        return lines
    }
}
