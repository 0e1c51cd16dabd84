import Model

/// What goes wrong without cutting anything off: disorder and slowness of the network, and loops
/// that stall.
extension MeshWorld {
    /// One way: up to far more than anybody waits for an answer, and as little as a bad route adds.
    private static let slowMicroseconds: [ClosedRange<Int64>] = [
        5_000...50_000, 50_000...400_000, 400_000...3_000_000,
    ]

    func disturb(network fault: MeshFault) {
        switch fault.kind {
        case .reordering: network.faults.datagramReordering = 0.3
        case .slowLink:
            let step = Int(draw(1...Int64(sites.count - 1)))
            let pair = MeshPair(fault.victim, (fault.victim + step) % sites.count)
            let range = Self.slowMicroseconds[Int(draw(0...2))]
            slowLinks.append((fault, pair, draw(range)))
            slowPairs()
        default: preconditionFailure("\(fault.kind.rawValue) is no fault of the network")
        }
    }

    func settle(network fault: MeshFault) {
        switch fault.kind {
        case .reordering:
            network.faults.datagramReordering = options.network.datagramReordering
        case .slowLink:
            for link in slowLinks where link.fault == fault {
                network.slow(from: link.pair.low, to: link.pair.high, byMicroseconds: 0)
                network.slow(from: link.pair.high, to: link.pair.low, byMicroseconds: 0)
            }
            slowLinks.removeAll { $0.fault == fault }
            slowPairs()
        default: preconditionFailure("\(fault.kind.rawValue) is no fault of the network")
        }
    }

    // MARK: Loops

    /// Which loop of a process an event is for, where it is for one alone.
    private static func loop(of event: Event) -> Int? {
        switch event {
        case .post(_, _, let loop, _), .job(_, _, let loop, _), .slotRead(_, _, let loop, _, _):
            loop
        case .timer(_, _, let slot, _) where slot >= BrokerLife.Timer.shard.rawValue:
            slot - BrokerLife.Timer.shard.rawValue
        default: nil
        }
    }

    /// Whether an event has to wait for its loop. Its disk jobs wait with it: nobody would hear of
    /// them.
    func waitsForLoop(_ event: Event, of site: BrokerSite) -> Bool {
        guard let stalled = site.stalledLoop, Self.loop(of: event) == stalled else { return false }
        site.loopBacklog.append(event)
        return true
    }

    func resumeLoop(of site: BrokerSite) {
        site.stalledLoop = nil
        let backlog = site.loopBacklog
        site.loopBacklog = []
        for event in backlog { timeline.schedule(event, at: now) }
    }

    /// The last that was begun counts where one pair has several.
    private func slowPairs() {
        for link in slowLinks {
            network.slow(
                from: link.pair.low, to: link.pair.high, byMicroseconds: link.microseconds)
            network.slow(
                from: link.pair.high, to: link.pair.low, byMicroseconds: link.microseconds)
        }
    }

    func countWhatWasReached() {
        for site in sites { countDamage(of: site) }
        counts.reached["datagrams overtaking"] = network.overtaking
        counts.reached["sent slowly"] = network.slowed
    }
}
