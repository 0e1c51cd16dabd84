import Gossip
import Model
import Node
import Paxos
import Transport

/// Which events of a journal are asked for.
struct EventFilter {
    var key: String?
    var node: NodeID?
    /// Whose journal it is: what it says of its own state is about itself.
    var owner: NodeID

    func takes(_ report: EventReport) -> Bool {
        if let key, report.key != key { return false }
        guard let node else { return true }
        return report.node.map { $0 == node.rawValue }
            ?? (node == owner && report.key == nil && report.kind != "outOfPlace")
    }
}

extension MeshJournal {
    /// The oldest events behind `number`, at most `limit`; the newest where `number` is 0.
    ///
    /// A number that is not there yet is of an earlier start of this broker: all is new then.
    func reports(after number: UInt64, limit: Int, _ filter: EventFilter) -> [EventReport] {
        var found: [EventReport] = []
        guard number > 0 else {
            for entry in entries.reversed() {
                let report = EventReport(entry)
                if filter.takes(report) { found.append(report) }
                if found.count >= limit { break }
            }
            return found.reversed()
        }
        let range = (entries.first?.serial ?? 1)...(entries.last?.serial ?? 1)
        let known = range.contains(number) ? Int(number - range.lowerBound) + 1 : 0
        for entry in entries.dropFirst(known) {
            let report = EventReport(entry)
            if filter.takes(report) { found.append(report) }
            if found.count >= limit { break }
        }
        return found
    }
}

extension VersionReport {
    init(_ version: TableVersion) {
        self.init(
            key: version.key, proposer: version.ballot.proposer.rawValue,
            counter: version.ballot.counter, boot: version.ballot.boot.rawValue,
            hash: Inspector.text(version.hash.rawValue), isTombstone: version.isTombstone)
    }
}

extension EventReport {
    init(_ entry: MeshJournal.Entry) {
        let words = EventWords(entry.what, at: entry.at.instant)
        self.init(
            number: entry.serial, at: entry.at.wall.milliseconds, kind: words.kind,
            node: words.node?.rawValue, by: words.by?.rawValue, key: words.key,
            proposer: words.ballot?.proposer.rawValue, counter: words.ballot?.counter,
            hop: words.mark.map { Int($0.hop) }, isFirst: words.isFirst,
            others: words.others?.map(\.rawValue),
            reason: words.reason,
            deadInMilliseconds: words.deadline.map { $0.milliseconds(since: entry.at.instant) },
            text: words.text)
    }
}

/// An event in words, and whom it is about.
private struct EventWords {
    var kind: String
    var node: NodeID?
    var by: NodeID?
    var key: String?
    var text: String
    var ballot: Ballot?
    var mark: TraceMark?
    var isFirst: Bool?
    var others: [NodeID]?
    var deadline: Instant?
    var reason: String?

    init(
        _ kind: String, about node: NodeID? = nil, by: NodeID? = nil, key: String? = nil,
        ballot: Ballot? = nil, mark: TraceMark? = nil, isFirst: Bool? = nil,
        others: [NodeID]? = nil, deadline: Instant? = nil, reason: String? = nil,
        _ text: String
    ) {
        self.kind = kind
        self.node = node
        self.by = by
        self.key = key
        self.text = text
        self.ballot = ballot
        self.mark = mark
        self.isFirst = isFirst
        self.others = others
        self.deadline = deadline
        self.reason = reason
    }

