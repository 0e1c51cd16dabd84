import Coordination
import Model
import NIOCore
import OrderedCollections
import Replication

/// A topic some of whose partitions are being opened here, and the change that waits for it.
struct PendingOpening {
    var remaining = 0
    var change: UInt64?
}

/// The partitions of the table that are not open yet after a start.
struct PendingStart {
    var partitions: Set<TopicPartition> = []
    var failures: [String] = []
}

extension Control {
    /// Takes the table in and has every partition of this broker opened.
    mutating func start(_ values: [ChosenValue], into effects: inout [Effect]) {
        var start = PendingStart()
        for value in values { start.failures += note(partition: value).map { [$0] } ?? [] }
        for value in values {
            guard let name = Self.topicName(of: value.key), let bytes = value.value else {
                continue
            }
            do throws(TopicRecord.DecodeError) {
                let record = try TopicRecord(decoding: bytes)
                if record.deletion == nil {
                    put(entry(name: name, record))
                } else {
                    _ = noteDeletion(record, named: name, now: nil)
                }
            } catch {
                start.failures.append("\(value.key): \(error)")
            }
        }
        prepareSlots()
        effects.append(.publish(view()))
        for topic in topics.sortedNames.compactMap({ topics[$0] }) {
            for index in topic.partitions.indices where holds(topic, Int32(index)) {
                start.partitions.insert(topic.partition(Int32(index)))
                open(topic, Int32(index), into: &effects)
            }
        }
        starting = start
        finishStart(into: &effects)
    }

    mutating func finishStart(into effects: inout [Effect]) {
        guard let start = starting, start.partitions.isEmpty else { return }
        starting = nil
        effects.append(.ready(failures: start.failures))
    }

    mutating func opened(
        _ partition: TopicPartition, failure: String?, now: Now, into effects: inout [Effect]
    ) {
        let startsWith = starting?.partitions.remove(partition) != nil
        if let failure {
            let complaint = "\(PartitionOrder.directory(of: partition)): \(failure)"
            if startsWith {
                starting?.failures.append(complaint)
            } else {
                effects.append(.notice(complaint))
            }
        } else {
            slotOpened(partition, now: now, into: &effects)
            // It may have been made by a broker that knew fewer others than this one does.
            if let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
                let state = entry.state(partition.index.rawValue)
            {
                noteUntended(partition, state, now: now)
            }
        }
        if startsWith { return finishStart(into: &effects) }
        guard var opening = openings[partition.topic] else { return }
        if let failure, let change = opening.change { fail(partition.topic, of: change, failure) }
        opening.remaining -= 1
        openings[partition.topic] = opening.remaining > 0 ? opening : nil
        guard opening.remaining == 0 else { return }
        guard let change = opening.change else {
            return answerCoordinatorWaiters(into: &effects)
        }
        changes[change]?.openings -= 1
        finishChange(change, into: &effects)
    }

    /// The topic is decided, and a log of it can't be opened: whoever asked for it is told.
    private mutating func fail(_ topic: TopicID, of change: UInt64, _ failure: String) {
        guard let place = changes[change]?.outcomes.firstIndex(where: { $0.entry?.id == topic })
        else { return }
        changes[change]?.outcomes[place].error = .storage
        changes[change]?.outcomes[place].message = "a partition can't be opened: \(failure)"
    }
}

extension Control {
    /// Follows what was chosen, whoever proposed it.
    mutating func learn(_ values: [ChosenValue], now: Now, into effects: inout [Effect]) {
        var isChanged = false
        var gone: [TopicEntry] = []
        var touched: OrderedDictionary<String, [Int32]> = [:]
        for value in values {
            if let partition = PartitionRegister.partition(of: value.key) {
                if let failure = note(partition: value) { effects.append(.notice(failure)) }
                guard let name = topics.name(of: partition.topic) else {
                    buryLate(partition, value, now: now, into: &effects)
                    continue
                }
                touched[name, default: []].append(partition.index.rawValue)
                continue
            }
            guard let name = Self.topicName(of: value.key) else { continue }
            isChanged = true
            guard let bytes = value.value else {
                let ended = deletions.removeValue(forKey: name)
                if let old = take(name) { gone.append(old) }
                if let ended { buryLeft(of: ended, now: now, into: &effects) }
                continue
            }
            do throws(TopicRecord.DecodeError) {
                let record = try TopicRecord(decoding: bytes)
                guard record.deletion == nil else {
                    gone += noteDeletion(record, named: name, now: now)
                    continue
                }
                deletions[name] = nil
                let next = entry(name: name, record)
                let old = put(next)
                if let old, old.id != next.id { gone.append(old) }
                adopt(next, after: old?.id == next.id ? old : nil, now: now, into: &effects)
            } catch {
                // A newer broker wrote it: what was known goes on until this one is upgraded.
                effects.append(.notice("\(value.key) can't be read (\(error)): upgrade"))
            }
        }
        for (name, indices) in touched {
            isChanged = true
            refresh(name, indices, now: now, into: &effects)
        }
        guard isChanged else { return }
        effects.append(.publish(view()))
        settleElections(now: now, into: &effects)
        for entry in gone { release(entry, now: now, into: &effects) }
        prepareSlots()
        answerCoordinatorWaiters(into: &effects)
    }

