import Gossip
import Model
import NIOCore
import OrderedCollections
import Paxos

/// The register `floor`: up to which ballot every voter refuses whatever comes late.
///
///     counter u64, proposer i32, boot u64
///
/// Written after a sweep, so that every broker hears of it as of any chosen value: its table then
/// forgets tombstones up to there, and doubts what it does not know (design, section 3). It only
/// rises.
enum FloorRegister {
    static let key = "floor"

    static func encoded(_ ballot: Ballot) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(
            ballot.counter, ballot.proposer.rawValue, ballot.boot.rawValue)
        return bytes
    }

    /// Nil where the bytes are none.
    static func ballot(in value: ByteBuffer) -> Ballot? {
        var bytes = value
        guard
            let (counter, proposer, boot) = bytes.readMultipleIntegers(
                as: (UInt64, Int32, UInt64).self), bytes.readableBytes == 0
        else { return nil }
        return Ballot(counter: counter, proposer: NodeID(proposer), boot: BootEpoch(boot))
    }
}

/// What the control loop remembers of registers that hold nothing any more.
struct SweepWatch {
    /// Between two looks where there is nothing to do, or a voter is away.
    static let idleMilliseconds: Int64 = 5_000
    /// Between two sweeps: each raises the floor, and what is being decided meanwhile has to begin
    /// anew with a higher ballot.
    static let pauseMilliseconds: Int64 = 500
    /// How old a tombstone is at least: by then all who are there have heard of it, and whoever
    /// has not is told by a Paxos read.
    static let ageMilliseconds: Int64 = 15_000

    /// Registers of one sweep: what one message of Paxos holds.
    static let registersTogether = 256

    /// One register that holds nothing any more.
    struct Tombstone {
        let since: Instant
        /// The table has forgotten it, and so has the disk; this broker votes and holds it yet.
        var isErased = false
    }

    /// Tombstones that this broker knows of, oldest first. Many go at once, in one pass: to take
    /// one out costs a pass over all behind it.
    var tombstones: OrderedDictionary<String, Tombstone> = [:]
    var lookAt = Instant(nanoseconds: 0)
    /// Registers that sweeps of this broker removed, since the start.
    var removed: UInt64 = 0
}

/// Removes registers whose tombstones were chosen: one voter at a time, 256 registers in a sweep,
/// and only while all voters answer.
extension Mesh {
    /// How many registers hold nothing any more and were not removed, as far as this broker knows;
    /// and how many its sweeps have removed.
    public var sweepProgress: (waiting: Int, removed: UInt64) {
        (sweep.tombstones.count, sweep.removed)
    }

    /// Follows which registers hold nothing any more.
    mutating func noteTombstones(_ values: [ChosenValue]) {
        for value in values {
            if value.key == FloorRegister.key { follow(floor: value) }
            guard value.value == nil else {
                sweep.tombstones[value.key] = nil
                continue
            }
            sweep.tombstones[value.key, default: .init(since: now)].isErased = false
        }
    }

    /// What its own acceptor holds, also where the table has forgotten it: one pass, at the start.
    mutating func findTombstones() {
        guard let acceptor else { return }
        for register in acceptor.registers(limit: .max) {
            guard register.acceptedBallot > .zero,
                let stored = acceptor.state(of: register.key).value,
                let envelope = try? Envelope(decoding: stored), envelope.value == nil
            else { continue }
            if sweep.tombstones[register.key] == nil {
                sweep.tombstones[register.key] = .init(since: now)
            }
        }
    }

    private mutating func follow(floor value: ChosenValue) {
        guard let ballot = value.value.flatMap(FloorRegister.ballot) else { return }
        drive(gossip: .setFloor(ballot))
        guard early == nil else { return }
        forgetSpent()
    }

    /// What the table has forgotten the disk forgets too, once. A voter keeps in mind what it
    /// holds: the one that sweeps may die in the middle. One pass over all tombstones.
    mutating func forgetSpent() {
        var changes: [TableChange] = []
        var spent: Set<String> = []
        for place in sweep.tombstones.elements.indices {
            let (key, tombstone) = sweep.tombstones.elements[place]
            guard gossip.value(key) == nil else { continue }
            if !tombstone.isErased {
                changes.append(TableChange(key: key, version: nextVersion(), value: nil))
                sweep.tombstones.values[place].isErased = true
            }
            if acceptor?.register(key) == nil { spent.insert(key) }
        }
        if !spent.isEmpty { sweep.tombstones.removeAll { spent.contains($0.key) } }
        if !changes.isEmpty { out.append(.persistChosen(changes)) }
    }

    /// Begins a sweep where this broker is first in line and there is something old enough.
    mutating func lookAtTombstones() {
        guard early == nil, now >= sweep.lookAt else { return }
        sweep.lookAt = now.advanced(byMilliseconds: SweepWatch.idleMilliseconds)
        guard sweeper.isIdle, driver.isIdle, !isIsolated, let roster = proposer.roster,
            roster.next == nil, turn(in: roster) == 0,
            // One that is away delays it: nothing is removed without all of them.
            roster.voters.allSatisfy({ voter in
                voter.node == identity.node || peers[voter.node]?.status == .alive
            })
        else { return }
        let now = now
        let keys = sweep.tombstones.prefix(SweepWatch.registersTogether).prefix { _, tombstone in
            now.milliseconds(since: tombstone.since) >= SweepWatch.ageMilliseconds
        }.map(\.key)
        guard !keys.isEmpty else { return }
        drive(sweeper: .sweep(keys, roster))
    }

    mutating func drive(sweeper input: Sweeper.Input) {
        if case .wake = input, let wake = sweeperWake, wake <= now { sweeperWake = nil }
        var said: [Sweeper.Effect] = []
        sweeper.handle(input, now: now, into: &said)
        for effect in said {
            switch effect {
            case .reserve(let ballot):
                // Above all promises, so that those of registers that never held anything go too.
                let highest = max(ballot, acceptor?.highestSeen ?? .zero)
                drive(sweeper: .reserved(proposer.reserveBallot(above: highest)))
            case .send(let node, let id, let request): ask(node, id, request)
            case .wake(let moment): sweeperWake = min(sweeperWake ?? moment, moment)
            case .finished(let report): sweepEnded(report)
            }
        }
    }

    /// What is gone is forgotten; what holds a value again is no tombstone; what somebody else was
    /// at comes behind the others.
    private mutating func sweepEnded(_ report: SweepReport) {
        let contested = report.contested.filter { sweep.tombstones[$0] != nil }
        let settled = Set(report.removed + report.alive + contested)
        if !settled.isEmpty { sweep.tombstones.removeAll { settled.contains($0.key) } }
        for key in contested { sweep.tombstones[key] = .init(since: now) }
        sweep.removed += UInt64(report.removed.count)
        guard let floor = report.floor else { return }
        sweep.lookAt = now.advanced(byMilliseconds: SweepWatch.pauseMilliseconds)
        // The table's tombstones go when this is learned, here as everywhere.
        for key in report.removed where gossip.value(key) != nil {
            sweep.tombstones[key] = .init(since: now)
        }
        let proposal = RegisterProposal(key: FloorRegister.key, operation: .raiseFloor(floor))
        propose(.floor, [proposal])
    }
}
