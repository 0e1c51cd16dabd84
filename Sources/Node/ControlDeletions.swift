import Model
import OrderedCollections
import Replication

/// A topic whose deletion is decided, on its way to the moment from which nobody serves it.
struct TopicStop {
    /// A proposal of a change that waits, and its place among the outcomes.
    struct Waiter {
        let change: UInt64
        let place: Int
        /// What is to be made in the topic's place; nil where its end is waited for.
        var successor: TopicRecord?
        /// When it is told that it has to ask again.
        var until = Instant(nanoseconds: 0)
    }

    /// As it was when its deletion was heard of, or as its registers were read since.
    var entry: TopicEntry
    /// Whose copies count was read from the registers, for the step that is next.
    var isRead = false
    /// Batches of them that are being read.
    var reading = 0
    /// When the last of those that matter said that it stopped.
    var heardAt: Instant
    var confirmed: Set<NodeID> = []
    var waiters: [Waiter] = []
    /// When the brokers are asked again.
    var askAt: Instant
    /// The next step is being decided.
    var isDeciding = false
    /// No lease of a broker that was not heard is valid any more.
    var isOutlived = false
    /// Batches of registers of partitions whose end is being decided.
    var burying = 0
    var isBuried = false
}

/// Deletions: chosen in the topic's register, then every broker is asked to stop, and only once
/// none can serve the topic any more is the request answered and the name free.
///
/// A broker has stopped when it has learned of the deletion and its shards have let go of the
/// partitions. One that does not say so is waited for as long as it seems to be there. One that is
/// away is outlived: the voters hold the record back that names its copy for as long as a lease
/// that they granted to it may be valid, and from then on it serves nothing by its lease before it
/// has read the topics' registers. Where nobody of a partition's in-sync and last eligible copies
/// has stopped, its leader may serve on without the voters, and it is waited for until the broker
/// is back, forgotten, or away for long.
extension Control {
    mutating func deleteTopics(
        _ names: [String], _ ids: [String: TopicID], _ token: UInt64, now: Now,
        into effects: inout [Effect]
    ) {
        var outcomes: [TopicOutcome] = []
        var proposals: [RegisterProposal] = []
        var named: Set<String> = []
        // Whoever asks again waits for what the first request began.
        var awaited: [(name: String, place: Int)] = []
        for name in names {
            let held = deletions[name]?.id ?? topics[name]?.id
            if let id = ids[name], let held, held != id {
                outcomes.append(
                    TopicOutcome(name: name, error: .unknown, message: "no topic has this id"))
                continue
            }
            if deletions[name] != nil, named.insert(name).inserted {
                awaited.append((name, outcomes.count))
                outcomes.append(TopicOutcome(name: name))
                continue
            }
            guard let entry = topics[name], !reserved.contains(name),
                named.insert(name).inserted
            else {
                outcomes.append(unknownOrBusy(name))
                continue
            }
            outcomes.append(TopicOutcome(name: name, entry: entry))
            proposals.append(
                RegisterProposal(key: Self.key(name), operation: .deleteTopic(entry.id)))
        }
        guard !proposals.isEmpty || !awaited.isEmpty else {
            reply(outcomes, to: token, into: &effects)
            return
        }
        let number = propose(
            proposals, token, outcomes, waiting: awaited.map(\.place), into: &effects)
        for (name, place) in awaited {
            awaitEnd(
                of: name, TopicStop.Waiter(change: number, place: place), now: now,
                into: &effects)
        }
    }

    /// Between two times that a broker is asked.
    private static let askMilliseconds: Int64 = 250

    /// How long a client waits: longer than a lease and a suspicion, shorter than clients' own
    /// patience (30 s in most).
    private static let patienceMilliseconds: Int64 = 12_000

    /// How long a deletion lies before another broker takes it to its end: the one that decided it
    /// has had its time, or has died.
    private static let orphanMilliseconds: Int64 = 30_000

    // MARK: What the registers say

    /// A register says that its topic is being deleted. The topic, if it was there until now.
    mutating func noteDeletion(
        _ record: TopicRecord, named name: String, now: Now?
    ) -> [TopicEntry] {
        let old = take(name)
        let isOwn = old?.id == record.id
        if deletions[name]?.id != record.id || isOwn {
            deletions[name] = isOwn ? old : entry(name: name, record)
        }
        if let now { noteOrphans(now: now) }
        return old.map { [$0] } ?? []
    }

    mutating func noteOrphans(now: Now) {
        guard !deletions.isEmpty, orphansAt == nil else { return }
        orphansAt = now.instant.advanced(byMilliseconds: Self.orphanMilliseconds)
    }

    // MARK: Deciding broker

    /// Somebody waits for the end of a deletion; it is brought about unless it is under way.
    mutating func awaitEnd(
        of name: String, _ waiter: TopicStop.Waiter, now: Now, into effects: inout [Effect]
    ) {
        guard let entry = deletions[name] else { return }
        changes[waiter.change]?.openings += 1
        beginStop(entry, now: now)
        var waiter = waiter
        waiter.until = now.instant.advanced(byMilliseconds: Self.patienceMilliseconds)
        stops[entry.id]?.waiters.append(waiter)
        lookAtStop(entry.id, now: now, into: &effects)
    }

