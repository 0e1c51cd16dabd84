import Gossip
import KafkaProtocol
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

    func ask<Request: KafkaRequest>(_ request: Request, _ what: String, in world: MeshWorld) {
        guard let target = world.anyTarget() else { return }
        let token = world.send(
            request, version: world.versions(of: index)[Request.apiKey], from: index, to: target)
        asked[token] = what
        world.counts.reached["\(what) asked", default: 0] += 1
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

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard let what = asked.removeValue(forKey: token) else { return }
        let codes: [ErrorCode] =
            switch response {
            case let response as ElectLeadersResponse:
                [response.errorCode] + response.topics.flatMap { $0.partitions.map(\.errorCode) }
            case let response as AlterPartitionReassignmentsResponse:
                [response.errorCode] + response.topics.flatMap { $0.partitions.map(\.errorCode) }
            case let response as CreatePartitionsResponse: response.topics.map(\.errorCode)
            default: []
            }
        let failure = codes.first { $0 != .none }
        if failure == nil { world.counts.reached["\(what) done", default: 0] += 1 }
        world.note(UInt64(index) << 8 | 35, "\(what): \(failure.map { "\($0)" } ?? "done")")
    }

    func lost(site: Int, life: Int, in world: MeshWorld) {}
}
