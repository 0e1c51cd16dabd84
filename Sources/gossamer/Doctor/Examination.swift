import Broker

/// What the brokers of a mesh said, and what follows from it.
struct Examination {
    let picture: ClusterPicture
    let health: InspectionAnswers
    let rosters: [InspectionAnswer]

    /// The worst first.
    var findings: [Finding] {
        partitionFindings + voterFindings + memberFindings + brokerFindings + placementFindings
    }

    // MARK: Partitions

    private func partitions(_ condition: ClusterPicture.Condition) -> [PartitionReport] {
        picture.partitions.filter { picture.condition(of: $0) == condition }
    }

    private var partitionFindings: [Finding] {
        var found: [Finding] = []
        let offline = partitions(.offline)
        if !offline.isEmpty {
            let missing = Set(offline.flatMap(\.replicas)).filter { !picture.isThere($0) }.sorted()
            found.append(
                Finding(
                    "OFFLINE",
                    "\(Counted.text(offline.count, "partition")) without a leader: "
                        + PartitionList.text(offline),
                    why: "Nobody can write to them or read them",
                    do: missing.isEmpty
                        ? "gossamer paxos explain \(Self.name(offline[0])) says what is missing"
                        : "start \(NodeList.text(missing))", nodes: missing))
        }
        let below = partitions(.belowMinInSync)
        if !below.isEmpty {
            found.append(
                Finding(
                    "BELOW_MIN_ISR",
                    "\(Counted.text(below.count, "partition")) with fewer live copies than "
                        + "min.insync.replicas: \(PartitionList.text(below))",
                    why: "Producers with acks=all are refused",
                    do: remedy(for: below), nodes: missing(in: below)))
        }
        let under = partitions(.underReplicated)
        if !under.isEmpty {
            found.append(
                Finding(
                    "UNDER_REPLICATED",
                    "\(Counted.text(under.count, "partition")) short of a copy: "
                        + PartitionList.text(under),
                    why: "They survive fewer failures than they should",
                    do: remedy(for: under), nodes: missing(in: under)))
        }
        return found
    }

    private static func name(_ partition: PartitionReport) -> String {
        "\(partition.topic)/\(partition.partition)"
    }

    /// Brokers whose copies are not in sync.
    private func missing(in partitions: [PartitionReport]) -> [Int32] {
        Set(partitions.flatMap { row in row.replicas.filter { !row.live.contains($0) } }).sorted()
    }

    private func remedy(for partitions: [PartitionReport]) -> String {
        let missing = missing(in: partitions)
        let away = missing.filter { !picture.isThere($0) }
        guard !away.isEmpty else {
            return "wait while \(NodeList.text(missing)) copies; gossamer topic describe "
                + "\(partitions[0].topic) shows how far it is"
        }
        let forgotten = away.filter { picture.member($0) == nil }
        guard forgotten.isEmpty else {
            return "start a broker that has no copy yet: \(NodeList.text(forgotten)) is forgotten, "
                + "and its copies are made anew where there is room"
        }
        return Self.startOrForget(away)
    }

    private static func startOrForget(_ nodes: [Int32]) -> String {
        "start \(NodeList.text(nodes)), or give up for good what is lost with gossamer cluster "
            + "forget \(nodes.first.map(String.init) ?? "N")"
    }

    // MARK: Voters

    private var voterFindings: [Finding] {
        let voters = picture.roster.voters.map(\.nodeId)
        let away = voters.filter { !picture.isThere($0) }
        var found: [Finding] = []
        if !picture.hasQuorum() {
            found.append(
                Finding(
                    "NO_QUORUM",
                    "\(voters.count - away.count) of \(voters.count) voters are there",
                    why: "No leader is elected, and no topic is made or changed",
                    do: "start \(NodeList.text(away))", nodes: away))
        } else if picture.margin == 0, voters.count > 1 {
            found.append(
                Finding(
                    "NO_QUORUM_MARGIN",
                    "\(voters.count - away.count) of \(voters.count) voters are there",
                    why: "If one more fails, no leader is elected",
                    do: away.isEmpty
                        ? "gossamer cluster add-voter, so that an odd number votes"
                        : Self.startOrForget(away),
                    nodes: away))
        }
        let able = picture.members.filter {
            $0.state == "alive" && $0.roles?.contains("voter") != false
        }
        if voters.count == 1, able.count >= 3, picture.roster.target != 1 {
            found.append(
                Finding(
                    "ONE_VOTER",
                    "\(NodeList.text(voters)) alone votes, of \(able.count) that could",
                    why: "If it fails, no leader is elected",
                    do: picture.roster.target == nil
                        ? "gossamer cluster add-voter, twice"
                        : "wait a minute; gossamer paxos roster says why it stays so"))
        }
        return found + acceptorFindings
    }

    private var acceptorFindings: [Finding] {
        var found: [Finding] = []
        for answer in rosters {
            guard let state = answer.roster?.acceptor, state.hasPrefix("halted") else { continue }
            found.append(
                Finding(
                    "VOTES_NO_MORE", "\(answer.nodeId) has stopped to vote (\(state))",
                    why: "It counts as a failed voter, though it is there",
                    do: "look at its disk, then start it on an empty directory under another id",
                    nodes: [answer.nodeId]))
        }
        let driven = rosters.contains { $0.roster.map { $0.phase != "idle" } ?? false }
        if let next = picture.roster.next, !driven {
            found.append(
                Finding(
                    "ROSTER_STUCK",
                    "a change to voters \(NodeList.text(next.map(\.nodeId))) is under way, and "
                        + "nobody drives it",
                    why: "Until its end a majority of both sets has to be there to decide",
                    do: "start the voters of both; a voter goes on with it within seconds"))
        }
        for member in picture.members
        where member.isVoter && member.roles?.contains("voter") == false {
            found.append(
                Finding(
                    "VOTES_AGAINST_ROLE", "\(member.nodeId) votes, and its roles leave that out",
                    why: "It was meant to be stopped at will",
                    do: "gossamer cluster remove-voter \(member.nodeId)", nodes: [member.nodeId]))
        }
        return found
    }
}
