import Model
import Replication

/// What must hold, and what clients see.
extension SearchMesh {
    /// A producer writes to whoever believes to lead, whether or not that has a lease: that
    /// nothing acknowledged is lost never depends on clocks.
    mutating func produce() {
        let candidates = brokers.indices.filter {
            brokers[$0].isUp && brokers[$0].leads && brokers[$0].pausedUntil <= now
        }
        guard !candidates.isEmpty else { return }
        let broker = candidates[random(candidates.count)]
        guard brokers[broker].leading.refusal(of: .all) == nil,
            let epoch = brokers[broker].leading.leadership?.epoch
        else { return }
        for _ in 0...random(2) {
            nextValue += 1
            brokers[broker].log.records.append(
                SearchRecord(epoch: epoch.rawValue, value: nextValue))
        }
        let end = brokers[broker].log.end
        drive(broker, .appended(end: end))
        drive(
            broker,
            .await(
                PartitionMachine.Waiter(
                    token: UInt64(nextValue), end: end, acknowledgement: .all,
                    deadline: Instant(nanoseconds: .max))))
        pump(broker)
    }

    /// ListOffsets of a broker that serves: what it answers never goes back (KIP-207).
    mutating func ask() {
        for broker in brokers.indices
        where brokers[broker].pausedUntil <= now && brokers[broker].serves(at: now, plan.rules) {
            guard brokers[broker].leading.hasCommittedOwnEpoch else { continue }
            let mark = brokers[broker].leading.highWatermark.rawValue
            if mark < lastAsked {
                fail("KIP-207: \(broker) answered \(mark) after \(lastAsked)")
            }
            lastAsked = max(lastAsked, mark)
        }
    }

    /// The watermark of a leader moved: everything below it can be read and never changes.
    mutating func commit(_ broker: Int, upTo mark: Offset) {
        note(1, Int64(broker), mark.rawValue)
        let end = Int(mark.rawValue)
        let records = brokers[broker].log.records
        guard end <= records.count else { return fail("\(broker): a watermark behind the end") }
        for offset in 0..<end {
            if offset == committed.count {
                committed.append(records[offset])
            } else if committed[offset] != records[offset] {
                return fail("\(broker): another value at \(offset)")
            }
        }
        guard let epoch = brokers[broker].leading.leadership?.epoch else { return }
        if let held = brokers[broker].watermarkOfEpoch, held.epoch == epoch, mark < held.mark {
            fail("\(broker): the watermark fell from \(held.mark.rawValue)")
        }
        brokers[broker].watermarkOfEpoch = (epoch, mark)
    }

    /// A follower's watermark too says what can be read.
    mutating func checkFollower(_ broker: Int, _ mark: Offset) {
        let records = brokers[broker].log.records
        for offset in 0..<Int(mark.rawValue) {
            guard offset < committed.count, offset < records.count else {
                return fail("follower \(broker): a watermark at \(mark.rawValue)")
            }
            if records[offset] != committed[offset] {
                return fail("follower \(broker): another value at \(offset)")
            }
        }
    }

    mutating func checkLeader(_ broker: Int, _ state: PartitionState) {
        leaders += 1
        note(2, Int64(broker), Int64(state.leaderEpoch.rawValue))
        let records = brokers[broker].log.records
        // One that learns late that it was elected, and is followed by another by now, commits
        // nothing any more.
        let isCurrent = state.leaderEpoch == register.leaderEpoch
        for (offset, record) in committed.enumerated() where isCurrent {
            guard offset < records.count, records[offset] == record else {
                return fail("leader \(broker) of \(state.leaderEpoch.rawValue) lost \(offset)")
            }
        }
        let life = [broker, brokers[broker].life]
        let epoch = state.leaderEpoch.rawValue
        if let before = leaderOfEpoch[epoch], before != life {
            fail("epoch \(epoch) has the leaders \(before) and \(life)")
        }
        leaderOfEpoch[epoch] = life
    }

    /// Never two that believe that they may serve.
    mutating func checkExclusion() {
        var serving: Int?
        for broker in brokers.indices where brokers[broker].serves(at: now, plan.rules) {
            if let other = serving { return fail("\(other) and \(broker) both serve") }
            serving = broker
        }
    }

    var isConverged: Bool {
        guard let leader = register.leader.map({ Int($0.rawValue) }),
            brokers[leader].serves(at: now, plan.rules),
            register.inSync.count == plan.replicas, register.lastEligible.isEmpty
        else { return false }
        let records = brokers[leader].log.records
        let mark = brokers[leader].leading.highWatermark
        return brokers.indices.allSatisfy { broker in
            brokers[broker].log.records == records
                && register.inSync.contains(brokers[broker].id)
                && brokers[broker].known == register
                && (broker == leader || brokers[broker].following.isFollowing)
                && (broker == leader
                    || brokers[broker].following.position.highWatermark == mark)
        } && mark == brokers[leader].log.end
    }

    /// What the mesh looks like that does not heal.
    var unhealed: String {
        let states = brokers.map { broker in
            let (id, known) = (broker.id, broker.known)
            let position = broker.following.position
            return "\(broker.node.rawValue): leads \(broker.leads), follows "
                + "\(broker.following.isFollowing), end \(broker.log.end.rawValue), synced "
                + "\(position.synced.rawValue) of \(position.end.rawValue), knows "
                + "\(known.leaderEpoch.rawValue)/\(known.partitionEpoch.rawValue), id "
                + "\(id.logEpoch.rawValue)/\(id.admission.rawValue)"
        }
        return "register \(register.leader?.rawValue ?? -1) of "
            + "\(register.leaderEpoch.rawValue)/\(register.partitionEpoch.rawValue), in sync "
            + "\(register.inSync.map { "\($0.node.rawValue).\($0.logEpoch.rawValue)" }), "
            + "eligible \(register.lastEligible.map(\.node.rawValue)); "
            + states.joined(separator: "; ")
    }

    mutating func finish() {
        guard violation == nil, let leader = register.leader else { return }
        let records = brokers[Int(leader.rawValue)].log.records
        for (offset, record) in committed.enumerated() where records[offset] != record {
            return fail("lost \(offset) in the end")
        }
    }
}
