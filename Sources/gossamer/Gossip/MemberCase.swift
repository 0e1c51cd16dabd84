import Broker

/// All that the brokers say of one member, and what it comes to.
struct MemberCase {
    /// One broker's view of it.
    struct View: Equatable {
        let observer: Int32
        let report: MemberReport
    }

    /// What it comes to, in a word for programs.
    enum Condition: String, Encodable {
        case well
        case restarted
        case wasAway
        case udpBlocked
        case suspected
        case dead
        case left
        case revoked
        case unheard
        case disputed
        case duplicate
    }

    /// The word and the sentence.
    struct Verdict: Encodable, Equatable {
        let condition: Condition
        let sentence: String

        /// Whether an operator has nothing to do.
        var isWell: Bool {
            switch condition {
            case .well, .restarted, .wasAway, .left, .revoked: true
            case .udpBlocked, .suspected, .dead, .unheard, .disputed, .duplicate: false
            }
        }
    }

    /// From the first unanswered probe to the declaration, with a health multiplier in between.
    private static let episodeMilliseconds: Int64 = 30_000

    let node: Int32
    /// What others see; its own view of itself is no evidence.
    let views: [View]
    let events: [SeenEvent]
    let isRevoked: Bool
    let silent: [Int32]
    /// Observers that seem to be cut off themselves.
    let isolated: [Int32]
    /// Now, by the clock of the broker that was asked.
    let now: Int64

    init(
        node: Int32, members: [InspectionAnswer], events: [SeenEvent], isRevoked: Bool,
        silent: [Int32] = [], isolated: [Int32] = [], now: Int64
    ) {
        self.node = node
        views = members.filter { $0.nodeId != node }.compactMap { answer in
            answer.members?.first { $0.nodeId == node }.map {
                View(observer: answer.nodeId, report: $0)
            }
        }
        self.events = events
        self.isRevoked = isRevoked
        self.silent = silent
        self.isolated = isolated
        self.now = now
    }

    // MARK: The verdict

    func verdict() -> Verdict {
        if isRevoked { return revoked() }
        if let duplicate = duplicate() { return duplicate }
        let states = Set(views.map(\.report.state))
        let dead = observers(in: "dead")
        let suspecting = observers(in: "suspect")
        let alive = observers(in: "alive")
        if views.isEmpty {
            return Verdict(
                condition: .unheard,
                sentence: "no other broker that answers knows \(node): nobody is there to judge")
        }
        if !dead.isEmpty, !alive.isEmpty { return disputed(alive: alive, dead: dead) }
        if !dead.isEmpty { return death(dead) }
        if !suspecting.isEmpty { return suspicion(suspecting) }
        if states == ["left"] { return departure() }
        let blockers = views.filter(\.report.isUdpBlocked).map(\.observer).sorted()
        if !blockers.isEmpty { return blocked(from: blockers) }
        if alive.isEmpty {
            return Verdict(
                condition: .unheard,
                sentence: "\(node) was admitted and never heard since "
                    + "\(NodeList.text(views.map(\.observer).sorted())) started: was it started, "
                    + "with a seed that it can reach?")
        }
        return presence(alive)
    }

    private func observers(in state: String) -> [Int32] {
        views.filter { $0.report.state == state }.map(\.observer).sorted()
    }

    private func latest(_ kinds: String...) -> SeenEvent? {
        events.last { kinds.contains($0.event.kind) && $0.event.node == node }
    }

    private func ago(_ at: Int64) -> String {
        "\(Durations.moment(at, now: now)) (\(Durations.milliseconds(max(0, now - at))) ago)"
    }

    private func revoked() -> Verdict {
        let when = events.first { $0.event.kind == "revoked" && $0.event.node == node }
        let since = when.map { " at \(ago($0.event.at))" } ?? ""
        return Verdict(
            condition: .revoked,
            sentence: "\(node) was revoked\(since). No broker takes a link or a datagram of it; it "
                + "comes back only by joining anew as another member")
    }

    private func duplicate() -> Verdict? {
        let seers = views.filter { $0.report.duplicateBoots != nil }
        guard let boots = seers.first?.report.duplicateBoots else { return nil }
        let text = boots.map { "\($0)" }.joined(separator: " and ")
        let when = latest("duplicateStore").map { " at \(ago($0.event.at))" } ?? ""
        return Verdict(
            condition: .duplicate,
            sentence: "DUPLICATE_STORE: two processes ran with the data directory of \(node)\(when)"
                + ", boots \(text), seen by \(NodeList.text(seers.map(\.observer).sorted())). "
                + "Both are shut out. One directory is a copy: remove it and start the other again")
    }

