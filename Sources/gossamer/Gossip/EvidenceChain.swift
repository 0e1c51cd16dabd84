import Broker

/// What brokers saw of one member, a line for each thing that a person would tell: a probe with all
/// that was tried after it is one.
struct EvidenceChain {
    /// A probe that was not answered in time, and what came of it.
    private struct Probe {
        let seen: SeenEvent
        var helpers: [Int32] = []
        var answers: [Int32: Bool] = [:]
        var link: String?
        var hasFailed = false

        func text() -> String {
            var text = seen.event.text
            if text.hasSuffix(" (health 0)") { text.removeLast(11) }
            let said = helpers.map { helper in
                switch answers[helper] {
                case true?: "\(helper): reached it"
                case false?: "\(helper): no answer"
                case nil: hasFailed ? "\(helper): silent itself" : "\(helper)"
                }
            }
            if !said.isEmpty { text += "; asked \(said.joined(separator: ", "))" }
            if let link { text += "; by TCP: \(link)" }
            return text
        }
    }

    private enum Entry {
        case probe(Probe)
        /// What a broker saw, and what it saw last of the same kind without anything in between.
        case event(SeenEvent, again: Int, until: Int64)
    }

    /// What follows a probe comes within its period; a sick broker takes eight times as long.
    private static let probeMilliseconds: Int64 = 3_000
    /// What every pair of brokers does all the time says nothing about one of them.
    private static let routine: Set<String> = ["digestsDiffered", "healthChanged"]

    private var entries: [Entry] = []

    init(_ events: [SeenEvent]) {
        /// Where the last probe of each observer stands.
        var open: [Int32: Int] = [:]
        /// Where the last line of each observer stands.
        var latest: [Int32: Int] = [:]
        for seen in events where !Self.routine.contains(seen.event.kind) {
            if seen.event.kind == "probeUnanswered" {
                open[seen.observer] = entries.count
                latest[seen.observer] = entries.count
                entries.append(.probe(Probe(seen: seen)))
                continue
            }
            if let place = open[seen.observer], case .probe(var probe) = entries[place],
                seen.event.at - probe.seen.event.at <= Self.probeMilliseconds,
                Self.add(seen.event, to: &probe)
            {
                entries[place] = .probe(probe)
            } else if let place = latest[seen.observer],
                case .event(let first, let again, _) = entries[place],
                first.event.text == seen.event.text
            {
                entries[place] = .event(first, again: again + 1, until: seen.event.at)
            } else {
                latest[seen.observer] = entries.count
                entries.append(.event(seen, again: 0, until: seen.event.at))
            }
        }
    }

    /// Whether the event belongs to the probe.
    private static func add(_ event: EventReport, to probe: inout Probe) -> Bool {
        switch event.kind {
        case "helpersAsked": probe.helpers = event.others ?? []
        case "helperAnswered":
            guard let helper = event.by else { return false }
            if !probe.helpers.contains(helper) { probe.helpers.append(helper) }
            probe.answers[helper] = event.reason == "reached"
        case "linkProbed": probe.link = "no answer"
        case "linkAnswered": probe.link = "reached it"
        case "linkFailed":
            // The transport's word comes first and says more.
            if probe.link == nil || probe.link == "no answer" {
                probe.link = event.reason ?? "no link"
            }
        case "probeFailed": probe.hasFailed = true
        default: return false
        }
        return true
    }

    var count: Int { entries.count }

    func lines(now: Int64) -> [String] {
        entries.map { entry in
            switch entry {
            case .event(let seen, let again, let until):
                seen.line(now: now)
                    + (again == 0
                        ? ""
                        : ", and \(Counted.text(again, "time")) more until "
                            + Durations.moment(until, now: now))
            case .probe(let probe):
                "\(Durations.moment(probe.seen.event.at, now: now))  \(probe.seen.observer)  "
                    + probe.text()
            }
        }
    }
}
