import Gossip
import Model
public import NIOCore
import NIOPosix
import Node
import OrderedCollections
import Routes
import Transport

/// Turns questions and answers into bytes and back; the command line's business, because it is
/// text that people and programs read.
public protocol InspectionCodec: Sendable {
    func question(from bytes: ByteBuffer) -> InspectionQuestion?
    func bytes(of question: InspectionQuestion) -> ByteBuffer
    func answers(from bytes: ByteBuffer) -> InspectionAnswers?
    func bytes(of answers: InspectionAnswers) -> ByteBuffer
}

/// Answers operators' questions about the mesh, and asks other members on their behalf.
///
/// Owned by the control loop. Between members a question and its answer travel as messages:
///
///     0   correlation, UInt64
///     8   the question, or the answers, as the codec writes them
///
/// The loop only looks: words and bytes are made of it on a disk thread, because a long list takes
/// longer than probes wait. Nobody but an operator asks, and only so many at a time.
final class Inspector {
    /// What is left to do for an answer once the loop has looked; on any thread.
    typealias Finish = @Sendable () -> InspectionAnswer

    /// A question that other members were asked too.
    private struct Round {
        let own: Finish?
        /// What they said, as it came.
        var said: [(node: NodeID, bytes: ByteBuffer)] = []
        var waiting: [NodeID]
        let reply: (ByteBuffer) -> Void
    }

    /// Questions under way: an operator's terminal needs one, a dashboard a few.
    private static let roundsMaximum = 64
    /// How long members may take, less than a person's patience.
    private static let patienceMilliseconds = 100...2_000

    unowned let reactor: Reactor
    let codec: any InspectionCodec
    let configuration: BrokerConfiguration
    let startedAt: Instant
    private var rounds: [UInt64: Round] = [:]
    private var lastRound: UInt64
    var tap = PacketTap()
    var clock = ClockWatch()

    init(reactor: Reactor, codec: any InspectionCodec, configuration: BrokerConfiguration) {
        self.reactor = reactor
        self.configuration = configuration
        self.codec = codec
        startedAt = reactor.now.instant
        var entropy = SystemRandomNumberGenerator()
        lastRound = entropy.next()
    }

    /// Answers a question of a local operator, or of one at the other end of a link.
    func ask(_ bytes: ByteBuffer, by whom: String, reply: @escaping (ByteBuffer) -> Void) {
        guard let question = codec.question(from: bytes) else {
            return refuse(
                "the question can't be read: are both ends of the same version?", reply: reply)
        }
        if question.verb.isAudited { reactor.events.audited(question, by: whom) }
        if let target = question.target.map({ NodeID($0) }), target.rawValue != blank().nodeId {
            guard reactor.plane?.mesh.peers[target] != nil else {
                return refuse(
                    "no member \(target.rawValue): see gossamer gossip members", reply: reply)
            }
            return askOthers(question, [target], nil, reply: reply)
        }
        answer(question) { [unowned self] own in
            guard question.everywhere, question.verb.mayGoEverywhere, let mesh = self.reactor.mesh,
                mesh.transport != nil
            else {
                return self.deliver(Round(own: own, waiting: [], reply: reply))
            }
            let peers = self.reactor.plane?.mesh.peers.values.filter(\.status.isPresent) ?? []
            self.askOthers(question, peers.map(\.node).sorted(), own, reply: reply)
        }
    }

    private func refuse(_ error: String, reply: @escaping (ByteBuffer) -> Void) {
        var answer = blank()
        answer.error = error
        reply(codec.bytes(of: InspectionAnswers(answers: [answer], silent: [])))
    }

    /// Puts an answer together, and gives it back on the loop.
    private func deliver(_ round: Round) {
        let token = reactor.expect { given in
            if case .text(let bytes) = given { round.reply(bytes) }
        }
        let codec = codec
        let mailbox = reactor.shared.mailboxes[reactor.index]
        let (own, said, waiting) = (round.own, round.said, round.waiting)
        reactor.shared.diskThreads.submit { state in
            guard case .active = state else { return }
            var answers = own.map { [$0()] } ?? []
            var silent = waiting
            for (node, bytes) in said {
                // Whoever answers speaks for itself only.
                let own = codec.answers(from: bytes)?.answers.filter { $0.nodeId == node.rawValue }
                if let own { answers += own } else { silent.append(node) }
            }
            let all = InspectionAnswers(
                answers: answers.sorted { $0.nodeId < $1.nodeId },
                silent: silent.sorted().map(\.rawValue))
            mailbox.post(.answer(token: token, .text(codec.bytes(of: all))))
        }
    }

    // MARK: Other members

