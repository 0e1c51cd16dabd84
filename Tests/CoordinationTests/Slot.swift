import Model
import NIOCore
import Testing

@testable import Coordination

/// A coordinator with a log and a clock around it, for transcripts.
///
/// Appends are acknowledged at once unless `holdsAppends` is set; wakes are sent when their moment
/// comes. A second reply to one token fails the test.
struct Slot {
    static let wallStart: Int64 = 1_700_000_000_000

    var coordinator: GroupCoordinator
    var milliseconds: Int64 = 0
    /// The acknowledged records, as a restart would find them.
    var log: [SlotRecord] = []
    var held: [(token: AppendToken, records: [SlotRecord])] = []
    var holdsAppends = false
    var replies: [RequestToken: GroupResponse] = [:]
    var wakeAt: Instant?
    /// A search looks for what is wrong itself.
    var isSearched = false
    private(set) var complaint: String?
    private(set) var lastToken: UInt64 = 0

    init(
        loaded: Bool = true, seed: UInt64 = 7, rules: GroupRules = GroupRules(),
        configure: (inout GroupConfiguration) -> Void = { _ in }
    ) {
        var configuration = GroupConfiguration()
        configure(&configuration)
        coordinator = GroupCoordinator(
            slot: PartitionIndex(0), configuration: configuration,
            generator: SeededGenerator(seed: seed), rules: rules)
        if loaded { input(.loaded(epoch: LeaderEpoch(0))) }
    }

    var now: Now {
        Now(
            instant: Instant(nanoseconds: milliseconds * 1_000_000),
            wall: Timestamp(milliseconds: Slot.wallStart + milliseconds))
    }

    mutating func input(_ input: GroupCoordinator.Input) {
        var effects: [GroupCoordinator.Effect] = []
        coordinator.handle(input, now: now, into: &effects)
        if let violation = coordinator.violation { complain(violation) }
        for effect in effects {
            switch effect {
            case .reply(let token, let response):
                if replies[token] != nil { complain("answered twice") }
                replies[token] = response
            case .append(let token, let records):
                held.append((token, records))
            case .wake(let moment):
                wakeAt = min(wakeAt ?? moment, moment)
            }
        }
        if !holdsAppends { acknowledgeAll() }
    }

    private mutating func complain(_ what: String) {
        complaint = complaint ?? what
        if !isSearched { Issue.record("\(what)") }
    }

    /// Answers the oldest append.
    mutating func acknowledge(_ error: AppendError? = nil) {
        let append = held.removeFirst()
        if error == nil { log.append(contentsOf: append.records) }
        input(.appended(append.token, error))
    }

    mutating func acknowledgeAll() {
        while !held.isEmpty { acknowledge() }
    }

    /// Sends a request; its reply, now or later, is under the token.
    mutating func send(_ request: GroupRequest) -> RequestToken {
        lastToken += 1
        let token = RequestToken(lastToken)
        input(.request(token, request))
        return token
    }

    /// Sends a request that is answered at once.
    mutating func ask(_ request: GroupRequest) throws -> GroupResponse {
        let token = send(request)
        return try #require(replies[token])
    }

    /// Lets time pass, with every wake on the way.
    mutating func advance(milliseconds duration: Int64) {
        let target = milliseconds + duration
        while let moment = wakeAt, moment.nanoseconds <= target * 1_000_000 {
            milliseconds = max(milliseconds, (moment.nanoseconds + 999_999) / 1_000_000)
            wakeAt = nil
            input(.wake)
        }
        milliseconds = target
    }

    /// Loses everything but the log, and loads that.
    mutating func restart(after count: Int? = nil, _ meanwhile: (inout Slot) -> Void = { _ in }) {
        input(.unload)
        held.removeAll()
        wakeAt = nil
        input(.load(Array(log.prefix(count ?? log.count))))
        meanwhile(&self)
        input(.load(Array(log.dropFirst(count ?? log.count))))
        input(.loaded(epoch: LeaderEpoch(1)))
    }
}

// MARK: Requests in short

func bytes(_ string: String) -> ByteBuffer { ByteBuffer(string: string) }

/// The metadata of a consumer: version 0, its topics, no user data.
func subscription(_ topics: String...) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.writeInteger(Int16(0))
    buffer.writeInteger(Int32(topics.count))
    for topic in topics {
        buffer.writeInteger(Int16(topic.utf8.count))
        buffer.writeString(topic)
    }
    buffer.writeInteger(Int32(-1))
    return buffer
}

func join(
    _ memberID: String = "", group: String = "g", instance: String? = nil,
    session: Int32 = 10_000, rebalance: Int32 = 60_000, type: String = "consumer",
    protocols: [MemberProtocol] = [MemberProtocol(name: "range", metadata: subscription("t"))],
    known: Bool = false, skips: Bool = false
) -> GroupRequest.Join {
    GroupRequest.Join(
        groupID: group, memberID: memberID, groupInstanceID: instance, clientID: "client",
        clientHost: "/127.0.0.1", sessionTimeoutMilliseconds: session,
        rebalanceTimeoutMilliseconds: rebalance, protocolType: type, protocols: protocols,
        requiresKnownMemberID: known, supportsSkippingAssignment: skips)
}

