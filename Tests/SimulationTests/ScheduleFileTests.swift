import Foundation
import Simulation
import Testing

@testable import gossamer_sim

/// Schedules on disk: read back as they were written, and refused with words where they are bad.
@Suite struct ScheduleFileTests {
    private static let good = """
        {"format": "gossamer-sim schedule 1",
         "schedule": {"seed": 42,
          "options": {"brokers": 3, "lateBrokers": 0, "partitions": 1, "isSynced": true,
           "faultsMilliseconds": 1000, "faultPauseMilliseconds": 300, "faults": ["kill"],
           "turnsTopic": false, "groupMembers": 0, "staticMembers": 0,
           "watchesOffsets": false,
           "network": {"delayMicroseconds": [50, 300], "datagramLoss": 0,
                       "datagramDuplication": 0, "datagramReordering": 0}},
          "faults": [{"kind": "kill", "victim": 1, "at": 5, "milliseconds": 20, "dice": 7}]}}
        """

    private func refusal(of text: String) -> String? {
        do {
            _ = try ScheduleFile(Data(text.utf8))
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func refusal(replacing one: String, by other: String) -> String? {
        precondition(Self.good.contains(one), "the text is in the good file")
        return refusal(of: Self.good.replacing(one, with: other))
    }

    @Test func whatWasWrittenIsReadBack() throws {
        let file = try ScheduleFile(Data(Self.good.utf8))
        #expect(file.schedule.seed == 42)
        #expect(file.schedule.faults.count == 1)
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("schedule-\(ProcessInfo.processInfo.processIdentifier).json")
        defer { try? FileManager.default.removeItem(at: path) }
        try file.write(to: path.path)
        #expect(try ScheduleFile(path: path.path).schedule == file.schedule)
    }

    @Test func badFilesAreRefusedInWords() {
        #expect(refusal(of: Self.good) == nil)
        #expect(refusal(of: "")?.contains("expected a schedule of gossamer-sim") == true)
        #expect(refusal(of: "[1]")?.contains("expected a schedule of gossamer-sim") == true)
        #expect(
            refusal(replacing: "schedule 1", by: "schedule 9")
                == "its format is \"gossamer-sim schedule 9\"; expected \"gossamer-sim schedule 1\""
        )
        #expect(refusal(replacing: "\"seed\": 42,", by: "") == "schedule.seed is missing")
        #expect(
            refusal(replacing: "\"victim\": 1,", by: "") == "schedule.faults[0].victim is missing")
        #expect(
            refusal(replacing: "\"victim\": 1", by: "\"victim\": \"x\"")
                == "schedule.faults[0].victim: expected Int")
        #expect(
            refusal(replacing: "\"kind\": \"kill\"", by: "\"kind\": \"meteor\"")?
                .contains("schedule.faults[0].kind") == true)
        #expect(
            refusal(replacing: "\"victim\": 1", by: "\"victim\": 3")
                == "faults[0]: victim is 3; expected 0 to 2")
        #expect(refusal(replacing: "[50, 300]", by: "[300, 50]") != nil)
    }

    @Test func aFileThatIsNotThereIsNamed() {
        #expect(throws: ScheduleFile.Failure.self) { _ = try ScheduleFile(path: "/nowhere/x.json") }
    }
}
