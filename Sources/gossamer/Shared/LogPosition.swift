import Client

/// A place in a partition's log, as people write it.
enum LogPosition: Equatable, Sendable {
    case beginning
    case end
    case offset(Int64)
    /// So many records before the end.
    case beforeEnd(Int64)
    /// The first record at or after a time, in milliseconds since the epoch.
    case time(Int64)

    /// Reads a position; `now` is what "10m ago" counts from.
    init(_ text: String, now: Int64) throws(Expectation) {
        switch text {
        case "beginning", "earliest", "start": self = .beginning
        case "end", "latest": self = .end
        default:
            if Quantities.isDigits(text), let offset = Int64(text) {
                self = .offset(offset)
            } else if text.hasPrefix("-"), Quantities.isDigits(text.dropFirst()),
                let count = Int64(text.dropFirst())
            {
                self = .beforeEnd(count)
            } else if text.hasPrefix("@"), let time = WallClock.parse(String(text.dropFirst())) {
                self = .time(time)
            } else if let time = WallClock.parse(text) {
                self = .time(time)
            } else if let ago = try? Quantities.milliseconds(text) {
                self = .time(now - ago)
            } else {
                throw Expectation(
                    "beginning, end, an offset, -N (N before the end), a time "
                        + "(2026-11-22T14:00:00Z or @milliseconds) or a duration ago (10m)")
            }
        }
    }

    /// The offset of this position in each partition.
    func resolve(
        in partitions: [TopicPartitionName], _ client: KafkaClient
    ) async throws(ClientError) -> [TopicPartitionName: Int64] {
        switch self {
        case .beginning:
            return try await client.offsets(of: .earliest, in: partitions)
        case .end:
            return try await client.offsets(of: .latest, in: partitions)
        case .offset(let offset):
            return Dictionary(uniqueKeysWithValues: partitions.map { ($0, offset) })
        case .beforeEnd(let count):
            let starts = try await client.offsets(of: .earliest, in: partitions)
            let ends = try await client.offsets(of: .latest, in: partitions)
            return Dictionary(
                uniqueKeysWithValues: ends.map { name, end in
                    (name, max(starts[name] ?? 0, end - min(count, end)))
                })
        case .time(let time):
            let found = try await client.offsets(of: .time(time), in: partitions)
            let ends = try await client.offsets(of: .latest, in: partitions)
            return Dictionary(
                uniqueKeysWithValues: partitions.map { name in
                    let offset = found[name] ?? -1
                    return (name, offset >= 0 ? offset : ends[name] ?? 0)
                })
        }
    }
}
