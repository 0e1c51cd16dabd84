import Gossip
import Model
import NIOCore
import OrderedCollections
import Paxos
import Replication

/// The only places where what one machine says becomes another's input, or an effect.
extension Mesh {
    mutating func drive(gossip input: GossipInput) {
        // Once it has left it asks for no other moment: this one would be asked for ever.
        if case .wake = input, let wake = gossipWake, wake <= now { gossipWake = nil }
        var said: [GossipEffect] = []
        gossip.handle(input, now: now, into: &said)
        for effect in said { perform(effect) }
    }

    private mutating func perform(_ effect: GossipEffect) {
        switch effect {
        case .sendDatagram(let node, let bytes): out.append(.sendDatagram(to: node, bytes))
        case .sendMessage(let node, let bytes): out.append(.send(to: node, .gossip, bytes))
        case .connect(let node, let addresses): out.append(.connect(node, addresses))
        case .contactSeeds(let seeds): out.append(.contactSeeds(seeds))
        case .wake(let moment): gossipWake = moment
        case .memberChanged(let snapshot):
            peers[snapshot.node] = snapshot
            peersChanged = true
            out.append(.heard(snapshot))
            if snapshot.status == .alive { drive(proposer: .reachable(snapshot.node)) }
        case .memberRemoved(let node):
            peers[node] = nil
            peersChanged = true
            out.append(.forget(node))
        case .tableChanged(let values): learn(values)
        case .persistFeeds(let files): out.append(.persistFeeds(files))
        case .removeFeed(let name): out.append(.removeFeed(name: name))
        case .persistMembers: persistMembers()
        case .confirm(let keys): read(.confirm(keys), keys)
        case .alarm(let alarm): out.append(.event(.alarm(alarm)))
        case .selfIsolated(let isIsolated):
            self.isIsolated = isIsolated
            out.append(.event(.isolated(isIsolated)))
        case .left: out.append(.left)
        case .event(let event): out.append(.event(.gossip(event)))
        }
    }

    mutating func drive(proposer input: Proposer.Input) {
        if case .wake = input, let wake = proposerWake, wake <= now { proposerWake = nil }
        var said: [Proposer.Effect] = []
        proposer.handle(input, now: now, into: &said)
        for effect in said {
            switch effect {
            case .send(let node, let id, let request):
                ask(node, id, request)
            case .wake(let moment): proposerWake = min(proposerWake ?? moment, moment)
            case .done(let token, let outcomes): conclude(token, outcomes)
            case .rosterLearned(let roster):
                teach(roster)
                leaseVotersChanged(roster)
                out.append(.event(.rosterLearned(roster)))
            }
        }
    }

    mutating func drive(acceptor input: Acceptor.Input) {
        guard acceptor != nil else { return }
        var said: [Acceptor.Effect] = []
        // Taken out, so that the book can be asked while the acceptor is at work.
        var book = leaseBook
        let now = now
        acceptor?.handle(
            input, holding: { Self.heldMilliseconds($0, &book, now: now) }, into: &said)
        leaseBook = book
        noteVoting()
        for effect in said {
            switch effect {
            case .persist(let serial, let records):
                let changes = records.flatMap { MeshRecords.changes($0, version: nextVersion()) }
                out.append(.persistRegisters(serial: serial, changes))
            case .reply(let node, let id, let reply):
                if node == identity.node {
                    hear(reply, id, from: node)
                } else {
                    var bytes = ByteBuffer(integer: id)
                    reply.encode(into: &bytes)
                    out.append(.send(to: node, .paxosReply, bytes))
                }
            case .halted(let reason): out.append(.event(.acceptorHalted(reason)))
            }
        }
    }

    /// Whether this store votes may have changed by any roster that the acceptor took.
    private mutating func noteVoting() {
        guard let acceptor, acceptor.generation != votingGeneration else { return }
        votingGeneration = acceptor.generation
        let votes = acceptor.roster?.everyone.contains { $0.id == acceptor.id } ?? false
        if votes { leaseBook.beginVoting(now: now) }
    }

