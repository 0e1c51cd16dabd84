import Gossip
import Model
import NIOCore
import OrderedCollections
import Paxos

extension Mesh {
    /// Whom an outcome of the proposer belongs to.
    enum Errand {
        case beginning([RegisterProposal])
        case control(UInt64, [RegisterProposal])
        case lookUp(UInt64)
        case confirm([String])
        case joining(UInt64, JoinClaim, NodeID, attempt: Int)
        case operatorWish(UInt64, RegisterProposal)
    }

    /// How often a newcomer without a node id is tried under the next one.
    private static let joinAttemptsMaximum = 16

    mutating func propose(_ errand: Errand, _ proposals: [RegisterProposal]) {
        let token = nextSerial()
        errands[token] = errand
        let changes = proposals.map { proposal in
            RegisterChange(
                key: proposal.key,
                operation: OperationID(
                    node: identity.node, boot: identity.boot, sequence: nextSerial())
            ) { current, _ in
                switch proposal.operation.applied(to: current) {
                case .write(let value): .write(value)
                // Which refusal it is, is found out again from the value that comes back.
                case .refuse: .abandon(AbandonReason(0))
                }
            }
        }
        drive(proposer: .propose(token: token, changes))
    }

    mutating func read(_ errand: Errand, _ keys: [String]) {
        let token = nextSerial()
        errands[token] = errand
        drive(proposer: .read(token: token, keys))
    }

    mutating func conclude(_ token: UInt64, _ outcomes: [Outcome]) {
        guard let errand = errands.removeValue(forKey: token) else { return }
        // What the registers hold is news for the table, before anybody hears of the decision.
        let known = outcomes.compactMap(Self.value).filter { $0.ballot > .zero }
        if !known.isEmpty { drive(gossip: .chosen(known)) }
        switch errand {
        case .beginning: finishStart()
        case .control(let number, let proposals):
            out.append(.decided(number, zip(proposals, outcomes).map(Self.decision)))
        case .lookUp(let number):
            out.append(.decided(number, outcomes.map(Self.finding)))
        case .confirm(let keys):
            for (key, outcome) in zip(keys, outcomes) {
                guard case .chosen(let value) = outcome else { continue }
                drive(
                    gossip: .confirmed(key: key, value.ballot > .zero ? value : nil))
            }
        case .joining(let token, let claim, let node, let attempt):
            guard let outcome = outcomes.first else { return }
            let operation = Self.admission(of: claim, as: node, mayReplace: false)
            conclude(joining: token, claim, node, attempt, Self.decision(operation, outcome))
        case .operatorWish(let token, let proposal):
            guard let outcome = outcomes.first else { return }
            out.append(.answer(token: token, Self.decision(proposal, outcome)))
        }
    }

    private static func value(of outcome: Outcome) -> ChosenValue? {
        switch outcome {
        case .chosen(let value), .notChosen(.abandoned(_, let value)): value
        case .notChosen, .unknown: nil
        }
    }

    private static func decision(
        _ proposal: RegisterProposal, _ outcome: Outcome
    ) -> Decision {
        switch outcome {
        case .chosen(let value): return .chosen(value)
        case .notChosen(.abandoned(_, let current)):
            let held = current.ballot > .zero ? current : nil
            guard case .refuse(let refusal) = proposal.operation.applied(to: held?.value) else {
                return .notChosen("the register changed meanwhile: ask again")
            }
            return .refused(refusal, current: held)
        case .notChosen(.exhausted):
            return .notChosen("no majority of the voters answered in time: ask again")
        case .notChosen(.overloaded):
            return .notChosen("too many decisions are waiting: ask again")
        case .notChosen(.damaged):
            return .notChosen("the register holds what this version can't read: upgrade")
        case .notChosen(.tooLarge):
            return .notChosen("larger than a register may be")
        case .unknown:
            return .unknown("the voters did not answer in time: it may still come to pass")
        }
    }

    /// What a read found.
    private static func finding(_ outcome: Outcome) -> Decision {
        switch outcome {
        case .chosen(let value):
            value.ballot > .zero && value.value != nil
                ? .chosen(value) : .refused(.absent, current: nil)
        case .notChosen, .unknown: .unknown("the voters did not answer in time")
        }
    }

    // MARK: Joining

    private static func admission(
        of claim: JoinClaim, as node: NodeID, mayReplace: Bool
    ) -> RegisterProposal {
        RegisterProposal(
            key: AdmissionRecord.registerKey(of: node),
            operation: .member(
                .admit(node: node, key: claim.key, store: claim.store, mayReplace: mayReplace)))
    }

    mutating func join(_ token: UInt64, _ claim: JoinClaim) {
        if let known = admissions.values.first(where: { $0.key == claim.key }) {
            if known.isRevoked {
                return refuse(token, "this broker's key was revoked", canRetry: false)
            }
            if known.store == claim.store { return welcome(token, known.node) }
        }
        guard early == nil else {
            return refuse(token, "the broker that was asked is still starting", canRetry: true)
        }
        admit(token, claim, as: claim.node ?? lowestFree(), attempt: 1)
    }

    private func lowestFree() -> NodeID {
        var candidate: Int32 = 1
        while admissions[NodeID(candidate)] != nil { candidate += 1 }
        return NodeID(candidate)
    }

    private mutating func admit(
        _ token: UInt64, _ claim: JoinClaim, as node: NodeID, attempt: Int
    ) {
        // Whoever is known to be gone may be replaced under its id; nobody else.
        let isGone: Bool =
            switch peers[node]?.status {
            case .dead, .left: true
            case .alive, .suspect, .unheard, nil: false
            }
        propose(
            .joining(token, claim, node, attempt: attempt),
            [Self.admission(of: claim, as: node, mayReplace: isGone && claim.node == node)])
    }