    private func departure() -> Verdict {
        let seen = events.first { event in
            event.event.kind == "departed" && event.event.node == node
                && event.event.at >= (latest("joined", "rejoined", "restarted")?.event.at ?? 0)
        }
        let when = seen.map { " at \(ago($0.event.at))" } ?? ""
        if let by = seen?.event.by {
            return Verdict(
                condition: .left,
                sentence: "\(node) was forced out by \(by)\(when). It comes back when it starts "
                    + "again")
        }
        return Verdict(
            condition: .left,
            sentence: "\(node) left in order\(when): it was stopped, or told to leave. It comes "
                + "back when it starts again")
    }

    private func disputed(alive: [Int32], dead: [Int32]) -> Verdict {
        let word = alive.count == 1 ? "hears" : "hear"
        return Verdict(
            condition: .disputed,
            sentence: "brokers disagree: \(NodeList.text(alive)) \(word) \(node), "
                + "\(NodeList.text(dead)) \(dead.count == 1 ? "holds" : "hold") it for dead. Ask "
                + "again in a second; if it stays so, the network is cut between them: see gossip "
                + "heat")
    }

    // MARK: Absent

    private func death(_ observers: [Int32]) -> Verdict {
        // The first declaration since it was last there.
        let back = latest("rejoined", "joined", "restarted")?.event.at ?? 0
        let declared = events.first {
            $0.event.kind == "declaredDead" && $0.event.node == node && $0.event.at >= back
        }
        let reports = views.filter { $0.report.state == "dead" }.map(\.report)
        let since =
            declared?.event.at ?? now - (reports.map(\.forMilliseconds).max() ?? 0)
        var text = "\(node) is dead since \(ago(since))"
        let accusers = Set((declared?.event.others ?? []) + reports.flatMap(\.accusers))
        if !accusers.isEmpty { text += ", accused by \(NodeList.text(accusers.sorted()))" }
        if let heard = lastHeard() {
            text += ", last heard at \(Durations.moment(heard.at, now: now)) by \(heard.by)"
        }
        text += ". " + cause(before: since)
        let cutOff = observers.filter(isolated.contains)
        if !cutOff.isEmpty {
            let word = cutOff.count == 1 ? "hears" : "hear"
            text +=
                ". Mind: \(NodeList.text(cutOff)) \(word) hardly anybody else: maybe that is "
                + "who is cut off"
        }
        return Verdict(condition: .dead, sentence: text)
    }

    private func lastHeard() -> (at: Int64, by: Int32)? {
        views.compactMap { view in
            view.report.lastHeardMilliseconds.map { (at: now - $0, by: view.observer) }
        }.max { $0.at < $1.at }
    }

    /// What the failed links tell: a process that has ended has nobody listening, one that is
    /// stopped still has its connections taken by the kernel, and keeps those that it has.
    private func cause(before moment: Int64) -> String {
        let window = events.filter {
            $0.event.node == node && $0.event.at >= moment - Self.episodeMilliseconds
        }
        // A link that failed while it was well, at its join for example, tells nothing here.
        let recent = window.drop { $0.event.kind != "probeUnanswered" }
        let failures = recent.filter { $0.event.kind == "linkFailed" }.compactMap(\.event.reason)
        let tried = recent.contains { $0.event.kind == "linkProbed" }
        let gone = failures.contains {
            ["unreachable", "nobody answers there", "its name has no address"].contains($0)
        }
        let stuck = failures.contains { $0.contains("timedOut") }
        if gone {
            return "Nobody listens at its address: the process has ended, or the machine or its "
                + "network is gone"
        }
        if stuck {
            return "Its machine takes connections and its process does not answer: it is paused "
                + "(SIGSTOP, a debugger), swapping or overloaded. It comes back by itself when it "
                + "runs again"
        }
        if tried, failures.isEmpty {
            return "Its TCP connections stand and nothing comes back: the process is paused "
                + "(SIGSTOP, a debugger), swapping or overloaded, or the network swallows "
                + "everything. It comes back by itself"
        }
        return "Neither UDP nor TCP reached it"
    }

