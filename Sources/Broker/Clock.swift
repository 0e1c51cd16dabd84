import Glibc
import Model

/// Reads both clocks of this machine once; every machine driven in one turn sees the same moment.
///
/// Monotonic time counts suspend (CLOCK_BOOTTIME), as leases need it.
enum Clock {
    static func now() -> Now {
        Now(
            instant: Instant(nanoseconds: nanoseconds(CLOCK_BOOTTIME)),
            wall: Timestamp(milliseconds: nanoseconds(CLOCK_REALTIME) / 1_000_000))
    }

    private static func nanoseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0, "the kernel knows clock \(clock)")
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
