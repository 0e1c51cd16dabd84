import Model
public import NIOCore
import NIOPosix
import Node
import Sodium
import Transport

/// Questions to brokers on other machines, over links that both ends prove the admission secret on.
public enum OperatorLink {
    /// Why there is no answer; says what to do.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    private static let patienceSeconds: Int64 = 10

    /// Returns what the broker answered.
    public static func ask(
        _ question: ByteBuffer, at address: HostPort, secretFile: String
    ) async throws(Failure) -> ByteBuffer {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let outcome = loop.makePromise(of: ByteBuffer.self)
        loop.execute {
            OperatorDialogue(question: question, outcome: outcome)
                .begin(address, secretFile, on: loop)
        }
        let deadline = loop.scheduleTask(in: .seconds(patienceSeconds)) {
            outcome.fail(Failure(description: "\(address): no answer in \(patienceSeconds) s"))
        }
        defer { deadline.cancel() }
        do {
            return try await outcome.futureResult.get()
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(description: "\(address): \(error)")
        }
    }
}

/// One question and its answer; owned by a loop of the command line, which is gone afterwards.
private final class OperatorDialogue: MeshTransportDelegate, TrustStore {
    typealias Failure = OperatorLink.Failure

    private let question: ByteBuffer
    private let outcome: EventLoopPromise<ByteBuffer>
    private var transport: MeshTransport?
    private var isDone = false
    /// Kept until the end: the transport does not retain its delegate.
    private var itself: OperatorDialogue?

    init(question: ByteBuffer, outcome: EventLoopPromise<ByteBuffer>) {
        self.question = question
        self.outcome = outcome
    }

    func begin(_ address: HostPort, _ secretFile: String, on loop: any EventLoop) {
        do throws(SecretFile.Failure) {
            let identity = LocalIdentity(
                signingKey: SigningKey(), clusterID: .none, nodeID: nil,
                storeID: StoreID(high: 0, low: 0), bootEpoch: BootEpoch(1), role: .operator)
            transport = MeshTransport(
                loop: loop, identity: identity, secrets: try MeshSecrets.ring(secretFile),
                trust: self, delegate: self)
            itself = self
            transport?.connect(
                to: MeshAddress(host: address.host, port: UInt16(clamping: address.port)))
        } catch {
            outcome.fail(Failure(description: "--secret-file \(error)"))
        }
    }

    private func end(_ result: Result<ByteBuffer, Failure>) {
        guard !isDone, let transport else { return }
        isDone = true
        let outcome = outcome
        transport.close().assumeIsolated().whenComplete { _ in
            self.transport = nil
            self.itself = nil
            switch result {
            case .success(let bytes): outcome.succeed(bytes)
            case .failure(let failure): outcome.fail(failure)
            }
        }
    }

    func judge(_ claim: PeerClaim) -> Verdict {
        guard let node = claim.nodeID, claim.role == .broker else { return .refuse(.unwelcome) }
        return claim.admission.isValid ? .member(node) : .refuse(.wrongSecret)
    }

    func linkOpened(_ peer: PeerInfo) {
        var message = ByteBuffer(integer: UInt64(1))
        message.writeImmutableBuffer(question)
        transport?.send(
            message, kind: MessageKind(rawValue: MeshMessageKind.inspect.rawValue),
            to: .link(peer.link))
    }

    func linkClosed(_ peer: PeerInfo, reason: CloseReason) {
        end(.failure(Failure(description: "the broker closed the link before it answered")))
    }

    func linkFailed(_ address: MeshAddress, expecting: NodeID?, failure: LinkFailure) {
        let place = address.text
        let reason =
            switch failure {
            case .unknownHost: "the name has no address"
            case .notConnected: "nobody listens there: is it a broker's --mesh address?"
            case .refused(.wrongSecret), .declined(.wrongSecret):
                "it belongs to a mesh with another admission secret"
            case .refused(let reason), .declined(let reason): "no link: \(reason)"
            }
        end(.failure(Failure(description: "\(place): \(reason)")))
    }

    func received(
        _ message: ByteBuffer, kind: MessageKind, stream: StreamID, from peer: PeerInfo
    ) {
        guard kind.rawValue == MeshMessageKind.inspectAnswer.rawValue else { return }
        var answer = message
        answer.moveReaderIndex(forwardBy: min(8, answer.readableBytes))
        end(.success(answer))
    }

    func received(datagram: ByteBuffer, from peer: NodeID) {}
}
