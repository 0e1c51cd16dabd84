import Coordination
import Model
import NIOCore
import Testing

/// Members that join, crash, leave and commit in an order drawn from a seed, over a log that is
/// slow, refuses, or loses its coordinator.
@Suite struct RandomScheduleTests {
    @Test(
        "No schedule breaks an invariant, and all who live end in one stable generation",
        arguments: Array(0..<300 as Range<UInt64>))
    func schedule(seed: UInt64) throws {
        #expect(GroupWorld.run(seed: seed).violation == nil)
    }

    @Test("The same seed gives the same log and the same replies")
    func determinism() throws {
        let (one, two) = (GroupWorld.run(seed: 4_711), GroupWorld.run(seed: 4_711))
        #expect(one.slot.log == two.slot.log)
        #expect(one.slot.replies == two.slot.replies)
    }
}
