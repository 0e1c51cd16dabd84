import Gossip
public import Model
import NIOCore
import OrderedCollections
import Paxos

/// What the control loop remembers of who should vote.
struct RosterWatch {
    /// Looked at four times a second: the first promotion comes within a second.
    static let lookMilliseconds: Int64 = 250
    /// How long the next voter in line leaves a change to the one before it: several rounds.
    static let turnMilliseconds: Int64 = 2_000

    var policy: VoterPolicy
    var lookAt = Instant(nanoseconds: 0)
    /// When the roster that is followed came, and which it is.
    var changedAt: Instant?
    var generation = RosterGeneration.none
    /// Since when something should be done about the roster, and is not.
    var wishedSince: Instant?
    /// What became of the last change that this broker drove.
    var ended: (outcome: RosterOutcome, at: Instant)?
}

/// Who votes: wished for by `VoterPolicy`, decided and put into effect by `RosterDriver`.
extension Mesh {
    /// Sees to it that the roster is as it should be: by this broker where it votes and is first in
    /// line, or where those before it had time and did nothing.
    mutating func lookAtRoster() {
        guard early == nil, now >= watch.lookAt, let roster = proposer.roster else { return }
        watch.lookAt = now.advanced(byMilliseconds: RosterWatch.lookMilliseconds)
        if roster.generation != watch.generation {
            watch.generation = roster.generation
            watch.changedAt = now
            watch.wishedSince = nil
        }
        guard driver.isIdle, !isIsolated, let goal = goal(for: roster) else {
            watch.wishedSince = nil
            return
        }
        let since = watch.wishedSince ?? now
        watch.wishedSince = since
        guard let turn = turn(in: roster) else { return }
        guard now.milliseconds(since: since) >= Int64(turn) * RosterWatch.turnMilliseconds else {
            return
        }
        watch.wishedSince = nil
        drive(driver: .start(goal))
    }

    /// Somebody who was interrupted is followed; else what the policy wishes.
    private func goal(for roster: Roster) -> RosterDriver.Goal? {
        if roster.next != nil { return .finish }
        let wish = watch.policy.wish(
            for: roster, voterCandidates(), lastChange: watch.changedAt, now: now)
        return wish.map { .change(to: $0, from: roster.generation) }
    }

    /// This broker's place among the voters that seem well; nil where it does not vote.
    func turn(in roster: Roster) -> Int? {
        let voters = roster.everyone.map(\.node)
        guard voters.contains(identity.node) else { return nil }
        let before = Set(voters).filter { $0 < identity.node && peers[$0]?.status == .alive }
        // Whoever finishes another's change leaves it time to go on by itself.
        return before.count + (roster.next == nil ? 0 : 1)
    }

    func voterCandidates() -> [VoterPolicy.Candidate] {
        admissions.values.filter { !$0.isRevoked }.map { record in
            VoterPolicy.Candidate(
                voter: Voter(node: record.node, store: record.store, key: record.key),
                rack: peers[record.node]?.description?.rack ?? "",
                condition: condition(of: record.node),
                isEligible: roles(of: record.node).contains(.voter))
        }
    }

    /// What a member is for, by its own word; everything where it was not heard.
    func roles(of node: NodeID) -> MemberRoles {
        node == identity.node ? ownRoles : peers[node]?.description?.roles ?? .all
    }

    private func condition(of node: NodeID) -> VoterPolicy.Condition {
        if node == identity.node { return .healthy }
        guard let peer = peers[node] else { return .doubtful }
        switch peer.status {
        case .alive: return .healthy
        case .unheard, .suspect: return .doubtful
        case .dead, .left: return .absent(since: peer.since)
        }
    }

    // MARK: Driving

