public import KafkaProtocol

/// How a client behaves towards the brokers.
public struct ClientConfiguration: Sendable, Hashable {
    /// Brokers to ask first; any one that answers is enough.
    public var bootstrap: [BrokerAddress]
    /// What brokers see in their logs and lists.
    public var clientID: String
    /// How long one answer may take.
    public var requestTimeoutMilliseconds: Int64 = 30_000
    /// How long a connection may take to open and agree on versions.
    public var connectTimeoutMilliseconds: Int64 = 10_000
    /// How often a retriable error is met before it is passed on.
    public var attempts = 6
    /// The first pause between attempts; doubles each time.
    public var backoffMilliseconds: Int64 = 50

    /// Highest version to use of single requests: how tests reach the older ones.
    public var versionCeilings: [APIKey: Int16] = [:]

    public init(bootstrap: [BrokerAddress], clientID: String = "gossamer") {
        precondition(!bootstrap.isEmpty, "a client needs at least one address to begin with")
        self.bootstrap = bootstrap
        self.clientID = clientID
    }
}
