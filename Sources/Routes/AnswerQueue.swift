import DequeModule

/// The answers of one connection, given in any order and let out in the order of the requests, as
/// Kafka's protocol demands.
///
/// Owned by the connection, which bounds how many are in it.
package struct AnswerQueue {
    /// An answer's place in the order.
    private enum Place {
        case waiting
        case ready([Piece])
        /// Produce with acks=0: nothing is written.
        case silent
    }

    private var places = Deque<Place>()
    /// The number of the first place.
    private var first: UInt64 = 0

    package init() {}

    package var count: Int { places.count }

    package var isEmpty: Bool { places.isEmpty }

    /// A place for the answer to the request that came last.
    package mutating func makePlace() -> UInt64 {
        places.append(.waiting)
        return first + UInt64(places.count - 1)
    }

    /// Puts an answer in its place; false where it has none.
    package mutating func answer(_ number: UInt64, _ pieces: [Piece]?) -> Bool {
        guard number >= first, places.indices.contains(Int(number - first)) else { return false }
        places[Int(number - first)] = pieces.map(Place.ready) ?? .silent
        return true
    }

    /// The next answer that is due; nil where it is waited for.
    package mutating func next() -> [Piece]? {
        while let place = places.first {
            if case .waiting = place { return nil }
            places.removeFirst()
            first += 1
            if case .ready(let pieces) = place { return pieces }
        }
        return nil
    }

    package mutating func removeAll() { places.removeAll() }
}
