import Foundation
import Simulation

/// A schedule on disk: what a run is made of, and what came of it when the file was written.
///
///     {"format": "gossamer-sim schedule 1", "traceHash": "…", "violation": "…",
///      "schedule": {"seed": 42, "options": {…}, "faults": [{"kind": "pause", "victim": 1,
///                   "at": 1200, "milliseconds": 300, "dice": 7}, …]}}
///
/// Text for people too: faults may be taken out or moved by hand. `at` counts milliseconds from
/// the beginning of faults, `victim` brokers from 0.
struct ScheduleFile: Codable {
    static let format = "gossamer-sim schedule 1"
    /// Far above what the largest schedule takes.
    private static let bytesMaximum = 64 << 20

    var format = Self.format
    /// What the run broke; nil where it broke nothing.
    var violation: String?
    /// Of the run, as the simulator printed it; nil in a file that somebody wrote.
    var traceHash: String?
    var schedule: MeshSchedule

    /// Why a file is not taken.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(_ verdict: MeshVerdict) {
        violation = verdict.violation
        traceHash = String(verdict.hash, radix: 16)
        schedule = verdict.schedule
    }

    init(path: String) throws {
        guard let file = FileHandle(forReadingAtPath: path),
            let bytes = try? file.read(upToCount: Self.bytesMaximum + 1)
        else {
            throw Failure(
                description: "--replay \(path): can't be read; expected a file that --schedule "
                    + "or --minimize wrote")
        }
        guard bytes.count <= Self.bytesMaximum else {
            throw Failure(
                description: "--replay \(path): more than \(Self.bytesMaximum) bytes; expected a "
                    + "schedule")
        }
        do {
            self = try Self(bytes)
        } catch let failure as Failure {
            throw Failure(description: "--replay \(path): \(failure.description)")
        }
    }

    /// Reads what a file holds, and says in words what is wrong with it.
    init(_ bytes: Data) throws {
        /// What says that it is a schedule at all, whatever else is in it.
        struct Head: Decodable {
            let format: String
        }
        guard let head = try? JSONDecoder().decode(Head.self, from: bytes) else {
            throw Failure(
                description: "no JSON object with a \"format\"; expected a schedule of gossamer-sim"
            )
        }
        guard head.format == Self.format else {
            throw Failure(
                description: "its format is \"\(head.format)\"; expected \"\(Self.format)\"")
        }
        do {
            self = try JSONDecoder().decode(Self.self, from: bytes)
        } catch let error as DecodingError {
            throw Failure(description: Self.words(for: error))
        }
        if let objection = schedule.objection { throw Failure(description: objection) }
    }

    private static func words(for error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            context.codingPath.map { key in
                key.intValue.map { "[\($0)]" } ?? ".\(key.stringValue)"
            }.joined().drop { $0 == "." }.description
        }
        switch error {
        case .keyNotFound(let key, let context):
            let parent = place(context)
            return "\(parent.isEmpty ? "" : parent + ".")\(key.stringValue) is missing"
        case .typeMismatch(let type, let context):
            return "\(place(context)): expected \(type)"
        case .valueNotFound(let type, let context):
            return "\(place(context)): nothing there; expected \(type)"
        case .dataCorrupted(let context):
            return "\(place(context)): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(self).write(to: URL(fileURLWithPath: path))
        } catch {
            throw Failure(
                description: "\(path): can't be written; expected a directory that is there and "
                    + "yours")
        }
    }
}
