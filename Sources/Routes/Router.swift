package import KafkaProtocol
import Model
package import NIOCore
import Node

extension RequestLoop {
    /// Decodes one request and begins to answer it.
    ///
    /// - Throws: where the bytes are not the request that they claim to be; the connection is
    ///   closed, because its stream can't be trusted any more.
    package func route(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        guard let api = exchange.header.supported else {
            try routeUnsupported(exchange)
            return
        }
        switch api {
        case .produce: try produce(exchange, body)
        case .fetch: try fetch(exchange, body)
        case .listOffsets: try listOffsets(exchange, body)
        case .metadata: try metadata(exchange, body)
        case .offsetCommit: try offsetCommit(exchange, body)
        case .offsetFetch: try offsetFetch(exchange, body)
        case .findCoordinator: try findCoordinator(exchange, body)
        case .joinGroup: try joinGroup(exchange, body)
        case .heartbeat: try heartbeat(exchange, body)
        case .leaveGroup: try leaveGroup(exchange, body)
        case .syncGroup: try syncGroup(exchange, body)
        case .describeGroups: try describeGroups(exchange, body)
        case .listGroups: try listGroups(exchange, body)
        case .apiVersions: try apiVersions(exchange, body)
        case .createTopics: try createTopics(exchange, body)
        case .deleteTopics: try deleteTopics(exchange, body)
        case .deleteRecords: try deleteRecords(exchange, body)
        case .initProducerID: try initProducerID(exchange, body)
        case .offsetForLeaderEpoch: try offsetForLeaderEpoch(exchange, body)
        case .describeConfigs: try describeConfigs(exchange, body)
        case .alterConfigs: try alterConfigs(exchange, body)
        case .describeLogDirs: try describeLogDirs(exchange, body)
        case .createPartitions: try createPartitions(exchange, body)
        case .deleteGroups: try deleteGroups(exchange, body)
        case .electLeaders: try electLeaders(exchange, body)
        case .alterPartitionReassignments: try alterReassignments(exchange, body)
        case .listPartitionReassignments: try listReassignments(exchange, body)
        case .incrementalAlterConfigs: try incrementalAlterConfigs(exchange, body)
        case .offsetDelete: try offsetDelete(exchange, body)
        case .describeCluster: try describeCluster(exchange, body)
        case .describeProducers: try describeProducers(exchange, body)
        case .describeTopicPartitions: try describeTopicPartitions(exchange, body)
        }
    }

    /// A client opens with the newest ApiVersions it knows: one that we don't know is answered in
    /// the oldest form, which every client reads, and the client asks again lower (KIP-511).
    private func routeUnsupported(_ exchange: Exchange) throws(WireError) {
        guard exchange.header.api == .apiVersions else {
            throw .unsupportedVersion(
                apiKey: exchange.header.apiKey, version: exchange.header.apiVersion)
        }
        let oldest = Exchange(
            connection: exchange.connection, number: exchange.number,
            header: RequestHeader(
                apiKey: exchange.header.apiKey, apiVersion: 0,
                correlationID: exchange.header.correlationID))
        oldest.respond(
            ApiVersionsResponse(errorCode: .unsupportedVersion, apiKeys: APIKey.advertised))
    }

    private func apiVersions(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        _ = try ApiVersionsRequest.decode(body, version: exchange.version)
        exchange.respond(ApiVersionsResponse(apiKeys: APIKey.advertised))
    }

    private func initProducerID(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try InitProducerIDRequest.decode(body, version: exchange.version)
        guard request.transactionalID == nil else {
            // Fatal for the client, at once and with a reason, instead of a retry for ever.
            exchange.respond(InitProducerIDResponse(errorCode: .invalidRequest))
            return
        }
        ask(.producerID) { (reply: ControlReply) in
            guard case .producerID(let given) = reply else { return }
            let response =
                given.map { InitProducerIDResponse(producerID: $0.rawValue, producerEpoch: 0) }
                ?? InitProducerIDResponse(errorCode: .coordinatorNotAvailable)
            exchange.respond(response)
        }
    }
}
