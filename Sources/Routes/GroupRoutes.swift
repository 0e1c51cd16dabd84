import Coordination
import KafkaProtocol
import Model
import NIOCore
import Node

extension RequestLoop {
    /// Asks the coordinator of one group.
    private func ask(_ request: GroupRequest, then: @escaping (GroupResponse) -> Void) {
        ask(.group(request)) { reply in
            if case .group(let response) = reply { then(response) }
        }
    }

    /// Asks the coordinators of several groups and gives the answers in the order of the requests.
    private func ask(_ requests: [GroupRequest], then: @escaping ([GroupResponse]) -> Void) {
        var answers = [GroupResponse?](repeating: nil, count: requests.count)
        var remaining = requests.count
        guard remaining > 0 else {
            then([])
            return
        }
        for (place, request) in requests.enumerated() {
            ask(request) { response in
                answers[place] = response
                remaining -= 1
                if remaining == 0 { then(answers.compactMap { $0 }) }
            }
        }
    }

    func findCoordinator(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try FindCoordinatorRequest.decode(body, version: exchange.version)
        let keys = exchange.version >= 4 ? request.keys : [request.key]
        let isBatched = exchange.version >= 4
        guard request.keyType == 0 else {
            let message = "key type \(request.keyType): only groups (0) have coordinators here"
            respond(
                exchange, isBatched,
                keys.map { Self.nobody($0, .invalidRequest, message) })
            return
        }
        ask(.coordinators(groups: keys)) { [unowned self] reply in
            guard case .coordinators(let found) = reply else { return }
            self.respond(exchange, keys, isBatched, found)
        }
    }

    private static func nobody(
        _ key: String, _ error: ErrorCode, _ message: String?
    ) -> FindCoordinatorResponse.Coordinator {
        FindCoordinatorResponse.Coordinator(
            key: key, nodeID: -1, host: "", port: -1, errorCode: error, errorMessage: message)
    }

    private func respond(
        _ exchange: Exchange, _ keys: [String], _ isBatched: Bool, _ found: [NodeID?]
    ) {
        let coordinators = zip(keys, found).map { key, node in
            guard !key.isEmpty else { return Self.nobody(key, .invalidGroupID, nil) }
            guard let node, let broker = view.broker(node),
                let endpoint = broker.endpoint(for: exchange.connection.listener)
            else {
                return Self.nobody(
                    key, .coordinatorNotAvailable,
                    node.map { "broker \($0.rawValue), which coordinates the group, is not there" }
                        ?? "the slots can't be made now")
            }
            return FindCoordinatorResponse.Coordinator(
                key: key, nodeID: node.rawValue, host: endpoint.host, port: endpoint.port,
                errorCode: .none, errorMessage: nil)
        }
        respond(exchange, isBatched, coordinators)
    }

    private func respond(
        _ exchange: Exchange, _ isBatched: Bool,
        _ coordinators: [FindCoordinatorResponse.Coordinator]
    ) {
        guard !isBatched, let only = coordinators.first else {
            exchange.respond(FindCoordinatorResponse(coordinators: coordinators))
            return
        }
        exchange.respond(
            FindCoordinatorResponse(
                errorCode: only.errorCode, errorMessage: only.errorMessage, nodeID: only.nodeID,
                host: only.host, port: only.port))
    }

    func joinGroup(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try JoinGroupRequest.decode(body, version: exchange.version)
        let version = exchange.version
        let join = GroupRequest.Join(
            groupID: request.groupID, memberID: request.memberID,
            groupInstanceID: request.groupInstanceID, clientID: exchange.header.clientID ?? "",
            clientHost: "/\(exchange.connection.clientHost)",
            sessionTimeoutMilliseconds: request.sessionTimeoutMilliseconds,
            rebalanceTimeoutMilliseconds: version == 0
                ? request.sessionTimeoutMilliseconds : request.rebalanceTimeoutMilliseconds,
            protocolType: request.protocolType,
            protocols: request.protocols.map {
                MemberProtocol(name: $0.name, metadata: $0.metadata)
            },
            requiresKnownMemberID: version >= 4, supportsSkippingAssignment: version >= 9)
        ask(.join(join)) { response in
            guard case .join(let joined) = response else { return }
            exchange.respond(
                JoinGroupResponse(
                    errorCode: joined.error.errorCode, generationID: joined.generation,
                    protocolType: joined.protocolType,
                    protocolName: joined.protocolName ?? (version >= 7 ? nil : ""),
                    leader: joined.leaderID, skipAssignment: joined.skipsAssignment,
                    memberID: joined.memberID,
                    members: joined.members.map {
                        JoinGroupResponse.Member(
                            memberID: $0.memberID, groupInstanceID: $0.groupInstanceID,
                            metadata: $0.metadata)
                    }))
        }
    }

