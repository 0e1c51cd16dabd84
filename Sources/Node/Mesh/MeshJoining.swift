import Gossip
import Model
import NIOCore
import OrderedCollections
import Paxos

/// Who may become a member: newcomers are admitted by a decision, under an id of their own.
extension Mesh {
    /// Admissions are for ever, and whoever has the secret can ask for any number.
    private static let admissionsMaximum = 10_000

    /// How long the id of a broker that left in order is kept for it: longer than a restart takes.
    private static let comeBackMilliseconds: Int64 = 10_000

    /// How often a newcomer without a node id is tried under the next one.
    private static let joinAttemptsMaximum = 16

    static func admission(
        of claim: JoinClaim, as node: NodeID, mayReplace: Bool
    ) -> RegisterProposal {
        RegisterProposal(
            key: AdmissionRecord.registerKey(of: node),
            operation: .member(
                .admit(node: node, key: claim.key, store: claim.store, mayReplace: mayReplace)))
    }

    mutating func join(_ token: UInt64, _ claim: JoinClaim) {
        if let known = admissions.values.first(where: { $0.key == claim.key }) {
            if known.isRevoked {
                return refuse(token, "this broker's key was revoked", canRetry: false)
            }
            if known.store == claim.store { return welcome(token, known.node) }
        }
        guard early == nil else {
            return refuse(token, "the broker that was asked is still starting", canRetry: true)
        }
        // At once, and not after all rounds were tried: whoever waits should know why.
        if let reason = absence(for: claim) { return refuse(token, reason, canRetry: true) }
        guard admissions.count < Self.admissionsMaximum else {
            return refuse(
                token, "the mesh has admitted \(admissions.count) brokers, the most it takes",
                canRetry: false)
        }
        admit(token, claim, as: claim.node ?? lowestFree(), attempt: 1)
    }

    /// Whom it takes to admit a broker and who is away; nil where the voters can decide.
    private func absence(for claim: JoinClaim) -> String? {
        guard let roster = proposer.roster else { return nil }
        let absent = roster.everyone.filter { voter in
            let status = peers[voter.node]?.status
            return voter.node != identity.node && (status == .dead || status == .left)
        }
        let present = roster.everyone.map(\.id).filter { id in !absent.contains { $0.id == id } }
        guard !roster.isQuorum(present) else { return nil }
        if let lost = absent.first(where: { $0.node == claim.node && $0.id.store != claim.store }) {
            return "voter \(lost.node.rawValue), whose disk is gone, is needed to decide that, and "
                + "what it had promised is gone with the disk: start it from a copy of its data "
                + "directory, or begin a new mesh"
        }
        let names = absent.map { "\($0.node.rawValue)" }.joined(separator: ", ")
        return "no majority of the voters is there to admit a broker (away: \(names)). Start them "
            + "again with their data directories; a voter whose disk is gone has to be restored "
            + "from a copy"
    }

    private func lowestFree() -> NodeID {
        var candidate: Int32 = 1
        while admissions[NodeID(candidate)] != nil { candidate += 1 }
        return NodeID(candidate)
    }

    private mutating func admit(
        _ token: UInt64, _ claim: JoinClaim, as node: NodeID, attempt: Int
    ) {
        // A voter's promises are in the store that it had: the new one does not vote until the
        // roster says so, and the others have to decide that.
        let isGone = mayBeReplaced(node) && hasQuorum(without: node)
        propose(
            .joining(token, claim, node, attempt: attempt),
            [Self.admission(of: claim, as: node, mayReplace: isGone && claim.node == node)])
    }

    /// Whoever is held for dead may be replaced under its id, and who left in order once it did not
    /// come back as what it was: a disk is often exchanged while its broker is stopped.
    private func mayBeReplaced(_ node: NodeID) -> Bool {
        guard let peer = peers[node] else { return false }
        return peer.status == .dead || (peer.status == .left && !mayComeBack(peer))
    }

    private func mayComeBack(_ peer: MemberSnapshot) -> Bool {
        now.milliseconds(since: peer.since) < Self.comeBackMilliseconds
    }

    mutating func conclude(
        joining token: UInt64, _ claim: JoinClaim, _ node: NodeID, _ attempt: Int,
        _ decision: Decision
    ) {
        switch decision {
        case .chosen: welcome(token, node)
        case .refused(.exists, _): welcome(token, node)
        case .refused(.revoked, _):
            refuse(token, "this broker's key was revoked", canRetry: false)
        case .refused(.full, _):
            refuse(token, "the voters have no room to remember another broker", canRetry: false)
        case .refused where claim.node == nil && attempt < Self.joinAttemptsMaximum:
            admit(token, claim, as: lowestFree(), attempt: attempt + 1)
        case .refused(_, let current):
            let status =
                peers[node].map { "\($0.status)" }
                ?? "\(node == identity.node ? "this broker" : "not heard of")"
            let number = current.flatMap(record)?.number.rawValue ?? 0
            if let peer = peers[node], peer.status == .left, mayComeBack(peer) {
                return refuse(
                    token,
                    "node id \(node.rawValue) belongs to a broker that was stopped a moment ago "
                        + "(admission \(number)): unless that one comes back within "
                        + "\(Self.comeBackMilliseconds / 1_000) s of its end, this one may have "
                        + "the id", canRetry: true)
            }
            refuse(
                token,
                "node id \(node.rawValue) belongs to another broker (admission \(number), "
                    + "\(status)): choose another --node-id, leave it out, or stop that broker "
                    + "for good", canRetry: false)
        case .notChosen(let reason), .unknown(let reason):
            refuse(token, absence(for: claim) ?? reason, canRetry: true)
        // No lease is on an admission: a voter of another version may think otherwise.
        case .held: refuse(token, "the voters hold it back: ask again", canRetry: true)
        }
    }

    private mutating func welcome(_ token: UInt64, _ node: NodeID) {
        out.append(
            .joinAnswer(
                token: token,
                .admitted(node: node, cluster: identity.clusterID, values: charter(for: node))))
    }

    /// What one answer to a newcomer may hold: links of those who are not members yet carry no
    /// more than 16 KiB.
    private static let charterBytesMaximum = 12 * 1024

    /// The roster and the admissions that a newcomer needs first: its own, this broker's, those of
    /// the voters, and as many others as fit. Gossip brings the rest.
    private func charter(for newcomer: NodeID) -> [ChosenValue] {
        let voters = proposer.roster?.voters.map(\.node) ?? []
        let first =
            [Roster.key]
            + ([newcomer, identity.node] + voters).map(AdmissionRecord.registerKey)
        var values: OrderedDictionary<String, ChosenValue> = [:]
        var bytes = 0
        for key in first + charter.keys where values[key] == nil {
            guard let value = charter[key] else { continue }
            bytes += key.utf8.count + (value.value?.readableBytes ?? 0) + 32
            guard bytes <= Self.charterBytesMaximum else { break }
            values[key] = value
        }
        return Array(values.values)
    }

    private mutating func refuse(_ token: UInt64, _ reason: String, canRetry: Bool) {
        out.append(.joinAnswer(token: token, .refused(reason, canRetry: canRetry)))
    }
}
