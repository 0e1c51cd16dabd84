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
/// Values that differ end almost every branch at its first step; each call that nobody knows the
/// outcome of doubles what is to be visited.
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
        /// All calls before it have taken effect, but for those in `open`.
        var base = 0
        /// Those from `base` on that have.
        var done: UInt128 = 0
        /// Calls before `base` that nobody knows the outcome of: each may take effect yet.
        var open: [Int] = []
        var state: State

        func isDone(_ place: Int) -> Bool {
            if place < base { return !open.contains(place) }
            return place - base < window && done & 1 << (place - base) != 0
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
        var waiting = [advanced(Node(state: initial), calls)]
        var isCut = false
        while let node = waiting.popLast() {
            guard visited.insert(node).inserted else { continue }
            guard visited.count <= statesMaximum else { return .undecided }
            guard let candidates = candidates(node, calls, &isCut) else { return .linearizable }
            // The oldest is tried first.
            for place in candidates.reversed() {
                guard calls[place].predecessor.map({ node.isDone(places[$0]) }) ?? true,
                    let state = calls[place].applied(to: node.state)
                else { continue }
                var next = node
                next.state = state
                if place < node.base {
                    next.open.removeAll { $0 == place }
                } else {
                    next.done |= 1 << (place - node.base)
                }
                waiting.append(advanced(next, calls))
            }
        }
        return isCut ? .undecided : .violated
    }

    /// What may take effect next: whatever began before the first answer that is still to come.
    /// Nil where no answer is left to explain.
    private static func candidates<Call: TimedCall>(
        _ node: Node<Call.State>, _ calls: [Call], _ isCut: inout Bool
    ) -> [Int]? {
        var horizon = Int64.max
        for place in node.base..<calls.count {
            if calls[place].start > horizon { break }
            if node.isDone(place) { continue }
            if let end = calls[place].end { horizon = min(horizon, end) }
        }
        guard horizon < .max else { return nil }
        var places: [Int] = []
        for place in node.base..<calls.count {
            guard calls[place].start <= horizon else { break }
            guard place - node.base < window else {
                isCut = true
                break
            }
            if !node.isDone(place) { places.append(place) }
        }
        return places + node.open
    }

    /// Moves the base to the first call that has an answer and has not taken effect.
    private static func advanced<Call: TimedCall>(
        _ node: Node<Call.State>, _ calls: [Call]
    ) -> Node<Call.State> {
        var node = node
        while node.base < calls.count {
            let isDone = node.done & 1 != 0
            guard isDone || calls[node.base].end == nil else { break }
            if !isDone { node.open.append(node.base) }
            node.base += 1
            node.done >>= 1
        }
        return node
    }
}
