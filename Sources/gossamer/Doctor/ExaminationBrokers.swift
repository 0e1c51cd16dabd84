import Broker

/// What is to be said of brokers, and of where copies are.
extension Examination {
    // MARK: Members

    /// Longer than a restart takes.
    private static let awayMilliseconds: Int64 = 60_000

    var memberFindings: [Finding] {
        var found: [Finding] = []
        let patience = picture.roster.replaceAfterMilliseconds
        for member in picture.members {
            let node = member.nodeId
            let span = Durations.milliseconds(member.forMilliseconds)
            switch member.state {
            case "dead" where member.forMilliseconds >= patience:
                found.append(
                    Finding(
                        "DEAD_FOR_LONG", "\(node) is dead for \(span)",
                        why: "Its copies count for nothing, and it may be expected back",
                        do: "start it, or gossamer cluster forget \(node)", nodes: [node]))
            case "dead":
                found.append(
                    Finding(
                        "DEAD", "\(node) is dead for \(span)",
                        why: "What it led is led by others, with a copy fewer",
                        do: "gossamer gossip why \(node) says what was tried", nodes: [node]))
            case "left" where member.forMilliseconds >= Self.awayMilliseconds:
                found.append(
                    Finding(
                        "LEFT", "\(node) has left, \(span) ago",
                        why: "Its copies count for nothing until it is back",
                        do: "start it, or gossamer cluster forget \(node)", nodes: [node]))
            case "suspect":
                found.append(
                    Finding(
                        "SUSPECT", "\(node) is suspected by \(NodeList.text(member.accusers))",
                        why: "Unless it answers soon it counts as dead",
                        do: "gossamer gossip why \(node) says what was tried", nodes: [node]))
            default: break
            }
            if member.isUdpBlocked {
                found.append(
                    Finding(
                        "UDP_BLOCKED", "\(node) answers by TCP and not by UDP",
                        why: "Its failure would be noticed late",
                        do: "open UDP \(member.address ?? "") towards it", nodes: [node]))
            }
            if member.duplicateBoots != nil {
                found.append(
                    Finding(
                        "DUPLICATE_STORE", "two processes run with the data directory of \(node)",
                        why: "Both are shut out, because they would overwrite each other",
                        do: "stop the copy; the original starts again with a newer boot",
                        nodes: [node]))
            }
        }
        return found + versionFindings
    }

    private var versionFindings: [Finding] {
        var versions: [String: [Int32]] = [:]
        for member in picture.members where member.state == "alive" {
            versions[member.version ?? "unknown", default: []].append(member.nodeId)
        }
        guard versions.count > 1 else { return [] }
        let list = versions.sorted { $0.key < $1.key }.map { version, nodes in
            "\(version) on \(NodeList.text(nodes.sorted()))"
        }
        return [
            Finding(
                "VERSIONS_DIFFER", "brokers run \(list.joined(separator: ", "))",
                why: "Mixed versions are for the time of an upgrade only", do: "finish the upgrade")
        ]
    }

    // MARK: Brokers

    /// Answers are gathered within two seconds.
    private static let skewMilliseconds: Int64 = 3_000
    private static let fullPercent: Int64 = 10
    private static let fullBytes: Int64 = 1 << 30

    var brokerFindings: [Finding] {
        var found: [Finding] = []
        let silent = health.silent.filter(picture.isThere)
        if !silent.isEmpty {
            found.append(
                Finding(
                    "SILENT", "\(NodeList.text(silent)) did not answer within two seconds",
                    why: "It is overloaded or paused, or of an older version",
                    do: "gossamer gossip why \(silent[0])", nodes: silent))
        }
        for answer in health.answers {
            guard let report = answer.health else { continue }
            found += Self.findings(of: answer.nodeId, report)
        }
        let clocks = health.answers.map(\.at)
        if let first = clocks.min(), let last = clocks.max(), last - first > Self.skewMilliseconds {
            found.append(
                Finding(
                    "CLOCKS_DIFFER",
                    "wall clocks of brokers are \(Durations.milliseconds(last - first)) apart",
                    why: "Retention by time and timestamps of records are off",
                    do: "run NTP on every machine"))
        }
        return found
    }

