import Gossip
import Model
import NIOCore
import Node
import OrderedCollections
import Paxos
import Replication
import Routes

/// What this broker says of the voters and of their registers.
extension Inspector {
    func roster(_ mesh: Mesh) -> RosterReport {
        let now = reactor.now.instant
        let roster = mesh.proposer.roster
        let progress = mesh.driver.progress
        let times = reactor.shared.registers.writeTimes
        let last = mesh.lastRosterOutcome
        let settings = mesh.voterSettings
        return RosterReport(
            generation: roster?.generation.rawValue ?? 0,
            voters: roster?.voters.map(VoterReport.init) ?? [],
            next: roster?.next.map { $0.map(VoterReport.init) },
            hasQuorum: hasQuorum(mesh), phase: "\(progress.phase)", repaired: progress.repaired,
            total: progress.total, lastOutcome: last.map { Self.text($0.outcome) },
            wasSuperseded: last.map { last in
                if case .superseded = last.outcome { true } else { false }
            },
            lastOutcomeMilliseconds: last.map { now.milliseconds(since: $0.at) },
            target: settings.target,
            replaceAfterMilliseconds: settings.replaceAfterMilliseconds,
            acceptor: mesh.acceptor.flatMap { $0.roster == nil ? nil : Self.text($0.phase) },
            registers: mesh.acceptor?.registerCount ?? 0, writes: times.writes,
            meanWriteMilliseconds: times.writes == 0
                ? 0 : Double(times.totalMilliseconds) / Double(times.writes),
            longestWriteMilliseconds: times.longestMilliseconds,
            leaseMilliseconds: mesh.leaseHolder.until.map {
                max(0, $0.milliseconds(since: now))
            })
    }

    private func hasQuorum(_ mesh: Mesh) -> Bool {
        guard let roster = mesh.proposer.roster else { return false }
        let this = NodeID(blank().nodeId)
        let there = roster.everyone.filter {
            $0.node == this || mesh.peers[$0.node]?.status == .alive
        }
        return roster.isQuorum(there.map(\.id))
    }

    private static func text(_ phase: Paxos.Acceptor.Phase) -> String {
        switch phase {
        case .loading: "loading"
        case .serving: "serving"
        case .halted(let reason): "halted: \(reason)"
        }
    }

    private static func text(_ outcome: RosterOutcome) -> String {
        switch outcome {
        case .settled(let roster): "roster \(roster.generation.rawValue) is in effect"
        case .superseded(let roster):
            "another change came first: roster \(roster.generation.rawValue)"
        case .impossible: "these voters are not possible: too many, or one of them twice"
        case .unreachable: "too few of the voters to be have answered: nothing was begun"
        case .damaged: "the register holds no roster that this version can read"
        }
    }

    // MARK: Registers

    func register(_ key: String, _ mesh: Mesh) -> RegisterReport {
        var report = RegisterReport(key: key, isTombstone: false, operations: [], fields: [])
        if let entry = mesh.gossip.versions(prefix: key, seeing: 1).page.first(where: {
            $0.key == key
        }) {
            report.table = BallotReport(entry.ballot)
            report.tableHash = Self.text(entry.hash.rawValue)
        }
        guard let acceptor = mesh.acceptor, acceptor.roster != nil else { return report }
        guard let register = acceptor.register(key) else { return report }
        report.promised = register.maxSeen > .zero ? BallotReport(register.maxSeen) : nil
        guard register.acceptedBallot > .zero else { return report }
        report.accepted = BallotReport(register.acceptedBallot)
        report.isTombstone = register.value == nil
        report.operations = register.operations.map {
            "\($0.node.rawValue).\($0.boot.rawValue).\($0.sequence)"
        }
        guard let value = register.value else { return report }
        report.hash = Self.text(ContentHash(of: value).rawValue)
        report.fields = RegisterWords.fields(of: key, value)
        return report
    }

    func duels(_ mesh: Mesh) -> [DuelReport] {
        mesh.proposer.duelCounts.map {
            DuelReport(
                key: $0.key, subject: subject(of: $0.key), count: $0.count,
                lastRival: $0.lastRival.rawValue)
        }.sorted { ($1.count, $0.key) < ($0.count, $1.key) }
    }

    private func subject(of key: String) -> String? {
        guard let partition = PartitionRegister.partition(of: key),
            let name = reactor.view.name(of: partition.topic)
        else { return nil }
        return "\(name)/\(partition.index.rawValue)"
    }

    // MARK: Acts

    /// Begins a change of the voters; the command line follows it.
    func changeVoters(
        _ change: VoterChange, _ blank: InspectionAnswer, then: @escaping (InspectionAnswer) -> Void
    ) {
        let token = reactor.expect { given in
            guard case .voters(let said) = given else { return }
            var answer = blank
            switch said {
            case .begun(let nodes): answer.begun = nodes.map(\.rawValue)
            case .refused(let reason): answer.error = reason
            }
            then(answer)
        }
        reactor.post(.mesh(.changeVoters(token: token, change)), to: 0)
    }
}

extension VoterReport {
    init(_ voter: Voter) {
        self.init(
            nodeId: voter.node.rawValue, storeId: Inspector.text(voter.store),
            since: voter.since.rawValue)
    }
}

extension BallotReport {
    init(_ ballot: Ballot) {
        self.init(
            counter: ballot.counter, proposer: ballot.proposer.rawValue,
            boot: ballot.boot.rawValue)
    }
}
