package import Model
import OrderedCollections
import Replication

/// What a shard asked one follower at one moment: not to campaign against these leaderships.
struct PendingClaims {
    let serial: UInt64
    let follower: NodeID
    let sentAt: Instant
    let claims: [LeadershipClaim]
}

/// How a shard serves on while the voters are down: all who could be elected promise not to
/// campaign (design, section 5; `CompleteSetLease` says why that is enough).
///
/// Asked of each follower's broker in one message for all partitions, and only while the broker's
/// own lease runs out: it has then missed two renewals, and two tries are left before it lapses. A
/// broker whose voters answer sends nothing.
extension Shard {
    /// What is left of the broker's lease when the followers are asked.
    private static let askBelowMilliseconds: Int64 = 1_000

    /// Whether nobody else can lead a partition now that this broker leads. Costs a comparison
    /// while the voters answer.
    func isLeased(_ slot: Int) -> Bool { isLeased(slot, at: clock) }

    func isLeased(_ slot: Int, at now: Instant) -> Bool {
        !partitions[slot].needsLease || now < leaseUntil || isComplete(slot, at: now)
            || !rules.node.servesWithinLease
    }

    /// Found out anew each time: the members may have changed since they promised.
    private func isComplete(_ slot: Int, at now: Instant) -> Bool {
        completeLease(slot)?.isHeld(at: now) ?? false
    }

    private func completeLease(_ slot: Int) -> CompleteSetLease? {
        guard let own = partitions[slot].role.copy, let state = partitions[slot].machine.state,
            partitions[slot].machine.leadership?.epoch == state.leaderEpoch
        else { return nil }
        var lease = partitions[slot].complete
        lease.require(
            state, proposed: partitions[slot].machine.proposal?.inSync ?? [], by: own.node)
        return lease
    }

    /// Asks everybody who could be elected; called with each tick.
    mutating func askForPromises(now: Instant, into effects: inout [Effect]) {
        guard leaseUntil.milliseconds(since: now) < Self.askBelowMilliseconds, now >= claimsDue,
            stopping == nil
        else { return }
        claimsDue = now.advanced(byMilliseconds: ReplicationLimits.promiseMilliseconds)
        pendingClaims.removeAll {
            now.milliseconds(since: $0.sentAt) >= ReplicationLimits.leaseMilliseconds
        }
        var wanted: OrderedDictionary<NodeID, [LeadershipClaim]> = [:]
        for slot in partitions.occupied where partitions.needsLease(slot) {
            guard let lease = completeLease(slot), let epoch = partitions[slot].leadsUnder else {
                continue
            }
            partitions[slot].complete = lease
            let claim = LeadershipClaim(partition: partitions[slot].id, leaderEpoch: epoch)
            // Two copies of one broker, the one that was and the one that is, are asked once.
            for node in lease.nodes where wanted[node]?.last != claim {
                wanted[node, default: []].append(claim)
            }
        }
        for (node, claims) in wanted { ask(node, claims, now: now, into: &effects) }
    }

    private mutating func ask(
        _ node: NodeID, _ claims: [LeadershipClaim], now: Instant, into effects: inout [Effect]
    ) {
        for start in stride(from: 0, to: claims.count, by: ReplicationLimits.entriesPerMessage) {
            let end = min(claims.count, start + ReplicationLimits.entriesPerMessage)
            let part = Array(claims[start..<end])
            claimSerial = (claimSerial + 1) & Self.claimSerialMask
            let serial = UInt64(number) << Self.claimSerialBits | claimSerial
            pendingClaims.append(
                PendingClaims(serial: serial, follower: node, sentAt: now, claims: part))
            effects.append(.send(node, .recognise(serial, part)))
        }
    }

    /// The upper bits say which shard of the broker asked, so that the answer finds it.
    private static let claimSerialBits: UInt64 = 48
    private static let claimSerialMask: UInt64 = 1 << claimSerialBits - 1

    /// Which shard an answer is for.
    public static func number(ofClaims serial: UInt64) -> Int { Int(serial >> claimSerialBits) }

    /// A follower's broker has promised, but for what it declined.
    mutating func hear(
        promise message: ReplicationMessage, of node: NodeID, into effects: inout [Effect]
    ) {
        guard case .recognised(let serial, let replica, let declined) = message,
            replica.node == node,
            let place = pendingClaims.firstIndex(where: {
                $0.serial == serial && $0.follower == node
            })
        else { return }
        let pending = pendingClaims.remove(at: place)
        let refused = Set(declined)
        var standings: [Standing] = []
        for claim in pending.claims where !refused.contains(claim.partition) {
            guard let slot = openSlot(claim.partition),
                partitions[slot].leadsUnder == claim.leaderEpoch
            else { continue }
            partitions[slot].complete.promised(
                by: replica, claim.leaderEpoch, sentAt: pending.sentAt)
            guard let until = completeLease(slot)?.until, until > clock else { continue }
            standings.append(
                Standing(partition: claim.partition, epoch: claim.leaderEpoch, until: until))
        }
        if !standings.isEmpty { effects.append(.standing(standings)) }
    }
}

/// What a checker of leases asks.
extension Shard {
    /// The partitions that this shard would serve at that moment, each with its epoch: of these no
    /// other broker may serve any. Costs a pass over all partitions; for simulations.
    package func reigns(at now: Instant) -> [(partition: TopicPartition, epoch: LeaderEpoch)] {
        partitions.occupied.compactMap { slot in
            reign(slot, at: now).map { (partitions[slot].id, $0) }
        }
    }

    /// The epoch under which this shard would serve a partition at that moment.
    package func reign(over id: TopicPartition, at now: Instant) -> LeaderEpoch? {
        openSlot(id).flatMap { reign($0, at: now) }
    }

    private func reign(_ slot: Int, at now: Instant) -> LeaderEpoch? {
        guard partitions[slot].isOpen, let epoch = partitions[slot].leadsUnder,
            isLeased(slot, at: now)
        else { return nil }
        return epoch
    }
}
