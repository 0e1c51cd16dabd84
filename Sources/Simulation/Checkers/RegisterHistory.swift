import Model
import NIOCore
import Node

/// What brokers asked of one register and what they were told, in the terms of the operations that
/// the mesh runs on it.
struct RegisterCall: TimedCall {
    /// What is known of the outcome.
    enum Outcome {
        /// The operation took effect.
        case took
        /// It found this.
        case found(ByteBuffer?)
        case unknown
    }

    /// Nil reads.
    let operation: RegisterOperation?
    let start: Int64
    var end: Int64?
    var outcome = Outcome.unknown
    /// What the register held afterwards, as far as the caller was told: its own value, or where
    /// the change had been made before, what it holds now.
    var observed: ByteBuffer??
    var predecessor: Int?

    func applied(to state: ByteBuffer?) -> ByteBuffer?? {
        if case .found(let value) = outcome { return value == state ? .some(state) : nil }
        guard let operation else { return .some(state) }
        // What took effect was not refused; of what is unknown it would leave no trace.
        guard case .write(let next) = operation.applied(to: state) else { return nil }
        return .some(next)
    }
}

/// The histories of the registers that the control machines of a mesh use.
///
/// The registers of the members, the roster and the floor are changed by other machines too and
/// are left out.
struct RegisterHistories {
    /// Histories longer than this are cut: the search would take longer than the run.
    private static let callsMaximum = 3_000

    private struct Asked: Hashable {
        let site: Int
        let life: Int
        let number: UInt64
    }

    /// By key; judged in the order of the keys.
    private(set) var calls: [String: [RegisterCall]] = [:]
    /// Where in the histories a question's calls are; looked up only.
    private var waiting: [Asked: [(key: String, place: Int)]] = [:]

    private static func isJudged(_ key: String) -> Bool {
        ["topic/", "partition/", "producer-ids"].contains { key.hasPrefix($0) }
    }

    mutating func note(_ event: RegisterEvent, site: Int, life: Int, at now: Instant) {
        switch event {
        case .proposed(let number, let proposals):
            ask(
                Asked(site: site, life: life, number: number), now,
                proposals.map { ($0.key, $0.operation) })
        case .read(let number, let keys):
            ask(Asked(site: site, life: life, number: number), now, keys.map { ($0, nil) })
        case .decided(let number, let decisions):
            let asked = Asked(site: site, life: life, number: number)
            guard let places = waiting.removeValue(forKey: asked) else { return }
            for ((key, place), decision) in zip(places, decisions) where place >= 0 {
                conclude(key, place, decision, now)
            }
        }
    }

    private mutating func ask(
        _ asked: Asked, _ now: Instant, _ wishes: [(String, RegisterOperation?)]
    ) {
        waiting[asked] = wishes.map { key, operation in
            guard Self.isJudged(key) else { return (key, -1) }
            calls[key, default: []].append(
                RegisterCall(operation: operation, start: now.nanoseconds))
            return (key, (calls[key]?.count ?? 0) - 1)
        }
    }

    private mutating func conclude(
        _ key: String, _ place: Int, _ decision: Decision, _ now: Instant
    ) {
        guard var call = calls[key]?[place] else { return }
        let isRead: Bool
        if case .confirm? = call.operation { isRead = true } else { isRead = call.operation == nil }
        switch decision {
        case .chosen(let value):
            call.end = now.nanoseconds
            call.outcome = isRead ? .found(value.value) : .took
            if !isRead { call.observed = .some(value.value) }
        case .refused(.tooLarge, _), .refused(.full, _), .notChosen:
            call.outcome = .unknown
            // Nothing was written, and nothing will be.
            calls[key]?[place] = RegisterCall(operation: nil, start: call.start, outcome: .unknown)
            return
        case .refused(_, let current):
            call.end = now.nanoseconds
            call.outcome = .found(current?.value)
        case .unknown, .held: return
        }
        calls[key]?[place] = call
    }

    /// The first register whose history nothing explains, and how many were judged.
    func judge() -> (violated: String?, judged: Int, undecided: Int) {
        var judged = 0
        var undecided = 0
        for (key, history) in calls.sorted(by: { $0.key < $1.key }) {
            // Reads that were never answered explain and exclude nothing.
            var needed = history.filter { $0.end != nil || $0.operation != nil }
            for (place, call) in needed.enumerated() {
                guard case .some(let value) = call.observed else { continue }
                needed.append(
                    RegisterCall(
                        operation: nil, start: call.start, end: call.end, outcome: .found(value),
                        predecessor: place))
            }
            guard needed.count <= Self.callsMaximum else {
                undecided += 1
                continue
            }
            switch Linearizability.judge(needed, initial: nil as ByteBuffer?) {
            case .linearizable: judged += 1
            case .undecided: undecided += 1
            case .violated: return (key, judged, undecided)
            }
        }
        return (nil, judged, undecided)
    }
}
