public import KafkaProtocol
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// One connection to one broker, with the versions that were agreed on it.
///
/// Any task may send; requests are answered in order and any number may be outstanding.
public final class BrokerConnection: Sendable {
    public let address: BrokerAddress
    private let channel: any Channel
    private let clientID: String
    private let ceilings: [APIKey: Int16]
    private let correlation = Atomic<Int32>(0)
    private let ranges = Mutex<[Int16: ClosedRange<Int16>]>([:])

    private init(
        address: BrokerAddress, channel: any Channel, clientID: String, ceilings: [APIKey: Int16]
    ) {
        self.address = address
        self.channel = channel
        self.clientID = clientID
        self.ceilings = ceilings
    }

    /// Connects and agrees on versions.
    public static func open(
        _ address: BrokerAddress, clientID: String, timeoutMilliseconds: Int64,
        versionCeilings: [APIKey: Int16] = [:]
    ) async throws(ClientError) -> BrokerConnection {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.milliseconds(timeoutMilliseconds))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4096, initial: 65_536, maximum: 1_048_576)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ResponseCorrelator())
                }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.connect(host: address.host, port: address.port).get()
        } catch {
            throw .unreachable(address, reason: ConnectFailure.words(error, timeoutMilliseconds))
        }
        let connection = BrokerConnection(
            address: address, channel: channel, clientID: clientID, ceilings: versionCeilings)
        try await connection.negotiate(timeoutMilliseconds: timeoutMilliseconds)
        return connection
    }

    public var isOpen: Bool { channel.isActive }

    public func close() async {
        try? await channel.close()
    }

    /// The highest version that both sides speak.
    public func version(of api: APIKey) throws(ClientError) -> Int16 {
        guard let theirs = ranges.withLock({ $0[api.rawValue] }) else {
            throw .unsupported(address, api)
        }
        let highest = min(Self.newest(of: api), theirs.upperBound, ceilings[api] ?? .max)
        let lowest = max(api.firstServedVersion, theirs.lowerBound)
        guard lowest <= highest else { throw .unsupported(address, api) }
        return highest
    }

    /// This client names topics; later versions of these two know them by id alone.
    private static func newest(of api: APIKey) -> Int16 {
        switch api {
        case .produce, .fetch: 12
        default: api.versions.upperBound
        }
    }

    /// Every key that the broker advertises, with its versions, also those that this client has no
    /// message for.
    public var advertised: [Int16: ClosedRange<Int16>] { ranges.withLock { $0 } }

    /// Sends a request and waits for its answer.
    public func send<Request: KafkaRequest>(
        _ request: Request, timeoutMilliseconds: Int64
    ) async throws(ClientError) -> Request.Response {
        let version = try version(of: Request.apiKey)
        return try await send(request, version: version, timeoutMilliseconds: timeoutMilliseconds)
    }

    /// Sends a request in a given version and waits for its answer.
    public func send<Request: KafkaRequest>(
        _ request: Request, version: Int16, timeoutMilliseconds: Int64
    ) async throws(ClientError) -> Request.Response {
        let body = try await exchange(
            request, version: version, timeoutMilliseconds: timeoutMilliseconds, isAnswered: true)
        do {
            return try Self.decode(body, version: version)
        } catch {
            throw .malformed(address, "\(Request.apiKey.name) version \(version): \(error)")
        }
    }

    /// Decodes an answer and lets bytes behind it pass: some brokers of the field append a few.
    private static func decode<Response: KafkaResponse>(
        _ body: ByteBuffer, version: Int16
    ) throws(WireError) -> Response {
        do throws(WireError) {
            return try Response.decode(body, version: version)
        } catch {
            guard case .trailingBytes(let count) = error,
                let whole = body.getSlice(
                    at: body.readerIndex, length: body.readableBytes - count)
            else { throw error }
            return try Response.decode(whole, version: version)
        }
    }

    /// Sends a request that is never answered: Produce with acks=0.
    public func sendUnanswered(_ request: ProduceRequest) async throws(ClientError) {
        _ = try await exchange(
            request, version: try version(of: .produce), timeoutMilliseconds: 0, isAnswered: false)
    }

    /// Writes the frame and returns the body of the answer.
    private func exchange<Request: KafkaRequest>(
        _ request: Request, version: Int16, timeoutMilliseconds: Int64, isAnswered: Bool
    ) async throws(ClientError) -> ByteBuffer {
        let id = correlation.wrappingAdd(1, ordering: .relaxed).newValue & Int32.max
        var frame = channel.allocator.buffer(capacity: 256)
        do {
            try request.encodeFrame(
                correlationID: id, clientID: clientID, version: version, into: &frame)
        } catch {
            throw .malformed(address, "\(Request.apiKey.name) cannot be encoded: \(error)")
        }
        let promise = channel.eventLoop.makePromise(of: ByteBuffer.self)
        let outbound = OutboundRequest(
            frame: frame, correlationID: id, timeout: .milliseconds(timeoutMilliseconds),
            isAnswered: isAnswered, promise: promise)
        channel.writeAndFlush(outbound).whenFailure { promise.fail($0) }
        do {
            var answer = try await promise.futureResult.get()
            if isAnswered {
                _ = try ResponseHeader.decode(&answer, for: Request.apiKey, version: version)
            }
            return answer
        } catch {
            throw translate(error, Request.apiKey, timeoutMilliseconds)
        }
    }

    private func translate(
        _ error: any Error, _ api: APIKey, _ timeoutMilliseconds: Int64
    ) -> ClientError {
        switch error {
        case ResponseCorrelator.Failure.timedOut:
            .timedOut(address, api, milliseconds: timeoutMilliseconds)
        case ResponseCorrelator.Failure.correlation:
            .malformed(address, "an answer to no question")
        case ResponseCorrelator.Failure.length(let length):
            .malformed(address, "an answer of \(length) bytes")
        case let error as WireError:
            .malformed(address, "\(error)")
        default:
            .closed(address)
        }
    }

    /// Asks for the versions with the newest form and, if that is refused, with the best one that
    /// the refusal names (KIP-511: a refusal has the body of version 0).
    private func negotiate(timeoutMilliseconds: Int64) async throws(ClientError) {
        var version = APIKey.apiVersions.versions.upperBound
        let request = ApiVersionsRequest(
            clientSoftwareName: "gossamer", clientSoftwareVersion: "0.1.0")
        for _ in 0..<2 {
            let body = try await exchange(
                request, version: version, timeoutMilliseconds: timeoutMilliseconds,
                isAnswered: true)
            let code = body.getInteger(at: body.readerIndex, as: Int16.self)
            if code == ErrorCode.unsupportedVersion.rawValue {
                // A refusal that cannot be read leads to version 0, which everybody speaks.
                let refusal = try? ApiVersionsResponse.decode(body, version: 0)
                let own = refusal?.apiKeys.first { $0.apiKey == APIKey.apiVersions.rawValue }
                version = min(version - 1, max(0, own?.maxVersion ?? 0))
                continue
            }
            let response: ApiVersionsResponse
            do {
                response = try ApiVersionsResponse.decode(body, version: version)
            } catch {
                throw .malformed(address, "ApiVersions version \(version): \(error)")
            }
            guard response.errorCode == .none else {
                throw .refused(response.errorCode, subject: "ApiVersions", message: nil)
            }
            adopt(response)
            return
        }
        throw .unsupported(address, .apiVersions)
    }

    private func adopt(_ response: ApiVersionsResponse) {
        var table: [Int16: ClosedRange<Int16>] = [:]
        for range in response.apiKeys where range.minVersion <= range.maxVersion {
            table[range.apiKey] = range.minVersion...range.maxVersion
        }
        ranges.withLock { $0 = table }
    }
}
