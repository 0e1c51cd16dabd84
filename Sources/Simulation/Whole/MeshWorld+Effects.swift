import Coordination
import Gossip
import Model
import NIOCore
import Node
import Replication
import Routes
import Storage

/// What a process says, done to its disk, its other loops and the network.
extension MeshWorld {
    /// Tokens of a broker's own appends; those of clients are below.
    static let ownTokens: UInt64 = 1 << 63
    /// When a slot is read again that could not be read.
    private static let slotAgainMicroseconds: Int64 = 1_000_000

    func perform(_ effect: Control.Effect, of life: BrokerLife, at site: BrokerSite) {
        switch effect {
        case .persist(let number, let changes): write(.own(number, changes), life, site)
        case .open(let order):
            checks.noteRole(order.role, of: order.partition, at: site, in: self)
            toShard(.open(order), of: order.partition, life, site)
        case .assume(let partition, let role):
            checks.noteRole(role, of: partition, at: site, in: self)
            toShard(.assume(partition, role), of: partition, life, site)
        case .proposalEnded(let partition, let serial, let isUnknown):
            toShard(
                .proposalEnded(partition, serial: serial, isUnknown: isUnknown), of: partition,
                life, site)
        case .close(let partition, let delete):
            toShard(.close(partition, delete: delete), of: partition, life, site)
        case .configure(let partition, let configuration):
            toShard(.configure(partition, configuration), of: partition, life, site)
        case .publish(let view):
            life.view = view
            for loop in 0..<BrokerLife.loops { post(.view(view), to: loop, of: site, from: 0) }
            watchRegister(view, at: site)
        case .reply(let token, let reply): toLoop(token, .control(reply), of: site, from: 0)
        case .append(let number, let partition, let records):
            let work = ProduceWork(
                token: Self.ownTokens | number, acknowledgement: .all,
                deadline: clock(of: site).instant.advanced(
                    byMilliseconds: Control.appendTimeoutMilliseconds),
                origin: .coordinator,
                parts: [ProduceWork.Part(partition: partition, records: records)])
            toShard(.produce(work), of: partition, life, site)
        case .load(let load):
            note(42, "\(site.node) loads slot \(load.partition.index.rawValue)")
            toShard(.scan(load, from: .zero), of: load.partition, life, site)
        case .wake(let moment): wakeLater(.control, 0, moment, site)
        case .ready(let failures):
            life.isReady = true
            tell(9, .process, "\(site.name) is ready\(failures.isEmpty ? "" : ": \(failures)")")
        case .lease(let until):
            for loop in 0..<BrokerLife.loops {
                post(.shard(.lease(until: until)), to: loop, of: site, from: 0)
            }
        case .handedOver:
            post(.plane(.mesh(.leave)), to: 0, of: site, from: 0)
        case .recognised(let node, let serial, let copy, let declined):
            send(.recognised(serial, copy, declined: declined), to: node, from: site)
        case .askToGiveWay(let node, let wishes): send(.giveWay(wishes), to: node, from: site)
        case .inquire(let node, let partitions): send(.inquire(partitions), to: node, from: site)
        case .notice(let text): note(10, "\(site.node): \(text)")
        case .askToStop(let node, let claims): send(.stopTopics(claims), to: node, from: site)
        case .tellStopped(let node, let topics):
            send(.stoppedTopics(topics), to: node, from: site)
        case .propose, .read, .leadershipsConfirmed, .releaseLease, .spread, .forgetSlots,
            .slotEpochs:
            preconditionFailure("these stay within the control plane")
        }
    }

    private func toShard(
        _ input: Shard.Input, of partition: TopicPartition, _ life: BrokerLife, _ site: BrokerSite
    ) {
        post(.shard(input), to: life.shardIndex(of: partition), of: site, from: 0)
    }

