import KafkaProtocol
import Logging
import Model
import Node
import Replication
import Storage
import Synchronization
import Transport

/// Turns what happens in a broker into log lines: the only file that words them.
///
/// Messages are constant, facts are metadata with dotted keys, and no payload of a client is ever
/// logged. Callable from any thread.
struct BrokerEvents: Sendable {
    let logger: Logger
    private let troubles = Troubles()

    init(logger: Logger) { self.logger = logger }

    /// - Parameter topic: the name of the topic that the notice is about, where it is known.
    func report(_ notice: ShardNotice, topic: String?) {
        let partition = notice.partition
        var metadata = facts(partition)
        if let topic { metadata["topic"] = "\(topic)" }
        func fail(_ message: Logger.Message, _ partition: TopicPartition, _ reason: String) {
            metadata["error"] = "\(reason)"
            logger.error(message, metadata: metadata)
        }
        switch notice {
        case .recovered(_, let report):
            metadata["log.scannedBytes"] = "\(report.scannedBytes)"
            metadata["log.truncatedBytes"] = "\(report.truncatedBytes)"
            metadata["log.droppedSegments"] = "\(report.droppedSegments)"
            if let corruption = report.corruption {
                metadata["log.corruption"] = "\(corruption.kind)"
                metadata["log.segment"] = "\(corruption.segment.rawValue)"
                metadata["log.position"] = "\(corruption.position)"
                metadata["log.readableEnd"] = "\(corruption.readableEnd.rawValue)"
                logger.error(
                    "log is corrupt: it is served up to there and not written", metadata: metadata)
            } else if report.truncatedBytes > 0 || report.droppedSegments > 0 {
                logger.warning("torn tail of a log cut off", metadata: metadata)
            } else {
                logger.debug("log checked after an unclean stop", metadata: metadata)
            }
        case .openFailed(let partition, let reason):
            fail("log of a partition can't be opened", partition, reason)
        case .writeFailed(let partition, let reason):
            fail("a log can't be written", partition, reason)
        case .writesAgain: logger.notice("a log can be written again", metadata: metadata)
        case .unreadable(_, let segment, let position):
            metadata["log.segment"] = "\(segment.rawValue)"
            metadata["log.position"] = "\(position)"
            // `gossamer log verify` shows it.
            logger.error(
                "a batch of a log is damaged: who reads it gets CORRUPT_MESSAGE",
                metadata: metadata)
        case .syncFailed(let partition, let reason):
            fail("sync of a log failed: it takes no writes until a restart", partition, reason)
        case .maintenanceFailed(let partition, let reason):
            fail("work on a log's files failed", partition, reason)
        case .committedCut(let partition, let alarm):
            fail(
                "a replica dropped records that it knew to be committed", partition,
                "cut to \(alarm.cut.rawValue), committed were \(alarm.highWatermark.rawValue); "
                    + "leader \(alarm.leader.rawValue) of epoch \(alarm.leaderEpoch.rawValue)")
        }
    }

    private func fail(_ message: Logger.Message, _ partition: TopicPartition, _ reason: String) {
        var metadata = facts(partition)
        metadata["error"] = "\(reason)"
        logger.error(message, metadata: metadata)
    }

    private func facts(_ partition: TopicPartition) -> Logger.Metadata {
        [
            "log.directory": "\(PartitionOrder.directory(of: partition))",
            "partition": "\(partition.index.rawValue)",
        ]
    }

    /// Something that the control machine says an operator should know.
    func noticed(_ text: String) { logger.warning("\(text)") }

    func handedOver(_ report: HandoverReport) {
        let facts: Logger.Metadata = [
            "leaderships.moved": "\(report.moved)", "inSyncSets.left": "\(report.left)",
            "leaderships.kept": "\(report.kept)", "milliseconds": "\(report.milliseconds)",
        ]
        guard report.kept > 0 else {
            if report.moved + report.left > 0 {
                logger.info("other brokers lead what this one led", metadata: facts)
            }
            return
        }
        logger.warning(
            "no other replica in sync, or no majority of voters, to take over what this one led",
            metadata: facts)
    }

    func joined(node: NodeID, cluster: String) {
        logger.notice(
            "admitted to the mesh",
            metadata: ["node": "\(node.rawValue)", "cluster": "\(cluster)"])
    }

    func duplicateStore(_ node: NodeID, older: BootEpoch, newer: BootEpoch) {
        logger.critical(
            "DUPLICATE_STORE: two processes run with one data directory: both are shut out",
            metadata: [
                "node": "\(node.rawValue)", "boots": "\(older.rawValue), \(newer.rawValue)",
            ])
    }

    func tableLost(seeds: Int) {
        logger.warning(
            "the table of chosen values is gone: asking the mesh to be let in again",
            metadata: ["seeds": "\(seeds)"])
    }

    func formed(node: NodeID, cluster: String) {
        logger.notice(
            "all expected brokers agreed that this one begins the mesh",
            metadata: ["node": "\(node.rawValue)", "cluster": "\(cluster)"])
    }

