import Model

/// When things last happened on a link, and what is therefore due. Pure; owned by its link.
struct LinkTimes {
    /// What a look at the clock led to.
    enum Due: Equatable {
        case nothing
        /// The handshake took too long.
        case timedOut
        /// Nothing came for three pings.
        case silent
        /// No message for a while, and nobody wants the link to stay.
        case idle
        case ping
        /// The peer took too long over its goodbye.
        case abandoned
    }

    private let begun: Instant
    var flightSent: Instant
    var lastHeard: Instant
    var lastSent: Instant
    var lastMessage: Instant

    init(now: Instant) {
        begun = now
        flightSent = now
        lastHeard = now
        lastSent = now
        lastMessage = now
    }

    func due(_ phase: Link.Phase, mayIdle: Bool, idleMilliseconds: Int64, now: Instant) -> Due {
        switch phase {
        case .beginning:
            let age = now.milliseconds(since: begun)
            return age >= Limits.handshakeMilliseconds ? .timedOut : .nothing
        case .open:
            if now.milliseconds(since: lastHeard) >= Limits.silenceMilliseconds { return .silent }
            if mayIdle, now.milliseconds(since: lastMessage) >= idleMilliseconds { return .idle }
            let quiet = now.milliseconds(since: lastSent)
            return quiet >= Limits.pingMilliseconds ? .ping : .nothing
        case .leaving(let since):
            // Whoever still takes what is queued gets more time.
            let waited = now.milliseconds(since: max(since, lastSent))
            return waited >= Limits.goodbyeMilliseconds ? .abandoned : .nothing
        case .closed: return .nothing
        }
    }
}
