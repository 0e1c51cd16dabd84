package import KafkaProtocol
import Model
import NIOCore
package import Node
import Storage

/// Answers to questions about partitions while shards are asked; owned by the connection's loop.
private final class QuestionAssembly {
    var answers: [PartitionAnswer]
    var remaining = 0

    init(places: [PartitionPlace]) {
        answers = places.map { .failed($0.refusal ?? .unknownTopicOrPartition) }
    }
}

extension RequestLoop {
    /// Asks each partition's shard and gives the answers in the order of the questions.
    package func ask(
        _ questions: [(PartitionPlace, PartitionQuestion)],
        then: @escaping ([PartitionAnswer]) -> Void
    ) throws(WireError) {
        guard questions.count <= RequestBounds.questionsMaximum else {
            throw .tooManyElements(questions.count)
        }
        let assembly = QuestionAssembly(places: questions.map(\.0))
        var places = Array(repeating: [Int](), count: loopCount)
        for (place, question) in questions.enumerated() {
            if let partition = question.0.own { places[shardIndex(of: partition)].append(place) }
        }
        assembly.remaining = places.count { !$0.isEmpty }
        guard assembly.remaining > 0 else {
            then(assembly.answers)
            return
        }
        for (shard, share) in places.enumerated() where !share.isEmpty {
            let token = expect { answer in
                guard case .answered(let answers) = answer else { return }
                for (place, answer) in zip(share, answers) { assembly.answers[place] = answer }
                assembly.remaining -= 1
                if assembly.remaining == 0 { then(assembly.answers) }
            }
            let asked = share.compactMap { place in
                questions[place].0.own.map { ($0, questions[place].1) }
            }
            post(shard: .ask(token: token, asked), to: shard)
        }
    }

