import Gossip
import Model
import NIOCore
import Node
import OrderedCollections
import Paxos
import Replication
import Routes
import Sodium
import Transport

/// What this broker says to each question.
extension Inspector {
    /// Events of one answer: all that a journal holds.
    private static let eventsMaximum = MeshJournal.entriesMaximum
    /// Keys of the table that one page of it looks at: the loop takes less than a millisecond for
    /// them, and a table of a hundred thousand is read in a hundred pages.
    static let pageKeys = 1_000

    func answer(_ question: InspectionQuestion, then: @escaping (@escaping Finish) -> Void) {
        var answer = blank()
        guard let mesh = reactor.plane?.mesh, let shell = reactor.mesh else {
            answer.error = "the broker is still starting: ask again"
            return then { [answer] in answer }
        }
        switch question.verb {
        case .members: answer.members = members(mesh, shell)
        case .info: answer.info = info(mesh)
        case .events:
            return then(events(question, shell.journal, answer))
        case .versions:
            return then(versions(question, mesh, answer))
        case .heat:
            answer.heat = mesh.gossip.ages(now: reactor.now.instant).map {
                HeatReport(nodeId: $0.node.rawValue, ageMilliseconds: $0.milliseconds)
            }
        case .stats: answer.stats = stats(mesh, shell)
        case .keys: answer.keys = keys(mesh, shell)
        case .roster: answer.roster = roster(mesh)
        case .partitions: answer = partitions(question, answer)
        case .topic:
            return topic(question, answer) { answer in then { answer } }
        case .register: answer.register = register(question.key ?? "", mesh)
        case .duels: answer.duels = duels(mesh)
        case .health: answer.health = health(mesh, shell)
        case .groups: return then(groups(question, mesh, answer))
        case .recoverOffsets:
            return recoverOffsets(question, mesh, answer, then: then)
        case .tap: return then(packets(after: question.after ?? 0, shell, answer))
        case .join, .leave, .forceLeave, .trace, .revoke, .useSecret, .addVoter, .removeVoter,
            .finishVoters, .rollBackVoters, .gatherOffsets:
            return act(question, mesh, shell, answer) { answer in then { answer } }
        }
        then { [answer] in answer }
    }

    private func events(
        _ question: InspectionQuestion, _ journal: MeshJournal, _ blank: InspectionAnswer
    ) -> Finish {
        let limit = max(0, min(question.limit ?? Self.eventsMaximum, Self.eventsMaximum))
        let cursor = question.cursors?.first { $0.nodeId == blank.nodeId }?.after
        let after = cursor ?? question.after ?? 0
        let filter = EventFilter(
            key: question.key, node: question.node.map { NodeID($0) }, owner: NodeID(blank.nodeId))
        return {
            var answer = blank
            answer.events = journal.reports(after: after, limit: limit, filter)
            return answer
        }
    }

    private func versions(
        _ question: InspectionQuestion, _ mesh: Mesh, _ blank: InspectionAnswer
    ) -> Finish {
        let count = max(1, min(question.limit ?? Self.pageKeys, Self.pageKeys))
        let (page, next) = mesh.gossip.versions(
            prefix: question.key ?? "", from: question.bucket ?? 0, seeing: count)
        return {
            var answer = blank
            answer.versions = page.map(VersionReport.init).sorted { $0.key < $1.key }
            answer.nextBucket = next
            return answer
        }
    }

    // MARK: Members

    private func members(_ mesh: Mesh, _ shell: MeshShell) -> [MemberReport] {
        let view = reactor.view
        let voters = Set(mesh.proposer.roster?.voters.map(\.node) ?? [])
        let own = mesh.gossip.ownRecord
        let this = NodeID(reactor.view.controller.rawValue)
        var reports = [
            MemberReport(
                nodeId: this.rawValue, state: shell.hasLeft ? "left" : "alive", isSelf: true,
                address: own.description.addresses.first.map(Self.text),
                kafka: own.description.endpoints.map(Self.text),
                rack: Self.present(own.description.rack),
                version: Self.present(own.description.softwareVersion),
                bootEpoch: own.life.boot.rawValue, incarnation: own.life.incarnation.rawValue,
                admission: mesh.admissions[this]?.number.rawValue ?? 0,
                isVoter: voters.contains(this), roles: Self.text(own.description.roles),
                health: mesh.gossip.healthMultiplier,
                isUdpBlocked: false, accusers: [],
                forMilliseconds: reactor.now.instant.milliseconds(since: startedAt),
                leads: view.leads(of: this))
        ]
        for member in mesh.gossip.memberSnapshots {
            var row = report(member, view.leads(of: member.node), voters.contains(member.node))
            row.duplicateBoots = shell.trust.duplicate(of: member.node).map {
                [$0.older.rawValue, $0.newer.rawValue]
            }
            reports.append(row)
        }
        return reports.sorted { $0.nodeId < $1.nodeId }
    }

