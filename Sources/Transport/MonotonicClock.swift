import Glibc
import Model

/// The clock of deadlines and ages: monotonic and counting suspend (CLOCK_BOOTTIME), so that keys
/// grow old while a machine sleeps.
enum MonotonicClock {
    static func now() -> Instant {
        var time = timespec()
        let result = unsafe clock_gettime(CLOCK_BOOTTIME, &time)
        precondition(result == 0, "the kernel has CLOCK_BOOTTIME")
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