    func listOffsets(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try ListOffsetsRequest.decode(body, version: exchange.version)
        var questions: [(PartitionPlace, PartitionQuestion)] = []
        for topic in request.topics {
            for wanted in topic.partitions {
                questions.append(
                    (
                        view.place(topic.name, wanted.index),
                        .offset(
                            at: wanted.timestamp,
                            currentLeaderEpoch: LeaderEpoch(wanted.currentLeaderEpoch))
                    ))
            }
        }
        try ask(questions) { answers in
            var rest = answers[...]
            let topics = request.topics.map { topic in
                ListOffsetsResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map { wanted in
                        Self.offset(wanted.index, rest.popFirst())
                    })
            }
            exchange.respond(ListOffsetsResponse(topics: topics))
        }
    }

    private static func offset(
        _ index: Int32, _ answer: PartitionAnswer?
    ) -> ListOffsetsResponse.Partition {
        switch answer {
        case .offset(let offset, let timestamp, let epoch):
            ListOffsetsResponse.Partition(
                index: index, timestamp: timestamp.milliseconds, offset: offset.rawValue,
                leaderEpoch: epoch.rawValue)
        case let other:
            ListOffsetsResponse.Partition(index: index, errorCode: code(of: other))
        }
    }

    /// The error of an answer that is not of the kind asked for.
    private static func code(of answer: PartitionAnswer?) -> ErrorCode {
        if case .failed(let error) = answer { error.code } else { .unknownServerError }
    }

    func offsetForLeaderEpoch(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try OffsetForLeaderEpochRequest.decode(body, version: exchange.version)
        var questions: [(PartitionPlace, PartitionQuestion)] = []
        for topic in request.topics {
            for wanted in topic.partitions {
                questions.append(
                    (
                        view.place(topic.name, wanted.index),
                        .end(
                            of: LeaderEpoch(wanted.leaderEpoch),
                            currentLeaderEpoch: LeaderEpoch(wanted.currentLeaderEpoch))
                    ))
            }
        }
        try ask(questions) { answers in
            var rest = answers[...]
            let topics = request.topics.map { topic in
                OffsetForLeaderEpochResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map { wanted in
                        guard case .end(let epoch, let end)? = rest.first else {
                            return OffsetForLeaderEpochResponse.Partition(
                                errorCode: Self.code(of: rest.popFirst()), index: wanted.index)
                        }
                        rest.removeFirst()
                        return OffsetForLeaderEpochResponse.Partition(
                            index: wanted.index, leaderEpoch: epoch.rawValue,
                            endOffset: end.rawValue)
                    })
            }
            exchange.respond(OffsetForLeaderEpochResponse(topics: topics))
        }
    }

    func deleteRecords(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try DeleteRecordsRequest.decode(body, version: exchange.version)
        var questions: [(PartitionPlace, PartitionQuestion)] = []
        for topic in request.topics {
            for wanted in topic.partitions {
                questions.append(
                    (
                        view.place(topic.name, wanted.index),
                        .delete(
                            before: wanted.offset,
                            timeoutMilliseconds: Int64(request.timeoutMilliseconds))
                    ))
            }
        }
        try ask(questions) { answers in
            var rest = answers[...]
            let topics = request.topics.map { topic in
                DeleteRecordsResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map { wanted in
                        guard case .deleted(let low)? = rest.first else {
                            return DeleteRecordsResponse.Partition(
                                index: wanted.index, lowWatermark: -1,
                                errorCode: Self.code(of: rest.popFirst()))
                        }
                        rest.removeFirst()
                        return DeleteRecordsResponse.Partition(
                            index: wanted.index, lowWatermark: low.rawValue)
                    })
            }
            exchange.respond(DeleteRecordsResponse(topics: topics))
        }
    }

    func describeProducers(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        var request = try DescribeProducersRequest.decode(body, version: exchange.version)
        for place in request.topics.indices {
            request.topics[place].partitionIndexes = Set(request.topics[place].partitionIndexes)
                .sorted()
        }
        let questions = request.topics.flatMap { topic in
            topic.partitionIndexes.map {
                (view.place(topic.name, $0), PartitionQuestion.producers)
            }
        }
        try ask(questions) { answers in
            var rest = answers[...]
            let topics = request.topics.map { topic in
                DescribeProducersResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitionIndexes.map { index in
                        Self.producers(index, rest.popFirst())
                    })
            }
            exchange.respond(DescribeProducersResponse(topics: topics))
        }
    }

    private static func producers(
        _ index: Int32, _ answer: PartitionAnswer?
    ) -> DescribeProducersResponse.Partition {
        guard case .producers(let producers)? = answer else {
            return DescribeProducersResponse.Partition(index: index, errorCode: code(of: answer))
        }
        return DescribeProducersResponse.Partition(
            index: index,
            activeProducers: producers.map { producer in
                DescribeProducersResponse.Producer(
                    producerID: producer.id.rawValue,
                    producerEpoch: Int32(producer.entry.epoch.rawValue),
                    lastSequence: producer.entry.batches.last?.lastSequence ?? -1,
                    lastTimestamp: producer.entry.lastSeen.milliseconds, coordinatorEpoch: -1)
            })
    }

    /// One directory holds everything; its size is what its partitions hold.
    func describeLogDirs(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try DescribeLogDirsRequest.decode(body, version: exchange.version)
        let wanted: [(name: String, indexes: [Int32])] =
            request.topics.map { $0.map { ($0.name, $0.partitionIndexes) } }
            ?? view.sortedNames.compactMap { name in
                view.topic(named: name).map { (name, $0.partitions.indices.map(Int32.init)) }
            }
        let questions = wanted.flatMap { topic in
            topic.indexes.map { (view.place(topic.name, $0), PartitionQuestion.size) }
        }
        try ask(questions) { [unowned self] answers in
            var rest = answers[...]
            var directory = DescribeLogDirsResponse.LogDirectory(path: dataDirectory)
            for topic in wanted {
                var sizes: [DescribeLogDirsResponse.Partition] = []
                for index in topic.indexes {
                    guard case .size(let bytes)? = rest.popFirst() else { continue }
                    sizes.append(
                        DescribeLogDirsResponse.Partition(index: index, partitionSize: bytes))
                }
                guard !sizes.isEmpty else { continue }
                directory.topics.append(
                    DescribeLogDirsResponse.Topic(name: topic.name, partitions: sizes))
            }
            exchange.respond(DescribeLogDirsResponse(logDirectories: [directory]))
        }
    }
}
