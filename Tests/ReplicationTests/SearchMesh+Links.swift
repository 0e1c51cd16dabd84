import Model
import Replication

/// Streams between leader and followers.
extension SearchMesh {
    /// In order behind what is on the same link already; lost where the link is down.
    mutating func send(_ message: SearchMessage, from: Int, to: Int) {
        guard isLinked[from][to] else { return }
        let arrival = max(lastArrival[from][to], now + 1 + Int64(random(8)))
        lastArrival[from][to] = arrival
        schedule.add(
            .message(from: from, to: to, link: links[from][to], message), at: arrival)
    }

    mutating func receive(_ message: SearchMessage, from: Int, at broker: Int) {
        switch message {
        case .attach(let request): attach(request, from: from, at: broker)
        case .attached(let session, let agreement, let progress):
            var ownEnd: Offset?
            if case .truncate(let epoch, _) = agreement {
                ownEnd = brokers[broker].log.endOffset(for: epoch)?.end
                if !plan.rules.truncationByEpoch { ownEnd = brokers[broker].log.end }
            }
            follower(broker, .attached(session, agreement, progress, ownEnd: ownEnd))
        case .refused(let session, let reason): follower(broker, .refused(session, reason))
        case .append(let session, let epoch, let base, let progress, let records):
            follower(broker, .records(session, epoch, base: base, progress), records: records)
        case .acknowledged(let id, let epoch, let end):
            if let stream = brokers[broker].streams[from], stream.leaderEpoch == epoch {
                brokers[broker].streams[from]?.acknowledge(end)
            }
            drive(broker, .followerAcked(id, epoch, end: end))
            pump(broker)
        case .progress(let session, let progress): follower(broker, .progress(session, progress))
        case .recognise(let serial, let epoch):
            let known = max(
                brokers[broker].known.leaderEpoch, brokers[broker].following.leaderEpoch)
            let local = instant(broker)
            let isGiven = brokers[broker].promise.promise(epoch, known: known, now: local)
            guard isGiven, !brokers[broker].leads else { return }
            send(.recognised(serial, brokers[broker].id, epoch), from: broker, to: from)
        case .recognised(let serial, let id, let epoch):
            guard let sentAt = brokers[broker].recognisedAt[serial] else { return }
            brokers[broker].complete.promised(by: id, epoch, sentAt: sentAt)
        }
    }

    private mutating func attach(_ request: AttachRequest, from: Int, at broker: Int) {
        guard let leadership = brokers[broker].leading.leadership else {
            return send(.refused(request.session, .notLeader), from: broker, to: from)
        }
        let isCurrent = leadership.epoch == request.leaderEpoch
        guard isCurrent || !plan.rules.epochFencing else {
            return send(.refused(request.session, .fencedEpoch), from: broker, to: from)
        }
        if let stream = brokers[broker].streams[from], !stream.isReplaced(by: request) { return }
        let log = brokers[broker].log
        let agreement = FollowerStream.answer(
            request, logStart: .zero, logEnd: log.end,
            found: log.endOffset(for: request.lastEpoch), rules: plan.rules)
        let progress = progress(broker)
        send(.attached(request.session, agreement, progress), from: broker, to: from)
        guard case .agreed = agreement else { return }
        brokers[broker].streams[from] = FollowerStream(request)
        let epoch = plan.rules.epochFencing ? request.leaderEpoch : leadership.epoch
        drive(broker, .followerAttached(request.replica, epoch, end: request.vouchedEnd))
        pump(broker)
    }

    func progress(_ broker: Int) -> LeaderProgress {
        LeaderProgress(
            highWatermark: brokers[broker].leading.highWatermark, logStart: .zero)
    }

    /// Sends each follower what it has not got, a few records at a time.
    mutating func pump(_ broker: Int) {
        guard brokers[broker].isUp, let epoch = brokers[broker].leading.leadership?.epoch else {
            return
        }
        for peer in brokers.indices where brokers[broker].streams[peer] != nil {
            pump(broker, to: peer, epoch)
        }
    }

    private mutating func pump(_ broker: Int, to peer: Int, _ epoch: LeaderEpoch) {
        let progress = progress(broker)
        let end = brokers[broker].log.end
        while let read = brokers[broker].streams[peer]?.read(logEnd: end, hotFrom: .zero),
            let session = brokers[broker].streams[peer]?.session
        {
            let from = Int(read.from.rawValue)
            let upTo = min(from + 1 + random(3), brokers[broker].log.records.count)
            let records = Array(brokers[broker].log.records[from..<upTo])
            send(
                .append(session, epoch, base: read.from, progress, records), from: broker,
                to: peer)
            brokers[broker].streams[peer]?.sent(
                through: Offset(Int64(upTo)), bytes: 100_000 * records.count,
                highWatermark: progress.highWatermark, logStart: .zero)
        }
        let isNews = brokers[broker].streams[peer]?.tell(
            highWatermark: progress.highWatermark, logStart: .zero)
        if isNews == true, let session = brokers[broker].streams[peer]?.session {
            send(.progress(session, progress), from: broker, to: peer)
        }
    }

    mutating func follower(
        _ broker: Int, _ input: FollowerMachine.Input, records: [SearchRecord] = []
    ) {
        var effects: [FollowerMachine.Effect] = []
        let local = instant(broker)
        brokers[broker].following.handle(input, now: local, into: &effects)
        for effect in effects {
            switch effect {
            case .attach(let leader, let request):
                send(.attach(request), from: broker, to: Int(leader.rawValue))
            case .truncate(let end):
                brokers[broker].log.truncate(to: Int(end.rawValue))
                let log = brokers[broker].log
                follower(broker, .truncated(end: log.end, lastEpoch: log.lastEpoch))
            case .startOver: fail("\(broker) starts over although nothing was deleted")
            case .append:
                brokers[broker].log.records += records
                let log = brokers[broker].log
                follower(broker, .appended(end: log.end, lastEpoch: log.lastEpoch))
            case .acknowledge: acknowledge(broker)
            case .sync: beginSync(broker, leader: false)
            case .highWatermark(let mark): checkFollower(broker, mark)
            case .logStart, .recordEpoch: continue
            case .wake(let at): wakeLater(broker, at, .follower)
            case .alarm(let alarm):
                fail("alarm: \(broker) cuts to \(alarm.cut.rawValue) below its watermark")
            }
        }
    }

    private mutating func acknowledge(_ broker: Int) {
        guard let leader = brokers[broker].following.leader,
            let (epoch, end) = brokers[broker].following.takeAcknowledgement()
        else { return }
        send(
            .acknowledged(brokers[broker].id, epoch, end), from: broker,
            to: Int(leader.rawValue))
    }
}
