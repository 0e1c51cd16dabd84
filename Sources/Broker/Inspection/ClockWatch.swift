import Model

/// Notices when the wall clock leaves the monotonic one: somebody, or NTP, has set it.
///
/// Nothing in the mesh depends on wall clocks, but retention and timestamps do. A clock that is
/// slewed moves by less than a millisecond a second, which is no jump.
struct ClockWatch {
    /// Far above what a slewed clock moves between two looks, and what a timer is late.
    static let jumpMilliseconds: Int64 = 500

    private var offset: Int64?
    private(set) var jumps: UInt64 = 0
    private(set) var lastJumpMilliseconds: Int64?

    /// Called about once a second.
    mutating func note(_ now: Now) {
        let next = now.wall.milliseconds - now.instant.nanoseconds / 1_000_000
        if let offset, abs(next - offset) > Self.jumpMilliseconds {
            jumps += 1
            lastJumpMilliseconds = next - offset
        }
        offset = next
    }
}
