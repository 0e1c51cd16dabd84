import Foundation
import Simulation

/// What came of one seed, as it is printed and as it is kept in a file.
///
/// Nothing in it depends on the machine or the moment, so that two processes that ran one seed
/// print the same bytes.
struct MeshRun: Codable, Hashable {
    let seed: UInt64
    /// `clean`, `thin` or `violation`; see `MeshTally.thinBounds`.
    let verdict: Verdict
    /// The first promise that was broken.
    let violation: String?
    let traceHash: String
    let brokers: Int
    /// Virtual time.
    let milliseconds: Int64
    let events: Int
    let faults: Int
    let kinds: [String: Int]
    /// What brokers met of it; nil in lines of a program that did not count it.
    let reached: [String: Int]?
    let elections: Int
    let acknowledged: Int
    let consumed: Int
    let commits: Int
    let rebalances: Int
    let registers: Int
    let undecided: Int
    let chosen: Int
    let retries: Int
    let epochBumps: Int

    /// What a run proves.
    enum Verdict: String, Codable {
        case clean
        case thin
        case violation
    }

    init(_ verdict: MeshVerdict) {
        let counts = verdict.counts
        seed = verdict.seed
        violation = verdict.violation
        self.verdict =
            verdict.violation != nil ? .violation : MeshTally.isThin(counts) ? .thin : .clean
        traceHash = String(verdict.hash, radix: 16)
        brokers = verdict.schedule.options.brokers
        milliseconds = verdict.milliseconds
        events = counts.events
        faults = counts.faults
        kinds = counts.kinds
        reached = counts.reached.filter { $0.value > 0 }
        elections = counts.elections
        acknowledged = counts.acknowledged
        consumed = counts.consumed
        commits = counts.commits
        rebalances = counts.rebalances
        registers = counts.registers
        undecided = counts.undecided
        chosen = counts.chosen
        retries = counts.retries
        epochBumps = counts.epochBumps
    }

    /// One line for a reader.
    var text: String {
        let faultKinds = kinds.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        let ofKinds = kinds.isEmpty ? "" : " (\(faultKinds.joined(separator: ", ")))"
        return "seed \(seed): \(violation.map { "VIOLATION: \($0)" } ?? verdict.rawValue); "
            + "\(brokers) brokers, \(milliseconds) ms, \(events) events, "
            + "\(faults) faults\(ofKinds), "
            + "\(elections) leaderships, \(acknowledged) acknowledged, "
            + "\(consumed) consumed, \(commits) commits, \(rebalances) assignments, "
            + "\(chosen) values chosen, \(registers) registers judged, \(undecided) not, "
            + "\(retries) retries, \(epochBumps) epoch bumps"
            + (reached.map { "; reached: " + MeshTally.text(of: $0) } ?? "")
    }

    /// One line of JSON.
    func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
