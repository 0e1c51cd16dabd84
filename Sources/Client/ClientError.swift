public import KafkaProtocol

/// Where a broker can be reached.
public struct BrokerAddress: Hashable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Why a request has no answer, or an answer that says no.
///
/// After `closed`, `timedOut` and `malformed` the connection is gone and the next request opens
/// another; whether the broker acted on the request is unknown. After `refused` it did not.
public enum ClientError: Error, Hashable, Sendable {
    /// No connection to the address; the reason is in the words of the system.
    case unreachable(BrokerAddress, reason: String)
    /// The peer closed the connection with the request unanswered.
    case closed(BrokerAddress)
    /// No answer within the time given.
    case timedOut(BrokerAddress, APIKey, milliseconds: Int64)
    /// The answer, or the request, does not follow the protocol.
    case malformed(BrokerAddress, String)
    /// The broker offers no version of the request that this client speaks.
    case unsupported(BrokerAddress, APIKey)
    /// The broker answered with an error; `subject` says about what.
    case refused(ErrorCode, subject: String, message: String?)
    /// The records of a partition cannot be read.
    case unreadableRecords(String)

    /// Whether trying again, perhaps elsewhere, can help.
    public var isRetriable: Bool {
        switch self {
        case .closed, .timedOut, .unreachable: true
        case .refused(let code, _, _): code.isRetriable
        case .malformed, .unsupported, .unreadableRecords: false
        }
    }
}

extension ClientError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let address, let reason):
            "no broker answered at \(address) (\(reason))"
        case .closed(let address):
            "\(address) closed the connection"
        case .timedOut(let address, let api, let milliseconds):
            "\(address) did not answer \(api.name) within \(milliseconds) ms"
        case .malformed(let address, let reason):
            "\(address) does not speak the Kafka protocol as expected: \(reason)"
        case .unsupported(let address, let api):
            "\(address) offers no version of \(api.name) that this client speaks"
        case .refused(let code, let subject, let message):
            if let message, !message.isEmpty {
                "\(subject): \(message) (\(code.name))"
            } else {
                "\(subject): \(code.message) (\(code.name))"
            }
        case .unreadableRecords(let reason):
            "records cannot be read: \(reason)"
        }
    }
}
