public import Model

/// How a helper answered when it was asked to probe for another.
public enum HelperAnswer: Hashable, Sendable {
    case reached
    /// It asked and heard nothing: the helper is well, the target is silent.
    case unreached
}

/// Evidence for `why`, `trace` and `monitor`: what happened, and on whose word.
///
/// The shell dates each and keeps a bounded ring. A probe that is answered in time makes none.
public enum GossipEvent: Hashable, Sendable {
    case probeUnanswered(NodeID, timeoutMilliseconds: Int64, health: Int)
    case helpersAsked(NodeID, [NodeID])
    case helperAnswered(helper: NodeID, target: NodeID, HelperAnswer)
    case linkProbed(NodeID)
    case linkAnswered(NodeID)
    case linkFailed(NodeID, LinkFailure)
    case probeFailed(NodeID, refused: Int, silent: Int)
    case suspected(NodeID, MemberLife, by: NodeID, deadline: Instant)
    case confirmed(NodeID, by: NodeID, count: Int, of: Int, deadline: Instant)
    case suspicionWithheld(NodeID)
    case refuted(NodeID, MemberLife)
    /// This member refuted what `by` said of it.
    case refutedOwn(MemberLife, by: NodeID?)
    case declaredDead(NodeID, MemberLife, by: NodeID, accusers: [NodeID])
    case restarted(NodeID, BootEpoch)
    case rejoined(NodeID, MemberLife)
    case joined(NodeID)
    case departed(NodeID, forcedBy: NodeID?)
    case revoked(NodeID)
    case datagramsBlocked(NodeID, Bool)
    case healthChanged(Int)
    case isolated(Bool)
    case valueApplied(key: String, Ballot, from: NodeID?)
    case valueWanted(key: String, from: NodeID)
    case valueDoubted(key: String)
    case traced(TraceMark, from: NodeID?, isFirst: Bool)
    case digestsDiffered(NodeID)
    case refusedBytes(from: NodeID, GossipDecodeError)
    case forged(from: NodeID, about: NodeID)
}

/// What no member may pass over in silence.
public enum GossipAlarm: Hashable, Sendable {
    /// Two values at one ballot: Paxos, a disk or a peer is wrong. The register is read again.
    case splitVersion(key: String, Ballot, ours: ContentHash, theirs: ContentHash, from: NodeID?)
    /// Somebody else runs with this member's key and a boot epoch that is not lower.
    case duplicateIdentity(MemberLife)
    /// An admission that is not about the register that holds it, or does not decode.
    case malformedAdmission(key: String)
}

/// Why a link could not be had, or ended.
public enum LinkFailure: Hashable, Sendable {
    case refused
    case timedOut
    case unreachable
    case closed
    case authentication
}