    private func suspicion(_ observers: [Int32]) -> Verdict {
        let reports = views.filter { $0.report.state == "suspect" }.map(\.report)
        let accusers = Set(reports.flatMap(\.accusers)).sorted()
        let left = reports.compactMap(\.deadInMilliseconds).min()
        var text =
            "\(node) is suspected by \(NodeList.text(accusers.isEmpty ? observers : accusers))"
        if let left { text += ": dead in \(Durations.milliseconds(left)) unless it refutes" }
        return Verdict(condition: .suspected, sentence: text + ". " + cause(before: now))
    }

    // MARK: Present

    private func blocked(from observers: [Int32]) -> Verdict {
        let reports = views.filter { observers.contains($0.observer) }.map(\.report)
        let address = reports.compactMap(\.address).first ?? "its mesh address"
        let port = address.split(separator: ":").last.map(String.init) ?? "7946"
        let others = views.map(\.observer).filter { !observers.contains($0) }.sorted()
        let scope =
            others.isEmpty
            ? "" : " \(NodeList.text(others)) \(others.count == 1 ? "reaches" : "reach") it by UDP."
        return Verdict(
            condition: .udpBlocked,
            sentence: "\(node) answers by TCP and not by UDP, seen from "
                + "\(NodeList.text(observers)).\(scope) Not dead; leadership was not moved. Open "
                + "UDP \(port) from \(NodeList.text(observers)) to \(node) (\(address)), and back")
    }

    private func presence(_ alive: [Int32]) -> Verdict {
        let ages = views.compactMap(\.report.lastHeardMilliseconds)
        let heard =
            ages.max().map { "heard within \(Durations.milliseconds($0)) by " } ?? "seen by "
        let others = heard + NodeList.text(alive)
        let tales = [absence(), restart(), refutation(), hole()].compactMap { $0 }
        guard let latest = tales.max(by: { $0.at < $1.at }) else {
            return Verdict(
                condition: .well, sentence: "\(node) is alive and well: \(others)")
        }
        return Verdict(
            condition: latest.condition, sentence: "\(node) is alive, \(others). \(latest.text)")
    }

    /// Something that happened to a member which is well now.
    private typealias Tale = (at: Int64, condition: Condition, text: String)

    private func absence() -> Tale? {
        guard let died = latest("declaredDead") else { return nil }
        let later = events.filter { $0.event.node == node && $0.event.at >= died.event.at }
        let ways: Set = ["rejoined", "restarted", "joined", "refuted"]
        guard let back = later.first(where: { ways.contains($0.event.kind) }) else { return nil }
        let isRestart = later.contains {
            $0.event.kind == "restarted" && $0.event.at - back.event.at < 1_000
        }
        let span = Durations.milliseconds(max(0, back.event.at - died.event.at))
        let start = Durations.moment(died.event.at, now: now)
        return (
            back.event.at, isRestart ? .restarted : .wasAway,
            "It was held for dead from \(start) for \(span) and came back "
                + (isRestart
                    ? "by a restart"
                    : "without a restart: it was paused, overloaded or cut off")
        )
    }

    private func restart() -> Tale? {
        guard let restarted = latest("restarted") else { return nil }
        let before = events.last {
            ["departed", "declaredDead"].contains($0.event.kind) && $0.event.node == node
                && $0.event.at <= restarted.event.at
        }
        // A return from the dead is a tale of its own.
        if before?.event.kind == "declaredDead" { return nil }
        return (
            restarted.event.at, .restarted,
            "It restarted at \(ago(restarted.event.at)), "
                + (before == nil ? "before anybody declared it dead" : "after it had left in order")
        )
    }

    private func refutation() -> Tale? {
        guard let refuted = latest("refuted") else { return nil }
        // A start is answered with a refutation too where somebody still thinks of the old life.
        if let start = latest("restarted", "rejoined", "joined"),
            refuted.event.at - start.event.at < 5_000
        {
            return nil
        }
        return (
            refuted.event.at, .wasAway,
            "It was suspected and refuted that at \(ago(refuted.event.at)): slow or cut off for a "
                + "moment. Was it paused, or the network full?"
        )
    }

    private func hole() -> Tale? {
        guard let ended = latest("datagramsBlocked") else { return nil }
        return (
            ended.event.at, .wasAway,
            "It answers by UDP again since \(ago(ended.event.at)); before that by TCP only"
        )
    }
}