func commit(
    _ offset: Int64, member: String = "", generation: Int32 = -1, group: String = "g",
    topic: String = "t", partition: Int32 = 0, metadata: String = "", instance: String? = nil,
    retention: Int64? = nil
) -> GroupRequest {
    let part = GroupRequest.CommitOffsets.Partition(
        index: PartitionIndex(partition), offset: Offset(offset), leaderEpoch: LeaderEpoch(5),
        metadata: metadata)
    return .commitOffsets(
        GroupRequest.CommitOffsets(
            groupID: group, generation: generation, memberID: member, groupInstanceID: instance,
            retentionMilliseconds: retention, topics: [Topic(name: topic, partitions: [part])]))
}

extension Slot {
    func joined(_ token: RequestToken) throws -> GroupResponse.Join {
        guard case .join(let response) = try #require(replies[token]) else {
            throw Mismatch()
        }
        return response
    }

    /// Joins, and is answered at once.
    mutating func joinNow(_ request: GroupRequest.Join) throws -> GroupResponse.Join {
        let token = send(.join(request))
        return try joined(token)
    }

    func synced(_ token: RequestToken) throws -> GroupResponse.Sync {
        guard case .sync(let response) = try #require(replies[token]) else { throw Mismatch() }
        return response
    }

    mutating func heartbeat(
        _ member: String, _ generation: Int32, instance: String? = nil
    ) throws -> GroupError? {
        let request = GroupRequest.Heartbeat(
            groupID: "g", generation: generation, memberID: member, groupInstanceID: instance)
        guard case .heartbeat(let error) = try ask(.heartbeat(request)) else { throw Mismatch() }
        return error
    }

    mutating func leave(_ members: MemberIdentity...) throws -> [GroupError?] {
        let request = GroupRequest.Leave(groupID: "g", members: members)
        guard case .leave(let response) = try ask(.leave(request)) else { throw Mismatch() }
        return response.members.map(\.error)
    }

    mutating func sync(
        _ member: String, _ generation: Int32, instance: String? = nil,
        assign: [String: String] = [:]
    ) -> RequestToken {
        let parts = assign.sorted { $0.key < $1.key }.map {
            MemberAssignment(memberID: $0.key, assignment: bytes($0.value))
        }
        return send(
            .sync(
                GroupRequest.Sync(
                    groupID: "g", generation: generation, memberID: member,
                    groupInstanceID: instance, assignments: parts)))
    }

    /// Syncs, and is answered at once.
    mutating func syncNow(
        _ member: String, _ generation: Int32, instance: String? = nil
    ) throws -> GroupResponse.Sync {
        let token = sync(member, generation, instance: instance)
        return try synced(token)
    }

    mutating func committed(
        group: String = "g", topic: String = "t", partition: Int32 = 0
    ) throws -> Int64? {
        let request = GroupRequest.FetchOffsets(
            groupID: group,
            topics: [Topic(name: topic, partitions: [PartitionIndex(partition)])])
        guard case .fetchOffsets(let response) = try ask(.fetchOffsets(request)) else {
            throw Mismatch()
        }
        #expect(response.error == nil)
        return response.topics[0].partitions[0].offset?.rawValue
    }

    func commitError(_ token: RequestToken) throws -> GroupError? {
        guard case .commitOffsets(let topics) = try #require(replies[token]) else {
            throw Mismatch()
        }
        return topics[0].partitions[0].error
    }

    mutating func commitNow(_ request: GroupRequest) throws -> GroupError? {
        let token = send(request)
        return try commitError(token)
    }

    mutating func describe(_ group: String = "g") throws -> GroupResponse.Describe {
        let request = GroupRequest.Describe(groupID: group, reportsMissingGroup: false)
        guard case .describe(let response) = try ask(.describe(request)) else {
            throw Mismatch()
        }
        return response
    }

    /// A group of members that joined together and synced; the first one leads.
    mutating func stableGroup(
        _ count: Int, instances: [String?]? = nil
    ) throws -> (members: [String], generation: Int32) {
        var tokens: [RequestToken] = []
        for index in 0..<count {
            tokens.append(send(.join(join(instance: instances?[index]))))
        }
        advance(milliseconds: 1_000)
        let responses = try tokens.map { try joined($0) }
        let members = responses.map(\.memberID)
        let generation = responses[0].generation
        let leader = responses[0].leaderID
        var assign: [String: String] = [:]
        for member in members { assign[member] = "part of \(member)" }
        for member in members {
            let token = sync(member, generation, assign: member == leader ? assign : [:])
            if member == members.last { #expect(try synced(token).error == nil) }
        }
        #expect(try describe().state == .stable)
        return (members, generation)
    }
}

/// A reply of another kind than the request.
struct Mismatch: Error {}

extension Slot {
    var timerCount: Int { coordinator.outbox.timers.count }
    var sentCount: Int { Int(lastToken) }
}
