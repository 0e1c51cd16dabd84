/// Something that was asked of one object, with the times of the question and of the answer.
public protocol TimedCall {
    associatedtype State: Hashable

    var start: Int64 { get }
    /// Nil while nobody knows: it may take effect at any time after its start, or never.
    var end: Int64? { get }
    /// The place in the history of a call that takes effect before this one.
    var predecessor: Int? { get }

    /// The object afterwards; nil where the answer contradicts what the object was.
    func applied(to state: State) -> State?
}

extension TimedCall {
    public var predecessor: Int? { nil }
}

/// Whether a history of one object has an order that explains it (Wing and Gong 1993, with the
/// memory of Lowe 2017).
///
/// Objects are independent, so each has its own history (P-compositionality, as in Porcupine).
/// Values that differ end almost every branch at its first step; calls that nobody knows the
/// outcome of double what is to be visited.
public enum Linearizability: Hashable, Sendable {
    case linearizable
    case violated
    /// Too many calls at one time, or too many orders to try: nothing is known.
    case undecided

    /// Calls that may be tried beside the oldest one that has not taken effect.
    private static let window = UInt128.bitWidth
    /// Orders that are tried: some seconds' work.
    private static let statesMaximum = 400_000

    private struct Node<State: Hashable>: Hashable {
        /// All calls before it have taken effect, or never will.
        let base: Int
        /// Those from `base` on that have.
        let done: UInt128
        let state: State

        func isDone(_ place: Int) -> Bool {
            place < base || (place - base < window && done & 1 << (place - base) != 0)
        }
    }

    public static func judge<Call: TimedCall>(
        _ history: [Call], initial: Call.State
    ) -> Linearizability {
        let order = history.indices.sorted { (history[$0].start, $0) < (history[$1].start, $1) }
        let calls = order.map { history[$0] }
        var places = [Int](repeating: 0, count: order.count)
        for (place, index) in order.enumerated() { places[index] = place }
        var visited: Set<Node<Call.State>> = []
        var open = [Node(base: 0, done: 0, state: initial)]
        var isCut = false
        while let node = open.popLast() {
            guard visited.insert(node).inserted else { continue }
            guard visited.count <= statesMaximum else { return .undecided }
            var horizon = Int64.max
            for place in node.base..<calls.count {
                if calls[place].start > horizon { break }
                let step = place - node.base
                if step < window, node.done & 1 << step != 0 { continue }
                if let end = calls[place].end { horizon = min(horizon, end) }
            }
            // Only calls without an end are left, or none: they may never have taken effect.
            if horizon == .max { return .linearizable }
            for place in node.base..<calls.count {
                guard calls[place].start <= horizon else { break }
                let step = place - node.base
                guard step < window else {
                    isCut = true
                    break
                }
                guard node.done & 1 << step == 0,
                    calls[place].predecessor.map({ node.isDone(places[$0]) }) ?? true,
                    let next = calls[place].applied(to: node.state)
                else { continue }
                open.append(advanced(node.base, node.done | 1 << step, next))
            }
            // The oldest call is one that nobody knows of: it may be given up.
            if calls[node.base].end == nil {
                open.insert(advanced(node.base, node.done | 1, node.state), at: 0)
            }
        }
        return isCut ? .undecided : .violated
    }

    private static func advanced<State>(
        _ base: Int, _ done: UInt128, _ state: State
    ) -> Node<State> {
        let steps = (~done).trailingZeroBitCount
        return Node(
            base: base + steps, done: steps >= window ? 0 : done >> steps, state: state)
    }
}
