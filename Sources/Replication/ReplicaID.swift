public import Model

/// One copy of a partition as the register names it: a broker, which of its stores, and since when
/// that store has lost nothing.
///
/// A wiped disk comes back with another admission, an unclean start with another log epoch (the
/// boot epoch of the last unclean start): neither equals what is in the in-sync set, so such a
/// broker is out of every set without a single write (KIP-966's rule, computed instead of
/// written; reference, sections 7 and 11).
public struct ReplicaID: Hashable, Comparable, Sendable {
    public let node: NodeID
    public let admission: AdmissionNumber
    public let logEpoch: BootEpoch

    @inlinable public init(node: NodeID, admission: AdmissionNumber, logEpoch: BootEpoch) {
        self.node = node
        self.admission = admission
        self.logEpoch = logEpoch
    }

    @inlinable public static func < (left: ReplicaID, right: ReplicaID) -> Bool {
        if left.node != right.node { return left.node < right.node }
        if left.admission != right.admission { return left.admission < right.admission }
        return left.logEpoch < right.logEpoch
    }

    /// Whether this copy still holds all that `recorded` held when it was written down.
    func continues(_ recorded: ReplicaID, _ rules: ReplicationRules) -> Bool {
        node == recorded.node
            && (admission == recorded.admission || !rules.admissionChecked)
            && (logEpoch == recorded.logEpoch || !rules.logEpochChecked)
    }
}

/// The version of a partition's register: every change raises it, so that a change which is
/// guarded by it is made at most once (KIP-497).
public struct PartitionEpoch: Hashable, Comparable, Sendable {
    public let rawValue: Int32

    @inlinable public init(_ rawValue: Int32) { self.rawValue = rawValue }

    public static let initial = PartitionEpoch(0)

    @inlinable public static func < (left: PartitionEpoch, right: PartitionEpoch) -> Bool {
        left.rawValue < right.rawValue
    }
}
