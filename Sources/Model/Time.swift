/// A moment on a monotonic clock that counts suspend, in nanoseconds since an unspecified start.
///
/// Pure targets get it as an argument and never read a clock; only differences mean anything.
public struct Instant: Hashable, Comparable, Sendable {
    public let nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The moment `milliseconds` later (earlier where negative).
    @inlinable public func advanced(byMilliseconds milliseconds: Int64) -> Instant {
        Instant(nanoseconds: nanoseconds + milliseconds * 1_000_000)
    }

    /// Whole milliseconds from `earlier` to this moment.
    @inlinable public func milliseconds(since earlier: Instant) -> Int64 {
        (nanoseconds - earlier.nanoseconds) / 1_000_000
    }
}

/// A wall-clock time as Kafka writes it: milliseconds since the Unix epoch, UTC; -1 is "none".
public struct Timestamp: Hashable, Comparable, Sendable {
    public let milliseconds: Int64

    @inlinable public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static let none = Timestamp(milliseconds: -1)

    @inlinable public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.milliseconds < right.milliseconds
    }
}

/// Both clocks at one moment, read once by the shell and passed to every machine it drives.
public struct Now: Hashable, Sendable {
    public let instant: Instant
    public let wall: Timestamp

    @inlinable public init(instant: Instant, wall: Timestamp) {
        self.instant = instant
        self.wall = wall
    }
}
