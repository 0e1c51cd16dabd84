import Client
import KafkaProtocol
import Model

/// One run of `consume`: finds partitions and positions, polls, prints, and in a group commits.
struct ConsumeSession {
    let plan: ConsumePlan
    let client: KafkaClient
    let stop: StopFlag

    /// How long one poll may wait; also how long Ctrl-C may take.
    private static let pollMilliseconds: Int32 = 250
    /// How often positions are committed, Kafka's `auto.commit.interval.ms`.
    private static let commitMilliseconds: Int64 = 5_000

    /// Returns how many records were printed.
    func run() async throws -> Int {
        if let group = plan.group { return try await runInGroup(group) }
        let partitions = try await chosenPartitions()
        let positions = try await plan.position.resolve(in: partitions, client)
        var ends: [TopicPartitionName: Int64]?
        if plan.exitAtEnd { ends = try await client.offsets(of: .latest, in: partitions) }
        let fetcher = RecordFetcher(client, positions: positions, reset: reset)
        var printer = RecordPrinter(plan)
        while !stop.isSet, !printer.isDone {
            if var open = ends {
                for (name, position) in await fetcher.positions where position >= open[name] ?? 0 {
                    await fetcher.drop(name)
                    open[name] = nil
                }
                if await fetcher.positions.isEmpty { break }
            }
            let records = try await fetcher.poll(maxWaitMilliseconds: Self.pollMilliseconds)
            printer.print(records.filter { Self.isWithin($0, ends) })
        }
        return printer.printed
    }

    /// Records beyond what was the end at the start are not asked for.
    private static func isWithin(
        _ record: ConsumedRecord, _ ends: [TopicPartitionName: Int64]?
    ) -> Bool {
        guard let ends else { return true }
        let name = TopicPartitionName(topic: record.topic, partition: record.partition)
        return record.record.offset.rawValue < ends[name] ?? 0
    }

    private var reset: RecordFetcher.ResetPolicy {
        switch plan.position {
        case .end, .beforeEnd: .latest
        case .beginning, .offset, .time: .earliest
        }
    }

    private func chosenPartitions() async throws -> [TopicPartitionName] {
        let topics = try await TopicQueries.describe(plan.topics, client)
        let all = TopicQueries.partitions(topics)
        guard !plan.partitions.isEmpty else { return all }
        for topic in topics {
            for partition in plan.partitions.sorted()
            where !topic.partitions.contains(where: { $0.index == partition }) {
                throw CommandFailure(
                    "--partition \(partition): topic \(topic.name ?? "") has "
                        + "\(Counted.text(topic.partitions.count, "partition")), from 0")
            }
        }
        return all.filter { plan.partitions.contains($0.partition) }
    }

    // MARK: In a group

    private func runInGroup(_ group: String) async throws -> Int {
        _ = try await TopicQueries.describe(plan.topics, client)
        let member = GroupMember(client, group: group, topics: plan.topics)
        do {
            let printed = try await consume(as: member, group)
            await member.leave()
            return printed
        } catch {
            await member.leave()
            throw error
        }
    }

    private func consume(as member: GroupMember, _ group: String) async throws -> Int {
        let fetcher = RecordFetcher(client, reset: reset)
        var printer = RecordPrinter(plan)
        var ends: [TopicPartitionName: Int64] = [:]
        var committedAt = WallClock.milliseconds()
        while !stop.isSet, !printer.isDone {
            if await member.needsToJoin {
                let assignment = try await member.join()
                let positions = try await start(assignment.partitions, group)
                await fetcher.assign(positions)
                if plan.exitAtEnd {
                    ends = try await client.offsets(of: .latest, in: assignment.partitions)
                }
            }
            try await member.check()
            let records = try await fetcher.poll(maxWaitMilliseconds: Self.pollMilliseconds)
            let taken = printer.print(records)
            if records.isEmpty, await fetcher.positions.isEmpty {
                try await Task.sleep(for: .milliseconds(Int64(Self.pollMilliseconds)))
            }
            let now = WallClock.milliseconds()
            if now - committedAt >= Self.commitMilliseconds || printer.isDone {
                committedAt = now
                let positions = await Self.positions(of: fetcher, taken, records)
                _ = try await member.commit(positions)
                if printer.isDone { return printer.printed }
            }
            if plan.exitAtEnd {
                let positions = await fetcher.positions
                if positions.allSatisfy({ $0.value >= ends[$0.key] ?? 0 }) { break }
            }
        }
        _ = try await member.commit(fetcher.positions)
        return printer.printed
    }

    /// Where to go on: behind the last record that was printed, not behind all that were fetched.
    private static func positions(
        of fetcher: RecordFetcher, _ taken: Int, _ records: [ConsumedRecord]
    ) async -> [TopicPartitionName: Int64] {
        var positions = await fetcher.positions
        for record in records.dropFirst(taken).reversed() {
            let name = TopicPartitionName(topic: record.topic, partition: record.partition)
            positions[name] = record.record.offset.rawValue
        }
        return positions
    }

    private func start(
        _ partitions: [TopicPartitionName], _ group: String
    ) async throws -> [TopicPartitionName: Int64] {
        guard !partitions.isEmpty else { return [:] }
        var positions = try await client.committedOffsets(group: group, partitions: partitions)
        let fresh = partitions.filter { positions[$0] == nil }
        if !fresh.isEmpty {
            positions.merge(try await plan.position.resolve(in: fresh, client)) { $1 }
        }
        return positions
    }
}

/// Prints records in the form that was asked for and counts them.
struct RecordPrinter {
    private let format: RecordFormat?
    private let limit: Int
    private(set) var printed = 0

    init(_ plan: ConsumePlan) {
        format = plan.format
        limit = plan.count ?? .max
    }

    var isDone: Bool { printed >= limit }

    /// Prints what the limit allows, in one write; returns how many.
    @discardableResult
    mutating func print(_ records: [ConsumedRecord]) -> Int {
        var bytes: [UInt8] = []
        let taken = min(records.count, limit - printed)
        for record in records.prefix(taken) {
            if let format {
                format.write(record, into: &bytes)
            } else {
                RecordJSON.write(record, into: &bytes)
            }
        }
        printed += taken
        if !bytes.isEmpty { Terminal.write(bytes) }
        return taken
    }
}
