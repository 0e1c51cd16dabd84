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
    /// When the highest boot of a store was first known.
    private var bootsKnownAt: [StoreID: Instant] = [:]

    /// Two boots of one store that ran at the same time.
    struct Duplicate {
        let older: BootEpoch
        let newer: BootEpoch
    }

    /// Stores that are shut out until one of them starts again: as many as were admitted.
    private(set) var duplicates: [StoreID: Duplicate] = [:]
    /// Whether a later boot of a member is there now.
    var laterBootIsThere: (NodeID, BootEpoch) -> Bool = { _, _ in false }
    /// Called within the transport's own call, once for each pair.
    var whenDuplicate: (NodeID, Duplicate) -> Void = { _, _ in }
    /// How one admission secret was used since the start, and when somebody last needed it.
    struct SecretUse {
        var joins: UInt64 = 0
        var operators: UInt64 = 0
        var members: UInt64 = 0
        var neededAt: Instant?
    }

    /// By the secret's name; those that are taken only.
    private(set) var uses: [String: SecretUse] = [:]
    /// What each member showed at its last link: as many as were admitted.
    private(set) var shown: [NodeID: (name: String, at: Instant)] = [:]
    /// Names of the secrets that are taken, the one that is shown first.
    private var secretNames: [String] = []
    /// What time it is, by the loop that owns it.
    var now: () -> Instant = { Instant(nanoseconds: 0) }

    /// Other secrets are taken from now on; what is known of those that stay is kept.
    func use(secretsNamed names: [String]) {
        // What was shown as the newest says nothing about who misses it once it is not.
        if let last = secretNames.first, last != names.first { uses[last]?.neededAt = nil }
        secretNames = names
        uses = uses.filter { names.contains($0.key) }
    }

    func admit(_ record: AdmissionRecord) { admissions[record.node] = record }

    /// A life of a member that was heard of: older ones of its store are refused from now on.
    func heard(_ node: NodeID, _ boot: BootEpoch) {
        guard boot.rawValue > 0, let store = admissions[node]?.store else { return }
        let before = boots.epoch(of: store)
        boots.raise(store, to: boot)
        if boots.epoch(of: store) != before { bootsKnownAt[store] = now() }
        // One of the two started again, and both of before are refused as older ones.
        if let twins = duplicates[store], boot > twins.newer { duplicates[store] = nil }
    }

    /// The boots of a member that ran at the same time; nil where there is one process.
    func duplicate(of node: NodeID) -> Duplicate? {
        admissions[node].flatMap { duplicates[$0.store] }
    }

    func judge(_ claim: PeerClaim) -> Verdict {
        let verdict = weigh(claim)
        count(claim, verdict)
        return verdict
    }

    /// What was shown, and whether it was needed.
    private func count(_ claim: PeerClaim, _ verdict: Verdict) {
        let place: Int? =
            switch claim.admission {
            case .current: 0
            case .previous: 1
            case .absent, .unknownSecret, .wrong: nil
            }
        guard let place, place < secretNames.count else { return }
        let name = secretNames[place]
        switch verdict {
        case .member(let node):
            uses[name, default: SecretUse()].members += 1
            shown[node] = (name, now())
        case .candidate:
            uses[name, default: SecretUse()].joins += 1
            uses[name]?.neededAt = now()
        case .operator:
            uses[name, default: SecretUse()].operators += 1
            uses[name]?.neededAt = now()
        case .refuse: break
        }
    }

    private func weigh(_ claim: PeerClaim) -> Verdict {
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
        let store = claim.storeID
        if let twins = duplicates[store], claim.bootEpoch <= twins.newer {
            return .refuse(.duplicateStore)
        }
        let before = boots.epoch(of: store)
        guard boots.accepts(claim) else {
            return .refuse(isDuplicate(claim, node) ? .duplicateStore : .staleBoot)
        }
        if before != claim.bootEpoch {
            bootsKnownAt[store] = now()
            duplicates[store] = nil
        }
        return verdict
    }

    /// Whether an older boot lives beside a later one: a copy of a running broker's directory
    /// raises its boot like a restart does, and what tells them apart is that the process before a
    /// restart is dead. This one signed what was sent to it after the later boot was known. A
    /// directory that was rolled back is no duplicate: the later boot has ended.
    private func isDuplicate(_ claim: PeerClaim, _ node: NodeID) -> Bool {
        guard let newer = boots.epoch(of: claim.storeID), claim.bootEpoch < newer,
            let known = bootsKnownAt[claim.storeID], let asked = claim.challengedAt, asked > known,
            laterBootIsThere(node, claim.bootEpoch)
        else { return false }
        let twins = Duplicate(older: claim.bootEpoch, newer: newer)
        duplicates[claim.storeID] = twins
        whenDuplicate(node, twins)
        return true
    }
}
