internal import KafkaProtocol
internal import NIOCore

/// One member of a consumer group, classic protocol, range assignment.
///
/// Joins, syncs, keeps itself alive by heartbeats in a task of its own, and notices when the group
/// rebalances; whoever consumes asks `needsToJoin` between polls. An actor owns the generation.
public actor GroupMember {
    /// What the member was given in the current generation.
    public struct Assignment: Sendable, Equatable {
        public var generation: Int32
        public var partitions: [TopicPartitionName]
    }

    private let client: KafkaClient
    private let group: String
    private let topics: [String]
    private let sessionMilliseconds: Int64
    private var memberID = ""
    private var generation: Int32 = -1
    private var heartbeats: Task<Void, Never>?
    private var failure: ClientError?
    /// Whether the group has moved on and `join` must be called before anything else.
    public private(set) var needsToJoin = true

    public init(
        _ client: KafkaClient, group: String, topics: [String],
        sessionMilliseconds: Int64 = 30_000
    ) {
        self.client = client
        self.group = group
        self.topics = topics.sorted()
        self.sessionMilliseconds = sessionMilliseconds
    }

    /// Joins the group, or joins it again, and returns what this member is to read.
    public func join() async throws(ClientError) -> Assignment {
        heartbeats?.cancel()
        heartbeats = nil
        var pause = client.configuration.backoffMilliseconds
        var failures = 0
        while true {
            do {
                let joined = try await sendJoin()
                guard let assignment = try await sync(joined) else { continue }
                needsToJoin = false
                failure = nil
                startHeartbeats()
                return assignment
            } catch {
                guard error.isRetriable || Self.isRejoinable(error) else { throw error }
                failures += 1
                guard failures < client.configuration.attempts * 2 else { throw error }
                await client.forget(.coordinator(group: group))
                do {
                    try await Task.sleep(for: .milliseconds(pause))
                } catch {
                    throw .closed(client.configuration.bootstrap[0])
                }
                pause = min(pause * 2, 1_000)
            }
        }
    }

    /// Throws what the heartbeats met and could not mend.
    public func check() throws(ClientError) {
        if let failure { throw failure }
    }

    /// Commits positions in the current generation; returns false if the group has moved on.
    public func commit(
        _ offsets: [TopicPartitionName: Int64]
    ) async throws(ClientError) -> Bool {
        guard !offsets.isEmpty, generation >= 0 else { return true }
        do {
            try await client.commit(
                offsets, group: group, generation: generation, memberID: memberID,
                lane: .membership)
            return true
        } catch {
            guard Self.isRejoinable(error) else { throw error }
            needsToJoin = true
            return false
        }
    }

    /// Leaves the group, so that the others need not wait for the session to end.
    public func leave() async {
        heartbeats?.cancel()
        heartbeats = nil
        guard !memberID.isEmpty else { return }
        let target = KafkaClient.Target.coordinator(group: group)
        let version = try? await client.connection(to: target, lane: .membership)
            .version(of: .leaveGroup)
        let request =
            (version ?? 0) >= 3
            ? LeaveGroupRequest(groupID: group, members: [.init(memberID: memberID)])
            : LeaveGroupRequest(groupID: group, memberID: memberID)
        _ = try? await client.send(request, to: target, lane: .membership)
        memberID = ""
        generation = -1
    }

    private static func isRejoinable(_ error: ClientError) -> Bool {
        guard case .refused(let code, _, _) = error else { return false }
        return [.rebalanceInProgress, .illegalGeneration, .unknownMemberID, .memberIDRequired]
            .contains(code)
    }

    private func sendJoin() async throws(ClientError) -> JoinGroupResponse {
        let request = JoinGroupRequest(
            groupID: group, sessionTimeoutMilliseconds: Int32(clamping: sessionMilliseconds),
            rebalanceTimeoutMilliseconds: 60_000, memberID: memberID, protocolType: "consumer",
            protocols: [
                .init(
                    name: RangeAssignor.name, metadata: MembershipCodec.subscription(to: topics))
            ])
        let response = try await client.send(
            request, to: .coordinator(group: group), lane: .membership,
            timeoutMilliseconds: 65_000 + sessionMilliseconds)
        if response.errorCode == .memberIDRequired { memberID = response.memberID }
        if response.errorCode == .unknownMemberID { memberID = "" }
        try refuse(response.errorCode)
        memberID = response.memberID
        generation = response.generationID
        return response
    }

    /// Hands in the plan, if this member leads, and gets its own part; nil to join again.
    private func sync(_ joined: JoinGroupResponse) async throws(ClientError) -> Assignment? {
        var plan: [SyncGroupRequest.MemberAssignment] = []
        if joined.leader == joined.memberID, !joined.skipAssignment {
            plan = try await assign(joined.members)
        }
        let response = try await client.send(
            SyncGroupRequest(
                groupID: group, generationID: generation, memberID: memberID,
                protocolType: "consumer", protocolName: joined.protocolName ?? RangeAssignor.name,
                assignments: plan),
            to: .coordinator(group: group), lane: .membership,
            timeoutMilliseconds: 65_000 + sessionMilliseconds)
        if response.errorCode == .rebalanceInProgress { return nil }
        try refuse(response.errorCode)
        guard let partitions = MembershipCodec.partitions(ofAssignment: response.assignment)
        else {
            throw .malformed(client.configuration.bootstrap[0], "an assignment that is none")
        }
        return Assignment(generation: generation, partitions: partitions.sorted())
    }

    private func assign(
        _ members: [JoinGroupResponse.Member]
    ) async throws(ClientError) -> [SyncGroupRequest.MemberAssignment] {
        var subscriptions: [String: [String]] = [:]
        for member in members {
            subscriptions[member.memberID] =
                MembershipCodec.topics(ofSubscription: member.metadata) ?? []
        }
        let wanted = Array(Set(subscriptions.values.flatMap { $0 })).sorted()
        let metadata = try await client.metadata(topics: wanted)
        var counts: [String: Int32] = [:]
        for topic in metadata.topics where topic.errorCode == .none {
            if let name = topic.name { counts[name] = Int32(topic.partitions.count) }
        }
        let plan = RangeAssignor.assign(subscriptions: subscriptions, partitionCounts: counts)
        return members.map {
            .init(
                memberID: $0.memberID,
                assignment: MembershipCodec.assignment(plan[$0.memberID] ?? []))
        }
    }

    private func refuse(_ code: ErrorCode) throws(ClientError) {
        guard code == .none else {
            throw .refused(code, subject: "group \(group)", message: nil)
        }
    }

    // MARK: Heartbeats

    private func startHeartbeats() {
        let interval = max(sessionMilliseconds / 10, 100)
        heartbeats = Task { [weak self] in
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: .milliseconds(interval))
                } catch {
                    return
                }
                guard let self, await self.beat() else { return }
            }
        }
    }

    /// Sends one heartbeat; false ends the series.
    private func beat() async -> Bool {
        let sentIn = generation
        do {
            let response = try await client.send(
                HeartbeatRequest(groupID: group, generationID: sentIn, memberID: memberID),
                to: .coordinator(group: group), lane: .membership)
            guard generation == sentIn, !needsToJoin else { return false }
            try refuse(response.errorCode)
            return true
        } catch {
            guard generation == sentIn else { return false }
            if case .refused(let code, _, _) = error {
                if code == .unknownMemberID { memberID = "" }
                if Self.isRejoinable(error) {
                    needsToJoin = true
                    return false
                }
            }
            guard error.isRetriable else {
                failure = error
                return false
            }
            await client.forget(.coordinator(group: group))
            return true
        }
    }
}
