public import Node

/// An address to connect to or to bind: a host name or literal, and a port.
public struct HostPort: Hashable, Sendable {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT` or `[IPv6]:PORT`; nil where it is neither or the port is out of 0...65535.
    public init?(parsing text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        let digits = text[text.index(after: colon)...]
        guard !host.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let port = Int(digits), (0...65535).contains(port)
        else { return nil }
        self.init(host: String(host), port: port)
    }
}

extension HostPort {
    /// Whether only this machine can reach it.
    var isLoopback: Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}

extension HostPort: CustomStringConvertible {
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// One socket that the broker listens on, and what clients that came through it are told to use.
///
/// The advertised address differs from the bound one behind NAT, in containers, and where the
/// bound one is a wildcard. A bound port of 0 is chosen by the kernel and advertised as chosen.
public struct ListenerConfiguration: Sendable, Equatable {
    public var name: String
    public var bind: HostPort
    public var advertise: HostPort?

    public init(name: String, bind: HostPort, advertise: HostPort? = nil) {
        self.name = name
        self.bind = bind
        self.advertise = advertise
    }
}

/// When an appended batch is made durable: the durability class of a topic.
public enum FlushPolicy: String, Sendable, CaseIterable {
    /// The page cache is enough; the kernel writes back, and a segment is synced when it is sealed.
    case async
    /// As `async`, and each log that has unsynced bytes is synced once per interval.
    case interval
    /// No acknowledgement with `acks=all` before fdatasync; one sync serves every waiter.
    case sync
}

/// What a topic gets where its creator did not say.
public struct TopicDefaults: Sendable, Equatable {
    public var partitions: Int32 = 1
    /// Nil: three, or as many as there are brokers.
    public var replicas: Int16?
    /// Nil: a majority of the replicas.
    public var minInsyncReplicas: Int?
    public var flush: FlushPolicy = .async
    public var autoCreateTopics = true

    public init() {}
}

/// The bounds on what strangers and floods can take from the broker; each with its reason.
public struct BrokerLimits: Sendable, Equatable {
    /// Open client connections: each holds a descriptor and a few KiB, and descriptors end first.
    public var connections = 10_000
    /// The largest request frame, Kafka's `socket.request.max.bytes`.
    public var requestBytes = 104_857_600
    /// Seconds that a connection may be silent, Kafka's `connections.max.idle.ms`.
    public var idleSeconds = 600
    /// Seconds from the first to the last byte of one frame: what ends a slowloris.
    public var frameSeconds = 30
    /// Bytes of unfinished and unanswered requests in the whole process; above it sockets wait.
    public var bufferedBytes = 64 * 1024 * 1024
    /// Open segment files in the whole process.
    public var openFiles = 4096

    public init() {}
}

/// How fast brokers watch over each other; a faster one costs packets and tolerates less delay.
public enum MeshProfile: String, Sendable, CaseIterable {
    /// One machine: everything well under a millisecond away.
    case local
    /// One data centre, the default.
    case lan
    /// Between data centres.
    case wan
}

/// What happens to the bytes between brokers.
public enum LinkProtection: String, Sendable, CaseIterable {
    /// Encrypted and authenticated, the default.
    case seal
    /// Authenticated only, for networks that are private already.
    case authenticate
}

/// What a broker is for.
public enum BrokerRole: String, Sendable, CaseIterable {
    /// Holds partitions.
    case broker
    /// May be made a voter; alone, the broker is a witness, which answers clients and holds
    /// nothing.
    case voter
}

/// Who votes, as far as the mesh sees to it by itself.
public struct VoterConfiguration: Sendable, Equatable {
    /// 1, 3 or 5; nil changes the roster by an operator's command only.
    public var target: Int? = 3
    /// How long a voter may be away before another takes its place.
    public var replaceAfterMilliseconds: Int64 = 600_000

    public init() {}
}

/// How a broker takes part in a mesh.
public struct MeshConfiguration: Sendable, Equatable {
    /// Where other brokers reach this one, TCP and UDP; nil listens to nobody.
    public var listen: HostPort?
    /// What other brokers are told, if not the address listened on.
    public var advertise: HostPort?
    /// Brokers of the mesh to join or to find again; resolved anew at each attempt.
    public var seeds: [HostPort] = []
    /// How many blank brokers, all with the same seeds, form a mesh together; nil where one was
    /// begun by `cluster init`.
    public var expect: Int?
    /// The file with the admission secret, by which a broker is let in the first time.
    public var secretFile: String?
    public var profile = MeshProfile.lan
    public var links = LinkProtection.seal

    public init() {}
}

/// Everything that `gossamer serve` needs to know, already validated.
///
/// A value: made once by the command line from flags, environment and file, then handed over.
public struct BrokerConfiguration: Sendable, Equatable {
    /// Kafka's broker id; nil takes the one kept in the data directory, or 1 on an empty one.
    public var nodeID: Int32?
    public var dataDirectory: String
    public var listeners: [ListenerConfiguration]
    public var rack: String?
    public var roles: Set<BrokerRole> = [.broker, .voter]
    public var voters = VoterConfiguration()
    public var mesh = MeshConfiguration()
    /// What others are told of the program, for rolling upgrades.
    public var softwareVersion = ""
    public var defaults = TopicDefaults()
    public var limits = BrokerLimits()
    public var replicas = ReplicaConfiguration()
    /// Event loops, and with them shards; nil is one per core.
    public var eventLoops: Int?
    /// How long an empty group waits for more members before its first assignment.
    public var groupInitialRebalanceDelayMilliseconds: Int64 = 150
    /// Partitions of `__consumer_offsets`, fixed when the topic is first made; Kafka's default.
    public var offsetsTopicPartitions: Int32 = 50
    /// How long offsets of an empty group are kept; Kafka's `offsets.retention.minutes`.
    public var offsetsRetentionMinutes: Int64 = 10_080
    /// How often retention is applied; Kafka's `log.retention.check.interval.ms`.
    public var retentionCheckMilliseconds: Int64 = 300_000
    /// How often logs with `flush: interval` are synced.
    public var flushIntervalMilliseconds: Int64 = 1_000

    public init(dataDirectory: String, listeners: [ListenerConfiguration]) {
        self.dataDirectory = dataDirectory
        self.listeners = listeners
    }

    /// A mesh of one that begins by itself is for trying things out: nobody outside this machine
    /// is served by it, because it may be a broker whose seeds were forgotten.
    func refuseFoundingInPublic() throws(BrokerStartError) {
        let addresses = listeners.map(\.bind) + [mesh.listen].compactMap { $0 }
        guard let open = addresses.first(where: { !$0.isLoopback }) else { return }
        throw .mesh(
            "\(dataDirectory) is empty and no --seed was given: such a broker begins a mesh of its "
                + "own, for development, on loopback addresses only, and not on \(open). To begin "
                + "a real one: gossamer cluster init --data-dir \(dataDirectory) "
                + "--secret-file FILE. To join one: --seed HOST:PORT --secret-file FILE")
    }
}