    /// Opens what is new of a topic on this broker and tells its partitions of a change.
    private mutating func adopt(
        _ next: TopicEntry, after old: TopicEntry?, now: Now, into effects: inout [Effect]
    ) {
        let held = old?.partitions.count ?? 0
        if let old, old.configuration != next.configuration {
            for index in old.partitions.indices where holds(next, Int32(index)) {
                effects.append(.configure(next.partition(Int32(index)), next.configuration))
                assume(next, Int32(index), into: &effects)
            }
        }
        for index in next.partitions.indices.dropFirst(held) where holds(next, Int32(index)) {
            openings[next.id, default: PendingOpening()].remaining += 1
            // Mostly new, and sometimes there from before a crash that lost the table's last words.
            open(next, Int32(index), into: &effects)
            // It may have been placed on a broker that is gone since.
            reviewLeader(next.partition(Int32(index)), next.partitions[index], now: now.instant)
        }
    }

    /// A topic is gone. Its files are removed only after the leave to do so is durable, so that
    /// after a crash they go on that evidence and never because a topic is merely missing.
    private mutating func release(
        _ entry: TopicEntry, now: Now, into effects: inout [Effect]
    ) {
        noteGone(entry.id)
        if entry.isInternal { dropSlots(now: now, into: &effects) }
        forgetOffsets(of: [entry.name], now: now, into: &effects)
        if let opening = openings.removeValue(forKey: entry.id), let change = opening.change {
            changes[change]?.openings -= 1
            finishChange(change, into: &effects)
        }
        for index in entry.partitions.indices { forget(entry.partition(Int32(index))) }
        // A stop may have waited for one of them to stand down.
        if handover?.isEnding == true { continueHandover(now: now, into: &effects) }
        let own = entry.partitions.indices.map { Int32($0) }.filter { holds(entry, $0) }
        guard !own.isEmpty else { return }
        closing[entry.id] = Set(own.map { entry.partition($0) })
        erase(own.map { entry.partition($0) }, into: &effects)
    }

    /// Nobody leads what is gone: campaigns for it would never end.
    private mutating func forget(_ partition: TopicPartition) {
        states[partition] = nil
        confirmed[partition] = nil
        yielded[partition] = nil
        yielding.remove(partition)
        moves[partition] = nil
        uncleanElections[partition] = nil
        electing.remove(partition)
        unconfirmed.remove(partition)
        campaigns[partition] = nil
        if bound[partition] != nil { bound[partition] = nil }
        standings[partition] = nil
        if inquiries[partition] != nil { inquiries[partition] = nil }
    }

    mutating func nextRevision() -> UInt64 {
        revision += 1
        return revision
    }

    /// The brokers changed: clients are told of those that are there, and since when each leads.
    mutating func follow(_ next: [BrokerMember], now: Now, into effects: inout [Effect]) {
        guard next != members else { return }
        let before = Set(members.lazy.filter { !$0.isDoubted }.map(\.entry.id))
        let isNews = next.contains { !$0.isDoubted && !before.contains($0.entry.id) }
        members = next
        notePresence(now: now)
        // One that is away leads since when it did.
        var moved: [NodeID] = []
        for member in next where copies[member.entry.id] != member.replica {
            copies[member.entry.id] = member.replica
            moved.append(member.entry.id)
        }
        if !moved.isEmpty { follow(moved: moved, into: &effects) }
        reviewLeaders(now: now, encouraged: isNews)
        campaign(now: now, into: &effects)
        noteAllUntended(now: now)
        noteOrphans(now: now)
        if members.count == 1 { abandonHandover(now: now, into: &effects) }
        effects.append(.publish(view()))
        answerCoordinatorWaiters(into: &effects)
    }
}

