import Gossip
import Model
import Node
import Paxos
import Replication

/// A page that tells a person how a promise came to be broken.
///
/// The run is made a second time, with its failure known: so only what concerns that is noted. The
/// whole of what happened is `--trace`.
public struct MeshExplanation {
    /// As many lines of the timeline as fit on a page beside the rest.
    private static let linesMaximum = 36
    /// Faults and processes are told of from so long before the first line about the subject.
    private static let leadMilliseconds: Int64 = 4_000

    /// The page, without a line break at its end.
    public let text: String
    /// Whether the second run was the first one again.
    public let isSame: Bool

    /// - Parameter make: makes the world again; another than the given schedule's for a test.
    public init(
        of verdict: MeshVerdict,
        make: (MeshSchedule) -> MeshWorld = { MeshWorld(seed: $0.seed, schedule: $0) }
    ) {
        guard let failure = verdict.failure else {
            text = "seed \(verdict.seed) broke no promise"
            isSame = true
            return
        }
        let world = make(verdict.schedule)
        world.story = MeshStory(subject: failure.subject)
        isSame = world.run().hash == verdict.hash
        let schedule = verdict.schedule
        let facts = [
            "PROMISE  \(failure.promise.sentence)",
            "BROKEN   \(failure.reason.split(separator: ". ").first ?? "")",
            "MESH     \(Self.words(for: schedule.options)); "
                + "\(schedule.faults.count) faults",
        ]
        let head =
            facts.flatMap { Self.wrap($0, 100, 9) } + [
                "",
                "TIMELINE in seconds; faults begin at "
                    + "\(Self.seconds(world.faultPlan.began)) and end at "
                    + "\(Self.seconds(min(world.faultsEnd, failure.at)))",
            ]
        let lines = Self.timeline(world.story?.lines ?? [], failure)
        let foot = ["", "AT THE END"] + Self.end(of: world, failure)
        let page = head + lines + foot
        text = page.joined(separator: "\n")
    }

    static func seconds(_ moment: Instant) -> String {
        let milliseconds = moment.nanoseconds / 1_000_000
        let rest = "\(milliseconds % 1_000)"
        return "\(milliseconds / 1_000)."
            + String(repeating: "0", count: 3 - rest.count) + rest
    }

    private static func words(for options: MeshOptions) -> String {
        let network = options.network
        return "\(options.brokers) brokers, partitions: \(options.partitions), flush: "
            + "\(options.isSynced ? "sync" : "async"), "
            + "delay \(network.delayMicroseconds.lowerBound)..."
            + "\(network.delayMicroseconds.upperBound) us, loss \(network.datagramLoss), "
            + "duplication \(network.datagramDuplication)"
    }

    // MARK: Timeline

    private static func timeline(_ all: [MeshStory.Line], _ failure: MeshFailure) -> [String] {
        let first = all.first { $0.kind.isEssential && $0.kind != .decided && $0.kind != .leader }
        let from = (first ?? all.last)?.at ?? failure.at
        // What concerns the subject, and else what came shortly before it or later.
        let near = all.filter {
            $0.kind.isEssential
                || $0.last.milliseconds(since: from) >= -leadMilliseconds
        }
        let kept = fit(near)
        var lines: [String] = []
        if kept.count < all.count {
            lines.append(
                "           (\(all.count - kept.count) of \(all.count) lines are left out; "
                    + "--trace has everything)")
        }
        for line in kept { lines += text(of: line) }
        lines += wrap(
            "\(pad(seconds(failure.at), 9))  \(pad("BROKEN", 8)) the promise is found broken")
        return lines
    }

    /// As many lines as fit: the first to go are processes, then what was mended, then faults, the
    /// oldest of each first; then the middle.
    static func fit(_ lines: [MeshStory.Line]) -> [MeshStory.Line] {
        var kept = lines
        for kind in [MeshStory.Kind.process, .mended, .fault, .leader, .decided]
        where kept.count > linesMaximum {
            var surplus = kept.count - linesMaximum
            kept = kept.filter { line in
                guard line.kind == kind, surplus > 0 else { return true }
                surplus -= 1
                return false
            }
        }
        guard kept.count > linesMaximum else { return kept }
        return Array(kept.prefix(linesMaximum / 3))
            + kept.suffix(linesMaximum - linesMaximum / 3)
    }

