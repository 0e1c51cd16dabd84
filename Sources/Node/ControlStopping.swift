import Model
import OrderedCollections
import Replication

/// What every broker does about topics that are deleted: it says when it serves them no more, and
/// finds out what it missed before it serves by a lease.
extension Control {
    /// Whether nothing of a topic that is no more is served here.
    func hasStopped(_ id: TopicID) -> Bool {
        topics.name(of: id) == nil && closing[id] == nil
    }

    /// Another broker wants to know when this one has stopped. What this broker has not heard of is
    /// read first: else it could learn of the topic after it had said that it serves it no more.
    mutating func stop(
        _ claims: [TopicClaim], for node: NodeID, into effects: inout [Effect]
    ) {
        var unread: [TopicClaim] = []
        for claim in claims.prefix(Self.registersTogether) {
            if deletions[claim.name]?.id == claim.id {
                stopAskers[claim.id, default: []].insert(node)
            } else {
                unread.append(claim)
            }
        }
        answerStopAskers(into: &effects)
        guard !unread.isEmpty else { return }
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .claims(unread, node), token: nil, names: [], outcomes: [])
        effects.append(.read(number, unread.map { Self.key($0.name) }))
    }

    /// What a register says was learned before this was said.
    mutating func claimsRead(
        _ claims: [TopicClaim], for node: NodeID, _ decisions: [Decision],
        into effects: inout [Effect]
    ) {
        for (claim, decision) in zip(claims, decisions) where Self.isSettled(decision) {
            stopAskers[claim.id, default: []].insert(node)
        }
        answerStopAskers(into: &effects)
        // Still there: who asked is wrong, or asks again.
        for claim in claims where topics.name(of: claim.id) != nil { stopAskers[claim.id] = nil }
    }

    /// A shard has let go of a partition.
    mutating func closed(
        _ partition: TopicPartition, now: Now, into effects: inout [Effect]
    ) {
        guard closing[partition.topic]?.remove(partition) != nil else { return }
        guard closing[partition.topic]?.isEmpty == true else { return }
        closing[partition.topic] = nil
        answerStopAskers(into: &effects)
        lookAtStop(partition.topic, now: now, into: &effects)
    }

    private mutating func answerStopAskers(into effects: inout [Effect]) {
        guard !stopAskers.isEmpty else { return }
        var answers: [NodeID: [TopicID]] = [:]
        for id in stopAskers.keys.sorted() where hasStopped(id) {
            for node in stopAskers.removeValue(forKey: id) ?? [] {
                answers[node, default: []].append(id)
            }
        }
        for node in answers.keys.sorted() {
            for batch in Self.batches(of: answers[node] ?? []) {
                effects.append(.tellStopped(node, Array(batch)))
            }
        }
    }

    /// Whether it is known what the register holds.
    static func isSettled(_ decision: Decision) -> Bool {
        switch decision {
        case .chosen, .refused: true
        case .notChosen, .unknown, .held: false
        }
    }

    // MARK: Standing by a lease

    /// Reads the registers of all topics that this broker holds before it finds out what it leads:
    /// a lease that lapsed, or a voter that outlived it, may have let a deletion pass unheard.
    mutating func readTopics(_ serial: UInt64, into effects: inout [Effect]) {
        // What began before is not as new as the lease.
        confirmations += 1
        let names = (placed[identity.broker.id] ?? []).sorted()
        readTopics(names[...], serial, into: &effects)
    }

    /// Reads some after the others.
    private mutating func readTopics(
        _ names: ArraySlice<String>, _ serial: UInt64, into effects: inout [Effect]
    ) {
        guard !names.isEmpty else { return confirmLeaderships(serial, into: &effects) }
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .standing(serial, then: names.dropFirst(Self.confirmedTogether)), token: nil,
            names: [], outcomes: [])
        effects.append(.read(number, names.prefix(Self.confirmedTogether).map(Self.key)))
    }

    /// Topics that are gone are forgotten by now, also where their tombstones are (`Mesh`).
    mutating func topicsRead(
        _ serial: UInt64, _ decisions: [Decision], then rest: ArraySlice<String>,
        into effects: inout [Effect]
    ) {
        guard decisions.allSatisfy(Self.isSettled) else {
            effects.append(.leadershipsConfirmed(serial, isComplete: false))
            return
        }
        readTopics(rest, serial, into: &effects)
    }
}