    private static func findings(of node: Int32, _ report: HealthReport) -> [Finding] {
        var found: [Finding] = []
        func add(_ name: String, _ what: String, _ why: String, _ action: String) {
            found.append(Finding(name, "\(node) \(what)", why: why, do: action, nodes: [node]))
        }
        if report.isSelfIsolated {
            add(
                "SELF_ISOLATED", "holds itself for cut off",
                "It proposes nothing and serves only within its lease",
                "look at the network of its machine")
        }
        if report.splitVersions > 0 {
            add(
                "SPLIT_VERSION",
                "saw \(report.splitVersions) registers with two values at one ballot",
                "A voter's disk was restored, or there is a bug",
                "gossamer gossip diff --all; stop the broker whose disk was restored")
        }
        if report.slowWrites > 0 {
            add(
                "SLOW_FSYNC",
                "had \(report.slowWrites) of \(report.writes) fsyncs slower than 500 ms, the "
                    + "longest \(report.longestWriteMilliseconds) ms",
                "Voters and producers with flush=sync wait for it",
                "look at its disk, and at who shares it")
        }
        if report.clockJumps > 0 {
            let span = report.lastClockJumpMilliseconds.map { "\($0) ms" } ?? "?"
            add(
                "CLOCK_JUMP",
                "had its wall clock set \(Counted.text(Int(clamping: report.clockJumps), "time")), "
                    + "last by \(span)",
                "Timestamps and retention by time jump with it; leases do not",
                "let NTP slew it, and look at the host of a virtual machine")
        }
        let percent = report.totalBytes > 0 ? report.freeBytes * 100 / report.totalBytes : 100
        if report.totalBytes > 0, percent < fullPercent || report.freeBytes < fullBytes {
            add(
                "DISK_NEARLY_FULL",
                "has \(report.freeBytes >> 20) MiB left, \(percent) % of its disk",
                "Producers get KAFKA_STORAGE_ERROR when it is full",
                "make room, or shorten retention")
        }
        return found + settings(of: node, report)
    }

    private static func settings(of node: Int32, _ report: HealthReport) -> [Finding] {
        var found: [Finding] = []
        if let mode = report.secretMode, mode != "600", mode != "400" {
            found.append(
                Finding(
                    "SECRET_MODE", "\(node) has a secret file of mode \(mode)",
                    why: "Whoever reads it can join the mesh",
                    do: "chmod 600 it, then gossamer keys rotate", nodes: [node]))
        }
        if report.isReachable, report.links == "authenticate" {
            found.append(
                Finding(
                    "LINKS_NOT_SEALED",
                    "\(node) has mesh.links: authenticate, on an address that others reach",
                    why: "Records and commits between brokers can be read on the network",
                    do: "set mesh.links: seal, unless the network is private", nodes: [node]))
        }
        return found
    }

    // MARK: Placement

    /// Kafka's `leader.imbalance.per.broker.percentage`.
    private static let imbalancePercent = 10

    var placementFindings: [Finding] {
        var found: [Finding] = []
        let holders = picture.members.filter {
            $0.state == "alive" && $0.roles?.contains("broker") != false
        }
        let single = topics { $0.replicas.count == 1 }
        if holders.count >= 3, !single.isEmpty {
            found.append(
                Finding(
                    "ONE_COPY",
                    "\(Counted.text(single.count, "topic")) with one copy of each partition, on "
                        + "\(holders.count) brokers: \(Self.list(single))",
                    why: "With its broker a partition is offline, and with its disk it is lost",
                    do: "make it anew with --replicas 3, or reassign it to more brokers"))
        }
        let careless = topics { $0.replicas.count > 1 && $0.minInSync == 1 }
        if !careless.isEmpty {
            found.append(
                Finding(
                    "MIN_ISR_1",
                    "\(Counted.text(careless.count, "topic")) with copies, and "
                        + "min.insync.replicas=1: \(Self.list(careless))",
                    why: "acks=all may be acknowledged by the leader alone, and lost with it",
                    do: "gossamer topic alter NAME --config min.insync.replicas=2"))
        }
        let misled = picture.partitions.filter { row in
            row.replicas.first.map { $0 != row.leader && row.live.contains($0) } ?? false
        }
        if misled.count * 100 > picture.partitions.count * Self.imbalancePercent {
            found.append(
                Finding(
                    "NOT_PREFERRED",
                    "\(misled.count) of \(picture.partitions.count) partitions are not led by "
                        + "their preferred leader, which is in sync",
                    why: "Some brokers do the work of others", do: "gossamer cluster balance"))
        }
        let strangers = Set(picture.partitions.flatMap(\.replicas)).filter { node in
            picture.member(node)?.roles?.contains("broker") == false
        }.sorted()
        if !strangers.isEmpty {
            found.append(
                Finding(
                    "HOLDS_AGAINST_ROLE",
                    "\(NodeList.text(strangers)) holds partitions, and its roles leave that out",
                    why: "It was meant to vote only",
                    do: "gossamer cluster drain \(strangers[0])", nodes: strangers))
        }
        return found
    }

    /// Names of topics with such a partition; the broker's own ones are no operator's choice.
    private func topics(where holds: (PartitionReport) -> Bool) -> [String] {
        Set(picture.partitions.filter { !$0.topic.hasPrefix("__") && holds($0) }.map(\.topic))
            .sorted()
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(5).joined(separator: ", ")
            + (names.count > 5 ? ", and \(names.count - 5) more" : "")
    }
}