    private mutating func conclude(
        joining token: UInt64, _ claim: JoinClaim, _ node: NodeID, _ attempt: Int,
        _ decision: Decision
    ) {
        switch decision {
        case .chosen: welcome(token, node)
        case .refused(.exists, _): welcome(token, node)
        case .refused(.revoked, _):
            refuse(token, "this broker's key was revoked", canRetry: false)
        case .refused where claim.node == nil && attempt < Self.joinAttemptsMaximum:
            admit(token, claim, as: lowestFree(), attempt: attempt + 1)
        case .refused(_, let current):
            let status =
                peers[node].map { "\($0.status)" }
                ?? "\(node == identity.node ? "this broker" : "not heard of")"
            let number = current.flatMap(record)?.number.rawValue ?? 0
            refuse(
                token,
                "node id \(node.rawValue) belongs to another broker (admission \(number), "
                    + "\(status)): choose another --node-id, leave it out, or stop that broker "
                    + "for good", canRetry: false)
        case .notChosen(let reason), .unknown(let reason):
            refuse(token, reason, canRetry: true)
        }
    }

    private mutating func welcome(_ token: UInt64, _ node: NodeID) {
        out.append(
            .joinAnswer(
                token: token,
                .admitted(node: node, cluster: identity.clusterID, values: charter(for: node))))
    }

    /// What one answer to a newcomer may hold: links of those who are not members yet carry no
    /// more than 16 KiB.
    private static let charterBytesMaximum = 12 * 1024

    /// The roster and the admissions that a newcomer needs first: its own, this broker's, those of
    /// the voters, and as many others as fit. Gossip brings the rest.
    private func charter(for newcomer: NodeID) -> [ChosenValue] {
        let voters = proposer.roster?.voters.map(\.node) ?? []
        let first =
            [Roster.key]
            + ([newcomer, identity.node] + voters).map(AdmissionRecord.registerKey)
        var values: OrderedDictionary<String, ChosenValue> = [:]
        var bytes = 0
        for key in first + charter.keys where values[key] == nil {
            guard let value = charter[key] else { continue }
            bytes += key.utf8.count + (value.value?.readableBytes ?? 0) + 32
            guard bytes <= Self.charterBytesMaximum else { break }
            values[key] = value
        }
        return Array(values.values)
    }

    private mutating func refuse(_ token: UInt64, _ reason: String, canRetry: Bool) {
        out.append(.joinAnswer(token: token, .refused(reason, canRetry: canRetry)))
    }

    // MARK: Starting

    mutating func start(_ memory: MeshMemory) {
        version = memory.version
        for member in memory.members { persisted[member.record.node] = member }
        for value in memory.chosen {
            if let node = AdmissionRecord.node(ofRegister: value.key) {
                charter[value.key] = value
                follow(admission: value, of: node)
            } else if value.key == Roster.key {
                charter[value.key] = value
            }
        }
        early = memory.chosen
        if identity.isFounder || !memory.acceptorLog.isEmpty {
            acceptor = Acceptor(cluster: identity.clusterID, store: identity.store)
            drive(acceptor: .loaded(memory.acceptorLog))
        }
        if let value = charter[Roster.key] { follow(roster: value) }
        if let roster = acceptor?.roster { drive(proposer: .rosterChanged(roster)) }
        if let highest = memory.chosen.map(\.ballot).max() {
            drive(proposer: .observed(highest))
        }
        drive(gossip: .start(members: memory.members, table: memory.chosen))
        recoverChosen()
        begin(memory.imports)
    }

    /// With one voter whatever it accepted is chosen: what the table missed in a crash is known
    /// again from the registers.
    private mutating func recoverChosen() {
        guard let acceptor, let roster = acceptor.roster, roster.next == nil,
            roster.voters.map(\.node) == [identity.node]
        else { return }
        let values = acceptor.registers(limit: .max).filter { $0.acceptedBallot > .zero }
            .map { ChosenValue(key: $0.key, ballot: $0.acceptedBallot, value: $0.value) }
        if !values.isEmpty { drive(gossip: .chosen(values)) }
    }

    /// The founder's first start decides who votes, that it is a member, and what was there before
    /// there was a mesh. Every later start finds all of it decided.
    private mutating func begin(_ imports: [RegisterProposal]) {
        guard identity.isFounder else { return finishStart() }
        var proposals = imports
        if acceptor?.roster == nil {
            let voter = Voter(node: identity.node, store: identity.store, key: identity.key)
            let roster = Roster(
                generation: RosterGeneration(1), voters: [voter], cluster: identity.clusterID)
            drive(acceptor: .adopt(roster))
            drive(proposer: .rosterChanged(roster))
        }
        if charter[Roster.key] == nil, let roster = acceptor?.roster {
            proposals.append(
                RegisterProposal(key: Roster.key, operation: .begin(roster.encoded())))
        }
        if admissions[identity.node] == nil {
            let claim = JoinClaim(
                key: identity.key, store: identity.store, boot: identity.boot, node: identity.node)
            proposals.append(Self.admission(of: claim, as: identity.node, mayReplace: false))
        }
        guard !proposals.isEmpty else { return finishStart() }
        propose(.beginning(proposals), proposals)
    }

    private mutating func finishStart() {
        var newest: OrderedDictionary<String, ChosenValue> = [:]
        for value in early ?? [] { newest[value.key] = value }
        early = nil
        out.append(.loaded(Array(newest.values)))
        peersChanged = true
    }
}