    private func report(_ member: MemberSnapshot, _ leads: Int, _ isVoter: Bool) -> MemberReport {
        let now = reactor.now.instant
        return MemberReport(
            nodeId: member.node.rawValue, state: Self.text(member.status), isSelf: false,
            address: member.description?.addresses.first.map(Self.text),
            kafka: member.description?.endpoints.map(Self.text) ?? [],
            rack: member.description.flatMap { Self.present($0.rack) },
            version: member.description.flatMap { Self.present($0.softwareVersion) },
            bootEpoch: member.life.boot.rawValue, incarnation: member.life.incarnation.rawValue,
            admission: member.admission.number.rawValue, isVoter: isVoter,
            roles: member.description.map { Self.text($0.roles) },
            roundTripMicrosecondsP50: member.roundTripMicrosecondsP50,
            roundTripMicrosecondsP99: member.roundTripMicrosecondsP99,
            isUdpBlocked: member.isDatagramBlocked,
            accusers: Set(member.accusers.map(\.rawValue)).sorted(),
            forMilliseconds: now.milliseconds(since: member.since),
            deadInMilliseconds: member.deadline.map { max(0, $0.milliseconds(since: now)) },
            lastHeardMilliseconds: member.lastHeard.map { now.milliseconds(since: $0) },
            leads: leads)
    }

    static func text(_ status: MemberStatus) -> String {
        switch status {
        // Admitted, and nobody has heard of it here: nothing says that it is there.
        case .unheard: "suspect"
        case .alive: "alive"
        case .suspect: "suspect"
        case .dead: "dead"
        case .left: "left"
        }
    }

    private static func text(_ roles: MemberRoles) -> [String] {
        (roles.contains(.broker) ? ["broker"] : []) + (roles.contains(.voter) ? ["voter"] : [])
    }

    private static func text(_ address: MeshAddress) -> String { address.text }

    private static func text(_ endpoint: ClientEndpoint) -> String {
        HostPort(host: endpoint.host, port: Int(endpoint.port)).description
    }

    private static func present(_ text: String) -> String? { text.isEmpty ? nil : text }

    // MARK: Info, keys, counters

    private func info(_ mesh: Mesh) -> InfoReport {
        let own = mesh.gossip.ownRecord
        let load = mesh.gossip.rumourLoad
        let store = reactor.shared.store
        let times = [reactor.shared.tables.writeTimes, reactor.shared.registers.writeTimes]
        return InfoReport(
            nodeId: store.nodeID.rawValue, clusterId: store.clusterID,
            publicKey: Self.text(mesh.publicKey), storeId: Self.text(store.opening.storeID),
            bootEpoch: own.life.boot.rawValue, incarnation: own.life.incarnation.rawValue,
            health: mesh.gossip.healthMultiplier, isSelfIsolated: mesh.isIsolated,
            members: mesh.gossip.memberSnapshots.count + 1, alive: mesh.gossip.presentMembers,
            tableEntries: mesh.gossip.tableCount, tableRoot: Self.text(mesh.gossip.tableRoot),
            membersRoot: Self.text(mesh.gossip.membersRoot),
            rosterGeneration: mesh.proposer.roster?.generation.rawValue ?? 0,
            voters: mesh.proposer.roster?.voters.map(\.node.rawValue) ?? [],
            rumours: RumourReport(
                members: load.members, table: load.table, marks: load.marks,
                droppedMembers: load.droppedMembers, droppedTable: load.droppedTable,
                droppedMarks: load.droppedMarks,
                transmissionsPerRumour: load.transmissionsPerRumour),
            uptimeMilliseconds: reactor.now.instant.milliseconds(since: startedAt),
            version: own.description.softwareVersion,
            slowWrites: times.reduce(0) { $0 + $1.slowWrites },
            writes: times.reduce(0) { $0 + $1.writes },
            longestWriteMilliseconds: times.map(\.longestMilliseconds).max())
    }

    private func keys(_ mesh: Mesh, _ shell: MeshShell) -> KeysReport {
        let now = reactor.now.instant
        return KeysReport(
            publicKey: Self.text(mesh.publicKey), secrets: shell.secretNames,
            secretFile: shell.secretFile,
            uses: shell.secretNames.map { name in
                let use = shell.trust.uses[name] ?? MeshTrust.SecretUse()
                return SecretUseReport(
                    name: name, joins: use.joins, operators: use.operators, members: use.members,
                    neededMilliseconds: use.neededAt.map { now.milliseconds(since: $0) })
            },
            shown: shell.trust.shown.map { node, shown in
                ShownSecretReport(
                    nodeId: node.rawValue, name: shown.name,
                    agoMilliseconds: now.milliseconds(since: shown.at))
            }.sorted { $0.nodeId < $1.nodeId },
            admissions: mesh.admissions.values.map {
                AdmissionReport(
                    nodeId: $0.node.rawValue, publicKey: Self.text($0.key),
                    storeId: Self.text($0.store), number: $0.number.rawValue,
                    isRevoked: $0.isRevoked)
            }.sorted { $0.nodeId < $1.nodeId })
    }