    mutating func drive(driver input: RosterDriver.Input) {
        if case .wake = input, let wake = driverWake, wake <= now { driverWake = nil }
        var said: [RosterDriver.Effect] = []
        driver.handle(input, now: now, into: &said)
        for effect in said {
            switch effect {
            case .propose(let token, let change):
                let own = nextSerial()
                errands[own] = .roster(token)
                drive(proposer: .propose(token: own, [change]))
            case .read(let token, let key):
                let own = nextSerial()
                errands[own] = .roster(token)
                drive(proposer: .read(token: own, [key]))
            case .send(let node, let id, let request): ask(node, id, request)
            case .chosen(let roster):
                drive(acceptor: .adopt(roster))
                drive(proposer: .rosterChanged(roster))
                drive(sweeper: .rosterChanged(roster))
            case .wake(let moment): driverWake = min(driverWake ?? moment, moment)
            case .progress(let progress): out.append(.event(.rosterProgress(progress)))
            case .finished(let outcome): rosterChangeEnded(outcome)
            }
        }
    }

    private mutating func rosterChangeEnded(_ outcome: RosterOutcome) {
        watch.changedAt = now
        watch.ended = (outcome, now)
        out.append(.event(.rosterChanged(outcome)))
    }

    /// Asks an acceptor, also this broker's own.
    mutating func ask(_ node: NodeID, _ id: UInt64, _ request: PaxosRequest) {
        if node == identity.node {
            return drive(acceptor: .request(from: node, requestID: id, request))
        }
        var bytes = ByteBuffer(integer: id)
        request.encode(into: &bytes)
        out.append(.send(to: node, .paxosRequest, bytes))
    }

    /// Whether a member may ask this of an acceptor: who votes is changed by voters only, as far as
    /// this broker knows of them. One that votes and lies can break anything (SECURITY.md).
    func mayAsk(_ body: PaxosRequest.Body, _ from: NodeID) -> Bool {
        switch body {
        case .prepare, .accept, .read: true
        case .adopt(let roster):
            roster.cluster == identity.clusterID
                && (isVoter(from) || roster.voters.contains { $0.node == from })
                && (proposer.roster == nil || isVoter(from))
        case .raiseFloor, .remove, .scan, .install: isVoter(from)
        }
    }

    func isVoter(_ node: NodeID) -> Bool {
        proposer.roster?.everyone.contains { $0.node == node } ?? false
    }

    /// Whether those voters that are there decide without this one, which may be no voter.
    public func hasQuorum(without node: NodeID) -> Bool {
        guard let roster = proposer.roster, isVoter(node) else { return true }
        let left = roster.everyone.filter { voter in
            voter.node != node
                && (voter.node == identity.node || peers[voter.node]?.status == .alive)
        }
        return roster.isQuorum(left.map(\.id))
    }

    /// Whether so many voters are there, or only suspected, that they may decide; true before this
    /// broker knows who votes.
    var seesQuorum: Bool {
        guard let roster = proposer.roster else { return true }
        return roster.isQuorum(
            roster.everyone.filter {
                $0.node == identity.node || peers[$0.node]?.status.isPresent == true
            }.map(\.id))
    }

    /// Every reply is shown to whoever may have asked: each knows its own.
    mutating func hear(_ reply: PaxosReply, _ id: UInt64, from node: NodeID) {
        drive(proposer: .reply(from: node, requestID: id, reply))
        drive(driver: .reply(from: node, requestID: id, reply))
        if !sweeper.isIdle { drive(sweeper: .reply(from: node, requestID: id, reply)) }
    }

    /// A roster that the table, or a refusal, told of. A store without one takes it only as the one
    /// that is being brought in: among voters of old it would speak for promises that it has not.
    mutating func teach(_ roster: Roster) {
        let isMember = acceptor?.roster != nil
        let own = VoterID(node: identity.node, store: identity.store)
        let isBroughtIn =
            roster.next?.contains { $0.id == own } == true
            && !roster.voters.contains { $0.id == own }
        if isMember || isBroughtIn { drive(acceptor: .adopt(roster)) }
    }
}
