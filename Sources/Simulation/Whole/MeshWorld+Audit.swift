import Gossip
import Model
import Node
import Paxos

/// What is looked at from outside while a run goes on, and once it has ended.
extension MeshWorld {
    /// Between two audits. Two leaders that overlap for longer are found out.
    private static let auditMicroseconds: Int64 = 20_000

    func audit() {
        schedule(.audit, afterMicroseconds: Self.auditMicroseconds)
        noteDisksWhole()
        let beliefs = sites.compactMap { site -> (node: NodeID, serving: [Shard.Serving])? in
            guard let life = site.life else { return nil }
            return (site.node, life.shards.flatMap { $0.serving(at: clock(of: site).instant) })
        }
        if let complaint = audits.serving.note(beliefs) {
            return fail(
                complaint.text, breaks: complaint.promise,
                about: MeshSubject(partition: complaint.partition))
        }
        for site in sites {
            guard let life = site.life, !site.isPaused else { continue }
            let writes = [("writes", life.writes.count + life.promises.count)]
            for holdings in life.shards.map(\.holdings) + [writes] {
                if let objection = HeldBounds.objection(holdings) {
                    return fail("\(site.name) holds \(objection)", breaks: .bounded)
                }
            }
        }
    }

    // MARK: Registers

    /// What an acceptor has on its disk now.
    func noteAccepted(_ changes: [TableChange], of site: BrokerSite) {
        for record in MeshRecords.acceptorLog(changes.filter { $0.value != nil }) ?? [] {
            audits.chosen.note(record, of: site.store)
        }
        if let roster = site.life?.plane.mesh.acceptor?.roster { audits.chosen.note(roster) }
    }

    /// A broker takes these for chosen.
    func noteChosen(_ changes: [TableChange], at site: BrokerSite) {
        if let roster = site.life?.plane.mesh.proposer.roster { audits.chosen.note(roster) }
        for value in changes.compactMap(MeshRecords.chosen) {
            guard let objection = audits.chosen.objection(to: value) else { continue }
            return fail(
                "\(site.name) has \(value.key) under ballot \(value.ballot.counter) of broker "
                    + "\(value.ballot.proposer.rawValue) in its table: \(objection)",
                breaks: .onlyChosen)
        }
    }

    func noteRegisterEvents(of life: BrokerLife, at site: BrokerSite) {
        guard let events = life.plane.registerEvents, !events.isEmpty else { return }
        life.plane.registerEvents = []
        for event in events {
            audits.registers.note(event, site: site.index, life: life.serial, at: now)
        }
    }

    // MARK: The end

    /// What has to hold once the run is over.
    func auditEnd() {
        let (violated, judged, undecided) = audits.registers.judge()
        counts.registers = judged
        counts.undecided = undecided
        counts.chosen = audits.chosen.chosen
        counts.audits = audits.serving.audits
        if let violated {
            return fail(
                "register \(violated): no order explains what brokers were told of it",
                breaks: .linearizable)
        }
        let members = members
        guard failure == nil, let first = members[0].life?.plane.mesh else { return }
        let firstKnown = members[0].known
        for site in members {
            if site.known != firstKnown {
                return fail(
                    "\(members[0].name) knows \(firstKnown), and \(site.name) \(site.known)",
                    breaks: .sameMembers)
            }
            // In whichever order they were learned.
            if let mesh = site.life?.plane.mesh,
                mesh.admissions.sorted(by: { $0.key < $1.key }).map(\.value)
                    != first.admissions.sorted(by: { $0.key < $1.key }).map(\.value)
            {
                return fail(
                    "\(members[0].name) and \(site.name) know different admissions",
                    breaks: .sameMembers)
            }
        }
    }
}

extension BrokerSite {
    /// The members that its clients are told of.
    fileprivate var known: [String] { life?.view?.brokers.map { "\($0.id.rawValue)" } ?? [] }
}

/// The checkers of one run.
struct MeshAudits {
    var serving = ServingChecks()
    var chosen = ChosenValues()
    var registers = RegisterHistories()
}
