/// How a broker looks after the copies of partitions that it leads.
public struct ReplicaConfiguration: Hashable, Sendable {
    /// Whether leaderships go back to the first replica of each placement by themselves; Kafka's
    /// `auto.leader.rebalance.enable`.
    public var balancesLeaders = true
    /// How long a broker has to be there before it is given leaderships back: one that comes and
    /// goes is spared them. Kafka looks every 300 s; a move costs clients some milliseconds here.
    public var balanceAfterMilliseconds: Int64 = 5_000
    /// How long a broker has to be dead before its copies are made elsewhere: a machine is
    /// repaired, or restarted for long, within this, as with `voters.replaceAfter`.
    public var rebuildAfterMilliseconds: Int64 = 600_000
    /// Bytes a second that a broker sends to copies which are not in sync: new ones, and those that
    /// come back. What is in sync is never slowed; a disk and a link of 1 Gbit/s have room beside.
    public var catchUpBytesPerSecond = 100 << 20

    /// Where new partitions go, and where copies that are gone are made anew.
    public var placement = PlacementPolicy.spread

    public init() {}
}
