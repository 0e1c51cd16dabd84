import Model
import NIOCore
import NIOPosix
import Node
import Replication
import Routes
import Storage

extension Reactor {
    /// Does what the shard says; the only place where its effects meet the outside.
    func perform(_ effect: Shard.Effect) {
        switch effect {
        case .produced(let token, let results): answer(token, .produced(results))
        case .fetched(let token, let results): answer(token, .fetched(results))
        case .answered(let token, let answers): answer(token, .answered(answers))
        case .run(let job): run(job)
        case .wake(let moment): wakeShard(at: moment)
        case .send(let node, let message): post(.send(node, message), to: 0)
        case .stoodDown(let partition, let epoch):
            post(.control(.stoodDown(partition, epoch)), to: 0)
        case .proposeInSync(let wish): post(.control(.proposeInSync(wish)), to: 0)
        case .closed(let partition): post(.control(.closed(partition)), to: 0)
        case .standing(let standings): post(.control(.standing(standings)), to: 0)
        case .opened(let partition, let failure):
            post(.control(.opened(partition, failure: failure)), to: 0)
        case .scanned(let load, let piece): read(load, piece)
        case .notice(let notice):
            events.report(notice, topic: view.name(of: notice.partition.topic))
        case .broken(let partition, let reason):
            let directory = PartitionOrder.directory(of: partition)
            shared.progress.fenced(
                "the disk did not keep what was written to \(directory) (\(reason)). Other brokers "
                    + "have copies and go on; see to the disk, then start this one again: it "
                    + "fetches what it lost")
        case .stopped(let clean): shared.progress.stopped(clean: clean)
        }
    }

    /// Does what the control machine says.
    func perform(_ effect: Control.Effect) {
        switch effect {
        case .persist(let number, let changes): persist(number, changes)
        case .open(let order):
            post(.shard(.open(order)), to: shardIndex(of: order.partition))
        case .assume(let partition, let role):
            post(.shard(.assume(partition, role)), to: shardIndex(of: partition))
        case .proposalEnded(let partition, let serial, let isUnknown):
            post(
                .shard(.proposalEnded(partition, serial: serial, isUnknown: isUnknown)),
                to: shardIndex(of: partition))
        case .close(let partition, let delete):
            post(.shard(.close(partition, delete: delete)), to: shardIndex(of: partition))
        case .configure(let partition, let configuration):
            post(
                .shard(.configure(partition, configuration)), to: shardIndex(of: partition))
        case .publish(let view):
            for target in shared.mailboxes.indices { post(.view(view), to: target) }
        case .reply(let token, let reply): answer(token, .control(reply))
        case .append(let number, let partition, let records):
            append(number, partition, records)
        case .load(let load):
            post(.shard(.scan(load, from: .zero)), to: shardIndex(of: load.partition))
        case .wake(let moment): wakeControl(at: moment)
        case .handedOver(let report):
            handedOver?(report)
            handedOver = nil
        case .propose, .read, .leadershipsConfirmed, .releaseLease, .spread,
            .forgetSlots, .slotEpochs:
            preconditionFailure("these stay within the control plane")
        case .askToGiveWay(let node, let wishes):
            mesh?.replication.send(.giveWay(wishes), to: node)
        case .askToStop(let node, let claims):
            mesh?.replication.send(.stopTopics(claims), to: node)
        case .tellStopped(let node, let topics):
            mesh?.replication.send(.stoppedTopics(topics), to: node)
        case .recognised(let node, let serial, let copy, let declined):
            mesh?.replication.send(.recognised(serial, copy, declined: declined), to: node)
        case .inquire(let node, let partitions):
            mesh?.replication.send(.inquire(partitions), to: node)
        case .lease(let until):
            for target in shared.mailboxes.indices {
                post(.shard(.lease(until: until)), to: target)
            }
        case .ready(let failures): shared.progress.ready(failures: failures)
        case .notice(let text): events.noticed(text)
        }
    }

    private func run(_ job: DiskJob) {
        if case .open(let order) = job { return open(order) }
        let shared = shared
        let index = index
        // Compactions and removals have a thread of their own, so that no fsync waits behind them.
        let threads = job.isMaintenance ? shared.maintenanceThread : shared.diskThreads
        threads.submit { state in
            guard case .active = state else { return }
            let outcome = job.run(
                on: shared.disk, files: shared.files, tail: shared.tail[index], now: Clock.now())
            shared.mailboxes[index].post(.shard(.finished(outcome)))
        }
    }

    /// Gathers what is opened in one turn: many logs share the sync of their topic's directory.
    private func open(_ order: PartitionOrder) {
        openings.append(order)
        if openings.count >= LogOpenings.together { beginOpenings() }
    }

