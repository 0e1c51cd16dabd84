public import Model

/// What is wrong with the network, for everybody.
public struct NetworkFaults: Codable, Hashable, Sendable {
    /// One way, drawn evenly.
    public var delayMicroseconds: ClosedRange<Int64>
    /// The part of datagrams that vanish; streams repeat theirs and are only late.
    public var datagramLoss: Double
    public var datagramDuplication: Double
    /// The part of datagrams that are held up, so that later ones overtake them; streams keep
    /// their order.
    public var datagramReordering: Double

    public init(
        delayMicroseconds: ClosedRange<Int64> = 150...350, datagramLoss: Double = 0,
        datagramDuplication: Double = 0, datagramReordering: Double = 0
    ) {
        self.delayMicroseconds = delayMicroseconds
        self.datagramLoss = datagramLoss
        self.datagramDuplication = datagramDuplication
        self.datagramReordering = datagramReordering
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
    /// The latest arrival of a datagram that was sent so far; looked up, never iterated.
    private var lastDatagrams: [Int: Int64] = [:]
    /// What a direction takes beyond its delay; looked up, never iterated.
    private var slowness: [Int: Int64] = [:]
    /// Datagrams that arrive before one that was sent before them.
    public private(set) var overtaking = 0
    /// Datagrams and pieces of streams that a slow direction held up.
    public private(set) var slowed = 0
    private var generator: SeededGenerator

    /// How long a datagram may be held up so that others overtake it: more than probes wait.
    private static let heldUpMicroseconds: ClosedRange<Int64> = 1_000...400_000

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

    /// Makes everything from one to another later by up to so much, and by half of it at least;
    /// zero ends that.
    public mutating func slow(from: Int, to: Int, byMicroseconds delay: Int64) {
        slowness[from * count + to] = delay == 0 ? nil : delay
    }

    /// When a datagram arrives: never, once, or twice.
    public mutating func datagramArrivals(from: Int, to: Int, at now: Instant) -> [Instant] {
        if isCut(.datagrams, from: from, to: to) || isChosen(faults.datagramLoss) { return [] }
        let pair = from * count + to
        let first = datagramArrival(pair, at: now)
        return isChosen(faults.datagramDuplication)
            ? [first, datagramArrival(pair, at: now)] : [first]
    }

    private mutating func datagramArrival(_ pair: Int, at now: Instant) -> Instant {
        var arrival = delayed(now, pair).nanoseconds
        if isChosen(faults.datagramReordering) {
            arrival += 1_000 * Int64.random(in: Self.heldUpMicroseconds, using: &generator)
        }
        if let last = lastDatagrams[pair], last > arrival {
            overtaking += 1
        } else {
            lastDatagrams[pair] = arrival
        }
        return Instant(nanoseconds: arrival)
    }

    /// When what is written to a stream now arrives; nil while the stream is cut.
    public mutating func streamArrival(from: Int, to: Int, at now: Instant) -> Instant? {
        if isCut(.streams, from: from, to: to) { return nil }
        let pair = from * count + to
        var arrival = delayed(now, pair)
        if isChosen(faults.datagramLoss) { arrival = arrival.advanced(byMilliseconds: 200) }
        if let last = lastArrivals[pair], last >= arrival.nanoseconds {
            arrival = Instant(nanoseconds: last + 1)
        }
        lastArrivals[pair] = arrival.nanoseconds
        return arrival
    }

    private mutating func isChosen(_ part: Double) -> Bool {
        part > 0 && Double.random(in: 0..<1, using: &generator) < part
    }

    private mutating func delayed(_ now: Instant, _ pair: Int) -> Instant {
        let range = faults.delayMicroseconds
        var nanoseconds = Int64.random(
            in: (range.lowerBound * 1_000)...(range.upperBound * 1_000), using: &generator)
        if let more = slowness[pair] {
            nanoseconds += Int64.random(in: (more * 500)...(more * 1_000), using: &generator)
            slowed += 1
        }
        return Instant(nanoseconds: now.nanoseconds + nanoseconds)
    }
}
