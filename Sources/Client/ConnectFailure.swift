internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Puts the failure of a connection attempt into the words that an operator looks for.
enum ConnectFailure {
    static func words(_ error: any Error, _ timeoutMilliseconds: Int64) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let attempt = error.connectionErrors.first {
                return words(attempt.error, timeoutMilliseconds)
            }
            return "unknown host"
        case let error as IOError:
            return words(errno: error.errnoCode)
        case ChannelError.connectTimeout:
            return "no answer within \(timeoutMilliseconds) ms"
        case is SocketAddressError:
            return "unknown host"
        default:
            return "\(error)"
        }
    }

    private static func words(errno code: CInt) -> String {
        switch code {
        case ECONNREFUSED: "connection refused"
        case ETIMEDOUT: "connection timed out"
        case EHOSTUNREACH: "no route to the host"
        case ENETUNREACH: "network unreachable"
        case ECONNRESET: "connection reset"
        case EACCES, EPERM: "not permitted"
        default: unsafe String(cString: strerror(code))
        }
    }
}
