import Broker

/// What happened, and which broker saw it.
struct SeenEvent: Codable, Equatable, Sendable {
    var observer: Int32
    var event: EventReport

    /// One line: when, who saw it, what.
    func line(now: Int64) -> String {
        "\(Durations.moment(event.at, now: now))  \(observer)  \(event.text)"
    }
}

/// The events of several brokers in one order.
struct EventMerge {
    /// By time, and by number where one broker saw several at once.
    private(set) var events: [SeenEvent]
    /// How far each broker's clock is ahead of the first one's, in milliseconds; those that are
    /// more than the answers' own delay can explain.
    private(set) var skews: [Int32: Int64] = [:]

    /// An answer may be this late: what brokers wait for each other, and some more.
    private static let skewMinimum: Int64 = 2_500

    /// Times are moved to the clock of the broker whose answer is `reference`, or the first.
    init(_ answers: [InspectionAnswer], reference: Int32? = nil) {
        let base = answers.first { $0.nodeId == reference } ?? answers.first
        events = []
        for answer in answers {
            var skew = answer.at - (base?.at ?? answer.at)
            if abs(skew) < Self.skewMinimum { skew = 0 } else { skews[answer.nodeId] = skew }
            for event in answer.events ?? [] {
                var moved = event
                moved.at -= skew
                events.append(SeenEvent(observer: answer.nodeId, event: moved))
            }
        }
        events.sort {
            ($0.event.at, $0.observer, $0.event.number) < (
                $1.event.at, $1.observer, $1.event.number
            )
        }
    }

    /// A line for each broker whose clock is off; the times are corrected by it.
    var remarks: [String] {
        skews.sorted { $0.key < $1.key }.map { node, skew in
            "the clock of \(node) is \(Durations.milliseconds(abs(skew))) "
                + "\(skew > 0 ? "ahead" : "behind"): its times are corrected by that"
        }
    }
}
