import Model
import NIOCore
import Simulation

/// What one client asked of one register and what it was told, with the times of both.
struct Operation {
    enum Kind: Equatable {
        /// Appends its id to the list; a missing list is empty.
        case append(UInt8)
        case delete
        /// A read, or an append that its function abandoned.
        case read
    }

    let kind: Kind
    let start: Int64
    /// Nil while nobody knows: it may take effect at any time, or never.
    var end: Int64?
    /// What the register held afterwards; nil says that nothing is known of it.
    var seen: [UInt8]??
}

/// Whether a history of one register has an order that explains it (Wing and Gong 1993).
///
/// Registers are independent, so each has its own history (P-compositionality, as in Porcupine).
/// An operation of which nobody knows the outcome is open: it may take effect at any time after
/// its start, or never. The values name all appends in order, so almost every branch ends at its
/// first step.
struct History {
    var operations: [Operation] = []

    var isLinearizable: Bool { judgement == .linearizable }

    /// A history with very many calls of unknown outcome is neither explained nor refuted.
    var judgement: Linearizability { Linearizability.judge(needed, initial: nil as [UInt8]?) }

    /// Without what explains and excludes nothing: reads that were never answered, and open appends
    /// that nobody ever saw. Each of them would double the states to visit.
    private var needed: [Operation] {
        var seen: Set<UInt8> = []
        for operation in operations {
            if case .some(.some(let list)) = operation.seen { seen.formUnion(list) }
        }
        return operations.filter { operation in
            guard operation.end == nil else { return true }
            return switch operation.kind {
            case .append(let id): seen.contains(id)
            case .delete: true
            case .read: false
            }
        }
    }
}

extension Operation: TimedCall {
    func applied(to state: [UInt8]?) -> [UInt8]?? {
        let next: [UInt8]?
        switch kind {
        case .append(let id): next = (state ?? []) + [id]
        // An open delete of nothing would have to be tried again where it does something.
        case .delete where end == nil && state == nil: return nil
        case .delete: next = nil
        case .read: next = state
        }
        guard case .some(let seen) = seen else { return .some(next) }
        return seen == next ? .some(next) : nil
    }
}

/// A queue of things to come, in the order of their times, and of their making where these agree.
struct Schedule<Event> {
    private var entries: [(time: Int64, order: Int, event: Event)] = []
    private var made = 0

    var isEmpty: Bool { entries.isEmpty }

    mutating func add(_ event: Event, at time: Int64) {
        var low = 0
        var high = entries.count
        // Latest first, so that the next one is the last.
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].time > time { low = middle + 1 } else { high = middle }
        }
        entries.insert((time, made, event), at: low)
        made += 1
    }

    mutating func next() -> (time: Int64, event: Event)? {
        entries.popLast().map { ($0.time, $0.event) }
    }
}
