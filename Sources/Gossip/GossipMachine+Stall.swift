package import Model

/// What a member does of its own accord, each in memberlist a thread of its own.
struct Activities: OptionSet {
    let rawValue: UInt8

    static let probing = Activities(rawValue: 1)
    static let gossip = Activities(rawValue: 2)
    static let exchange = Activities(rawValue: 4)
    static let contacts = Activities(rawValue: 8)
}

/// Which activities are stuck in a send that does not return, and what they missed meanwhile.
struct Stall {
    var isOn = false
    var stuck: Activities = []
    /// In the order in which they were due.
    var missed: [TimerKind] = []
}

extension TimerKind {
    /// Nil for what sends nothing by itself, and for answers, which nothing else waits behind.
    fileprivate var activity: Activities? {
        switch self {
        case .probe, .probeTimeout: .probing
        case .gossip: .gossip
        case .antiEntropy, .wants, .feeds: .exchange
        case .seeds, .deadContact: .contacts
        case .relayNack, .relayEnd, .suspicion, .left, .farewell, .isolation: nil
        }
    }
}

/// A member whose sends are stuck: the anomaly of the Lifeguard paper, for simulations only.
///
/// In memberlist probing and gossip are threads that block in their first send; they neither begin
/// another probe nor take another rumour until it returns, while timers of suspicions go on. One
/// machine has no threads, so it is told. A broker's shell never stalls its machine: its sends do
/// not block, and a pause of the whole loop shows in late timers (`distrustsLateTimers`).
extension GossipMachine {
    package mutating func stallSends() { stall.isOn = true }

    /// The sends returned: what was missed is made up for at once, in order.
    package mutating func resumeSends(now: Instant, into effects: inout [Effect]) {
        self.now = max(now, self.now)
        swap(&effects, &out)
        let missed = stall.missed
        stall = Stall()
        let periodEnded = missed.contains(.probe)
        for timer in missed {
            if case .probeTimeout = timer, !periodEnded, let probe {
                // The time for an answer counts from when the ping was really sent.
                timers.set(timer, at: now.advanced(byMilliseconds: probe.timeoutMilliseconds))
            } else {
                perform(timer)
            }
        }
        flush()
        swap(&effects, &out)
    }

    mutating func fire(_ timer: TimerKind) {
        guard stall.isOn, let activity = timer.activity else {
            perform(timer)
            return
        }
        guard !stall.stuck.contains(activity) else {
            stall.missed.append(timer)
            return
        }
        let sent = counters.datagramsSent + counters.messagesSent
        perform(timer)
        if counters.datagramsSent + counters.messagesSent > sent { stall.stuck.insert(activity) }
    }
}
