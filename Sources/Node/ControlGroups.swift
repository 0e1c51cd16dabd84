import Coordination
import Gossip
public import Model
import NIOCore
import OrderedCollections
import Replication

/// One slot: a partition of `__consumer_offsets` and the coordinator of the groups that hash to it.
struct SlotState {
    var coordinator: GroupCoordinator
    let partition: TopicPartition
    /// Whether this broker leads the partition, and so coordinates the slot's groups.
    var isOwn: Bool
    /// The log of the slot is open here.
    var isOpen = false
    /// The reading of its log that counts; pieces of earlier ones may be on their way.
    var load: UInt64?
    /// What that reading brought of positions, which is told at its end.
    var loaded: OrderedDictionary<ByteBuffer, FeedEntry> = [:]
    /// When the coordinator wants to be woken.
    var wakeAt: Instant?
}

/// One reading of a slot's log.
public struct SlotLoad: Hashable, Sendable {
    public let partition: TopicPartition
    /// Of this reading: leadership may come back before an earlier one has ended.
    let number: UInt64
}

/// Whom a coordinator's reply belongs to.
enum GroupAsker {
    case client(UInt64)
    case listing(UInt64)
}

/// A ListGroups that some slots have not answered yet.
struct PendingListing {
    let token: UInt64
    var remaining: Int
    var merged = GroupResponse.List()
}

extension Control {
    /// How long a slot's log may take to acknowledge; Kafka's `offsets.commit.timeout.ms`.
    public static let appendTimeoutMilliseconds: Int64 = 5_000

    /// Makes a coordinator for each slot once the topic is there.
    mutating func prepareSlots() {
        guard slots.isEmpty, let topic = topics[TopicName.consumerOffsets] else { return }
        for index in topic.partitions.indices {
            let seed = generator.next()
            slots.append(
                SlotState(
                    coordinator: GroupCoordinator(
                        slot: PartitionIndex(Int32(index)), configuration: groupConfiguration,
                        generator: SeededGenerator(seed: seed), rules: rules.groups),
                    partition: topic.partition(Int32(index)),
                    isOwn: holds(topic, Int32(index)) && serves(topic, Int32(index))))
        }
    }

    /// The log of a slot is open: its coordinator reads it where this broker leads.
    mutating func slotOpened(
        _ partition: TopicPartition, now: Now, into effects: inout [Effect]
    ) {
        guard let slot = slotIndex(of: partition) else { return }
        slots[slot].isOpen = true
        if slots[slot].isOwn { beginLoad(slot, now: now, into: &effects) }
    }

    /// Reads a slot's log from its start; what an earlier reading brought counts no more.
    mutating func beginLoad(_ slot: Int, now: Now, into effects: inout [Effect]) {
        if case .active = slots[slot].coordinator.phase, !rules.groups.slotForgotten { return }
        drive(slot, .unload, now: now, into: &effects)
        drive(slot, .load([]), now: now, into: &effects)
        let number = nextSerial()
        slots[slot].load = number
        slots[slot].loaded = [:]
        effects.append(.load(SlotLoad(partition: slots[slot].partition, number: number)))
    }

    /// Leadership of a slot may have moved: groups go with it, their offsets and members are read
    /// from the log by whoever leads it now.
    mutating func slotMoved(
        _ partition: TopicPartition, now: Now, into effects: inout [Effect]
    ) {
        guard let slot = slotIndex(of: partition), let topic = topics[TopicName.consumerOffsets]
        else { return }
        let isOwn =
            holds(topic, partition.index.rawValue) && serves(topic, partition.index.rawValue)
        guard isOwn != slots[slot].isOwn else { return }
        slots[slot].isOwn = isOwn
        if isOwn {
            if slots[slot].isOpen { beginLoad(slot, now: now, into: &effects) }
        } else {
            slots[slot].load = nil
            slots[slot].loaded = [:]
            guard rules.groups.slotForgotten else { return }
            drive(slot, .unload, now: now, into: &effects)
        }
    }

    /// Whether no other broker can coordinate the slot now.
    func isLeased(_ partition: TopicPartition, now: Now) -> Bool {
        if case .alone = roles[partition] { return true }
        if !rules.node.coordinatesWithinLease { return true }
        return now.instant < leaseUntil || isStanding(partition, now: now)
    }