    static func text(_ key: PublicKey) -> String {
        [key.words.a, key.words.b, key.words.c, key.words.d].map(text).joined()
    }

    static func text(_ store: StoreID) -> String { text(store.high) + text(store.low) }

    /// Sixteen hexadecimal digits.
    static func text(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func packets(
        after number: UInt64, _ shell: MeshShell, _ blank: InspectionAnswer
    ) -> Finish {
        tap.keepOpen(
            until: reactor.now.instant.advanced(byMilliseconds: PacketTap.leaseMilliseconds))
        shell.transport?.datagramTap = { [unowned self] direction, peer, payload in
            self.tap.note(direction, peer, payload, now: self.reactor.now)
            if !self.tap.isOpen(at: self.reactor.now.instant) {
                self.reactor.mesh?.transport?.datagramTap = nil
            }
            return true
        }
        let tap = tap
        return {
            var answer = blank
            answer.packets = tap.packets(after: number)
            return answer
        }
    }

    // MARK: Acts

    private func act(
        _ question: InspectionQuestion, _ mesh: Mesh, _ shell: MeshShell,
        _ blank: InspectionAnswer, then: @escaping (InspectionAnswer) -> Void
    ) {
        var answer = blank
        switch question.verb {
        case .join:
            guard let address = question.address.flatMap(HostPort.init(parsing:)) else {
                answer.error = "join: expected HOST:PORT, for example 10.0.0.2:7946"
                break
            }
            shell.transport?.connect(
                to: MeshAddress(host: address.host, port: UInt16(clamping: address.port)))
        case .leave: return shell.leave { then(answer) }
        case .forceLeave, .revoke:
            guard let node = question.node.map({ NodeID($0) }), mesh.admissions[node] != nil else {
                answer.error = "no member \(question.node ?? -1): see gossamer gossip members"
                break
            }
            if question.verb == .revoke {
                guard mesh.hasQuorum(without: node) else {
                    answer.error =
                        "member \(node.rawValue) votes, and without it too few voters are there "
                        + "to decide anything: start the others first"
                    break
                }
                return revoke(node, answer, then: then)
            }
            guard mesh.peers[node]?.status == .dead || mesh.peers[node]?.status == .suspect else {
                let state = mesh.peers[node].map { Self.text($0.status) } ?? "this broker"
                answer.error = "member \(node.rawValue) is \(state): only the dead are forced out"
                break
            }
            reactor.post(.mesh(.forceLeave(node)), to: 0)
        case .trace:
            var entropy = SystemRandomNumberGenerator()
            let id = question.after ?? entropy.next()
            answer.info = info(mesh)
            reactor.post(.mesh(.trace(id)), to: 0)
        case .useSecret:
            do throws(SecretFile.Failure) {
                try shell.reloadSecrets()
                answer.keys = keys(mesh, shell)
            } catch { answer.error = "\(error)" }
        case .addVoter, .removeVoter:
            guard let node = question.node.map({ NodeID($0) }) else {
                answer.error = "expected the number of a member"
                break
            }
            let change = question.verb == .addVoter ? VoterChange.add(node) : .remove(node)
            return changeVoters(change, answer, then: then)
        case .finishVoters: return changeVoters(.finish, answer, then: then)
        case .gatherOffsets: reactor.post(.mesh(.pullFeeds), to: 0)
        case .rollBackVoters: return changeVoters(.rollBack, answer, then: then)
        case .members, .info, .events, .versions, .heat, .stats, .keys, .roster, .partitions,
            .topic, .register, .duels, .health, .groups, .tap, .recoverOffsets:
            break
        }
        then(answer)
    }

    private func revoke(
        _ node: NodeID, _ blank: InspectionAnswer, then: @escaping (InspectionAnswer) -> Void
    ) {
        let proposal = RegisterProposal(
            key: AdmissionRecord.registerKey(of: node), operation: .member(.revoke(node)))
        let token = reactor.expect { given in
            guard case .decided(let decision) = given else { return }
            var answer = blank
            switch decision {
            case .chosen: break
            case .refused(.exists, _): answer.error = "member \(node.rawValue) is revoked already"
            case .refused(let refusal, _): answer.error = "not revoked: \(refusal)"
            case .notChosen(let reason), .unknown(let reason): answer.error = reason
            case .held: answer.error = "the voters hold it back: ask again"
            }
            then(answer)
        }
        reactor.post(.mesh(.decide(token: token, proposal)), to: 0)
    }
}