    func perform(_ effect: Shard.Effect, _ loop: Int, of life: BrokerLife, at site: BrokerSite) {
        func toControl(_ input: Control.Input) {
            post(.plane(.control(input)), to: 0, of: site, from: loop)
        }
        switch effect {
        case .produced(let token, let results):
            if token >= Self.ownTokens {
                toControl(.appended(token & ~Self.ownTokens, results[0]))
            } else {
                toLoop(token, .produced(results), of: site, from: loop)
            }
        case .fetched(let token, let results):
            checkReigns(of: life, loop, at: site)
            toLoop(token, .fetched(results), of: site, from: loop)
        case .answered(let token, let answers):
            toLoop(token, .answered(answers), of: site, from: loop)
        case .run(let job):
            let delay = draw(30...1_500) * site.slowness
            schedule(
                .job(site: site.index, life: site.lives, shard: loop, job),
                afterMicroseconds: delay)
        case .wake(let moment): wakeLater(.shard, loop, moment, site)
        case .send(let node, let message):
            // By way of the first loop, which has the links.
            if loop == 0 { return send(message, to: node, from: site) }
            sendLater(message, to: node, from: site, loop)
        case .proposeInSync(let wish): toControl(.proposeInSync(wish))
        case .standing(let standings): toControl(.standing(standings))
        case .stoodDown(let partition, let epoch): toControl(.stoodDown(partition, epoch))
        case .closed(let partition): toControl(.closed(partition))
        case .opened(let partition, let failure):
            toControl(.opened(partition, failure: failure))
        case .scanned(let load, .empty):
            note(43, "\(site.node) has loaded slot \(load.partition.index.rawValue)")
            toControl(.slotEnd(load))
        case .scanned(let load, let piece):
            schedule(
                .slotRead(site: site.index, life: site.lives, shard: loop, load, piece),
                afterMicroseconds: draw(30...1_500) * site.slowness)
        case .notice(let notice): note(11, "\(site.node): \(notice)")
        case .broken(let partition, let reason):
            tell(12, .process, "\(site.name) is broken: \(partition) \(reason)")
            kill(site, withMachine: false)
            startLater(site)
        case .stopped(let clean): stopped(site, clean: clean)
        }
    }

    func perform(_ effect: Mesh.Effect, of life: BrokerLife, at site: BrokerSite) {
        switch effect {
        case .sendDatagram(let to, let bytes): send(datagram: bytes, to: to, from: site)
        case .send(let to, let kind, let bytes):
            send(.mesh(kind, bytes), to: Int(to.rawValue) - 1, from: site)
        case .connect(let to, _): dial(site, Int(to.rawValue) - 1, nil)
        case .contactSeeds(let seeds):
            for seed in seeds { dial(site, (Int(seed.host.dropFirst()) ?? 1) - 1, seed) }
        case .wake(let moment): wakeLater(.mesh, 0, moment, site)
        case .persistRegisters(let serial, let changes):
            life.promises.append((serial, changes))
            if life.promises.count == 1 {
                schedule(
                    .promise(site: site.index, life: site.lives),
                    afterMicroseconds: draw(50...800) * site.slowness)
            }
        case .persistChosen(let changes):
            noteChosen(changes, at: site)
            write(.chosen(changes), life, site)
        case .persistOwn(let changes): write(.members(changes), life, site)
        case .replicate(let to, let message): send(message, to: to, from: site)
        // Copies of feeds are a cache: their files are no part of what is promised.
        case .admitted, .answer, .persistFeeds, .removeFeed: break
        case .votersAnswer(let token, let answer): tell(token, answer)
        case .heard(let member):
            guard let store = life.plane.mesh.admission(of: member.node)?.store else { return }
            if life.boots[store].map({ $0.boot < member.life.boot }) ?? true {
                life.boots[store] = (member.life.boot, nil)
            }
        case .forget(let node): closeLink(site, Int(node.rawValue) - 1)
        case .joinAnswer(let token, let answer):
            guard let newcomer = joins.removeValue(forKey: token) else { return }
            guard !isCut(site.index, newcomer) else { return }
            schedule(
                .joinAnswered(site: newcomer, answer), afterMicroseconds: draw(300...1_500))
        case .left:
            for loop in 0..<BrokerLife.loops {
                post(.shard(.stop), to: loop, of: site, from: 0)
            }
        case .event(let event): note(13, "\(site.node): \(event)")
        case .loaded, .learned, .decided, .members, .leased, .confirmLeaderships:
            preconditionFailure("these stay within the control plane")
        }
    }