    /// The epoch under which this broker coordinates a slot.
    func slotEpoch(_ partition: TopicPartition) -> LeaderEpoch {
        let topic = topics[TopicName.consumerOffsets]
        return topic?.state(partition.index.rawValue)?.leaderEpoch ?? identity.logEpoch
    }

    /// The topic of the slots was removed: everybody who waits hears that nobody coordinates.
    mutating func dropSlots(now: Now, into effects: inout [Effect]) {
        for slot in slots.indices { drive(slot, .unload, now: now, into: &effects) }
        if let topic = slots.first?.partition.topic {
            effects.append(.forgetSlots(of: topic.low))
        }
        slots = []
        appends = [:]
    }

    func slotIndex(of partition: TopicPartition) -> Int? {
        let slot = Int(partition.index.rawValue)
        guard slots.indices.contains(slot), slots[slot].partition == partition else { return nil }
        return slot
    }

    private func slot(of group: String) -> Int {
        Int(GroupSlot.slot(for: group, count: Int32(clamping: slots.count)).rawValue)
    }

    /// The topic of the slots is made when the first group asks for its coordinator; whether it is
    /// there already on another broker is found out by the same proposal.
    mutating func coordinators(
        of groups: [String], _ token: UInt64, into effects: inout [Effect]
    ) {
        coordinatorWaiters.append((token, groups))
        if topics[TopicName.consumerOffsets] == nil,
            !reserved.contains(TopicName.consumerOffsets)
        {
            var overrides = [
                "cleanup.policy": "compact", "segment.bytes": "104857600",
                "max.message.bytes": "16777216",
            ]
            // Whoever consumes from a backup whose master is gone commits there too.
            if replicaConfiguration.placement == .masterBackup {
                overrides["min.insync.replicas"] = "1"
            }
            let topic = NewTopic(
                name: TopicName.consumerOffsets, partitions: offsetsPartitions, replicas: -1,
                overrides: overrides)
            createTopics([topic], false, nil, into: &effects)
        }
        answerCoordinatorWaiters(into: &effects)
    }

    mutating func answerCoordinatorWaiters(into effects: inout [Effect]) {
        guard !coordinatorWaiters.isEmpty, !reserved.contains(TopicName.consumerOffsets),
            openings[topics[TopicName.consumerOffsets]?.id ?? .zero] == nil
        else { return }
        let topic = topics[TopicName.consumerOffsets]
        for (token, groups) in coordinatorWaiters {
            let found = groups.map { group -> NodeID? in
                guard let topic, !slots.isEmpty else { return nil }
                return topic.state(Int32(slot(of: group)))?.leader
            }
            effects.append(.reply(token: token, .coordinators(found)))
        }
        coordinatorWaiters = []
    }

    mutating func group(
        _ request: GroupRequest, _ token: UInt64, now: Now, into effects: inout [Effect]
    ) {
        guard !slots.isEmpty else {
            // Whoever sent the client here knows of slots that this broker will hear of soon.
            effects.append(
                .reply(token: token, .group(request.refusal(.coordinatorLoadInProgress))))
            return
        }
        let slot = slot(of: request.groupID ?? "")
        guard slots[slot].isOwn, isLeased(slots[slot].partition, now: now) else {
            // The register names this broker, which is about to find out whether that stands.
            let topic = topics[TopicName.consumerOffsets]
            let state = topic?.state(slots[slot].partition.index.rawValue)
            let isNamed = state?.leader == identity.broker.id
            effects.append(
                .reply(
                    token: token,
                    .group(request.refusal(isNamed ? .coordinatorLoadInProgress : .notCoordinator)))
            )
            return
        }
        let number = nextSerial()
        askers[number] = .client(token)
        drive(slot, .request(RequestToken(number), request), now: now, into: &effects)
    }

    mutating func listGroups(
        _ list: GroupRequest.List, _ token: UInt64, now: Now, into effects: inout [Effect]
    ) {
        let own = slots.indices.filter { slots[$0].isOwn }
        guard !own.isEmpty else {
            effects.append(.reply(token: token, .groups(GroupResponse.List())))
            return
        }
        let listing = nextSerial()
        listings[listing] = PendingListing(token: token, remaining: own.count)
        for slot in own {
            let number = nextSerial()
            askers[number] = .listing(listing)
            drive(slot, .request(RequestToken(number), .list(list)), now: now, into: &effects)
        }
    }

