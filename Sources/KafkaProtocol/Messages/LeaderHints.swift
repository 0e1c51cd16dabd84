/// Who leads a partition, told beside an error so that no Metadata request is needed (KIP-951).
public struct CurrentLeader: Sendable, Hashable {
    public var leaderID: Int32 = -1
    public var leaderEpoch: Int32 = -1

    public init() {}

    public init(leaderID: Int32 = -1, leaderEpoch: Int32 = -1) {
        self.leaderID = leaderID
        self.leaderEpoch = leaderEpoch
    }
}

extension CurrentLeader: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&leaderID)
        try wire.visit(&leaderEpoch)
    }
}

/// Where a leader named by `CurrentLeader` listens (KIP-951).
public struct NodeEndpoint: Sendable, Hashable {
    public var nodeID: Int32 = 0
    public var host: String = ""
    public var port: Int32 = 0
    public var rack: String? = nil

    public init() {}

    public init(nodeID: Int32 = 0, host: String = "", port: Int32 = 0, rack: String? = nil) {
        self.nodeID = nodeID
        self.host = host
        self.port = port
        self.rack = rack
    }
}

extension NodeEndpoint: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&nodeID)
        try wire.visit(&host)
        try wire.visit(&port)
        try wire.visit(&rack)
    }
}