    /// Values entered the table: they are remembered, followed and handed on.
    private mutating func learn(_ values: [ChosenValue]) {
        for value in values {
            if let node = AdmissionRecord.node(ofRegister: value.key) {
                charter[value.key] = value
                follow(admission: value, of: node)
            } else if value.key == Roster.key {
                charter[value.key] = value
                follow(roster: value)
            }
        }
        noteTombstones(values)
        guard early == nil else {
            early? += values
            return
        }
        out.append(.learned(values))
        // Behind what the control machine makes of it: the leave to remove a topic's files is on
        // disk before the table forgets which topic it was.
        out.append(
            .persistChosen(values.map { MeshRecords.change($0, version: nextVersion()) }))
    }

    func record(in value: ChosenValue) -> AdmissionRecord? {
        value.value.flatMap { try? AdmissionRecord(decoding: $0) }
    }

    mutating func follow(admission value: ChosenValue, of node: NodeID) {
        guard let record = record(in: value), record.node == node else { return }
        if let before = admissions[node], before.key != record.key || before.store != record.store {
            // Whoever had the id before speaks for it no more.
            out.append(.forget(node))
        }
        admissions[node] = record
        out.append(.admitted(record))
    }

    mutating func follow(roster value: ChosenValue) {
        guard let roster = value.value.flatMap({ try? Roster(decoding: $0) }),
            roster.cluster == identity.clusterID
        else { return }
        teach(roster)
        drive(proposer: .rosterChanged(roster))
        if let roster = proposer.roster { leaseVotersChanged(roster) }
        drive(sweeper: .rosterChanged(roster))
    }

    private mutating func persistMembers() {
        var changes: [TableChange] = []
        for member in gossip.persistedMembers where persisted[member.record.node] != member {
            persisted[member.record.node] = member
            changes.append(MeshRecords.change(member, version: nextVersion()))
        }
        if !changes.isEmpty { out.append(.persistOwn(changes)) }
    }

    /// Tells the control machine, once for each input, of the brokers that are there.
    mutating func publishPeers() {
        guard peersChanged, early == nil else { return }
        peersChanged = false
        out.append(.members(brokers()))
    }

    /// This broker and all that are alive or only suspected, by node id.
    func brokers() -> [BrokerMember] {
        var list = [
            BrokerMember(
                entry: identity.member.entry,
                admission: admissions[identity.node]?.number ?? AdmissionNumber(0),
                epoch: identity.member.epoch,
                holdsPartitions: ownRoles.contains(.broker))
        ]
        for peer in peers.values where peer.status.isPresent {
            guard let description = peer.description else { continue }
            let endpoints = description.endpoints.map {
                Endpoint(listener: $0.listener, host: $0.host, port: Int32($0.port))
            }
            list.append(
                BrokerMember(
                    entry: BrokerEntry(
                        id: peer.node, rack: description.rack.isEmpty ? nil : description.rack,
                        endpoints: endpoints),
                    admission: admissions[peer.node]?.number ?? peer.admission.number,
                    epoch: LeaderEpoch(description.leaderEpoch),
                    isDoubted: peer.status == .suspect,
                    holdsPartitions: description.roles.contains(.broker)))
        }
        return list.sorted { $0.entry.id < $1.entry.id }
    }

    /// How long the voters may be silent before a broker doubts itself; a lease's length.
    static let voterSilenceMilliseconds: Int64 = 1_500

    /// Whether a majority of the voters was heard of late: else, with a third of the mesh gone too,
    /// this broker is the sick one.
    mutating func reportVoters() {
        guard let roster = proposer.roster else { return }
        let heard = roster.voters.count { voter in
            if voter.node == identity.node { return true }
            guard let last = gossip.member(voter.node)?.lastHeard else { return false }
            return now.milliseconds(since: last) < Self.voterSilenceMilliseconds
        }
        if heard * 2 > roster.voters.count { drive(gossip: .voterAnswers(at: now)) }
    }
}
