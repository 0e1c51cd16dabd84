// swift-tools-version: 6.2
import PackageDescription

/// The same strictness everywhere: Swift 6 mode, explicit imports, audited pointers, no warning.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let trees: Target.Dependency = .product(
    name: "HashTreeCollections", package: "swift-collections")
let ordered: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(
    name: "UnixSignals", package: "swift-service-lifecycle")
let configuration: Target.Dependency = .product(
    name: "Configuration", package: "swift-configuration")

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// Arrows go one way: Model <- {Gossip, Paxos, Replication, Coordination, Storage} <- Node
/// <- Routes <- Broker <- gossamer, Sodium <- Transport <- Broker, and KafkaProtocol <- {Routes,
/// Client}.
let package = Package(
    name: "gossamer",
    products: [
        .executable(name: "gossamer", targets: ["gossamer"]),
        .executable(name: "gossamer-bench", targets: ["gossamer-bench"]),
        .executable(name: "gossamer-sim", targets: ["gossamer-sim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(
            url: "https://github.com/apple/swift-configuration", from: "1.4.0",
            traits: ["YAML"]),
    ],
    targets: [
        .target(name: "CRuntime"),
        .target(
            name: "CCodecs",
            linkerSettings: [
                .linkedLibrary("z"), .linkedLibrary("lz4"), .linkedLibrary("zstd"),
                .linkedLibrary("snappy"),
            ]),
        .systemLibrary(
            name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        module("Model", ["CRuntime", nioCore]),
        module("Sodium", ["CSodium", "Model", nioCore]),
        module("Gossip", ["Model", nioCore, deque, heap, ordered]),
        module("Paxos", ["Model", nioCore, deque, ordered]),
        module("Transport", ["Sodium", "Model", nioCore, nioPosix, deque, ordered]),
        module("Compression", ["CCodecs", "Model", nioCore]),
        module("KafkaProtocol", ["Model", nioCore]),
        module("Storage", ["Model", "CRuntime", "Compression", nioCore, deque]),
        module("Replication", ["Model", nioCore, deque, ordered]),
        module("Coordination", ["Model", nioCore, deque, ordered]),
        module(
            "Node",
            [
                "Model", "Gossip", "Paxos", "Storage", "Replication", "Coordination", nioCore,
                deque, heap, ordered, trees,
            ]),
        module(
            "Routes",
            [
                "KafkaProtocol", "Node", "Coordination", "Replication", "Storage", "Model", nioCore,
                deque, ordered,
            ]),
        module(
            "Simulation",
            [
                "Model", "Storage", "Gossip", "Paxos", "Replication", "Coordination", "Node",
                "Routes", "KafkaProtocol", nioCore, deque, heap,
            ]),
        module(
            "Broker",
            [
                "Routes", "Node", "Gossip", "Paxos", "Transport", "Sodium", "KafkaProtocol",
                "Coordination", "Replication", "Storage", "Compression", "Model", nioCore,
                nioPosix, deque, ordered, logging,
            ]),
        module("Client", ["KafkaProtocol", "Model", "Compression", nioCore, nioPosix]),
        .executableTarget(
            name: "gossamer",
            dependencies: [
                "Broker", "Client", "Storage", "KafkaProtocol", "Model", "Node", arguments,
                lifecycle, unixSignals, configuration, logging,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "gossamer-bench",
            dependencies: [
                "Client", "KafkaProtocol", "Model", "Storage", arguments, nioCore, nioPosix,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "gossamer-mutants", dependencies: ["Simulation", arguments],
            swiftSettings: settings),
        .executableTarget(
            name: "gossamer-sim",
            dependencies: ["Gossip", "Simulation", "Model", arguments, nioCore],
            swiftSettings: settings),
        tests("ModelTests", ["Model", nioCore]),
        tests("KafkaProtocolTests", ["KafkaProtocol", "Model", nioCore]),
        tests("SodiumTests", ["Sodium", "Model", nioCore]),
        tests("GossipTests", ["Gossip", "Simulation", "Model", nioCore]),
        tests(
            "SimulationTests",
            [
                "gossamer-sim", "Simulation", "KafkaProtocol", "Node", "Gossip", "Paxos",
                "Replication", "Storage", "Model", nioCore,
            ]),
        tests("PaxosTests", ["Paxos", "Simulation", "Model", nioCore, ordered]),
        tests("TransportTests", ["Transport", "Sodium", "Model", nioCore, nioPosix]),
        tests("StorageTests", ["Storage", "Simulation", "Model", "Compression", nioCore]),
        tests("ReplicationTests", ["Replication", "Model", nioCore]),
        tests("CoordinationTests", ["Coordination", "Model", nioCore]),
        tests(
            "NodeTests",
            ["Node", "Simulation", "Gossip", "Paxos", "Storage", "Model", nioCore]),
        tests(
            "BrokerTests",
            [
                "Broker", "Routes", "Transport", "Client", "KafkaProtocol", "Model", "Node",
                nioCore,
                nioPosix, deque,
            ]),
        tests(
            "CommandTests",
            [
                "gossamer", "Broker", "Client", "KafkaProtocol", "Model", arguments, logging,
                nioCore,
            ]),
        tests("TidyTests", []),
    ]
)
