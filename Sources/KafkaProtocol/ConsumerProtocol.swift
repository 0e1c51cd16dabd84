public import NIOCore

/// What consumers put into the opaque bytes of JoinGroup and SyncGroup.
///
/// The coordinator never reads them; the consumer of the command line does, and so does
/// `group describe`. Always the legacy encoding, whatever the version of the request around it:
///
///     [version int16][fields up to that version]
public enum ConsumerProtocol {
    /// The protocol type of groups whose members are consumers.
    public static let protocolType = "consumer"
    /// The newest version that this implementation writes.
    public static let versionMax: Int16 = 3

    /// What a member wants to read, and what it holds.
    public struct Subscription: Sendable, Hashable {
        public var topics: [String] = []
        public var userData: ByteBuffer?
        /// What the member still owns (version 1, for cooperative assignors, KIP-429).
        public var ownedPartitions: [TopicPartitions] = []
        /// The generation in which it owned that (version 2, KIP-792); -1 for none.
        public var generationID: Int32 = -1
        /// Where the member runs (version 3, KIP-881).
        public var rackID: String?

        public init() {}

        public init(
            topics: [String] = [], userData: ByteBuffer? = nil,
            ownedPartitions: [TopicPartitions] = [], generationID: Int32 = -1,
            rackID: String? = nil
        ) {
            self.topics = topics
            self.userData = userData
            self.ownedPartitions = ownedPartitions
            self.generationID = generationID
            self.rackID = rackID
        }

        /// Reads a subscription; of a version that is too new, the part that is known.
        public static func decode(_ bytes: ByteBuffer) throws(WireError) -> Subscription {
            try decodeVersioned(bytes)
        }

        public func encode(version: Int16 = versionMax) throws(WireError) -> ByteBuffer {
            try encodeVersioned(self, version: version)
        }
    }

    /// What a member shall read.
    public struct Assignment: Sendable, Hashable {
        public var partitions: [TopicPartitions] = []
        public var userData: ByteBuffer?

        public init() {}

        public init(partitions: [TopicPartitions] = [], userData: ByteBuffer? = nil) {
            self.partitions = partitions
            self.userData = userData
        }

        /// Reads an assignment; of a version that is too new, the part that is known.
        public static func decode(_ bytes: ByteBuffer) throws(WireError) -> Assignment {
            try decodeVersioned(bytes)
        }

        public func encode(version: Int16 = versionMax) throws(WireError) -> ByteBuffer {
            try encodeVersioned(self, version: version)
        }
    }

    /// Some partitions of one topic.
    public struct TopicPartitions: Sendable, Hashable {
        public var name: String = ""
        public var partitionIndexes: [Int32] = []

        public init() {}

        public init(name: String, partitionIndexes: [Int32] = []) {
            self.name = name
            self.partitionIndexes = partitionIndexes
        }
    }
}

extension ConsumerProtocol.Subscription: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
        try wire.visit(&userData)
        try wire.visit(&ownedPartitions, since: 1)
        try wire.visit(&generationID, since: 2)
        try wire.visit(&rackID, since: 3)
    }
}

extension ConsumerProtocol.Assignment: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&partitions)
        try wire.visit(&userData)
    }
}

extension ConsumerProtocol.TopicPartitions: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitionIndexes)
    }
}

@inline(__always)
private func decodeVersioned<T: WireStruct>(_ bytes: ByteBuffer) throws(WireError) -> T {
    var body = bytes
    guard let version = body.readInteger(as: Int16.self) else { throw .truncated }
    guard version >= 0 else { throw .unsupportedVersion(apiKey: -1, version: version) }
    let known = min(version, ConsumerProtocol.versionMax)
    return try decodeMessage(
        body, version: known, flexible: false, allowTrailingBytes: version > known)
}

@inline(__always)
private func encodeVersioned<T: WireStruct>(
    _ value: T, version: Int16
) throws(WireError) -> ByteBuffer {
    guard (0...ConsumerProtocol.versionMax).contains(version) else {
        throw .unsupportedVersion(apiKey: -1, version: version)
    }
    var out = ByteBuffer(integer: version)
    try encodeMessage(value, version: version, flexible: false, into: &out)
    return out
}