    private static func text(of line: MeshStory.Line) -> [String] {
        let often = line.count > 1 ? " (\(line.count) times, until \(seconds(line.last)))" : ""
        let kind = line.kind == .fault ? "FAULT" : line.kind.rawValue
        return wrap("\(pad(seconds(line.at), 9))  \(pad(kind, 8)) \(line.text)\(often)")
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text.count >= width
            ? text
            : text.first?.isNumber == true
                ? String(repeating: " ", count: width - text.count) + text
                : text + String(repeating: " ", count: width - text.count)
    }

    /// Lines for a terminal of a hundred columns, broken between words.
    static func wrap(_ text: String, _ width: Int = 100, _ indent: Int = 20) -> [String] {
        var lines: [String] = []
        var rest = text[...]
        while rest.count > width {
            let end = rest.index(rest.startIndex, offsetBy: width)
            let least = rest.index(rest.startIndex, offsetBy: indent + 1)
            let cut = rest[least..<end].lastIndex(of: " ") ?? end
            lines.append(String(rest[..<cut]))
            rest =
                (String(repeating: " ", count: indent)
                + rest[cut...].drop { $0 == " " })[...]
        }
        return lines + [String(rest)]
    }

    // MARK: The end

    private static func end(of world: MeshWorld, _ failure: MeshFailure) -> [String] {
        var lines: [String] = []
        for site in world.sites {
            lines += wrap("  \(site.name)  " + state(of: site, failure.subject, in: world))
        }
        if failure.promise == .wholeAgain {
            lines += world.clients.filter { !$0.isDone }.prefix(8).map {
                "  waiting: \($0.summary)"
            }
            lines += world.lacks.prefix(8).map { "  missing: \($0)" }
        }
        return lines
    }

    private static func state(
        of site: BrokerSite, _ subject: MeshSubject, in world: MeshWorld
    ) -> String {
        var words: [String] = []
        if let life = site.life {
            let mesh = life.plane.mesh
            words.append(site.isPaused ? "paused" : life.isReady ? "runs" : "starts")
            let voters = mesh.proposer.roster?.voters.map { "\($0.node.rawValue)" } ?? []
            words.append("voters \(voters.joined(separator: ", "))")
            if mesh.leaseHolder.isHeld(at: world.clock(of: site).instant) {
                words.append("has a lease")
            }
            if mesh.isIsolated { words.append("isolated") }
        } else {
            words.append("is down")
        }
        guard let partition = subject.partition else { return words.joined(separator: "; ") }
        if let state = site.life?.view?.topic(id: partition.topic)?.state(partition.index.rawValue)
        {
            words.append(
                "knows leader \(state.leader.map { "\($0.rawValue)" } ?? "none") under epoch "
                    + "\(state.leaderEpoch.rawValue)")
        }
        let copy = site.copy(of: partition, subject)
        words.append("log ends at \(copy.end)")
        if let value = copy.value {
            words.append("\(value) at \(copy.offset), epoch \(copy.epoch)")
        } else if let offset = subject.offset {
            words.append("nothing at \(offset)")
        } else if let value = subject.value {
            words.append("without \(value)")
        }
        return words.joined(separator: "; ")
    }
}

extension MeshWorld {
    /// Why the mesh is not whole, one reason a line.
    var lacks: [String] {
        var reasons: [String] = []
        let roots = Set(members.compactMap { $0.life?.plane.mesh.gossip.tableRoot })
        if roots.count > 1 { reasons.append("the brokers have \(roots.count) different tables") }
        for site in members {
            guard let life = site.life else { continue }
            guard let view = life.view, let entry = view.topic(named: BrokerLife.topic) else {
                reasons.append("\(site.name) does not know the topic")
                continue
            }
            if view.brokers.count != members.count {
                reasons.append(
                    "\(site.name) knows \(view.brokers.map { "\($0.id.rawValue)" })")
            }
            for (index, state) in entry.partitions.enumerated()
            where state.inSync.count < state.replicas.count {
                let inSync = state.inSync.map { "\($0.node.rawValue)" }.joined(separator: ", ")
                let all = state.replicas.map { "\($0.rawValue)" }.joined(separator: ", ")
                reasons.append(
                    "\(site.name): partition \(index) has in sync \(inSync) of \(all)")
            }
        }
        if let left = leftOfDeletedTopics { reasons.append(left) }
        return reasons
    }
}
