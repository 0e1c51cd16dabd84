/// What somebody holds against a log or an answer: the promise, the words, and what it is about.
public struct Objection: Hashable, Sendable {
    public let promise: MeshPromise
    public let text: String
    public var offset: Int64?
    public var value: String?
}

/// Compares one copy of a partition, read whole, with what its producers and consumers were told.
///
/// Values only: the records of a simulation or of a real broker, whose values end in a colon and
/// their number. A producer's numbers rise by one, and it has one partition.
public struct CopyCheck {
    /// The values by offset, from 0.
    public let values: [String]

    public init(values: [String]) { self.values = values }

    /// Once each, and in the order of sending.
    public func disorder() -> Objection? {
        var last = -1
        for (offset, value) in values.enumerated() {
            guard let number = Int(value.split(separator: ":").last ?? "") else { continue }
            guard number > last else {
                return Objection(
                    promise: .recordOnce,
                    text: "record \(number) follows \(last): "
                        + (number == last ? "it is there twice" : "out of order or twice"),
                    offset: Int64(offset), value: value)
            }
            last = number
        }
        return nil
    }

    /// - Parameter acknowledged: by value, the offset that was told; -1 where none was.
    public func loss(of acknowledged: [(value: String, offset: Int64)]) -> Objection? {
        // Made once: most offsets are known and need no look.
        var all: Set<String>?
        for (value, offset) in acknowledged {
            if offset < 0 {
                let held = all ?? Set(values)
                all = held
                if held.contains(value) { continue }
                return Objection(
                    promise: .recordKept, text: "\(value) was acknowledged and is not there",
                    value: value)
            }
            if Int(offset) < values.count, values[Int(offset)] == value { continue }
            let there = Int(offset) < values.count ? values[Int(offset)] : "nothing"
            return Objection(
                promise: .recordKept,
                text: "\(value) was acknowledged at \(offset), where \(there) is",
                offset: offset, value: value)
        }
        return nil
    }

    /// What consumers were given is where they were given it.
    public func loss(ofSeen seen: [Int64: String]) -> Objection? {
        for (offset, value) in seen.sorted(by: { $0.key < $1.key })
        where Int(offset) >= values.count || values[Int(offset)] != value {
            return Objection(
                promise: .seenStays,
                text: "a consumer saw \(value) at \(offset), and it is not there",
                offset: offset, value: value)
        }
        return nil
    }
}

/// A consumer's way through a partition: every offset, one after the other.
public struct DenseOffsets: Sendable {
    /// What comes next.
    public private(set) var position: Int64 = 0

    public init() {}

    /// Takes the next record; false where one is missing. What was read before is passed over by
    /// the caller.
    public mutating func take(_ offset: Int64) -> Bool {
        guard offset == position else { return false }
        position += 1
        return true
    }
}

/// What one client committed for a group, and may be told.
public struct CommittedOffset: Sendable {
    public private(set) var acknowledged: Int64 = -1
    /// The greatest that was sent: it may be in the log without an answer.
    public private(set) var sent: Int64 = -1

    public init() {}

    public mutating func send() -> Int64 {
        sent += 1
        return sent
    }

    public mutating func acknowledge() { acknowledged = max(acknowledged, sent) }

    /// The coordinator says that this is committed; nil where that is right.
    public mutating func hear(_ offset: Int64) -> Objection? {
        guard (acknowledged...max(acknowledged, sent)).contains(offset) else {
            return Objection(
                promise: .groupOffset,
                text: "\(acknowledged) was committed, at most \(sent), and \(offset) is what it is "
                    + "told")
        }
        acknowledged = offset
        return nil
    }
}
