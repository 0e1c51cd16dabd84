public import KafkaProtocol

/// A small Kafka client: connections to the brokers of one cluster, the way to each leader and
/// coordinator, and bounded retries.
///
/// Made for command lines, tests and benchmarks: correct against any Kafka broker, and not a match
/// for a full client's throughput. An actor owns what is known of the cluster; connections are
/// shared and requests run outside of it.
public actor KafkaClient {
    /// Whom a request is meant for.
    public enum Target: Hashable, Sendable {
        /// Whoever answers.
        case any
        /// The broker that takes changes of topics.
        case controller
        case node(Int32)
        case leader(topic: String, partition: Int32)
        case coordinator(group: String)
    }

    /// Requests that wait long get a connection of their own, so that nothing queues behind them.
    public enum Lane: Hashable, Sendable {
        case ordinary
        case fetch
        case membership
    }

    private struct PoolKey: Hashable {
        var address: BrokerAddress
        var lane: Lane
    }

    /// The name and number of a partition.
    struct PartitionName: Hashable {
        var topic: String
        var partition: Int32
    }

    public nonisolated let configuration: ClientConfiguration
    private var connections: [PoolKey: BrokerConnection] = [:]
    private var brokers: [Int32: BrokerAddress] = [:]
    private var controllerID: Int32 = -1
    private var leaders: [PartitionName: Int32] = [:]
    private var coordinators: [String: BrokerAddress] = [:]

    public init(_ configuration: ClientConfiguration) { self.configuration = configuration }

    /// Closes every connection; the client opens new ones if it is used again.
    public func close() async {
        let open = Array(connections.values)
        connections.removeAll()
        for connection in open { await connection.close() }
    }

    // MARK: Requests

    /// Sends once and waits; errors inside the answer are the caller's to read.
    public func send<Request: KafkaRequest>(
        _ request: Request, to target: Target = .any, lane: Lane = .ordinary,
        timeoutMilliseconds: Int64? = nil
    ) async throws(ClientError) -> Request.Response {
        let connection = try await connection(to: target, lane: lane)
        return try await connection.send(
            request,
            timeoutMilliseconds: timeoutMilliseconds ?? configuration.requestTimeoutMilliseconds)
    }

    /// Sends until `check` is content with the answer, at most `attempts` times.
    ///
    /// `check` throws what it finds in the answer; if that is retriable, what was known of the
    /// target is forgotten and looked up anew before the next attempt.
    public func send<Request: KafkaRequest>(
        _ request: Request, to target: Target = .any, lane: Lane = .ordinary,
        timeoutMilliseconds: Int64? = nil,
        retryingUnless check: @Sendable (Request.Response) throws(ClientError) -> Void
    ) async throws(ClientError) -> Request.Response {
        var pause = configuration.backoffMilliseconds
        var attempt = 1
        while true {
            do {
                let response = try await send(
                    request, to: target, lane: lane, timeoutMilliseconds: timeoutMilliseconds)
                try check(response)
                return response
            } catch {
                guard error.isRetriable, attempt < configuration.attempts else { throw error }
                if case .unreachable = error, brokers.isEmpty { throw error }
                forget(target)
                attempt += 1
                do {
                    try await Task.sleep(for: .milliseconds(pause))
                } catch {
                    throw .closed(configuration.bootstrap[0])
                }
                pause = min(pause * 2, 2_000)
            }
        }
    }

    // MARK: Connections

    /// An open connection to the target.
    public func connection(
        to target: Target, lane: Lane = .ordinary
    ) async throws(ClientError) -> BrokerConnection {
        switch target {
        case .any:
            return try await anyConnection(lane: lane)
        case .controller:
            if controllerID < 0 { _ = try await metadata(topics: []) }
            guard let address = brokers[controllerID] else {
                return try await anyConnection(lane: lane)
            }
            return try await open(address, lane: lane)
        case .node(let id):
            if brokers[id] == nil { _ = try await metadata(topics: []) }
            guard let address = brokers[id] else {
                throw .refused(.brokerNotAvailable, subject: "broker \(id)", message: nil)
            }
            return try await open(address, lane: lane)
        case .leader(let topic, let partition):
            return try await open(leader(topic: topic, partition: partition), lane: lane)
        case .coordinator(let group):
            return try await open(coordinator(of: group), lane: lane)
        }
    }

    private func anyConnection(lane: Lane) async throws(ClientError) -> BrokerConnection {
        for (key, connection) in connections where key.lane == lane && connection.isOpen {
            return connection
        }
        var failure: ClientError?
        let known = brokers.values.filter { !configuration.bootstrap.contains($0) }
        for address in configuration.bootstrap + known {
            do {
                return try await open(address, lane: lane)
            } catch {
                failure = failure ?? error
            }
        }
        throw failure ?? .closed(configuration.bootstrap[0])
    }

    private func open(
        _ address: BrokerAddress, lane: Lane
    ) async throws(ClientError) -> BrokerConnection {
        let key = PoolKey(address: address, lane: lane)
        if let connection = connections[key], connection.isOpen { return connection }
        let connection = try await BrokerConnection.open(
            address, clientID: configuration.clientID,
            timeoutMilliseconds: configuration.connectTimeoutMilliseconds,
            versionCeilings: configuration.versionCeilings)
        // Another task may have opened one meanwhile: keep the first, so that the pool owns all.
        if let other = connections[key], other.isOpen {
            await connection.close()
            return other
        }
        connections[key] = connection
        return connection
    }

    // MARK: What is known of the cluster

    /// Asks for metadata and remembers brokers and leaders; nil asks for all topics.
    @discardableResult
    public func metadata(
        topics: [String]?, allowsCreation: Bool = false
    ) async throws(ClientError) -> MetadataResponse {
        let connection = try await anyConnection(lane: .ordinary)
        var names = topics?.map { MetadataRequest.Topic(name: $0) }
        if try connection.version(of: .metadata) == 0, topics == nil { names = [] }
        let response = try await connection.send(
            MetadataRequest(topics: names, allowAutoTopicCreation: allowsCreation),
            timeoutMilliseconds: configuration.requestTimeoutMilliseconds)
        guard response.errorCode == .none else {
            throw .refused(response.errorCode, subject: "metadata", message: nil)
        }
        learn(response)
        return response
    }

    private func learn(_ response: MetadataResponse) {
        brokers.removeAll()
        for broker in response.brokers {
            brokers[broker.nodeID] = BrokerAddress(host: broker.host, port: Int(broker.port))
        }
        controllerID = response.controllerID
        for topic in response.topics {
            guard let name = topic.name else { continue }
            for partition in topic.partitions {
                let key = PartitionName(topic: name, partition: partition.index)
                leaders[key] = partition.leaderID >= 0 ? partition.leaderID : nil
            }
        }
    }

    /// The node that leads a partition, from what is known or from the brokers.
    public func leaderID(topic: String, partition: Int32) async throws(ClientError) -> Int32 {
        let key = PartitionName(topic: topic, partition: partition)
        if let known = leaders[key], brokers[known] != nil { return known }
        let response = try await metadata(topics: [topic])
        let found = response.topics.first { $0.name == topic }
        if let code = found?.errorCode, code != .none {
            throw .refused(code, subject: "topic \(topic)", message: nil)
        }
        guard let row = found?.partitions.first(where: { $0.index == partition }) else {
            throw .refused(
                .unknownTopicOrPartition, subject: "partition \(topic)/\(partition)",
                message: "There is no such partition.")
        }
        guard row.leaderID >= 0 else {
            throw .refused(
                .leaderNotAvailable, subject: "partition \(topic)/\(partition)", message: nil)
        }
        return row.leaderID
    }

    private func leader(
        topic: String, partition: Int32
    ) async throws(ClientError) -> BrokerAddress {
        let id = try await leaderID(topic: topic, partition: partition)
        guard let address = brokers[id] else {
            throw .refused(
                .leaderNotAvailable, subject: "partition \(topic)/\(partition)", message: nil)
        }
        return address
    }

    /// Drops what a retriable error has made doubtful.
    public func forget(_ target: Target) {
        switch target {
        case .leader(let topic, let partition):
            leaders[PartitionName(topic: topic, partition: partition)] = nil
        case .coordinator(let group):
            coordinators[group] = nil
        case .controller:
            controllerID = -1
        case .any, .node: break
        }
    }

    private func coordinator(of group: String) async throws(ClientError) -> BrokerAddress {
        if let known = coordinators[group] { return known }
        let address = try await findCoordinator(group)
        coordinators[group] = address
        return address
    }

    /// Asks who coordinates a group, in the single or the batched form (KIP-699).
    private func findCoordinator(_ group: String) async throws(ClientError) -> BrokerAddress {
        let connection = try await anyConnection(lane: .ordinary)
        let version = try connection.version(of: .findCoordinator)
        let request = FindCoordinatorRequest(key: group, keyType: 0, keys: [group])
        let response = try await connection.send(
            version >= 4
                ? FindCoordinatorRequest(keyType: 0, keys: [group])
                : FindCoordinatorRequest(key: request.key, keyType: 0),
            version: version, timeoutMilliseconds: configuration.requestTimeoutMilliseconds)
        let subject = "group \(group)"
        if version >= 4 {
            guard let answer = response.coordinators.first else {
                throw .malformed(connection.address, "FindCoordinator names no coordinator")
            }
            guard answer.errorCode == .none else {
                throw .refused(answer.errorCode, subject: subject, message: answer.errorMessage)
            }
            return BrokerAddress(host: answer.host, port: Int(answer.port))
        }
        guard response.errorCode == .none else {
            throw .refused(response.errorCode, subject: subject, message: response.errorMessage)
        }
        return BrokerAddress(host: response.host, port: Int(response.port))
    }
}