    func syncGroup(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try SyncGroupRequest.decode(body, version: exchange.version)
        let sync = GroupRequest.Sync(
            groupID: request.groupID, generation: request.generationID,
            memberID: request.memberID, groupInstanceID: request.groupInstanceID,
            protocolType: request.protocolType, protocolName: request.protocolName,
            assignments: request.assignments.map {
                MemberAssignment(memberID: $0.memberID, assignment: $0.assignment)
            })
        ask(.sync(sync)) { response in
            guard case .sync(let synced) = response else { return }
            exchange.respond(
                SyncGroupResponse(
                    errorCode: synced.error.errorCode, protocolType: synced.protocolType,
                    protocolName: synced.protocolName, assignment: synced.assignment))
        }
    }

    func heartbeat(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try HeartbeatRequest.decode(body, version: exchange.version)
        let heartbeat = GroupRequest.Heartbeat(
            groupID: request.groupID, generation: request.generationID,
            memberID: request.memberID, groupInstanceID: request.groupInstanceID)
        ask(.heartbeat(heartbeat)) { response in
            guard case .heartbeat(let error) = response else { return }
            exchange.respond(HeartbeatResponse(errorCode: error.errorCode))
        }
    }

    func leaveGroup(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try LeaveGroupRequest.decode(body, version: exchange.version)
        let isBatched = exchange.version >= 3
        let members =
            isBatched
            ? request.members.map {
                MemberIdentity(memberID: $0.memberID, groupInstanceID: $0.groupInstanceID)
            } : [MemberIdentity(memberID: request.memberID)]
        ask(.leave(.init(groupID: request.groupID, members: members))) { response in
            guard case .leave(let left) = response else { return }
            let first = left.error ?? (isBatched ? nil : left.members.first?.error)
            exchange.respond(
                LeaveGroupResponse(
                    errorCode: first.errorCode,
                    members: left.members.map {
                        LeaveGroupResponse.Member(
                            memberID: $0.identity.memberID,
                            groupInstanceID: $0.identity.groupInstanceID,
                            errorCode: $0.error.errorCode)
                    }))
        }
    }

    func describeGroups(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try DescribeGroupsRequest.decode(body, version: exchange.version)
        let operations = request.includeAuthorizedOperations ? AuthorizedOperations.group : .min
        var named: Set<String> = []
        let groupIDs = request.groupIDs.filter { named.insert($0).inserted }
        let requests = groupIDs.map {
            GroupRequest.describe(
                .init(groupID: $0, reportsMissingGroup: exchange.version >= 6))
        }
        ask(requests) { responses in
            let groups = zip(groupIDs, responses).map { id, response in
                Self.described(id, response, operations)
            }
            exchange.respond(DescribeGroupsResponse(groups: groups))
        }
    }

    private static func described(
        _ id: String, _ response: GroupResponse, _ operations: Int32
    ) -> DescribeGroupsResponse.Group {
        guard case .describe(let group) = response else {
            return DescribeGroupsResponse.Group(errorCode: .unknownServerError, groupID: id)
        }
        return DescribeGroupsResponse.Group(
            errorCode: group.error.errorCode,
            errorMessage: group.error.map { _ in group.error.errorCode.message }, groupID: id,
            groupState: group.state?.rawValue ?? "", protocolType: group.protocolType,
            protocolData: group.protocolName,
            members: group.members.map {
                DescribeGroupsResponse.Member(
                    memberID: $0.memberID, groupInstanceID: $0.groupInstanceID,
                    clientID: $0.clientID, clientHost: $0.clientHost, memberMetadata: $0.metadata,
                    memberAssignment: $0.assignment)
            },
            authorizedOperations: operations)
    }

    func listGroups(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try ListGroupsRequest.decode(body, version: exchange.version)
        let list = GroupRequest.List(states: request.statesFilter, types: request.typesFilter)
        ask(.listGroups(list)) { reply in
            guard case .groups(let found) = reply else { return }
            exchange.respond(
                ListGroupsResponse(
                    errorCode: found.error.errorCode,
                    groups: found.groups.map {
                        ListGroupsResponse.Group(
                            groupID: $0.groupID, protocolType: $0.protocolType,
                            groupState: $0.state.rawValue, groupType: $0.groupType)
                    }))
        }
    }

    func deleteGroups(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try DeleteGroupsRequest.decode(body, version: exchange.version)
        ask(request.groupIDs.map { .delete(.init(groupID: $0)) }) { responses in
            let groups = zip(request.groupIDs, responses).map { id, response in
                guard case .delete(let error) = response else {
                    return DeleteGroupsResponse.Group(groupID: id, errorCode: .unknownServerError)
                }
                return DeleteGroupsResponse.Group(groupID: id, errorCode: error.errorCode)
            }
            exchange.respond(DeleteGroupsResponse(groups: groups))
        }
    }
}
