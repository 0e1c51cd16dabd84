import Foundation
import Model
import NIOCore
import Simulation
import Storage
import Testing

/// Batches of idempotent producers that reach a log in any order, again, or never at first, while
/// the log is opened anew now and then; the seed decides.
///
/// Five batches of each producer are under way at most. Whatever comes, the log has each once, in
/// the order of its producer and without a gap; a batch that comes again is answered with where it
/// is.
struct ProducerSearch {
    private struct Batch {
        let sequence: Int32
        let values: [String]
        /// Where it is, once the log has it.
        var base: Offset?
        /// Its producer has heard that.
        var isAcknowledged = false
    }

    private static let steps = 250
    private static let inFlight = 5

    private var random: SeededGenerator
    private let fixture: LogFixture
    private var producers: [[Batch]] = []

    /// What was broken first; nil where nothing was.
    static func run(_ rules: StorageRules = StorageRules(), seed: UInt64) -> String? {
        var search = ProducerSearch(rules, seed: seed)
        do { return try search.run() } catch { return "\(error)" }
    }

    private init(_ rules: StorageRules, seed: UInt64) {
        random = SeededGenerator(seed: seed)
        var fixture = LogFixture(seed: seed)
        fixture.configuration.rules = rules
        self.fixture = fixture
        for producer in 0..<Int.random(in: 1...3, using: &random) {
            var batches: [Batch] = []
            var sequence: Int32 = 0
            for _ in 0..<20 {
                let count = Int32.random(in: 1...3, using: &random)
                let values = (sequence..<sequence + count).map { "\(producer):\($0)" }
                batches.append(Batch(sequence: sequence, values: values))
                sequence += count
            }
            producers.append(batches)
        }
    }

    private mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    private mutating func run() throws -> String? {
        var (log, _) = try fixture.open()
        for _ in 0..<Self.steps {
            if chance(4) {
                try log.flush()
                (log, _) = try fixture.open()
            }
            let producer = Int.random(in: producers.indices, using: &random)
            if let violation = try deliver(of: producer, to: &log) { return violation }
        }
        return try verify(&log)
    }

    /// One of those that its producer has no answer to, or, where an answer was lost on its way,
    /// one that came before.
    private mutating func deliver(of producer: Int, to log: inout PartitionLog) throws -> String? {
        let first = producers[producer].firstIndex { !$0.isAcknowledged }
        guard let first else { return nil }
        let last = min(first + Self.inFlight, producers[producer].count) - 1
        // A log that does not know a producer takes any batch of it for its first (KIP-360).
        let isUnknown = producers[producer][0].base == nil
        let place = isUnknown ? 0 : Int.random(in: first...last, using: &random)
        let batch = producers[producer][place]
        let bytes = fixture.batch(
            batch.values, producer: Int64(producer), epoch: 0, sequence: batch.sequence)
        let base: Offset
        do throws(AppendError) {
            switch try log.append(
                bytes, leaderEpoch: LeaderEpoch(0), origin: .client, now: fixture.now)
            {
            case .duplicate(let known): base = known.baseOffset
            case .appended(let new): base = new.baseOffset
            }
        } catch {
            guard case .outOfOrderSequence = error else { return "\(batch.values[0]): \(error)" }
            return batch.base == nil ? nil : "\(batch.values[0]), which the log has, is refused"
        }
        if let known = batch.base, known != base {
            return "\(batch.values[0]) is at \(known.rawValue), and then at \(base.rawValue)"
        }
        producers[producer][place].base = base
        if chance(70) { producers[producer][place].isAcknowledged = true }
        return nil
    }

    private func verify(_ log: inout PartitionLog) throws -> String? {
        var next = producers.map { _ in 0 }
        for record in try log.records() {
            let value = record.value.map { String(buffer: $0) } ?? ""
            let parts = value.split(separator: ":").compactMap { Int($0) }
            guard parts.count == 2, next[parts[0]] == parts[1] else {
                return "\(value) stands where \(parts[0]):\(next[parts[0]]) is to be"
            }
            next[parts[0]] += 1
        }
        return nil
    }
}

/// A rule of one log that the search leaves out.
struct StorageMutation: Sendable, CustomTestStringConvertible {
    typealias Rule = WritableKeyPath<StorageRules, Bool> & Sendable

    let name: String
    let rule: any Rule

    var testDescription: String { name }

    /// `recoveredSynced` is a rule of the broker that opens the log: whole meshes miss it.
    static let all: [StorageMutation] = [
        StorageMutation(name: "duplicatesAnswered", rule: \.duplicatesAnswered),
        StorageMutation(name: "sequencesChecked", rule: \.sequencesChecked),
        StorageMutation(name: "producersRecovered", rule: \.producersRecovered),
    ]

    func run(seed: UInt64) -> String? {
        var rules = StorageRules()
        rules[keyPath: rule] = false
        return ProducerSearch.run(rules, seed: seed)
    }
}

@Suite struct ProducerSearchTests {
    @Test("Idempotent producers, by 100 seeds")
    func everythingHolds() {
        for seed in 0..<100 as Range<UInt64> {
            let violation = ProducerSearch.run(seed: seed)
            #expect(violation == nil, "seed \(seed): \(violation ?? "")")
        }
    }

    @Test("Every rule has a schedule that misses it", arguments: StorageMutation.all)
    func everyRuleIsNeeded(mutation: StorageMutation) {
        #expect((0..<50 as Range<UInt64>).contains { mutation.run(seed: $0) != nil })
    }
}

/// How many searches are made for each rule; none but where the test run asks for them.
enum MutationRuns {
    static let searches =
        ProcessInfo.processInfo.environment["MUTATION_RUNS"].flatMap { UInt64($0) } ?? 0
}

/// What `scripts/mutations` makes the table of: for each rule some searches from other seeds, a
/// line of JSON for each.
@Suite(.enabled(if: MutationRuns.searches > 0)) struct MutationTable {
    private static let limit: UInt64 = 2_000

    @Test(arguments: StorageMutation.all)
    func logs(mutation: StorageMutation) {
        for number in 0..<MutationRuns.searches {
            let from = number * 100_000
            let found = (from..<from + Self.limit).first { mutation.run(seed: $0) != nil }
            let what = (found.flatMap { mutation.run(seed: $0) } ?? "")
                .replacing("\"", with: "'")
            let end = found.map {
                #","seeds":\#($0 - from + 1),"seed":\#($0),"violation":"\#(what)""#
            }
            print(
                #"{"rule":"storage.\#(mutation.name)","search":"producers of a log","from":"#
                    + "\(from)"
                    + #","tried":\#(found.map { $0 - from + 1 } ?? Self.limit)\#(end ?? "")}"#)
        }
    }
}