    init(_ what: MeshJournal.What, at now: Instant) {
        switch what {
        case .machine(.gossip(let event)): self = Self.words(event, now)
        case .machine(.alarm(let alarm)): self = Self.words(alarm)
        case .machine(.isolated(let isIsolated)):
            self.init(
                "isolated",
                isIsolated
                    ? "SELF_ISOLATED: a third of the mesh seems dead and no majority of voters "
                        + "answers"
                    : "no longer isolated")
        case .machine(.acceptorHalted(let reason)):
            self.init("acceptorHalted", "this broker votes no more: \(reason)")
        case .machine(.malformed(let from, let kind)):
            self.init("malformed", about: from, "a message of kind \(kind) could not be read")
        case .machine(.outOfTurn(let from)):
            self.init("outOfTurn", about: from, "wanted to change the roster: ignored")
        case .machine(.beginningDelayed(let keys)):
            self.init("beginningDelayed", "the first start waits for \(keys.count) registers")
        case .machine(.rosterProgress(let progress)):
            self.init(
                "rosterProgress",
                "roster \(progress.generation.rawValue): \(progress.phase), "
                    + "\(progress.repaired) of \(progress.total) registers copied")
        case .machine(.rosterChanged(let outcome)):
            self.init("rosterChanged", "\(outcome)")
        case .machine(.rosterLearned(let roster)):
            self.init("rosterLearned", "roster \(roster)")
        case .linkFailed(let address, let node, let failure):
            self.init(
                "linkFailed", about: node, reason: Self.reason(failure),
                "no link to \(address.text): \(Self.reason(failure))")
        case .duplicateStore(let node, let older, let newer):
            self.init(
                "duplicateStore", about: node,
                "DUPLICATE_STORE: two processes run with the data directory of \(node.rawValue), "
                    + "boots \(older.rawValue) and \(newer.rawValue): both are shut out")
        case .outOfPlace(let kind, let address):
            self.init(
                "outOfPlace", "\(address.text) sent \(kind) and may not: ignored")
        }
    }

    private static func reason(_ failure: Transport.LinkFailure) -> String {
        switch failure {
        case .notConnected: "nobody answers there"
        case .unknownHost: "its name has no address"
        case .refused(let refusal): "this broker refused it: \(refusal)"
        case .declined(let refusal): "it refused this broker: \(refusal)"
        }
    }

    private static func words(_ alarm: GossipAlarm) -> EventWords {
        switch alarm {
        case .splitVersion(let key, let ballot, let ours, let theirs, let from):
            EventWords(
                "splitVersion", about: from, key: key,
                "SPLIT_VERSION of \(key) at (\(ballot.proposer.rawValue), \(ballot.counter)): "
                    + "\(Inspector.text(ours.rawValue)) here, "
                    + "\(Inspector.text(theirs.rawValue)) there")
        case .duplicateIdentity(let life):
            EventWords(
                "duplicateIdentity",
                "somebody else runs with this identity, boot \(life.boot.rawValue)")
        case .malformedAdmission(let key):
            EventWords("malformedAdmission", key: key, "\(key) can't be read")
        }
    }

    private static func words(_ event: GossipEvent, _ now: Instant) -> EventWords {
        switch event {
        case .probeUnanswered(let node, let timeout, let health):
            EventWords(
                "probeUnanswered", about: node,
                "probed \(node.rawValue): no answer in \(timeout) ms (health \(health))")
        case .helpersAsked(let node, let helpers):
            EventWords(
                "helpersAsked", about: node, others: helpers,
                "asked \(list(helpers)) to probe \(node.rawValue), and tried TCP")
        case .helperAnswered(let helper, let target, let answer):
            EventWords(
                "helperAnswered", about: target, by: helper,
                reason: answer == .reached ? "reached" : "unreached",
                "\(helper.rawValue) \(answer == .reached ? "reached" : "could not reach") "
                    + "\(target.rawValue)")
        case .linkProbed(let node):
            EventWords("linkProbed", about: node, "tries \(node.rawValue) by TCP")
        case .linkAnswered(let node):
            EventWords("linkAnswered", about: node, "reached \(node.rawValue) by TCP")
        case .linkFailed(let node, let failure):
            EventWords(
                "linkFailed", about: node, reason: "\(failure)",
                "no TCP link to \(node.rawValue): \(failure)")
        case .probeFailed(let node, let refused, let silent):
            EventWords(
                "probeFailed", about: node,
                "nobody reached \(node.rawValue): of those asked, \(refused) could not and "
                    + "\(silent) did not answer")
        default: lifeWords(event, now)
        }
    }

