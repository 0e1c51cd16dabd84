/// The requests that a broker of Gossamer answers, each with its versions.
///
/// One table: the key on the wire, the range of versions, and the first version with the flexible
/// encoding (KIP-482). A version stands here only if its semantics work, a key without them is not
/// served; the source is the public protocol guide, the ranges are this project's.
public enum APIKey: Int16, Sendable, CaseIterable, Hashable {
    case produce = 0
    case fetch = 1
    case listOffsets = 2
    case metadata = 3
    case offsetCommit = 8
    case offsetFetch = 9
    case findCoordinator = 10
    case joinGroup = 11
    case heartbeat = 12
    case leaveGroup = 13
    case syncGroup = 14
    case describeGroups = 15
    case listGroups = 16
    case apiVersions = 18
    case createTopics = 19
    case deleteTopics = 20
    case deleteRecords = 21
    case initProducerID = 22
    case offsetForLeaderEpoch = 23
    case describeConfigs = 32
    case alterConfigs = 33
    case describeLogDirs = 35
    case createPartitions = 37
    case deleteGroups = 42
    case electLeaders = 43
    case incrementalAlterConfigs = 44
    case alterPartitionReassignments = 45
    case listPartitionReassignments = 46
    case offsetDelete = 47
    case describeCluster = 60
    case describeProducers = 61
    case describeTopicPartitions = 75

    /// One row of the table.
    private struct Row {
        let name: StaticString
        let versions: ClosedRange<Int16>
        let firstFlexible: Int16

        @inline(__always)
        init(_ name: StaticString, _ versions: ClosedRange<Int16>, flexibleFrom: Int16) {
            self.name = name
            self.versions = versions
            firstFlexible = flexibleFrom
        }
    }

    @inline(__always)
    private var row: Row {
        switch self {
        // 0 to 2 are refused, yet advertised: older librdkafka turns compression off
        // when the range starts at 3 (KAFKA-18659).
        case .produce: Row("Produce", 0...13, flexibleFrom: 9)
        // 17 and 18 are for the followers of Kafka's own controllers.
        case .fetch: Row("Fetch", 4...16, flexibleFrom: 12)
        case .listOffsets: Row("ListOffsets", 1...9, flexibleFrom: 6)
        case .metadata: Row("Metadata", 0...13, flexibleFrom: 9)
        case .offsetCommit: Row("OffsetCommit", 2...9, flexibleFrom: 8)
        case .offsetFetch: Row("OffsetFetch", 1...9, flexibleFrom: 6)
        case .findCoordinator: Row("FindCoordinator", 0...6, flexibleFrom: 3)
        case .joinGroup: Row("JoinGroup", 0...9, flexibleFrom: 6)
        case .heartbeat: Row("Heartbeat", 0...4, flexibleFrom: 4)
        case .leaveGroup: Row("LeaveGroup", 0...5, flexibleFrom: 4)
        case .syncGroup: Row("SyncGroup", 0...5, flexibleFrom: 4)
        case .describeGroups: Row("DescribeGroups", 0...6, flexibleFrom: 5)
        case .listGroups: Row("ListGroups", 0...5, flexibleFrom: 3)
        case .apiVersions: Row("ApiVersions", 0...4, flexibleFrom: 3)
        case .createTopics: Row("CreateTopics", 2...7, flexibleFrom: 5)
        case .deleteTopics: Row("DeleteTopics", 1...6, flexibleFrom: 4)
        case .deleteRecords: Row("DeleteRecords", 0...2, flexibleFrom: 2)
        case .initProducerID: Row("InitProducerId", 0...5, flexibleFrom: 2)
        case .offsetForLeaderEpoch: Row("OffsetForLeaderEpoch", 2...4, flexibleFrom: 4)
        case .describeConfigs: Row("DescribeConfigs", 1...4, flexibleFrom: 4)
        case .alterConfigs: Row("AlterConfigs", 0...2, flexibleFrom: 2)
        case .describeLogDirs: Row("DescribeLogDirs", 1...5, flexibleFrom: 2)
        case .createPartitions: Row("CreatePartitions", 0...3, flexibleFrom: 2)
        case .deleteGroups: Row("DeleteGroups", 0...2, flexibleFrom: 2)
        case .electLeaders: Row("ElectLeaders", 0...2, flexibleFrom: 2)
        case .incrementalAlterConfigs: Row("IncrementalAlterConfigs", 0...1, flexibleFrom: 1)
        case .alterPartitionReassignments:
            Row("AlterPartitionReassignments", 0...1, flexibleFrom: 0)
        case .listPartitionReassignments:
            Row("ListPartitionReassignments", 0...0, flexibleFrom: 0)
        case .offsetDelete: Row("OffsetDelete", 0...0, flexibleFrom: .max)
        case .describeCluster: Row("DescribeCluster", 0...2, flexibleFrom: 0)
        case .describeProducers: Row("DescribeProducers", 0...0, flexibleFrom: 0)
        case .describeTopicPartitions: Row("DescribeTopicPartitions", 0...0, flexibleFrom: 0)
        }
    }

    /// The name that Kafka gives it.
    public var name: String { String(describing: row.name) }

    /// The versions that can be decoded and encoded.
    public var versions: ClosedRange<Int16> { row.versions }

    /// The lowest version that is served; what is below it is only advertised and refused.
    public var firstServedVersion: Int16 { self == .produce ? 3 : versions.lowerBound }

    /// The first version with compact lengths and tagged fields; `Int16.max` where there is none.
    public var firstFlexibleVersion: Int16 { row.firstFlexible }

    public func supports(_ version: Int16) -> Bool { row.versions.contains(version) }

    public func isFlexible(_ version: Int16) -> Bool { version >= row.firstFlexible }

    /// Whether `version` is flexible, once it is known to be in range.
    @inline(__always)
    func encoding(of version: Int16) throws(WireError) -> Bool {
        let row = row
        guard row.versions.contains(version) else {
            throw .unsupportedVersion(apiKey: rawValue, version: version)
        }
        return version >= row.firstFlexible
    }

    /// The table as an ApiVersions response carries it, in the order of the keys.
    public static let advertised: [ApiVersionsResponse.Range] =
        allCases.map { key in
            ApiVersionsResponse.Range(
                apiKey: key.rawValue, minVersion: key.versions.lowerBound,
                maxVersion: key.versions.upperBound)
        }
}
