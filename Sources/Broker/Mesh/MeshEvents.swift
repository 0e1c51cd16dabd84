import Gossip
import Logging
import Model
import Node
import Paxos

/// How what happens in the mesh becomes log lines; what is routine becomes none.
extension BrokerEvents {
    func report(_ event: MeshEvent) {
        switch event {
        case .gossip(let event): report(event)
        case .alarm(let alarm): report(alarm)
        case .isolated(let isIsolated):
            if isIsolated {
                logger.error("this broker seems to be the one that is cut off: it proposes nothing")
            } else {
                logger.notice("this broker is no longer cut off")
            }
        case .acceptorHalted(let reason):
            logger.critical("this broker votes no more", metadata: ["reason": "\(reason)"])
        case .malformed(let node, let kind):
            logger.warning(
                "a message of a member can't be read",
                metadata: ["node": "\(node.rawValue)", "kind": "\(kind)"])
        case .outOfTurn(let node):
            logger.warning(
                "a member wanted to change the roster: ignored",
                metadata: ["node": "\(node.rawValue)"])
        case .beginningDelayed(let keys):
            logger.warning(
                "the first start waits for its registers: is the disk slow or full?",
                metadata: ["registers": "\(keys.count)", "first": "\(keys.first ?? "-")"])
        case .rosterLearned(let roster):
            logger.info(
                "the roster changed",
                metadata: [
                    "generation": "\(roster.generation.rawValue)",
                    "voters": "\(roster.voters.map(\.node.rawValue))",
                ])
        case .rosterProgress: break  // For who watches: the end is what a log needs.
        case .rosterChanged(let outcome):
            logger.notice(
                "a change of who votes ended", metadata: ["outcome": "\(outcome.summary)"])
        }
    }

    private func report(_ event: GossipEvent) {
        switch event {
        case .suspected(let node, _, let by, _):
            tell("a member is suspected", node, ["by": "\(by.rawValue)"])
        case .refuted(let node, _): tell("a suspicion was refuted", node)
        case .declaredDead(let node, _, let by, let accusers):
            var facts: Logger.Metadata = ["by": "\(by.rawValue)"]
            if !accusers.isEmpty {
                let nodes = accusers.map { String($0.rawValue) }.joined(separator: ", ")
                facts["accusers"] = "\(nodes)"
            }
            tell("a member is dead", node, facts)
        case .restarted(let node, let boot):
            tell("a member restarted", node, ["boot": "\(boot.rawValue)"])
        case .rejoined(let node, _): tell("a member is back", node)
        case .joined(let node): tell("a member joined", node)
        case .departed(let node, let by):
            tell("a member left", node, by.map { ["forced by": "\($0.rawValue)"] } ?? [:])
        case .revoked(let node): tell("a member was revoked", node)
        case .datagramsBlocked(let node, let isBlocked):
            tell(
                isBlocked
                    ? "a member answers by TCP and not by UDP" : "a member answers by UDP again",
                node)
        default: return
        }
    }

    private func tell(
        _ message: Logger.Message, _ node: NodeID, _ more: Logger.Metadata = [:]
    ) {
        var metadata = more
        metadata["node"] = "\(node.rawValue)"
        logger.notice(message, metadata: metadata)
    }

    private func report(_ alarm: GossipAlarm) {
        switch alarm {
        case .splitVersion(let key, let ballot, _, _, let from):
            logger.critical(
                "SPLIT_VERSION: two values at one ballot",
                metadata: [
                    "key": "\(key)", "ballot": "\(ballot)", "from": "\(from?.rawValue ?? -1)",
                ])
        case .duplicateIdentity(let life):
            logger.critical(
                "somebody else runs with this broker's identity: a copy of its data directory?",
                metadata: ["boot": "\(life.boot.rawValue)"])
        case .malformedAdmission(let key):
            logger.error("an admission can't be read", metadata: ["key": "\(key)"])
        }
    }
}

extension RosterOutcome {
    /// For a line of a log.
    fileprivate var summary: String {
        switch self {
        case .settled(let roster): "settled: \(Self.voters(of: roster))"
        case .superseded(let roster): "another change came first: \(Self.voters(of: roster))"
        case .impossible: "impossible: no voters, too many, or two on one broker"
        case .unreachable: "unreachable: too few of the voters to be answered, nothing was begun"
        case .damaged: "damaged: the register holds no roster that can be read"
        }
    }

    private static func voters(of roster: Roster) -> String {
        let nodes = roster.voters.map { "\($0.node.rawValue)" }.joined(separator: ", ")
        return "voters \(nodes), generation \(roster.generation.rawValue)"
    }
}
