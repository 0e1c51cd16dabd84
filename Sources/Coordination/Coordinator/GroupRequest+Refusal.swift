internal import Model

extension GroupRequest {
    /// The group that is meant; nil for a list.
    public var groupID: String? {
        switch self {
        case .join(let request): request.groupID
        case .sync(let request): request.groupID
        case .heartbeat(let request): request.groupID
        case .leave(let request): request.groupID
        case .commitOffsets(let request): request.groupID
        case .fetchOffsets(let request): request.groupID
        case .describe(let request): request.groupID
        case .list: nil
        case .delete(let request): request.groupID
        case .deleteOffsets(let request): request.groupID
        }
    }

    /// Old simple consumers stored offsets under the empty id, so it can be read, seen and removed.
    var acceptsEmptyGroupID: Bool {
        switch self {
        case .commitOffsets, .fetchOffsets, .describe, .delete, .list: true
        case .join, .sync, .heartbeat, .leave, .deleteOffsets: false
        }
    }

    /// The answer to a request that fails as a whole.
    ///
    /// While a slot loads, a heartbeat is answered as a success and a sync with
    /// REBALANCE_IN_PROGRESS, as Kafka does: clients take COORDINATOR_LOAD_IN_PROGRESS as fatal
    /// there, because they hold a connection to a coordinator that had answered them before.
    public func refusal(_ error: GroupError) -> GroupResponse {
        let isLoading = error == .coordinatorLoadInProgress
        switch self {
        case .join(let join):
            return .join(GroupResponse.Join(error: error, memberID: join.memberID))
        case .sync:
            return .sync(GroupResponse.Sync(error: isLoading ? .rebalanceInProgress : error))
        case .heartbeat:
            return .heartbeat(isLoading ? nil : error)
        case .leave:
            return .leave(GroupResponse.Leave(error: error))
        case .commitOffsets(let commit):
            return .commitOffsets(commit.outcomes(error))
        case .fetchOffsets:
            return .fetchOffsets(GroupResponse.FetchOffsets(error: error))
        case .describe:
            return .describe(GroupResponse.Describe(error: error))
        case .list:
            return .list(GroupResponse.List(error: error))
        case .delete:
            return .delete(error)
        case .deleteOffsets:
            return .deleteOffsets(GroupResponse.DeleteOffsets(error: error))
        }
    }
}

extension GroupRequest.CommitOffsets {
    /// The same outcome for every partition.
    func outcomes(_ error: GroupError?) -> [Topic<PartitionOutcome>] {
        topics.map { topic in
            Topic(
                name: topic.name,
                partitions: topic.partitions.map {
                    PartitionOutcome(index: $0.index, error: error)
                })
        }
    }
}