    /// Has what was gathered opened.
    func beginOpenings() {
        guard !openings.isEmpty else { return }
        let shared = shared
        let index = index
        let together = LogOpenings(openings)
        openings.removeAll(keepingCapacity: true)
        shared.diskThreads.submit { state in
            guard case .active = state else { return }
            together.run(
                on: shared.disk, files: shared.files, tail: shared.tail[index], now: Clock.now()
            ) { shared.mailboxes[index].post(.shard(.finished($0))) }
        }
    }

    private func persist(_ number: UInt64, _ changes: [TableChange]) {
        let shared = shared
        let index = index
        shared.tables.write(changes, to: shared.store.table) { failure in
            let reason = failure.map { "the table was not written: \($0.words)" }
            shared.mailboxes[index].post(.control(.persisted(number, failure: reason)))
        }
    }

    /// How long a voter waits for room on its disk before it tries to write again.
    private static let fullDiskPauseMilliseconds: Int64 = 500

    /// Writes what this broker promised as a voter. A full disk has taken nothing: the write is
    /// tried again until there is room, and those who wait for the answer give up by themselves. A
    /// table at its bound has taken nothing either, and no time makes room in it: those who wait
    /// are told. After any other failure nobody knows what is on the disk, and the acceptor halts.
    private func persistRegisters(_ serial: UInt64, _ changes: [TableChange]) {
        let shared = shared
        let mailbox = shared.mailboxes[index]
        shared.registers.write(changes, to: shared.store.registers) { failure in
            switch failure {
            case .disk(.noSpace)?: break
            case nil:
                shared.events.registersWritten()
                return mailbox.post(.mesh(.registersPersisted(serial: serial, isDurable: true)))
            case .tooLarge(let bytes)?:
                shared.events.registersFull(bytes)
                return mailbox.post(.mesh(.registersRefused(serial: serial)))
            case let other?:
                shared.events.registersFailed(other.words)
                return mailbox.post(.mesh(.registersPersisted(serial: serial, isDurable: false)))
            }
            shared.events.registersWait()
            mailbox.eventLoop.scheduleTask(
                in: .milliseconds(Self.fullDiskPauseMilliseconds)
            ) { mailbox.reactorOnLoop?.persistRegisters(serial, changes) }
        }
    }

    /// Does what the mesh says: what the disk and the clock do here, the rest by its shell.
    func perform(_ effect: Mesh.Effect) {
        let shared = shared
        switch effect {
        case .persistRegisters(let serial, let changes):
            persistRegisters(serial, changes)
        case .persistChosen(let changes):
            shared.tables.write(changes, to: shared.store.chosen) { failure in
                shared.events.written(.chosen, failure?.words)
            }
        case .persistOwn(let changes):
            shared.tables.write(changes, to: shared.store.table) { failure in
                shared.events.written(.own, failure?.words)
            }
        case .persistFeeds(let files):
            shared.maintenanceThread.submit { state in
                guard case .active = state else { return }
                do throws(DiskError) {
                    try FeedFiles.write(files, on: shared.disk)
                    shared.events.written(.copies, nil)
                } catch {
                    shared.events.written(.copies, error.words)
                }
            }
        case .removeFeed(let name):
            shared.maintenanceThread.submit { _ in FeedFiles.remove(name, on: shared.disk) }
        case .wake(let moment): wakeMesh(at: moment)
        default: mesh?.perform(effect)
        }
    }

    private func append(_ number: UInt64, _ partition: TopicPartition, _ records: ByteBuffer) {
        let token = expect { [unowned self] answer in
            guard case .produced(let results) = answer, let result = results.first else { return }
            self.post(.control(.appended(number, result)), to: 0)
        }
        let work = ProduceWork(
            token: token, acknowledgement: .all,
            deadline: now.instant.advanced(byMilliseconds: Control.appendTimeoutMilliseconds),
            origin: .coordinator,
            parts: [ProduceWork.Part(partition: partition, records: records)])
        post(.shard(.produce(work)), to: shardIndex(of: partition))
    }

    /// Reads a piece of a slot's log on a disk thread, gives its records to the coordinator and
    /// asks for the next piece. A slot that can't be read is read again after a while, and its
    /// groups are told to wait until then, never that they have no offsets.
    func read(_ load: SlotLoad, _ piece: LogRead) {
        let shared = shared
        let index = index
        if case .empty = piece {
            post(.control(.slotEnd(load)), to: 0)
            return
        }
        shared.diskThreads.submit { state in
            guard case .active = state else { return }
            do throws(SlotReader.Failure) {
                let found = try SlotReader.records(of: piece)
                shared.mailboxes[0].post(
                    .control(.slotRecords(load, found.records, at: found.versions)))
                shared.mailboxes[index].post(.shard(.scan(load, from: found.next)))
            } catch {
                shared.events.slotUnreadable(load.partition, error)
                shared.mailboxes[index].readAgain(load, piece)
            }
        }
    }
}