extension Control {
    /// Carries out what became of proposals; what was chosen is in the picture already.
    mutating func decided(
        _ number: UInt64, _ decisions: [Decision], now: Now, into effects: inout [Effect]
    ) {
        if let answers = lookups.end(number, settled: decisions.map(Self.isSettled)) {
            for answer in answers {
                effects.append(
                    .reply(token: answer.token, .lookedUp(isComplete: answer.isComplete)))
            }
            return readWhatIsMissing(into: &effects)
        }
        guard let change = changes[number] else { return }
        // Topics may have partitions to open first.
        if case .topics = change.kind {} else { changes[number] = nil }
        switch change.kind {
        case .producerIDs:
            reserved(decisions.first, into: &effects)
        case .inSync(let wishes):
            for (wish, decision) in zip(wishes, decisions) {
                inSyncDecided(wish.partition, wish.serial, decision, now: now, into: &effects)
            }
        case .moves(let partitions):
            movesDecided(partitions, decisions, now: now, into: &effects)
        case .leaving:
            leavingDecided(decisions, now: now, into: &effects)
        case .tending: return
        case .unclean(let partition):
            uncleanDecided(partition, decisions.first, now: now)
        case .reassignments(let round):
            reassignmentsDecided(round, decisions, now: now, into: &effects)
        case .agreement(let partition):
            reviewLeader(of: partition, now: now)
        case .elections(let partitions, let before):
            electionsDecided(
                partitions, decisions, isFresh: before == confirmations, now: now, into: &effects)
        case .confirmation(let partitions, let serial, let before, let rest):
            confirmed(
                partitions, decisions, serial, then: rest, isFresh: before == confirmations,
                now: now, into: &effects)
        case .copiesRead(let id, let indices):
            copiesRead(id, indices, decisions, now: now, into: &effects)
        case .stop(let id, let frees):
            stopDecided(id, frees: frees, decisions.first, now: now, into: &effects)
        case .burial(let id):
            burialDecided(id, decisions, now: now, into: &effects)
        case .successor(let change, let place):
            successorDecided(change, place, decisions.first, now: now, into: &effects)
        case .claims(let claims, let node):
            claimsRead(claims, for: node, decisions, into: &effects)
        case .standing(let serial, let rest):
            topicsRead(serial, decisions, then: rest, into: &effects)
        case .topics:
            for (place, decision) in zip(change.places, decisions) {
                conclude(place, of: number, decision, now: now, into: &effects)
            }
            changes[number]?.openings -= 1
            finishChange(number, into: &effects)
        }
    }

    mutating func conclude(
        _ place: Int, of number: UInt64, _ decision: Decision, now: Now,
        into effects: inout [Effect]
    ) {
        guard let change = changes[number] else { return }
        let outcome = change.outcomes[place]
        switch decision {
        case .chosen(let value):
            guard value.value != nil else { return }
            if deletions[outcome.name] != nil, change.records[place] == nil {
                let waiter = TopicStop.Waiter(change: number, place: place)
                return awaitEnd(of: outcome.name, waiter, now: now, into: &effects)
            }
            guard let entry = topics[outcome.name] else { return }
            changes[number]?.outcomes[place].entry = entry
            guard openings[entry.id] != nil else { return }
            openings[entry.id]?.change = number
            changes[number]?.openings += 1
        case .refused(.deleted, _)
        where change.records[place] != nil && deletions[outcome.name] != nil:
            let waiter = TopicStop.Waiter(
                change: number, place: place, successor: change.records[place])
            awaitEnd(of: outcome.name, waiter, now: now, into: &effects)
        case .refused(.absent, _)
        where change.deleted.contains(place) && deletions[outcome.name] != nil:
            // Somebody else's deletion was decided first, and the topic may be served yet.
            let waiter = TopicStop.Waiter(change: number, place: place)
            awaitEnd(of: outcome.name, waiter, now: now, into: &effects)
        case .refused(.absent, _)
        where topics[outcome.name].map { $0.id != outcome.entry?.id } == true:
            // This broker's picture was old: another topic has the name by now.
            changes[number]?.outcomes[place].error = .timedOut
            changes[number]?.outcomes[place].message =
                "'\(outcome.name)' was deleted and made anew meanwhile: ask again"
        case .refused(let refusal, _):
            let (error, message) = Self.explain(refusal, outcome.name)
            changes[number]?.outcomes[place].error = error
            changes[number]?.outcomes[place].message = message
        case .notChosen(let reason), .unknown(let reason):
            changes[number]?.outcomes[place].error = .timedOut
            changes[number]?.outcomes[place].message = reason
        case .held:
            // No lease is on the record of a topic: a voter of another version may think otherwise.
            changes[number]?.outcomes[place].error = .timedOut
            changes[number]?.outcomes[place].message = "the voters hold it back: ask again"
        }
    }

    private static func explain(
        _ refusal: RegisterRefusal, _ name: String
    ) -> (TopicError, String) {
        switch refusal {
        case .exists: (.alreadyExists, "topic '\(name)' already exists")
        case .deleted: (.timedOut, "'\(name)' is being deleted: ask again")
        case .absent: (.unknown, "no topic '\(name)'")
        case .notGrowing(let count):
            (.invalidPartitions, "'\(name)' has \(count) partitions meanwhile: ask again")
        case .invalid(let reason): (.invalidConfiguration, reason)
        case .tooLarge:
            (
                .policyViolation,
                "what has to be remembered of '\(name)' is larger than "
                    + "\(ChosenValue.valueBytesMaximum) bytes: fewer partitions or shorter configs"
            )
        case .full:
            (
                .policyViolation,
                "the voters have no room to remember more topics: delete some, or keep fewer"
            )
        case .taken, .revoked, .unreadable, .partition, .confirmed:
            (.invalidRequest, "'\(name)' was written by a newer gossamer: upgrade this broker")
        }
    }

    /// Answers once no partition of any topic of the change is still being opened here.
    mutating func finishChange(_ number: UInt64, into effects: inout [Effect]) {
        guard let change = changes[number], change.openings == 0 else { return }
        changes[number] = nil
        for name in change.names { reserved.remove(name) }
        reply(change.outcomes, to: change.token, into: &effects)
        answerCoordinatorWaiters(into: &effects)
    }
}