    private mutating func beginStop(_ entry: TopicEntry, now: Now) {
        guard stops[entry.id] == nil else { return }
        stops[entry.id] = TopicStop(
            entry: entry, heardAt: now.instant, askAt: now.instant)
    }

    /// The next step of a deletion, where there is one.
    mutating func lookAtStop(
        _ id: TopicID, now: Now, into effects: inout [Effect]
    ) {
        guard var stop = stops[id], !stop.isDeciding else { return }
        if hasStopped(id) { stop.confirmed.insert(identity.broker.id) }
        let missing = missing(in: stop)
        if stop.askAt <= now.instant {
            for node in missing where node != identity.broker.id {
                effects.append(.askToStop(node, [TopicClaim(id: id, name: stop.entry.name)]))
            }
            stop.askAt = now.instant.advanced(byMilliseconds: Self.askMilliseconds)
        }
        stops[id] = stop
        // One that was shut out is waited for no more, and its lease may be valid yet.
        let shutOut = forgotten.subtracting(stop.confirmed).sorted()
        guard !stop.isOutlived,
            !missing.isEmpty || !copies(of: stop.entry, at: shutOut).isEmpty
        else { return free(stop, into: &effects) }
        let isAway = missing.allSatisfy { node in
            members.first { $0.entry.id == node }?.isDoubted ?? true
        }
        guard isAway, !mayServeAlone(stop, without: missing, now: now),
            now.instant.milliseconds(since: stop.heardAt)
                >= ReplicationLimits.leaseHonouredMilliseconds
        else {
            stops[id]?.isRead = false
            return
        }
        guard stop.isRead else { return readCopies(stop, into: &effects) }
        let unheard = copies(of: stop.entry, at: missing + shutOut)
        guard !unheard.isEmpty else { return free(stop, into: &effects) }
        decide(.outlive(id, unheard), of: stop, into: &effects)
    }

    /// Finds out whose copies count now: a leader that is away may have taken in another broker,
    /// which this one has not heard of.
    private mutating func readCopies(_ stop: TopicStop, into effects: inout [Effect]) {
        let id = stop.entry.id
        stops[id]?.isDeciding = true
        stops[id]?.isRead = true
        for batch in Self.batches(of: Array(stop.entry.partitions.indices)) {
            stops[id]?.reading += 1
            let number = nextSerial()
            changes[number] = PendingChange(
                kind: .copiesRead(id, Array(batch)), token: nil, names: [], outcomes: [])
            let proposals = batch.map { index in
                RegisterProposal(
                    key: PartitionRegister.key(stop.entry.partition(Int32(index))),
                    operation: .confirm)
            }
            effects.append(.propose(number, proposals))
        }
    }

    /// What the registers hold was learned before this was said.
    mutating func copiesRead(
        _ id: TopicID, _ indices: [Int], _ decisions: [Decision], now: Now,
        into effects: inout [Effect]
    ) {
        guard var stop = stops[id] else { return }
        stop.reading -= 1
        if !decisions.allSatisfy(Self.isSettled) { stop.isRead = false }
        for index in indices {
            guard let state = states[stop.entry.partition(Int32(index))] else { continue }
            stop.entry.partitions[index] = state
        }
        if stop.reading == 0 { stop.isDeciding = false }
        stops[id] = stop
        // Not all could be read: the next look tries again.
        if stop.reading == 0, stop.isRead { lookAtStop(id, now: now, into: &effects) }
    }

    /// The last step; before it the registers of the partitions go, because without the topic's
    /// nobody could tell any more whose they are.
    private mutating func free(_ stop: TopicStop, into effects: inout [Effect]) {
        let id = stop.entry.id
        guard !stop.isBuried else { return decide(.freeName(id), of: stop, into: &effects) }
        let written = stop.entry.partitions.indices.filter {
            stop.entry.partitions[$0].partitionEpoch > .initial
        }
        stops[id]?.isBuried = true
        guard !written.isEmpty else { return decide(.freeName(id), of: stop, into: &effects) }
        stops[id]?.isDeciding = true
        for batch in Self.batches(of: written) {
            stops[id]?.burying += 1
            bury(batch.map { stop.entry.partition(Int32($0)) }, of: id, into: &effects)
        }
    }

