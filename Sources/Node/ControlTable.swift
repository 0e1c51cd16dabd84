import Coordination
import Model
import NIOCore
import OrderedCollections

extension Control {
    /// Takes the table in and has every partition opened.
    mutating func start(_ entries: [TableChange], into effects: inout [Effect]) {
        var failures: [String] = []
        for entry in entries {
            revision = max(revision, entry.version)
            guard let value = entry.value else { continue }
            if entry.key == ProducerIDBlock.key {
                var bytes = value
                producerIDs.next = bytes.readInteger() ?? 0
                producerIDs.end = producerIDs.next
            } else if entry.key.hasPrefix("topic/") {
                let name = String(entry.key.dropFirst("topic/".count))
                do throws(TopicRecord.DecodeError) {
                    topics[name] = self.entry(name: name, try TopicRecord(decoding: value))
                } catch {
                    failures.append("\(entry.key): \(error)")
                }
            }
        }
        prepareSlots()
        var orders: [PartitionOrder] = []
        for topic in topics.values {
            for index in topic.partitions.indices {
                orders.append(order(topic, Int32(index), cleanStart: identity.cleanStart))
            }
        }
        starting = PendingStart(remaining: orders.count, failures: failures)
        effects.append(.publish(view()))
        for order in orders { effects.append(.open(order)) }
        finishStart(into: &effects)
    }

    private mutating func finishStart(into effects: inout [Effect]) {
        guard let start = starting, start.remaining == 0 else { return }
        starting = nil
        effects.append(.ready(failures: start.failures))
    }

    mutating func opened(
        _ partition: TopicPartition, failure: String?, into effects: inout [Effect]
    ) {
        if let failure {
            starting?.failures.append("\(PartitionOrder.directory(of: partition)): \(failure)")
        } else if let slot = slotIndex(of: partition) {
            slots[slot].isOpen = true
            effects.append(.load(partition))
        }
        if let opening = openings[partition.topic] {
            if let failure { fail(partition.topic, of: opening.change, failure) }
            openings[partition.topic]?.remaining -= 1
            if opening.remaining == 1 {
                openings[partition.topic] = nil
                finishChange(opening.change, into: &effects)
            }
        } else if starting != nil {
            starting?.remaining -= 1
            finishStart(into: &effects)
        }
    }

    /// The topic is in the table, and a log of it can't be opened: whoever asked for it is told.
    private mutating func fail(_ topic: TopicID, of change: UInt64, _ failure: String) {
        guard let place = changes[change]?.outcomes.firstIndex(where: { $0.entry?.id == topic })
        else { return }
        changes[change]?.outcomes[place].error = .storage
        changes[change]?.outcomes[place].message = "a partition can't be opened: \(failure)"
    }

    /// The table holds the change, or refused it: only now does anybody hear of it.
    mutating func persisted(
        _ number: UInt64, failure: String?, now: Now, into effects: inout [Effect]
    ) {
        guard let change = changes[number] else { return }
        if let failure {
            changes[number] = nil
            abandon(change, failure, into: &effects)
            return
        }
        switch change.kind {
        case .create(let entries):
            install(entries, into: &effects)
            open(entries.map { ($0, 0) }, change: number, into: &effects)
        case .grow(let grown):
            install(grown.map(\.entry), into: &effects)
            open(grown, change: number, into: &effects)
        case .delete(let entries):
            release(change)
            remove(entries, now: now, into: &effects)
            finishChange(number, into: &effects)
        case .alter(let entries):
            release(change)
            install(entries, into: &effects)
            for entry in entries {
                for index in entry.partitions.indices {
                    effects.append(
                        .configure(entry.partition(Int32(index)), entry.configuration))
                }
            }
            finishChange(number, into: &effects)
        case .producerIDs(let end):
            changes[number] = nil
            producerIDs.isReserving = false
            producerIDs.end = end
            serveProducerIDs(into: &effects)
        }
    }

    private mutating func install(_ entries: [TopicEntry], into effects: inout [Effect]) {
        for entry in entries { topics[entry.name] = entry }
        effects.append(.publish(view()))
        prepareSlots()
    }

    private mutating func remove(
        _ entries: [TopicEntry], now: Now, into effects: inout [Effect]
    ) {
        for entry in entries {
            topics[entry.name] = nil
            for index in entry.partitions.indices {
                effects.append(.close(entry.partition(Int32(index))))
            }
        }
        effects.append(.publish(view()))
        if entries.contains(where: \.isInternal) { dropSlots(now: now, into: &effects) }
        forgetOffsets(of: entries.map(\.name), now: now, into: &effects)
    }

    private mutating func open(
        _ entries: [(entry: TopicEntry, from: Int32)], change: UInt64, into effects: inout [Effect]
    ) {
        for (entry, from) in entries {
            let count = Int32(clamping: entry.partitions.count)
            openings[entry.id] = PendingOpening(remaining: Int(count - from), change: change)
            for index in from..<count {
                effects.append(.open(order(entry, index, cleanStart: true)))
            }
        }
    }

    /// Answers once no partition of any topic of the change is still being opened.
    private mutating func finishChange(_ number: UInt64, into effects: inout [Effect]) {
        guard let change = changes[number],
            !openings.values.contains(where: { $0.change == number })
        else { return }
        changes[number] = nil
        release(change)
        reply(change.outcomes, to: change.token, into: &effects)
        answerCoordinatorWaiters(into: &effects)
    }

    private mutating func abandon(
        _ change: PendingChange, _ failure: String, into effects: inout [Effect]
    ) {
        release(change)
        if case .producerIDs = change.kind {
            producerIDs.isReserving = false
            for token in producerIDs.waiting {
                effects.append(.reply(token: token, .producerID(nil)))
            }
            producerIDs.waiting = []
        }
        let outcomes = change.outcomes.map { outcome in
            outcome.error != nil
                ? outcome : TopicOutcome(name: outcome.name, error: .storage, message: failure)
        }
        reply(outcomes, to: change.token, into: &effects)
        answerCoordinatorWaiters(into: &effects)
    }

    /// Gives the names of a change back.
    private mutating func release(_ change: PendingChange) {
        switch change.kind {
        case .create(let entries), .delete(let entries), .alter(let entries):
            for entry in entries { reserved.remove(entry.name) }
        case .grow(let grown):
            for (entry, _) in grown { reserved.remove(entry.name) }
        case .producerIDs:
            return
        }
    }

    func reply(
        _ outcomes: [TopicOutcome], to token: UInt64?, into effects: inout [Effect]
    ) {
        guard let token else { return }
        effects.append(.reply(token: token, .topics(outcomes)))
    }
}

extension Control {
    mutating func producerID(_ token: UInt64, into effects: inout [Effect]) {
        producerIDs.waiting.append(token)
        serveProducerIDs(into: &effects)
    }

    /// Gives out what the block has left; reserves the next one durably where that is not enough.
    private mutating func serveProducerIDs(into effects: inout [Effect]) {
        var served = 0
        for token in producerIDs.waiting where producerIDs.next < producerIDs.end {
            effects.append(.reply(token: token, .producerID(ProducerID(producerIDs.next))))
            producerIDs.next += 1
            served += 1
        }
        producerIDs.waiting.removeFirst(served)
        guard !producerIDs.waiting.isEmpty, !producerIDs.isReserving else { return }
        producerIDs.isReserving = true
        let end = producerIDs.end + ProducerIDBlock.size
        var value = ByteBuffer()
        value.writeInteger(end)
        let change = TableChange(
            key: ProducerIDBlock.key, version: nextRevision(), value: value)
        write([change], .producerIDs(end: end), nil, [], into: &effects)
    }
}
