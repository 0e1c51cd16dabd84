import Model

/// The clock of a simulated machine: what it shows at a moment of true time, and when it shows a
/// moment.
///
/// Runs on while the machine sleeps, as the boot-time clock of Linux does. It never goes back: a
/// rate that changes changes what is to come. The wall clock is the same one, set by somebody.
struct MachineClock {
    /// How far two clocks of the mesh may run apart is what leases allow for: one per cent
    /// (section 12 of the Paxos reference). Each may have a little less than half of it.
    static let driftMaximum: Int64 = 4_000

    /// What a wall clock may be behind or ahead of true time. Producers stamp records by their own
    /// clocks, and brokers refuse what is an hour ahead of theirs; producers' sequences are
    /// forgotten a day after the last record.
    static let wallSeconds: ClosedRange<Int64> = -3_000...36_000

    /// How much faster than true time it runs, in parts of a million.
    private(set) var drift: Int64 = 0
    /// How far the wall clock is from where it would be.
    var wallMilliseconds: Int64 = 0
    /// It showed that at that moment: machines are a second older than the mesh.
    private var shown: Int64 = 1_000_000_000
    private var since: Int64 = 0

    private static let million: Int64 = 1_000_000
    /// Beyond that nothing is exact: no run is as long, and products stay far from overflow.
    private static let exactNanoseconds: Int64 = 1_000_000_000_000_000

    func instant(at now: Instant) -> Instant {
        let passed = now.nanoseconds - since
        return Instant(nanoseconds: shown + passed + passed * drift / Self.million)
    }

    /// The first moment, or one right behind it, at which it shows at least `instant`.
    func time(when instant: Instant) -> Instant {
        let wanted = instant.nanoseconds - shown
        guard wanted > 0 else { return Instant(nanoseconds: since) }
        guard drift != 0, wanted < Self.exactNanoseconds else {
            return Instant(nanoseconds: since + wanted)
        }
        let rate = Self.million + drift
        var passed = wanted / rate * Self.million + wanted % rate * Self.million / rate
        while passed + passed * drift / Self.million < wanted { passed += 1 }
        return Instant(nanoseconds: since + passed)
    }

    mutating func run(fasterBy drift: Int64, from now: Instant) {
        shown = instant(at: now).nanoseconds
        since = now.nanoseconds
        self.drift = drift
    }
}

/// Clocks that are wrong, and machines that sleep.
extension MeshWorld {
    /// What a process on that machine reads.
    func clock(of site: BrokerSite) -> Now {
        let instant = site.clock.instant(at: now)
        let milliseconds = instant.nanoseconds / 1_000_000 - 1_000
        return Now(
            instant: instant,
            wall: Timestamp(
                milliseconds: 1_700_000_000_000 + milliseconds + site.clock.wallMilliseconds))
    }

    func disturb(clock fault: MeshFault) {
        let site = sites[fault.victim]
        switch fault.kind {
        case .clockDrift:
            let drift = draw(-MachineClock.driftMaximum...MachineClock.driftMaximum)
            site.clock.run(fasterBy: drift, from: now)
            note(UInt64(bitPattern: drift), "its clock runs \(drift) parts of a million fast")
        case .clockJump:
            site.clock.wallMilliseconds = 1_000 * draw(MachineClock.wallSeconds)
            note(
                UInt64(bitPattern: site.clock.wallMilliseconds),
                "its wall clock is \(site.clock.wallMilliseconds) ms ahead")
        case .suspend:
            site.isPaused = true
            site.sleep = (now, now.advanced(byMilliseconds: fault.milliseconds))
        default: preconditionFailure("\(fault.kind.rawValue) is no fault of a clock")
        }
    }

    /// What happens to a process that does not run waits. A timer counts no sleep: it has as long
    /// to go after the machine woke as it had when it fell asleep.
    func hold(_ event: Event, for site: BrokerSite) {
        if let sleep = site.sleep, case .timer = event {
            counts.reached["timers late by a sleep", default: 0] += 1
            let left = now.nanoseconds - sleep.since.nanoseconds
            timeline.schedule(event, at: Instant(nanoseconds: sleep.until.nanoseconds + left))
        } else {
            site.backlog.append(event)
        }
    }
}
