public import Model

/// The times and counts of the protocol.
///
/// `lan` is profile C of the reference's section 5: first detection 1.4 to 2.3 s at the median.
public struct GossipProfile: Hashable, Sendable {
    public var probeIntervalMilliseconds: Int64
    public var probeTimeoutMilliseconds: Int64
    public var indirectProbes: Int
    public var gossipIntervalMilliseconds: Int64
    public var gossipPeers: Int
    /// Suspicion lasts at least so many probe intervals, times max(1, log10 N).
    public var suspicionMultiplier: Double
    /// And at most so many times that, without confirmations.
    public var suspicionMaximumMultiplier: Double
    public var antiEntropyIntervalMilliseconds: Int64

    public init(
        probeIntervalMilliseconds: Int64, probeTimeoutMilliseconds: Int64,
        indirectProbes: Int = 3, gossipIntervalMilliseconds: Int64, gossipPeers: Int = 3,
        suspicionMultiplier: Double, suspicionMaximumMultiplier: Double,
        antiEntropyIntervalMilliseconds: Int64
    ) {
        self.probeIntervalMilliseconds = probeIntervalMilliseconds
        self.probeTimeoutMilliseconds = probeTimeoutMilliseconds
        self.indirectProbes = indirectProbes
        self.gossipIntervalMilliseconds = gossipIntervalMilliseconds
        self.gossipPeers = gossipPeers
        self.suspicionMultiplier = suspicionMultiplier
        self.suspicionMaximumMultiplier = suspicionMaximumMultiplier
        self.antiEntropyIntervalMilliseconds = antiEntropyIntervalMilliseconds
    }

    public static let lan = GossipProfile(
        probeIntervalMilliseconds: 300, probeTimeoutMilliseconds: 100,
        gossipIntervalMilliseconds: 100, suspicionMultiplier: 3, suspicionMaximumMultiplier: 4,
        antiEntropyIntervalMilliseconds: 5_000)
    /// memberlist's WAN column.
    public static let wan = GossipProfile(
        probeIntervalMilliseconds: 5_000, probeTimeoutMilliseconds: 3_000,
        gossipIntervalMilliseconds: 500, gossipPeers: 4, suspicionMultiplier: 6,
        suspicionMaximumMultiplier: 6, antiEntropyIntervalMilliseconds: 60_000)
    /// Profile D: one host or one rack with nothing else on it.
    public static let local = GossipProfile(
        probeIntervalMilliseconds: 200, probeTimeoutMilliseconds: 80,
        gossipIntervalMilliseconds: 50, suspicionMultiplier: 3, suspicionMaximumMultiplier: 4,
        antiEntropyIntervalMilliseconds: 2_000)

    /// How many independent confirmations shorten a suspicion to its minimum in a mesh of `members`
    /// (memberlist: multiplier less two, and none where there are not as many others).
    func confirmations(members: Int) -> Int {
        let wanted = Int(suspicionMultiplier) - 2
        return members - 2 < wanted ? 0 : max(0, wanted)
    }

    /// The shortest suspicion, in milliseconds.
    func suspicionMinimum(members: Int) -> Double {
        suspicionMultiplier * max(1, logarithm10(Double(max(1, members))))
            * Double(probeIntervalMilliseconds)
    }
}

/// The rules of the protocol, each of which a test switches off to show what it is for.
///
/// All are on in production; only this package can switch one off.
package struct GossipRules: Hashable, Sendable {
    /// Lifeguard IV.A: missed answers scale this member's own probe interval and timeout.
    package var healthScaling = true
    /// Lifeguard IV.A: helpers answer "no" in time, so that their silence speaks about this member.
    package var nacks = true
    /// Lifeguard IV.B: a suspicion begins long and is shortened by independent confirmations.
    package var dynamicSuspicion = true
    /// A confirmation is passed on a quarter as often as what it confirms.
    package var sparesConfirmations = true
    /// Lifeguard IV.C: the suspect hears of it first, in the ping to it.
    package var buddy = true
    package var indirectProbes = true
    /// A probe over TCP beside the indirect ones.
    package var linkFallback = true
    /// On a network that loses datagrams, the probe over TCP gets another period.
    package var lossPatience = true
    /// A member answers an accusation with a higher incarnation (SWIM 4.2).
    package var refutation = true
    /// A record about this member from nowhere, ahead of its own, is refuted too.
    package var refutesStaleAlive = true
    package var checksSignatures = true
    package var ignoresSelfAccusation = true
    package var countsAccusersOnce = true
    /// "Dead" from an exchange of states starts a suspicion, not a death.
    package var remoteDeadIsSuspect = true
    /// A record of an older boot is history.
    package var ordersBoots = true
    package var ordersByBallot = true
    package var confirmsUnknownKeys = true
    package var dropsOldTombstones = true
    package var alarmsSplitVersions = true
    /// Values too large for a datagram go as adverts.
    package var adverts = true
    package var classQuotas = true
    package var replacesRumours = true
    package var pushesFreshRumours = true
    /// Gossip peers are dealt out in rounds, not drawn anew at each tick.
    package var dealsGossipPeers = true
    /// More transmissions per rumour in meshes below a thousand.
    package var raisedTransmissions = true
    package var antiEntropy = true
    package var contactsDead = true
    package var contactsSeeds = true
    package var selfIsolation = true
    /// What a member suspected while it heard nobody begins anew when it hears somebody again.
    package var restartsSuspicions = true
    /// Another's word for a death is a suspicion where this member knew of none, or has heard from
    /// the dead since.
    package var doubtsDeaths = true
    package var capsSuspicions = true
    /// A timer that fires late tells of a pause of this member, and proves nothing about others.
    package var distrustsLateTimers = true

    package init() {}
}

/// What a machine is told about its mesh and its times.
public struct GossipConfiguration: Sendable {
    public var profile: GossipProfile
    /// Names are resolved again at every attempt, by the shell.
    public var seeds: [MeshAddress]
    package var rules = GossipRules()

    public init(profile: GossipProfile = .lan, seeds: [MeshAddress] = []) {
        self.profile = profile
        self.seeds = seeds
    }
}

/// log10 without a C library's libm, whose last digit may differ between hosts: a run then repeats
/// anywhere. Costs about forty operations; exact to 1e-12 for what it is used for.
func logarithm10(_ value: Double) -> Double { logarithm(value) / 2.302585092994046 }

/// The natural logarithm of a positive number.
func logarithm(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 0 }
    var exponent = Double(value.exponent)
    var mantissa = value.significand
    if mantissa > 1.4142135623730951 {
        mantissa /= 2
        exponent += 1
    }
    let ratio = (mantissa - 1) / (mantissa + 1)
    let square = ratio * ratio
    var term = ratio
    var sum = 0.0
    for index in stride(from: 1.0, through: 25, by: 2) {
        sum += term / index
        term *= square
    }
    return 2 * sum + exponent * 0.6931471805599453
}
