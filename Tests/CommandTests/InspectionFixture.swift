import Broker

@testable import gossamer

/// Answers of brokers as tests give them.
enum Given {
    /// Noon of a day, so that times of day are easy to read.
    static let noon: Int64 = 1_795_348_800_000

    static func answer(_ node: Int32, at: Int64 = noon) -> InspectionAnswer {
        InspectionAnswer(nodeId: node, clusterId: "c", at: at)
    }

    /// From text, as it comes from a broker: absent parts are absent.
    static func report<Report: Decodable>(_ json: String) -> Report? {
        InspectionJSON.decoded(json)
    }

    static func member(
        _ node: Int32, _ state: String = "alive", accusers: [Int32] = [], heard: Int64? = 100,
        isBlocked: Bool = false, deadIn: Int64? = nil, since: Int64 = 5_000, p50: Int? = nil
    ) -> MemberReport? {
        report(
            """
            {"nodeId":\(node),"state":"\(state)","isSelf":false,"address":"10.0.0.\(node):7946",
             "kafka":[],"bootEpoch":1,"incarnation":0,"admission":1,"isVoter":false,
             "isUdpBlocked":\(isBlocked),"accusers":\(accusers),"forMilliseconds":\(since),
             "leads":0
             \(heard.map { ",\"lastHeardMilliseconds\":\($0)" } ?? "")
             \(p50.map { ",\"roundTripMicrosecondsP50\":\($0)" } ?? "")
             \(deadIn.map { ",\"deadInMilliseconds\":\($0)" } ?? "")}
            """)
    }

    static func roster(_ voters: [Int32], generation: UInt64 = 3) -> RosterReport? {
        let list = voters.map { "{\"nodeId\":\($0),\"storeId\":\"s\",\"since\":0}" }
        return report(
            """
            {"generation":\(generation),"voters":[\(list.joined(separator: ","))],
             "hasQuorum":true,"phase":"idle","repaired":0,"total":0,"target":3,
             "replaceAfterMilliseconds":600000,"acceptor":"serving","registers":5,"writes":10,
             "meanWriteMilliseconds":0.5,"longestWriteMilliseconds":3}
            """)
    }

    static func partition(
        _ topic: String, leader: Int32?, _ replicas: [Int32], _ live: [Int32], minInSync: Int = 2
    ) -> PartitionReport? {
        report(
            """
            {"topic":"\(topic)","partition":0,"leaderEpoch":1,"partitionEpoch":2,
             "replicas":\(replicas),"adding":[],"removing":[],"inSync":\(replicas),
             "live":\(live),"lastEligible":[],"successors":\(live),"minInSync":\(minInSync)
             \(leader.map { ",\"leader\":\($0)" } ?? "")}
            """)
    }

    /// What `observer` thinks of `members`.
    static func view(_ observer: Int32, _ members: MemberReport?...) -> InspectionAnswer {
        var answer = answer(observer)
        answer.members = members.compactMap { $0 }
        return answer
    }

    static func event(
        _ observer: Int32, _ milliseconds: Int64, _ kind: String, node: Int32? = nil,
        by: Int32? = nil, key: String? = nil, reason: String? = nil, others: [Int32] = [],
        hop: Int? = nil, number: UInt64 = 1, _ text: String = "text"
    ) -> SeenEvent? {
        let event: EventReport? = report(
            """
            {"number":\(number),"at":\(noon + milliseconds),"kind":"\(kind)","text":"\(text)",
             "others":\(others)
             \(node.map { ",\"node\":\($0)" } ?? "")\(by.map { ",\"by\":\($0)" } ?? "")
             \(key.map { ",\"key\":\"\($0)\"" } ?? "")
             \(reason.map { ",\"reason\":\"\($0)\"" } ?? "")\(hop.map { ",\"hop\":\($0)" } ?? "")}
            """)
        return event.map { SeenEvent(observer: observer, event: $0) }
    }

    static func events(_ events: SeenEvent?...) -> [SeenEvent] { events.compactMap { $0 } }

    static func version(
        _ key: String, _ proposer: Int32, _ counter: UInt64, hash: String = "aaaabbbbccccdddd",
        isTombstone: Bool = false
    ) -> VersionReport? {
        report(
            """
            {"key":"\(key)","proposer":\(proposer),"counter":\(counter),"boot":1,
             "hash":"\(hash)","isTombstone":\(isTombstone)}
            """)
    }

    static func table(_ node: Int32, _ versions: VersionReport?...) -> (
        node: Int32, versions: [VersionReport]
    ) {
        (node, versions.compactMap { $0 })
    }

    static func heat(_ observer: Int32, _ ages: [Int32: Int64]) -> InspectionAnswer {
        var answer = answer(observer)
        answer.heat = ages.sorted { $0.key < $1.key }.compactMap { node, age in
            report("{\"nodeId\":\(node),\"ageMilliseconds\":\(age)}")
        }
        return answer
    }

    /// A broker that shows the first of `secrets`; `needed` by name in milliseconds ago.
    static func keys(
        _ node: Int32, _ secrets: [String], needed: [String: Int64] = [:],
        members: [Int32] = [1, 2]
    ) -> InspectionAnswer {
        var answer = answer(node)
        let uses = secrets.map { name in
            let ago = needed[name].map { ",\"neededMilliseconds\":\($0)" } ?? ""
            return "{\"name\":\"\(name)\",\"joins\":1,\"operators\":2,\"members\":0\(ago)}"
        }
        let admissions = members.map {
            """
            {"nodeId":\($0),"publicKey":"k","storeId":"s","number":1,"isRevoked":false}
            """
        }
        answer.keys = report(
            """
            {"publicKey":"ab","secrets":\(secrets),"secretFile":"/s","shown":[],
             "uses":[\(uses.joined(separator: ","))],
             "admissions":[\(admissions.joined(separator: ","))]}
            """)
        return answer
    }
}