    mutating func load(
        _ load: SlotLoad, _ input: GroupCoordinator.Input, now: Now,
        into effects: inout [Effect]
    ) {
        guard let slot = slotIndex(of: load.partition), slots[slot].load == load.number else {
            return
        }
        drive(slot, input, now: now, into: &effects)
    }

    mutating func appended(
        _ number: UInt64, _ result: ProduceResult, now: Now, into effects: inout [Effect]
    ) {
        if recovered(number, result, now: now, into: &effects) { return }
        guard let (slot, token, records) = appends.removeValue(forKey: number),
            slots.indices.contains(slot)
        else { return }
        if result.error == nil {
            spread(records, at: result.base, of: slot, now: now, into: &effects)
        }
        let failure: Coordination.AppendError? =
            switch result.error {
            case nil: nil
            case .notLeader, .unknownTopicOrPartition, .storage: .notLeader
            case .messageTooLarge: .tooLarge
            case .timedOut: .timedOut
            default: .unavailable
            }
        drive(slot, .appended(token, failure), now: now, into: &effects)
    }

    mutating func forgetOffsets(
        of topics: [String], now: Now, into effects: inout [Effect]
    ) {
        for slot in slots.indices where slots[slot].isOwn {
            drive(slot, .topicsDeleted(topics), now: now, into: &effects)
        }
    }

    mutating func wakeCoordinators(now: Now, into effects: inout [Effect]) {
        for slot in slots.indices {
            guard let moment = slots[slot].wakeAt, moment <= now.instant else { continue }
            slots[slot].wakeAt = nil
            drive(slot, .wake, now: now, into: &effects)
        }
    }

    mutating func announceWake(into effects: inout [Effect]) {
        let others = [
            campaignWake, boundWake, confirmAgainAt, inquireAt, wishesDue, movesAgainAt,
            handover?.lookAt, takeoversDue, burialsDue, tendAt, goneAt, electionsWake, stopsWake,
            unerased?.at,
            reassignments.map(\.dueAt).min(),
        ].compactMap { $0 }
        let moments = slots.compactMap(\.wakeAt) + others
        guard let first = moments.min() else { return }
        if let announced = announcedWake, announced <= first { return }
        announcedWake = first
        effects.append(.wake(at: first))
    }

    /// Runs one input through a coordinator and carries out what it says.
    mutating func drive(
        _ slot: Int, _ input: GroupCoordinator.Input, now: Now, into effects: inout [Effect]
    ) {
        var list: [GroupCoordinator.Effect] = []
        swap(&list, &coordinatorEffects)
        slots[slot].coordinator.handle(input, now: now, into: &list)
        for effect in list {
            switch effect {
            case .reply(let token, let response): route(token, response, into: &effects)
            case .append(let token, let records):
                let number = nextSerial()
                appends[number] = (slot, token, records)
                effects.append(
                    .append(number, slots[slot].partition, Self.batch(records, now: now)))
            case .wake(let moment):
                slots[slot].wakeAt = min(slots[slot].wakeAt ?? moment, moment)
            }
        }
        list.removeAll(keepingCapacity: true)
        swap(&list, &coordinatorEffects)
    }

    private mutating func route(
        _ token: RequestToken, _ response: GroupResponse, into effects: inout [Effect]
    ) {
        switch askers.removeValue(forKey: token.rawValue) {
        case nil: return
        case .client(let client): effects.append(.reply(token: client, .group(response)))
        case .listing(let number):
            guard case .list(let list) = response else { return }
            listings[number]?.remaining -= 1
            listings[number]?.merged.groups += list.groups
            if let error = list.error { listings[number]?.merged.error = error }
            guard let listing = listings[number], listing.remaining == 0 else { return }
            listings[number] = nil
            effects.append(.reply(token: listing.token, .groups(listing.merged)))
        }
    }

    /// One uncompressed batch, stamped with the broker's clock.
    static func batch(_ records: [SlotRecord], now: Now) -> ByteBuffer {
        var builder = RecordBatchBuilder()
        for record in records {
            builder.append(key: record.key, value: record.value, timestamp: now.wall)
        }
        return builder.finish()
    }
}
