import Gossip
import Node
import Paxos
import Transport

/// Counters by name: what happened since the start.
extension Inspector {
    func stats(_ mesh: Mesh, _ shell: MeshShell) -> StatsReport {
        let transport = shell.transport?.statistics
        return StatsReport(
            gossip: Self.counters(mesh.gossip),
            transport: transport.map(Self.counters) ?? [:],
            datagramDrops: Self.reasons(transport?.datagramDrops),
            handshakesRefused: Self.reasons(transport?.handshakesRefused),
            handshakesDeclined: Self.reasons(transport?.handshakesDeclined),
            acceptsRefused: Self.reasons(transport?.acceptsRefused),
            linkViolations: Self.reasons(transport?.linkViolations),
            paxos: Self.counters(mesh),
            disk: Self.counters(
                tables: reactor.shared.tables.writeTimes,
                registers: reactor.shared.registers.writeTimes))
    }

    private static func counters(tables: WriteTimes, registers: WriteTimes) -> [String: UInt64] {
        [
            "tableWrites": tables.writes, "tableSlowWrites": tables.slowWrites,
            "tableMilliseconds": tables.totalMilliseconds,
            "tableLongestMilliseconds": tables.longestMilliseconds,
            "registerWrites": registers.writes, "registerSlowWrites": registers.slowWrites,
            "registerMilliseconds": registers.totalMilliseconds,
            "registerLongestMilliseconds": registers.longestMilliseconds,
        ]
    }

    private static func reasons<Reason: CaseIterable & RawRepresentable & Sendable>(
        _ tally: Tally<Reason>?
    ) -> [String: UInt64] where Reason.RawValue == UInt8 {
        guard let tally else { return [:] }
        return Dictionary(
            Reason.allCases.map { ("\($0)", tally[$0]) }, uniquingKeysWith: { first, _ in first })
    }

    private static func counters(_ gossip: GossipMachine) -> [String: UInt64] {
        let counts = gossip.counters
        return [
            "tableEntries": UInt64(gossip.tableCount),
            "probes": counts.probes, "relayedProbes": counts.relayedProbes,
            "lateAnswers": counts.lateAnswers, "suspicions": counts.suspicions,
            "suspicionsWithheld": counts.suspicionsWithheld,
            "accusationsOverLimit": counts.accusationsOverLimit,
            "selfAccusations": counts.selfAccusations, "refutations": counts.refutations,
            "deaths": counts.deaths, "deathsDoubted": counts.deathsDoubted,
            "datagramsSent": counts.datagramsSent,
            "datagramBytesSent": counts.datagramBytesSent,
            "datagramsReceived": counts.datagramsReceived, "messagesSent": counts.messagesSent,
            "messageBytesSent": counts.messageBytesSent,
            "messagesReceived": counts.messagesReceived, "refusedPackets": counts.refusedPackets,
            "forged": counts.forged, "linksOpened": counts.linksOpened,
            "descents": counts.descents, "duplicateValues": counts.duplicateValues,
            "oldValues": counts.oldValues, "spentTombstones": counts.spentTombstones,
            "splitVersions": counts.splitVersions, "feedChanges": counts.feedChanges,
            "feedPulls": counts.feedPulls, "feedDeltas": counts.feedDeltas,
            "refusedFeeds": counts.refusedFeeds,
        ]
    }

    private static func counters(_ counts: TransportStatistics) -> [String: UInt64] {
        [
            "datagramsSent": counts.datagramsSent, "datagramBytesSent": counts.datagramBytesSent,
            "datagramsReceived": counts.datagramsReceived,
            "datagramBytesReceived": counts.datagramBytesReceived,
            "messagesSent": counts.messagesSent, "messagesReceived": counts.messagesReceived,
            "messagesDropped": counts.messageDrops.total, "linkBytesSent": counts.linkBytesSent,
            "linkBytesReceived": counts.linkBytesReceived,
            "handshakesCompleted": counts.handshakesCompleted, "rekeys": counts.rekeys,
            "linksOpen": UInt64(counts.linksOpen), "handshakesOpen": UInt64(counts.handshakesOpen),
            "datagramPeers": UInt64(counts.datagramPeers),
        ]
    }

    private static func counters(_ mesh: Mesh) -> [String: UInt64] {
        let proposer = mesh.proposer.statistics
        let acceptor = mesh.acceptor?.statistics
        return [
            "registers": UInt64(mesh.acceptor?.registerCount ?? 0),
            "tombstones": UInt64(mesh.sweepProgress.waiting), "swept": mesh.sweepProgress.removed,
            "chosen": proposer.chosen, "notChosen": proposer.notChosen,
            "unknown": proposer.unknown, "held": proposer.held, "holds": proposer.holds,
            "rounds": proposer.rounds, "duels": proposer.duels,
            "timeouts": proposer.timeouts, "readsAtOnce": proposer.readsAtOnce,
            "readsByRound": proposer.readsByRound, "acceptorRequests": acceptor?.requests ?? 0,
            "acceptorConflicts": acceptor?.conflicts ?? 0,
            "acceptorFsyncs": acceptor?.batches ?? 0, "acceptorRecords": acceptor?.records ?? 0,
        ]
    }
}
