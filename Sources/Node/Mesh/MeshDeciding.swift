import Gossip
import Model
import NIOCore
import OrderedCollections
import Paxos
import Replication

extension Mesh {
    /// Whom an outcome of the proposer belongs to.
    enum Errand {
        case beginning([RegisterProposal])
        case control(UInt64, [RegisterProposal])
        /// Of so many registers; the floor may have been read with them.
        case lookUp(UInt64, [String], withFloor: Bool)
        case confirm([String])
        case joining(UInt64, JoinClaim, NodeID, attempt: Int)
        case operatorWish(UInt64, RegisterProposal)
        /// The roster driver's, by its own token.
        case roster(UInt64)
        /// A raise of the floor: nobody waits for it.
        case floor
    }

    mutating func propose(_ errand: Errand, _ proposals: [RegisterProposal]) {
        if isIsolated, case .control(let number, _) = errand {
            let reason = "this broker seems to be cut off from the mesh: ask another one"
            out.append(.decided(number, proposals.map { _ in .notChosen(reason) }))
            return
        }
        let token = nextSerial()
        errands[token] = errand
        let rules = rules.replication
        let changes = proposals.map { proposal in
            RegisterChange(
                key: proposal.key,
                operation: OperationID(
                    node: identity.node, boot: life, sequence: nextSerial()),
                waitsForLease: false
            ) { current, _ in
                switch proposal.operation.applied(to: current, rules: rules) {
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
        push(outcomes)
        switch errand {
        case .floor: break
        case .beginning(let proposals): finishBeginning(proposals, outcomes)
        case .control(let number, let proposals):
            out.append(.decided(number, zip(proposals, outcomes).map(Self.decision)))
        case .lookUp(let number, let keys, let withFloor):
            guard forgetSwept(keys, outcomes, number, withFloor: withFloor) else { return }
            out.append(.decided(number, zip(keys, outcomes).map { Self.finding($1) }))
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
        case .roster(let token):
            guard let outcome = outcomes.first else { return }
            drive(driver: .decided(token: token, outcome))
        case .operatorWish(let token, let proposal):
            guard let outcome = outcomes.first else { return }
            out.append(.answer(token: token, Self.decision(proposal, outcome)))
        }
    }

    /// Whoever leads or copies a partition hears of its new state at once: clients wait for that,
    /// and a rumour about many partitions takes several datagrams.
    private mutating func push(_ outcomes: [Outcome]) {
        // More are sent to everybody, unless the mesh is large.
        guard
            outcomes.count <= GossipLimits.valuesThatAreNews
                || peers.count > GossipLimits.bulkPeers
        else { return }
        var wanted: OrderedDictionary<NodeID, [ChosenValue]> = [:]
        for case .chosen(let value) in outcomes where value.ballot > .zero {
            guard PartitionRegister.partition(of: value.key) != nil, let bytes = value.value,
                let state = try? PartitionState(decoding: bytes)
            else { continue }
            for node in state.replicas where node != identity.node {
                wanted[node, default: []].append(value)
            }
        }
        for (node, values) in wanted { drive(gossip: .push(values, to: node)) }
    }

    private static func value(of outcome: Outcome) -> ChosenValue? {
        switch outcome {
        case .chosen(let value), .notChosen(.abandoned(_, let value)): value
        case .notChosen, .held, .unknown: nil
        }
    }

    static func decision(
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
            return .refused(.tooLarge, current: nil)
        case .notChosen(.full):
            return .refused(.full, current: nil)
        case .held(let milliseconds, _):
            return .held(milliseconds: milliseconds)
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
        case .notChosen, .held, .unknown: .unknown("the voters did not answer in time")
        }
    }

    /// What the table holds and the registers do not was deleted, and the tombstone is swept: the
    /// control machine hears of that as of any deletion, before what the read found.
    ///
    /// Up to the floor only, which was raised before anything was removed: above it a topic may
    /// have been made anew since the read. Where this broker knows of no such floor, it is read
    /// with the rest once more, and false is said.
    private mutating func forgetSwept(
        _ keys: [String], _ outcomes: [Outcome], _ number: UInt64, withFloor: Bool
    ) -> Bool {
        let swept = zip(keys, outcomes).filter { key, outcome in
            guard case .chosen(let value) = outcome, value.ballot == .zero else { return false }
            return gossip.value(key)?.value != nil
        }.map(\.0)
        guard !swept.isEmpty else { return true }
        let isKnown = swept.allSatisfy { key in
            gossip.value(key).map { $0.ballot <= gossip.currentFloor } ?? true
        }
        guard isKnown || withFloor else {
            read(.lookUp(number, keys, withFloor: true), keys + [FloorRegister.key])
            return false
        }
        for key in swept { drive(gossip: .confirmed(key: key, nil)) }
        return true
    }

    // MARK: Starting

    /// Boots of one store take the lower half: no process is started four billion times.
    static func life(_ boot: BootEpoch, _ admission: AdmissionNumber?) -> BootEpoch {
        let former = UInt64(max(1, admission?.rawValue ?? 1) - 1)
        return BootEpoch(former << 32 &+ boot.rawValue)  // no trap, whatever a file says
    }

    /// A disk that replaced another one under the same node id begins with boot 1 again. Voters
    /// would take its ballots for those of the process before, and registers remember the
    /// operations of that one: what this one wants would count as done, and not be.
    private mutating func begin(life next: BootEpoch) {
        guard next != life else { return }
        life = next
        proposer = Proposer(
            node: identity.node, boot: next, roster: nil, seed: seeds.proposer,
            configuration: Proposer.Configuration(), rules: rules.registers)
        driver = RosterDriver(
            node: identity.node, boot: next, seed: seeds.driver,
            configuration: RosterDriver.Configuration(), rules: rules.registers)
    }

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
        remembered = memory.chosen
        let admission = rules.node.livesAboveBoots ? admissions[identity.node]?.number : nil
        begin(life: Self.life(identity.boot, admission))
        leaseBook = LeaseBook(life: life, startedAt: now, rules: rules.replication)
        acceptor = Acceptor(
            cluster: identity.clusterID, node: identity.node, store: identity.store,
            rules: rules.registers)
        drive(acceptor: .loaded(memory.acceptorLog))
        if let value = charter[Roster.key] { follow(roster: value) }
        if let roster = acceptor?.roster { drive(proposer: .rosterChanged(roster)) }
        if let roster = proposer.roster { leaseVotersChanged(roster) }
        if let highest = memory.chosen.map(\.ballot).max() {
            drive(proposer: .observed(highest))
        }
        drive(gossip: .start(members: memory.members, table: memory.chosen))
        noteTombstones(memory.chosen)
        findTombstones()
        drive(gossip: .restoreFeeds(memory.feeds))
        recoverChosen()
        begin(memory.imports)
    }

    /// With one voter whatever it accepted is chosen: what the table missed in a crash is known
    /// again from the registers.
    private mutating func recoverChosen() {
        guard let acceptor, let roster = acceptor.roster, roster.next == nil,
            roster.voters.map(\.node) == [identity.node]
        else { return }
        let values = acceptor.registers(limit: .max).compactMap { register -> ChosenValue? in
            // Bytes that this version can't read are no tombstone.
            guard register.acceptedBallot > .zero,
                let stored = acceptor.state(of: register.key).value,
                let envelope = try? Envelope(decoding: stored)
            else { return nil }
            return ChosenValue(
                key: register.key, ballot: register.acceptedBallot, value: envelope.value)
        }
        if !values.isEmpty { drive(gossip: .chosen(values)) }
    }

    /// The founder's first start decides who votes, that it is a member, and what was there before
    /// there was a mesh. Every later start finds all of it decided.
    private mutating func begin(_ imports: [RegisterProposal]) {
        guard identity.isFounder else { return finishStart() }
        var proposals = imports
        if acceptor?.roster == nil, charter[Roster.key] == nil {
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

    /// Nobody is served before everything of the first start is decided: what a table held before
    /// there was a mesh would else be made anew under another id.
    private mutating func finishBeginning(_ proposals: [RegisterProposal], _ outcomes: [Outcome]) {
        let open = zip(proposals, outcomes).filter { proposal, outcome in
            switch Self.decision(proposal, outcome) {
            case .chosen, .refused(.exists, _): false
            case .refused, .notChosen, .unknown, .held: true
            }
        }.map(\.0)
        guard open.isEmpty else {
            out.append(.event(.beginningDelayed(open.map(\.key))))
            return propose(.beginning(open), open)
        }
        // The old table's entries have done their work; a register may be removed one day, and
        // must not come back from them.
        let imported = proposals.filter { $0.key != Roster.key && Self.isImport($0) }
        if !imported.isEmpty {
            out.append(
                .persistOwn(
                    imported.map {
                        TableChange(key: $0.key, version: nextVersion(), value: nil)
                    }))
        }
        finishStart()
    }

    private static func isImport(_ proposal: RegisterProposal) -> Bool {
        if case .begin = proposal.operation { true } else { false }
    }

    /// The control machine starts from what the table was on disk. What was found beyond it is
    /// learned like any other news where it replaces something: so that, say, the files of a topic
    /// go whose deletion was chosen before a crash.
    private mutating func finishStart() {
        var table: OrderedDictionary<String, ChosenValue> = [:]
        for value in remembered { table[value.key] = value }
        let known = Set(table.keys)
        var news: [ChosenValue] = []
        for value in early ?? [] {
            if known.contains(value.key) {
                news.append(value)
            } else {
                table[value.key] = value
            }
        }
        let found = early ?? []
        early = nil
        remembered = []
        out.append(.loaded(Array(table.values)))
        if !news.isEmpty { out.append(.learned(news)) }
        if !found.isEmpty {
            out.append(
                .persistChosen(found.map { MeshRecords.change($0, version: nextVersion()) }))
        }
        peersChanged = true
        forgetSpent()
    }
}
