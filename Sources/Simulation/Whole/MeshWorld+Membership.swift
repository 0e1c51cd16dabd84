import Gossip
import Model
import Node
import Paxos
import Replication

/// Brokers that come to a mesh that works, and brokers that leave it for good.
extension MeshWorld {
    /// Those that are to be there: what is promised is promised of them.
    var members: [BrokerSite] { sites.filter(\.isExpected) }

    /// Records are kept by three copies, so three brokers stay at least.
    private static let membersMinimum = 3
    private static let forgetMilliseconds: Int64 = 500

    /// Whom something is done to: who is away comes, and anybody else meets everything else.
    func victim(of kind: MeshFault.Kind) -> Int {
        if kind == .brokerJoins, let absent = sites.first(where: { !$0.isExpected }) {
            return absent.index
        }
        return Int(draw(0...Int64(options.brokers - 1)))
    }

    /// Whether a broker may come, or leave: with everybody there, so that only one is away.
    func mayChange(_ kind: MeshFault.Kind, _ site: BrokerSite) -> Bool {
        switch kind {
        case .brokerJoins: !site.isExpected && !site.isLeaving
        case .brokerLeaves:
            site.isExpected && site.life != nil && members.count > Self.membersMinimum && isQuiet
        default: preconditionFailure("\(kind.rawValue) changes no membership")
        }
    }

    func change(membership fault: MeshFault) {
        let site = sites[fault.victim]
        switch fault.kind {
        case .brokerJoins:
            site.isExpected = true
            site.mayRunAt = now
            timeline.schedule(.start(site: site.index), at: now)
            counts.reached["brokers joined late", default: 0] += 1
        case .brokerLeaves:
            isDiskLost = true
            site.isExpected = false
            site.isLeaving = true
            // Drained first, or stopped, or lost: what it had is made elsewhere in any case.
            if chance(0.5) { drain(site) }
            schedule(
                .step(.leave(site: site.index, isOrderly: chance(0.6))),
                afterMicroseconds: fault.milliseconds * 500)
        default: preconditionFailure("\(fault.kind.rawValue) changes no membership")
        }
    }

    /// Its partitions are moved to the others, as far as there are others without a copy.
    private func drain(_ site: BrokerSite) {
        guard let view = site.life?.view, let entry = view.topic(named: BrokerLife.topic) else {
            return
        }
        var wishes: [(index: Int32, target: [Int32]?)] = []
        for (index, state) in entry.partitions.enumerated() where state.replicas.contains(site.node)
        {
            let spare = members.map(\.node).filter { !state.replicas.contains($0) }
            guard let heir = spare.first else { continue }
            wishes.append(
                (
                    Int32(index),
                    state.replicas.map { $0 == site.node ? heir.rawValue : $0.rawValue }
                ))
        }
        guard !wishes.isEmpty else { return }
        operatorClient?.ask(Self.reassignment(wishes), "draining", in: self)
    }

    /// The process ends; then the mesh is told that it does not come back.
    func leave(_ site: BrokerSite, isOrderly: Bool) {
        if isOrderly { stopInOrder(site) } else { kill(site, withMachine: true) }
        schedule(
            .step(.forget(site: site.index)),
            afterMicroseconds: Self.forgetMilliseconds * 1_000)
    }

    /// Does it again until every broker has heard it and the broker votes no more, then gives the
    /// machine an empty disk: what `gossamer cluster forget` does, with what it looks at before.
    func forget(_ site: BrokerSite) {
        defer {
            if site.isLeaving {
                schedule(
                    .step(.forget(site: site.index)),
                    afterMicroseconds: Self.forgetMilliseconds * 1_000)
            }
        }
        // One that is to stop in order, and does not, is stopped.
        if site.life != nil {
            if !site.isStopping { kill(site, withMachine: true) }
            return
        }
        let others = members.filter { $0.life?.isReady == true && !$0.isPaused }
        guard let asked = others.first, let mesh = asked.life?.plane.mesh,
            let roster = mesh.proposer.roster
        else { return }
        guard others.allSatisfy({ $0.isRid(of: site.node) }), others.count == members.count else {
            guard mesh.hasQuorum(without: site.node), !isOnlyCopy(on: site, by: asked) else {
                return
            }
            operatorClient?.revoke(site.node, by: asked, in: self)
            return
        }
        guard !roster.everyone.contains(where: { $0.node == site.node }) else {
            operatorClient?.ask(.remove(site.node), "vote taken", in: self)
            return
        }
        counts.reached["brokers forgotten", default: 0] += 1
        note(site.disk.traceHash, "\(site.node) is forgotten")
        countDamage(of: site)
        site.wipe(seed: random.next())
        site.isLeaving = false
    }

    /// Whether nobody else who is there could lead something.
    private func isOnlyCopy(on site: BrokerSite, by asked: BrokerSite) -> Bool {
        guard let view = asked.life?.view else { return true }
        return view.sortedNames.contains { name in
            view.topic(named: name)?.partitions.contains { state in
                let holders = state.inSync + state.lastEligible
                return holders.contains { $0.node == site.node }
                    && !holders.contains { holder in
                        holder.node != site.node
                            && members.contains { $0.node == holder.node && $0.life != nil }
                    }
            } ?? false
        }
    }
}

extension BrokerSite {
    /// Whether its broker refuses that node.
    func isRid(of node: NodeID) -> Bool {
        life?.plane.mesh.admission(of: node)?.isRevoked == true
    }
}