    func founded(node: NodeID, cluster: String) {
        logger.notice(
            "development mode: an empty directory and no seeds began a mesh of one",
            metadata: ["node": "\(node.rawValue)", "cluster": "\(cluster)"])
    }

    func seedFailed(_ address: MeshAddress, _ failure: LinkFailure) {
        logger.info(
            "a seed can't be reached yet",
            metadata: [
                "seed": "\(address.text)", "reason": "\(failure)",
            ])
    }

    func joinRefused(_ reason: String, canRetry: Bool) {
        logger.warning(
            canRetry ? "not admitted yet: trying again" : "not admitted",
            metadata: ["reason": "\(reason)"])
    }

    func adminSocketFailed(_ reason: String) {
        logger.warning(
            "no admin socket: `gossamer gossip` has to use --via", metadata: ["reason": "\(reason)"]
        )
    }

    func audited(_ question: InspectionQuestion, by whom: String) {
        logger.notice(
            "an operator acts",
            metadata: [
                "verb": "\(question.verb.rawValue)", "by": "\(whom)",
                "node": "\(question.node.map(String.init) ?? "-")",
            ])
    }

    /// What a broker writes beside logs and its promises as a voter.
    enum Records: String {
        case chosen = "the table of chosen values"
        case own = "this broker's own records"
        case copies = "copies of committed offsets"
    }

    /// Said once where it fails, and once where it goes well again: a full disk fails thousands.
    func written(_ records: Records, _ failure: String?) {
        guard let failure else {
            if troubles.ends(records.rawValue) {
                logger.notice("\(records.rawValue) can be written again")
            }
            return
        }
        guard troubles.begins(records.rawValue) else { return }
        logger.error(
            "\(records.rawValue) can't be written: the mesh tells of the rest after a restart",
            metadata: ["error": "\(failure)"])
    }

    func slowDisk(_ milliseconds: Int64) {
        logger.warning(
            "a write of a table took long: this broker is slower to accuse others for a while",
            metadata: [
                "milliseconds": "\(milliseconds)", "bound": "\(TableWriter.slowMilliseconds)",
            ])
    }

    private static let promises = "promises"

    func registersWait() {
        guard troubles.begins(Self.promises) else { return }
        logger.warning("the disk is full: this voter's answers wait until there is room")
    }

    func registersWritten() {
        guard troubles.ends(Self.promises) else { return }
        logger.notice("there is room on the disk again: this voter answers")
    }

    /// - Parameter bytes: what the table holds already.
    func registersFull(_ bytes: Int64) {
        logger.error(
            "the voter's table is at its bound: what needs more room in it is refused",
            metadata: ["bytes": "\(bytes)", "bytesMaximum": "\(TableFile.maximumBytes)"])
    }

    func registersFailed(_ reason: String) {
        logger.critical(
            "the voter's records were not written: it does not vote until a restart",
            metadata: ["error": "\(reason)"])
    }

    func slotUnreadable(_ partition: TopicPartition, _ failure: SlotReader.Failure) {
        fail("group offsets can't be read: their groups wait", partition, "\(failure)")
    }

    func partitionFailed(_ failure: String) {
        logger.error("partition can't be opened", metadata: ["error": "\(failure)"])
    }

    func connectionFailed(_ connection: Connection, _ error: any Error) {
        logger.debug("connection failed", metadata: facts(connection, "\(error)"))
    }

    func connectionEnded(_ connection: Connection, reason: String) {
        logger.info("connection ended by the broker", metadata: facts(connection, reason))
    }

    func frameRefused(_ connection: Connection, _ violation: FrameCutter.Violation) {
        logger.info(
            "bytes that are no request: connection closed",
            metadata: facts(connection, "\(violation)"))
    }

    func requestRefused(_ connection: Connection, _ error: WireError) {
        logger.info(
            "request that can't be read: connection closed", metadata: facts(connection, "\(error)")
        )
    }

    private func facts(_ connection: Connection, _ reason: String) -> Logger.Metadata {
        [
            "client.host": "\(connection.clientHost)", "client.id": "\(connection.clientID)",
            "listener": "\(connection.listener)", "reason": "\(reason)",
        ]
    }

    func connectionsExhausted(limit: Int) {
        logger.warning("too many connections: one was closed", metadata: ["limit": "\(limit)"])
    }

    func started(topics: Int, milliseconds: Int64) {
        logger.info(
            "broker started",
            metadata: [
                "topics": "\(topics)", "milliseconds": "\(milliseconds)",
            ])
    }

    func stopped(clean: Bool) {
        if clean {
            logger.info("broker stopped, data directory marked clean")
        } else {
            logger.error("broker stopped; not every log could be closed")
        }
    }
}

/// Which troubles an operator was told of, so that each is told once, and its end once. Locked,
/// because writers of tables have threads of their own.
private final class Troubles: Sendable {
    private let told = Mutex<Set<String>>([])

    /// Whether nobody was told of it yet.
    func begins(_ what: String) -> Bool { told.withLock { $0.insert(what).inserted } }

    func ends(_ what: String) -> Bool { told.withLock { $0.remove(what) != nil } }
}
