import Gossip
import Model
import Node
import Paxos

/// Somebody who changes the mesh while it works: moves partitions, adds some, elects leaders and
/// says who votes.
///
/// Asks any broker, as a command line does, and does not ask again: what was refused, or decided
/// behind its back, is what operators live with. It counts what became of it, and sees to it that
/// partitions that were added have clients.
final class SimulatedOperator: MeshClient {
    private let index: Int
    /// What waits for an answer; looked up, never iterated.
    private var asked: [UInt64: String] = [:]

    init(index: Int) { self.index = index }

    var isDone: Bool { true }
    var summary: String { "operator: \(asked.count) unanswered" }

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 100...300)
        world.meetNewPartitions()
    }

    func ask(_ request: ControlRequest, _ what: String, in world: MeshWorld) {
        guard let target = world.anyTarget() else { return }
        let token = world.token(for: index)
        asked[token] = what
        world.counts.reached["\(what) asked", default: 0] += 1
        world.send(.plane(.control(.request(token: token, request))), about: nil, to: target)
    }

    /// Wishes of who votes go to a broker that votes.
    func ask(_ change: VoterChange, _ what: String, in world: MeshWorld) {
        let voters = world.sites.filter { site in
            guard let life = site.life, life.isReady, !site.isPaused else { return false }
            return life.plane.mesh.proposer.roster?.everyone.contains { $0.store == site.store }
                == true
        }
        guard !voters.isEmpty else { return }
        let site = voters[Int(world.draw(0...Int64(voters.count - 1)))]
        let token = world.token(for: index)
        asked[token] = what
        world.counts.reached["\(what) asked", default: 0] += 1
        world.post(.plane(.mesh(.changeVoters(token: token, change))), to: 0, of: site)
    }

    /// A broker is to be refused by all from now on.
    func revoke(_ node: NodeID, by site: BrokerSite, in world: MeshWorld) {
        let proposal = RegisterProposal(
            key: AdmissionRecord.registerKey(of: node), operation: .member(.revoke(node)))
        world.post(
            .plane(.mesh(.decide(token: world.token(for: index), proposal))), to: 0, of: site)
    }

    /// A broker says whether it follows a wish of who votes.
    func hear(_ token: UInt64, _ answer: VoterChangeAnswer, in world: MeshWorld) {
        guard let what = asked.removeValue(forKey: token) else { return }
        switch answer {
        case .begun(let nodes):
            world.counts.reached["\(what) begun", default: 0] += 1
            world.note(UInt64(index) << 8 | 33, "\(what): \(nodes.map(\.rawValue)) shall vote")
        case .refused(let reason): world.note(UInt64(index) << 8 | 34, "\(what): \(reason)")
        }
    }

    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld) {
        guard let what = asked.removeValue(forKey: token), case .control(let reply) = answer else {
            return
        }
        let failures: [String]
        switch reply {
        case .topics(let outcomes): failures = outcomes.compactMap { $0.error.map { "\($0)" } }
        case .partitions(let outcomes): failures = outcomes.compactMap { $0.error.map { "\($0)" } }
        default: failures = []
        }
        if failures.isEmpty { world.counts.reached["\(what) done", default: 0] += 1 }
        world.note(UInt64(index) << 8 | 35, "\(what): \(failures.first ?? "done")")
    }

    func lost(site: Int, life: Int, in world: MeshWorld) {}
}
