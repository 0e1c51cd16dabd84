import Gossip
import Model
import Transport

/// Judges who may open a link, by the admissions that were chosen and the boots that were seen.
///
/// Owned by the control loop, like the transport that asks it. Knows only what the mesh told it,
/// so a revocation takes effect with the effect that carries it.
final class MeshTrust: TrustStore {
    private var admissions: [NodeID: AdmissionRecord] = [:]
    private var boots = BootLedger()
    /// Claims by which the admission secret was proved, by what the proof was worth.
    private(set) var proofs: [String: UInt64] = [:]
    func admit(_ record: AdmissionRecord) { admissions[record.node] = record }

    /// A life of a member that was heard of: older ones of its store are refused from now on.
    func heard(_ node: NodeID, _ boot: BootEpoch) {
        guard boot.rawValue > 0, let store = admissions[node]?.store else { return }
        boots.raise(store, to: boot)
    }

    func judge(_ claim: PeerClaim) -> Verdict {
        if claim.admission.isValid { proofs["\(claim.admission)", default: 0] += 1 }
        switch claim.role {
        case .operator:
            return claim.admission.isValid ? .operator : judge(member: claim, as: .operator)
        case .joiner:
            if let known = admissions.values.first(where: { $0.key == claim.publicKey }),
                known.isRevoked
            {
                return .refuse(.revoked)
            }
            return claim.admission.isValid ? .candidate : .refuse(.wrongSecret)
        case .broker:
            guard let node = claim.nodeID else { return .refuse(.malformed) }
            return judge(member: claim, as: .member(node))
        }
    }

    private func judge(member claim: PeerClaim, as verdict: Verdict) -> Verdict {
        guard let node = claim.nodeID, let known = admissions[node] else {
            return .refuse(.unwelcome)
        }
        if known.isRevoked, known.key == claim.publicKey { return .refuse(.revoked) }
        guard known.key == claim.publicKey, known.store == claim.storeID else {
            return .refuse(.duplicateNodeID)
        }
        guard !known.isRevoked else { return .refuse(.revoked) }
        if verdict == .operator { return verdict }
        guard boots.accepts(claim) else { return .refuse(.staleBoot) }
        return verdict
    }
}
