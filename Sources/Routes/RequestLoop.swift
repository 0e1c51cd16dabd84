package import KafkaProtocol
package import Model
package import NIOCore
package import Node
package import Storage

/// An event loop as the requests of its clients see it: what it knows, and whom it can ask.
///
/// The broker's loops are such, and so are the simulator's: what a request becomes, and what an
/// answer, is decided here once for both. Everything is called on the loop itself.
package protocol RequestLoop: AnyObject {
    var view: ClusterView { get }
    /// The moment of the turn: deadlines count from it.
    var now: Now { get }
    /// The moment itself, later than `now` where a turn takes long.
    var moment: Instant { get }
    var loopCount: Int { get }
    /// As operators know it.
    var dataDirectory: String { get }
    var sessions: FetchSessionCache { get set }

    /// The loop whose shard holds a partition.
    func shardIndex(of partition: TopicPartition) -> Int
    /// A token for a question; the continuation is called once with its answer.
    func expect(_ continuation: @escaping (Answer) -> Void) -> UInt64
    func post(shard input: Shard.Input, to target: Int)
    func ask(_ request: ControlRequest, then: @escaping (ControlReply) -> Void)
    func later(milliseconds: Int64, _ action: @escaping () -> Void)
}

/// The answer to a question that a loop asked of a shard or of the control machine.
package enum Answer: Sendable {
    case produced([ProduceResult])
    case fetched([FetchResult])
    case answered([PartitionAnswer])
    case control(ControlReply)
    case decided(Decision)
    case voters(VoterChangeAnswer)
    /// An operator's answer, in bytes.
    case text(ByteBuffer)
}

/// One client's connection as its requests see it; owned by its loop.
package protocol ClientConnection: AnyObject {
    /// By which the client came, and is sent to other brokers.
    var listener: String { get }
    var clientHost: String { get }
    /// Fetches that wait in shards, to be forgotten when the client leaves.
    var waitingFetches: Set<UInt64> { get set }

    /// Puts an answer in its place, behind those of earlier requests; nil writes nothing.
    func answer(_ number: UInt64, _ pieces: [Piece]?)
    func close()
}

/// A part of an answer: bytes from memory, or a range of a segment that the kernel sends.
package enum Piece {
    case bytes(ByteBuffer)
    case file(LogSlice)
}

/// One request on its way through the broker: where its answer goes, and in which version.
package struct Exchange {
    package let connection: any ClientConnection
    package let number: UInt64
    package let header: RequestHeader

    package init(connection: any ClientConnection, number: UInt64, header: RequestHeader) {
        self.connection = connection
        self.number = number
        self.header = header
    }

    var version: Int16 { header.apiVersion }

    /// Sends the answer. A response that can't be encoded closes the connection: its client could
    /// not tell the answers after it apart.
    func respond(_ response: some KafkaResponse) {
        var out = ByteBuffer()
        do throws(WireError) {
            try response.encodeFrame(
                correlationID: header.correlationID, version: header.apiVersion, into: &out)
            connection.answer(number, [.bytes(out)])
        } catch {
            connection.close()
        }
    }

    func respond(pieces: [Piece]) { connection.answer(number, pieces) }

    /// For acks=0.
    func staySilent() { connection.answer(number, nil) }
}
