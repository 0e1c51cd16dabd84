public import Model

/// What is wrong with the network, for everybody.
public struct NetworkFaults: Codable, Hashable, Sendable {
    /// One way, drawn evenly.
    public var delayMicroseconds: ClosedRange<Int64>
    /// The part of datagrams that vanish; streams repeat theirs and are only late.
    public var datagramLoss: Double
    public var datagramDuplication: Double

    public init(
        delayMicroseconds: ClosedRange<Int64> = 150...350, datagramLoss: Double = 0,
        datagramDuplication: Double = 0
    ) {
        self.delayMicroseconds = delayMicroseconds
        self.datagramLoss = datagramLoss
        self.datagramDuplication = datagramDuplication
    }

    /// The ideal LAN of the reference's section 5: round trips of 0.3 to 0.7 ms.
    public static let lan = NetworkFaults()
}

/// Which traffic a cut stops, in one direction.
public struct Traffic: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let datagrams = Traffic(rawValue: 1)
    public static let streams = Traffic(rawValue: 2)
    public static let all: Traffic = [.datagrams, .streams]
}

/// Decides what becomes of everything that is sent: lost, cut off, late or doubled.
///
/// Endpoints are indices. Holds no events: whoever simulates puts the arrivals on its timeline.
/// Streams keep their order in each direction. Costs a byte for each pair of endpoints.
public struct SimulatedNetwork: Sendable {
    public var faults: NetworkFaults
    private let count: Int
    private var cuts: [UInt8]
    /// The last arrival of a stream; looked up, never iterated.
    private var lastArrivals: [Int: Int64] = [:]
    private var generator: SeededGenerator

    public init(endpoints: Int, faults: NetworkFaults, seed: UInt64) {
        count = endpoints
        self.faults = faults
        cuts = [UInt8](repeating: 0, count: endpoints * endpoints)
        generator = SeededGenerator(seed: seed)
    }

    /// Stops traffic from one to another; the other direction is another cut.
    public mutating func cut(_ traffic: Traffic, from: Int, to: Int) {
        cuts[from * count + to] |= traffic.rawValue
    }

    public mutating func heal(_ traffic: Traffic, from: Int, to: Int) {
        cuts[from * count + to] &= ~traffic.rawValue
    }

    public mutating func healAll() {
        for index in cuts.indices { cuts[index] = 0 }
    }

    public func isCut(_ traffic: Traffic, from: Int, to: Int) -> Bool {
        cuts[from * count + to] & traffic.rawValue != 0
    }

    /// When a datagram arrives: never, once, or twice.
    public mutating func datagramArrivals(from: Int, to: Int, at now: Instant) -> [Instant] {
        if isCut(.datagrams, from: from, to: to) || isChosen(faults.datagramLoss) { return [] }
        let first = delayed(now)
        return isChosen(faults.datagramDuplication) ? [first, delayed(now)] : [first]
    }

    /// When what is written to a stream now arrives; nil while the stream is cut.
    public mutating func streamArrival(from: Int, to: Int, at now: Instant) -> Instant? {
        if isCut(.streams, from: from, to: to) { return nil }
        var arrival = delayed(now)
        if isChosen(faults.datagramLoss) { arrival = arrival.advanced(byMilliseconds: 200) }
        let pair = from * count + to
        if let last = lastArrivals[pair], last >= arrival.nanoseconds {
            arrival = Instant(nanoseconds: last + 1)
        }
        lastArrivals[pair] = arrival.nanoseconds
        return arrival
    }

    private mutating func isChosen(_ part: Double) -> Bool {
        part > 0 && Double.random(in: 0..<1, using: &generator) < part
    }

    private mutating func delayed(_ now: Instant) -> Instant {
        let range = faults.delayMicroseconds
        let nanoseconds = Int64.random(
            in: (range.lowerBound * 1_000)...(range.upperBound * 1_000), using: &generator)
        return Instant(nanoseconds: now.nanoseconds + nanoseconds)
    }
}