    private static func lifeWords(_ event: GossipEvent, _ now: Instant) -> EventWords {
        switch event {
        case .suspected(let node, let life, let by, let deadline):
            EventWords(
                "suspected", about: node, by: by, deadline: deadline,
                "\(by.rawValue) SUSPECTS \(node.rawValue) (boot \(life.boot.rawValue), incarnation "
                    + "\(life.incarnation.rawValue)): dead in \(deadline.milliseconds(since: now)) "
                    + "ms unless it refutes")
        case .confirmed(let node, let by, let count, let of, let deadline):
            EventWords(
                "confirmed", about: node, by: by, deadline: deadline,
                "\(by.rawValue) confirms by its own probe (\(count) of \(of)): now "
                    + "\(deadline.milliseconds(since: now)) ms are left")
        case .suspicionWithheld(let node):
            EventWords(
                "suspicionWithheld", about: node,
                "held back a suspicion of \(node.rawValue): too many of late, maybe this broker is "
                    + "the sick one")
        case .refuted(let node, let life):
            EventWords(
                "refuted", about: node,
                "\(node.rawValue) REFUTES with incarnation \(life.incarnation.rawValue)")
        case .refutedOwn(let life, let by):
            EventWords(
                "refutedOwn", by: by,
                "refuted what \(by.map { "\($0.rawValue)" } ?? "somebody") said of this broker: "
                    + "incarnation \(life.incarnation.rawValue)")
        case .declaredDead(let node, _, let by, let accusers):
            EventWords(
                "declaredDead", about: node, by: by, others: accusers,
                "\(by.rawValue) declares \(node.rawValue) DEAD, accused by \(list(accusers))")
        case .restarted(let node, let boot):
            EventWords(
                "restarted", about: node, "\(node.rawValue) RESTARTED: boot \(boot.rawValue)")
        case .rejoined(let node, _): EventWords("rejoined", about: node, "\(node.rawValue) is BACK")
        case .joined(let node): EventWords("joined", about: node, "\(node.rawValue) JOINED")
        case .departed(let node, let by):
            EventWords(
                "departed", about: node, by: by,
                by.map { "\($0.rawValue) forced \(node.rawValue) out" } ?? "\(node.rawValue) LEFT")
        case .revoked(let node): EventWords("revoked", about: node, "\(node.rawValue) was REVOKED")
        case .datagramsBlocked(let node, let isBlocked):
            EventWords(
                "datagramsBlocked", about: node,
                isBlocked
                    ? "UDP_BLOCKED: \(node.rawValue) answers by TCP and not by UDP"
                    : "\(node.rawValue) answers by UDP again")
        default: tableWords(event)
        }
    }

    private static func tableWords(_ event: GossipEvent) -> EventWords {
        switch event {
        case .healthChanged(let health):
            EventWords("healthChanged", "own health multiplier is \(health)")
        case .isolated(let isIsolated): EventWords("isolated", "isolated: \(isIsolated)")
        case .valueApplied(let key, let ballot, let from):
            EventWords(
                "valueApplied", by: from, key: key, ballot: ballot,
                "\(key) at (\(ballot.proposer.rawValue), \(ballot.counter)) from "
                    + (from.map { "\($0.rawValue)" } ?? "own Paxos"))
        case .valueWanted(let key, let from):
            EventWords("valueWanted", by: from, key: key, "asked \(from.rawValue) for \(key)")
        case .valueDoubted(let key):
            EventWords("valueDoubted", key: key, "\(key) is unknown: read through Paxos first")
        case .traced(let mark, let from, let isFirst):
            EventWords(
                "traced", by: from, key: "trace/\(mark.id)", mark: mark, isFirst: isFirst,
                "trace from \(mark.origin.rawValue), hop \(mark.hop)"
                    + (isFirst ? "" : ", again"))
        case .digestsDiffered(let node):
            EventWords(
                "digestsDiffered", about: node, "tables differ from \(node.rawValue)'s: exchanging")
        case .refusedBytes(let from, let error):
            EventWords("refusedBytes", about: from, "bytes of \(from.rawValue) refused: \(error)")
        case .forged(let from, let about):
            EventWords(
                "forged", about: about, by: from,
                "\(from.rawValue) passed on a forged statement about \(about.rawValue)")
        default: EventWords("other", "\(event)")
        }
    }

    private static func list(_ nodes: [NodeID]) -> String {
        nodes.isEmpty ? "nobody" : nodes.map { "\($0.rawValue)" }.joined(separator: ", ")
    }
}
