import Broker

/// Where the tables of brokers differ, key by key.
struct TableDivergence {
    /// What is wrong with one broker's copy of a key.
    enum Fault: String, Encodable, Comparable {
        case splitVersion = "SPLIT_VERSION"
        case missing
        case lagging
        case ahead

        private var rank: Int {
            switch self {
            case .splitVersion: 0
            case .missing: 1
            case .lagging: 2
            case .ahead: 3
            }
        }

        static func < (left: Fault, right: Fault) -> Bool { left.rank < right.rank }
    }

    /// A broker whose copy is not the one that most have.
    struct Outlier: Encodable, Equatable {
        let nodeId: Int32
        let fault: Fault
        /// Absent where it has none.
        let version: VersionReport?
    }

    /// A key that not all have in the same version.
    struct Difference: Encodable, Equatable {
        let key: String
        let majority: VersionReport
        let holders: [Int32]
        let outliers: [Outlier]
    }

    let brokers: [Int32]
    let keys: Int
    private(set) var differences: [Difference] = []

    init(_ tables: [(node: Int32, versions: [VersionReport])]) {
        brokers = tables.map(\.node).sorted()
        var copies: [String: [Int32: VersionReport]] = [:]
        for table in tables {
            for version in table.versions {
                copies[version.key, default: [:]][table.node] = version
            }
        }
        keys = copies.count
        for (key, holders) in copies.sorted(by: { $0.key < $1.key }) {
            if let difference = Self.difference(key, holders, brokers) {
                differences.append(difference)
            }
        }
    }

    private static func difference(
        _ key: String, _ copies: [Int32: VersionReport], _ brokers: [Int32]
    ) -> Difference? {
        var groups: [(version: VersionReport, holders: [Int32])] = []
        for (node, version) in copies.sorted(by: { $0.key < $1.key }) {
            if let place = groups.firstIndex(where: { $0.version == version }) {
                groups[place].holders.append(node)
            } else {
                groups.append((version, [node]))
            }
        }
        // The one that most have; of two equal shares the newer one.
        let order = { (version: VersionReport) in
            (version.counter, UInt64(bitPattern: Int64(version.proposer)), version.boot)
        }
        let chosen = groups.max {
            $0.holders.count == $1.holders.count
                ? order($0.version) < order($1.version) : $0.holders.count < $1.holders.count
        }
        guard let chosen else { return nil }
        var outliers: [Outlier] = []
        for node in brokers where !chosen.holders.contains(node) {
            let version = copies[node]
            let fault: Fault =
                if let version {
                    if order(version) == order(chosen.version) {
                        .splitVersion
                    } else {
                        order(version) < order(chosen.version) ? .lagging : .ahead
                    }
                } else { .missing }
            outliers.append(Outlier(nodeId: node, fault: fault, version: version))
        }
        // A deletion that one has and another has forgotten already is the same to every client.
        if chosen.version.isTombstone, outliers.allSatisfy({ $0.fault == .missing }) { return nil }
        guard !outliers.isEmpty else { return nil }
        return Difference(
            key: key, majority: chosen.version, holders: chosen.holders, outliers: outliers)
    }

    /// Keeps what was different before too: what one look finds may be on its way.
    mutating func keepLasting(_ earlier: TableDivergence) {
        differences = differences.filter { difference in
            earlier.differences.contains {
                $0.key == difference.key && $0.outliers == difference.outliers
            }
        }
    }

    /// Keeps what is wrong at one broker.
    mutating func keep(of node: Int32) {
        differences = differences.filter { $0.outliers.contains { $0.nodeId == node } }
    }

    // MARK: In words

    var table: TextTable {
        var table = TextTable(["KEY", "MAJORITY", "HELD BY", "OUTLIERS", "VERDICT"])
        for difference in differences {
            let faults = Set(difference.outliers.map(\.fault)).sorted().map(\.rawValue)
            table.append([
                difference.key, Self.text(difference.majority), NodeList.text(difference.holders),
                difference.outliers.map { outlier in
                    "\(outlier.nodeId): " + (outlier.version.map(Self.text) ?? "nothing")
                }.joined(separator: "  "),
                faults.joined(separator: ", "),
            ])
        }
        return table
    }

    private static func text(_ version: VersionReport) -> String {
        "\(version.ballotText) \(version.isTombstone ? "deleted" : String(version.hash.prefix(4)))"
    }

    /// What it means, and what to do.
    var advice: [String] {
        var lines: [String] = []
        let outliers = differences.flatMap(\.outliers)
        let behind = Set(
            outliers.filter { $0.fault == .lagging || $0.fault == .missing }.map(\.nodeId))
        if !behind.isEmpty {
            lines.append(
                "\(NodeList.text(behind.sorted())) did not hear what the others know: see gossip "
                    + "heat, and gossip why \(behind.min() ?? 0)")
        }
        if outliers.contains(where: { $0.fault == .splitVersion }) {
            lines.append(
                "SPLIT_VERSION: two values at one ballot must never be; the brokers read it "
                    + "through Paxos. Keep the logs and the data directories, and report it")
        }
        return lines
    }
}
