import Model
import Testing

@testable import Broker

/// A wall clock that is set is noticed, one that is slewed is not.
@Suite struct ClockWatchTests {
    private func moment(_ instant: Int64, _ wall: Int64) -> Now {
        Now(
            instant: Instant(nanoseconds: instant * 1_000_000),
            wall: Timestamp(milliseconds: 1_700_000_000_000 + wall))
    }

    @Test func jumpsAreCounted() {
        var watch = ClockWatch()
        watch.note(moment(1_000, 1_000))
        watch.note(moment(2_000, 2_001))
        watch.note(moment(9_000, 9_400))
        #expect(watch.jumps == 0)
        watch.note(moment(10_000, 3_610_400))
        #expect(watch.jumps == 1)
        #expect(watch.lastJumpMilliseconds == 3_600_000)
        watch.note(moment(11_000, 3_611_400))
        #expect(watch.jumps == 1)
        watch.note(moment(12_000, 12_400))
        #expect(watch.jumps == 2)
        #expect(watch.lastJumpMilliseconds == -3_600_000)
    }
}