    private func askOthers(
        _ question: InspectionQuestion, _ others: [NodeID], _ own: Finish?,
        reply: @escaping (ByteBuffer) -> Void
    ) {
        let blank = Round(own: own, waiting: others, reply: reply)
        guard !others.isEmpty, rounds.count < Self.roundsMaximum else { return deliver(blank) }
        lastRound &+= 1  // wraps: only equality matters
        let round = lastRound
        rounds[round] = blank
        var single = question
        single.everywhere = false
        single.target = nil
        var message = ByteBuffer(integer: round)
        message.writeImmutableBuffer(codec.bytes(of: single))
        for node in others { send(message, .inspect, to: .member(node)) }
        let range = Self.patienceMilliseconds
        let patience = min(
            max(question.patience ?? range.upperBound, range.lowerBound), range.upperBound)
        let loop = reactor.loop
        loop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(patience))) {
            self.close(round)
        }
    }

    private func close(_ number: UInt64) {
        guard let round = rounds.removeValue(forKey: number) else { return }
        deliver(round)
    }

    /// A question from a link: answered over it.
    func asked(_ message: ByteBuffer, from peer: PeerInfo) {
        var bytes = message
        guard let round: UInt64 = bytes.readInteger() else { return }
        let whom = peer.node.map { "node \($0.rawValue)" } ?? "operator at \(peer.address.host)"
        if peer.standing != .member, codec.question(from: bytes)?.verb.isForMembers == true {
            var answer = blank()
            answer.error =
                "the admission secret lets you look and not act: ask by the socket in the data "
                + "directory of a member, with --data-dir"
            var message = ByteBuffer(integer: round)
            message.writeImmutableBuffer(
                codec.bytes(of: InspectionAnswers(answers: [answer], silent: [])))
            return send(message, .inspectAnswer, to: .link(peer.link))
        }
        ask(bytes, by: whom) { [unowned self] answer in
            var message = ByteBuffer(integer: round)
            message.writeImmutableBuffer(answer)
            self.send(message, .inspectAnswer, to: .link(peer.link))
        }
    }

    func answered(_ message: ByteBuffer, by node: NodeID) {
        var bytes = message
        guard let number: UInt64 = bytes.readInteger(),
            let place = rounds[number]?.waiting.firstIndex(of: node)
        else { return }
        rounds[number]?.waiting.remove(at: place)
        rounds[number]?.said.append((node, bytes))
        if rounds[number]?.waiting.isEmpty == true { close(number) }
    }

    private func send(_ message: ByteBuffer, _ kind: MeshMessageKind, to peer: PeerReference) {
        reactor.mesh?.transport?.send(
            message, kind: MessageKind(rawValue: kind.rawValue), to: peer)
    }

    func blank() -> InspectionAnswer {
        InspectionAnswer(
            nodeId: reactor.view.controller.rawValue, clusterId: reactor.view.clusterID,
            at: reactor.now.wall.milliseconds)
    }
}

extension InspectionQuestion.Verb {
    /// Whether all members may be told at once: what ends or shuts out a broker is for one.
    var mayGoEverywhere: Bool {
        switch self {
        case .members, .info, .events, .versions, .heat, .stats, .keys, .roster, .topic, .register,
            .duels, .health, .groups, .tap, .trace, .useSecret, .gatherOffsets, .recoverOffsets:
            true
        // The table is the same everywhere, and large.
        case .partitions: false
        case .join, .leave, .forceLeave, .revoke, .addVoter, .removeVoter, .finishVoters,
            .rollBackVoters:
            false
        }
    }

    /// Whether it changes who is in the mesh, or what is taken for proof: the secret by which a
    /// broker joins is no key to shut others out.
    var isForMembers: Bool {
        switch self {
        case .members, .info, .events, .versions, .heat, .stats, .keys, .roster, .partitions,
            .topic, .register, .duels, .health, .groups, .tap, .trace:
            false
        case .join, .leave, .forceLeave, .revoke, .useSecret, .addVoter, .removeVoter,
            .finishVoters, .rollBackVoters, .gatherOffsets, .recoverOffsets:
            true
        }
    }

    /// Whether an operator should find it in the log who asked for it.
    var isAudited: Bool {
        switch self {
        case .members, .info, .events, .versions, .heat, .stats, .keys, .roster, .partitions,
            .topic, .register, .duels, .health, .groups, .gatherOffsets:
            false
        case .tap, .join, .leave, .forceLeave, .trace, .revoke, .useSecret, .addVoter,
            .removeVoter, .finishVoters, .rollBackVoters, .recoverOffsets:
            true
        }
    }
}
