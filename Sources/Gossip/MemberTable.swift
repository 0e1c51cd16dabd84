internal import Model

/// The members by node id, changed in place: a member is large, and an ordered dictionary would
/// move it out and back for every field that is set.
///
/// Iterated in order of admission. A lookup costs one hash; a removal one pass.
struct MemberTable {
    /// Looked up, never iterated.
    private var places: [NodeID: Int] = [:]
    private var storage: [Member?] = []

    var count: Int { places.count }

    /// In order of admission.
    var values: some Sequence<Member> { storage.lazy.compactMap { $0 } }

    func contains(_ node: NodeID) -> Bool { places[node] != nil }

    subscript(node: NodeID) -> Member? {
        _read {
            if let place = places[node] {
                // Through the span, because reading an array's element copies the whole member.
                yield storage.span[place]
            } else {
                yield nil
            }
        }
        _modify {
            if let place = places[node] {
                yield &storage[place]
                if storage[place] == nil { compact(place, node) }
            } else {
                var fresh: Member?
                yield &fresh
                if let fresh {
                    places[node] = storage.count
                    storage.append(fresh)
                }
            }
        }
    }

    private mutating func compact(_ place: Int, _ node: NodeID) {
        places[node] = nil
        storage.remove(at: place)
        for later in place..<storage.count {
            if let moved = storage[later]?.node { places[moved] = later }
        }
    }
}