    private mutating func decide(
        _ operation: RegisterOperation, of stop: TopicStop, into effects: inout [Effect]
    ) {
        stops[stop.entry.id]?.isDeciding = true
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .stop(stop.entry.id, frees: operation == .freeName(stop.entry.id)), token: nil,
            names: [], outcomes: [])
        effects.append(
            .propose(
                number,
                [RegisterProposal(key: Self.key(stop.entry.name), operation: operation)]))
    }

    /// What became of a step.
    mutating func stopDecided(
        _ id: TopicID, frees: Bool, _ decision: Decision?, now: Now, into effects: inout [Effect]
    ) {
        guard stops[id] != nil else { return }
        stops[id]?.isDeciding = false
        switch decision {
        case .chosen where frees, .refused(.absent, _): endStop(id, now: now, into: &effects)
        case .chosen:
            stops[id]?.isOutlived = true
            lookAtStop(id, now: now, into: &effects)
        // Held back, or not decided: the next look tries again.
        case .refused, .notChosen, .unknown, .held, nil: break
        }
    }

    /// Nobody serves it any more: who waited is answered, and who wants the name may have it.
    private mutating func endStop(_ id: TopicID, now: Now, into effects: inout [Effect]) {
        guard let stop = stops.removeValue(forKey: id) else { return }
        for waiter in stop.waiters {
            guard let successor = waiter.successor else {
                release(waiter, into: &effects)
                continue
            }
            let number = nextSerial()
            changes[number] = PendingChange(
                kind: .successor(waiter.change, waiter.place), token: nil, names: [],
                outcomes: [])
            let key = Self.key(stop.entry.name)
            effects.append(
                .propose(
                    number, [RegisterProposal(key: key, operation: .createTopic(successor))]))
        }
    }

    private mutating func release(_ waiter: TopicStop.Waiter, into effects: inout [Effect]) {
        changes[waiter.change]?.openings -= 1
        finishChange(waiter.change, into: &effects)
    }

    /// The topic that was to be made in the place of a deleted one is decided.
    mutating func successorDecided(
        _ number: UInt64, _ place: Int, _ decision: Decision?, now: Now,
        into effects: inout [Effect]
    ) {
        conclude(place, of: number, decision ?? .unknown("no answer"), now: now, into: &effects)
        changes[number]?.openings -= 1
        finishChange(number, into: &effects)
    }

    private mutating func expire(
        _ id: TopicID, now: Now, into effects: inout [Effect]
    ) {
        guard let stop = stops[id], stop.waiters.contains(where: { $0.until <= now.instant })
        else { return }
        let message = "'\(stop.entry.name)' is deleted, and \(delay(of: stop))"
        stops[id]?.waiters.removeAll { $0.until <= now.instant }
        for waiter in stop.waiters where waiter.until <= now.instant {
            changes[waiter.change]?.outcomes[waiter.place].error = .timedOut
            changes[waiter.change]?.outcomes[waiter.place].message = message
            release(waiter, into: &effects)
        }
    }

    /// Why a deletion is not over, and what to do about it. Only of brokers that are away it says
    /// that they can be shut out: one that is there but slow is best waited for.
    private func delay(of stop: TopicStop) -> String {
        let missing = missing(in: stop)
        func list(_ nodes: [NodeID]) -> String {
            (nodes.count == 1 ? "broker " : "brokers ")
                + nodes.map { String($0.rawValue) }.joined(separator: ", ")
        }
        guard !stop.isDeciding, !stop.isOutlived, !missing.isEmpty else {
            return "the voters have not decided its end: ask again, and see that a majority of "
                + "them is there (gossamer cluster voters)"
        }
        let away = missing.filter { node in
            members.first { $0.entry.id == node }?.isDoubted ?? true
        }
        guard !away.isEmpty else {
            return "\(list(missing)) has not stopped to serve it, and is there: ask again"
        }
        return "\(list(away)), which may serve it still, is away and has not said that it stopped: "
            + "ask again once it is back, or shut it out for good (gossamer cluster forget)"
    }

    /// Asks again, goes on with what only time was waited for, and takes up what others left.
    mutating func lookAtStops(now: Now, into effects: inout [Effect]) {
        for id in Array(stops.keys) {
            guard let stop = stops[id], stop.askAt <= now.instant else { continue }
            lookAtStop(id, now: now, into: &effects)
            if stops[id]?.isDeciding == true {
                stops[id]?.askAt = now.instant.advanced(byMilliseconds: Self.askMilliseconds)
            }
            expire(id, now: now, into: &effects)
        }
        guard let due = orphansAt, due <= now.instant else { return }
        orphansAt = nil
        noteOrphans(now: now)
        guard members.map(\.entry.id).min() == identity.broker.id, handover == nil else { return }
        for name in deletions.keys.sorted() {
            guard let entry = deletions[name], stops[entry.id] == nil else { continue }
            beginStop(entry, now: now)
            lookAtStop(entry.id, now: now, into: &effects)
        }
    }

    var stopsWake: Instant? {
        (stops.values.map(\.askAt) + [orphansAt].compactMap { $0 }).min()
    }

    /// A broker serves nothing of these topics any more.
    mutating func hear(
        stopped topics: [TopicID], by node: NodeID, now: Now, into effects: inout [Effect]
    ) {
        for id in topics where stops[id] != nil {
            if stops[id]?.confirmed.insert(node).inserted == true {
                stops[id]?.heardAt = now.instant
            }
            lookAtStop(id, now: now, into: &effects)
        }
    }
}