    // MARK: Disks

    private func write(_ write: BrokerLife.Write, _ life: BrokerLife, _ site: BrokerSite) {
        life.writes.append(write)
        guard life.writes.count == 1 else { return }
        schedule(
            .table(site: site.index, life: site.lives),
            afterMicroseconds: draw(50...800) * site.slowness)
    }

    func writeTable(_ site: BrokerSite) {
        guard let life = site.life else { return }
        if let input = life.writeTable() { deliver(.plane(input), to: 0, of: site) }
        endIfPowerless(site)
        guard site.life === life, !life.writes.isEmpty else { return }
        schedule(
            .table(site: site.index, life: site.lives),
            afterMicroseconds: draw(50...800) * site.slowness)
    }

    func writePromise(_ site: BrokerSite) {
        guard let life = site.life, !life.promises.isEmpty else { return }
        let count = life.promises.count
        let oldest = life.promises[0].changes
        let input = life.writePromise()
        if case .mesh(.registersPersisted(_, isDurable: true))? = input {
            noteAccepted(oldest, of: site)
        }
        if site.disk.isPowerOff { return endIfPowerless(site) }
        if let input { deliver(.plane(input), to: 0, of: site) }
        guard site.life === life, !life.promises.isEmpty else { return }
        let isFull = life.promises.count == count && input == nil
        schedule(
            .promise(site: site.index, life: site.lives),
            afterMicroseconds: isFull ? 500_000 : draw(50...800) * site.slowness)
    }

    func run(_ job: DiskJob, _ shard: Int, _ site: BrokerSite) {
        guard let life = site.life else { return }
        let outcome = job.run(
            on: life.disk, files: life.files, tail: life.tails[shard], now: clock(of: site))
        if site.disk.isPowerOff { return endIfPowerless(site) }
        deliver(.shard(.finished(outcome)), to: shard, of: site)
    }

    func read(_ load: SlotLoad, _ piece: LogRead, _ shard: Int, _ site: BrokerSite) {
        guard site.life != nil else { return }
        guard let records = try? piece.simulatedRecords(), let last = records.last else {
            if site.disk.isPowerOff { return endIfPowerless(site) }
            // As a broker does: the disk may read it the next time.
            note(44, "\(site.node) can't read slot \(load.partition.index.rawValue)")
            return schedule(
                .slotRead(site: site.index, life: site.lives, shard: shard, load, piece),
                afterMicroseconds: Self.slotAgainMicroseconds)
        }
        post(
            .plane(
                .control(
                    .slotRecords(
                        load,
                        records.map { SlotRecord(key: $0.key ?? ByteBuffer(), value: $0.value) }))),
            to: 0, of: site, from: shard)
        deliver(.shard(.scan(load, from: last.offset.advanced(by: 1))), to: shard, of: site)
    }
}

extension LogRead {
    /// Every whole record of a piece of a log.
    func simulatedRecords() throws -> [Record] {
        let bytes: ByteBuffer
        switch self {
        case .empty: return []
        case .memory(let buffer): bytes = buffer
        case .file(let slice): bytes = try slice.read()
        }
        var cursor = RecordBatchCursor(bytes, strictness: .checksum)
        var records: [Record] = []
        while let batch = try? cursor.next() {
            let payload = bytes.getSlice(at: batch.recordsStart, length: batch.recordsLength)
            var reader = RecordReader(payload: payload ?? ByteBuffer(), header: batch.header)
            while let record = try reader.next() { records.append(record) }
        }
        return records
    }
}
