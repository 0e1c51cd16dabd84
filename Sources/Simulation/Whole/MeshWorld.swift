import Gossip
import Model
import NIOCore
package import Node
import Paxos
import Replication
import Storage

/// A whole mesh under virtual time: machines, disks, a network, clients and what goes wrong.
///
/// Runs the same composition as a real broker, one event after the other, each of them drawn from
/// the seed; a run is its seed and nothing else. First faults come and go; then all is well, and
/// the mesh has to become whole, answer every client, and hold what it promised. What a run did is
/// folded into a number, so that two runs of one seed are seen to be the same.
///
/// One thread; whoever made it owns it. Costs about a second for each minute of virtual time.
public final class MeshWorld {
    /// What happens at one moment.
    enum Event {
        case post(site: Int, life: Int, loop: Int, BrokerLife.Post)
        case job(site: Int, life: Int, shard: Int, DiskJob)
        case slotRead(site: Int, life: Int, shard: Int, SlotLoad, LogRead)
        case table(site: Int, life: Int)
        case promise(site: Int, life: Int)
        case timer(site: Int, life: Int, Int, UInt64)
        case tick(site: Int, life: Int)
        case maintain(site: Int, life: Int)
        case datagram(from: Int, to: Int, session: MeshSession, ByteBuffer)
        case stream(from: Int, to: Int, link: UInt64, MeshWire)
        case dialled(from: Int, to: Int, life: Int, address: MeshAddress?)
        case dialFailed(from: Int, to: Int, life: Int, address: MeshAddress?, LinkFailure)
        case closed(site: Int, life: Int, peer: Int, link: UInt64)
        case joinAsked(from: Int, to: Int, boot: BootEpoch)
        case joinAnswered(site: Int, JoinAnswer?)
        case start(site: Int)
        case audit
        case endFault(MeshFault)
        case step(Step)
        case client(Int)
        case response(SimulatedConnection, ByteBuffer)
        case lost(client: Int, site: Int, life: Int)
    }

    public let seed: UInt64
    public let options: MeshOptions
    /// Under which its brokers run: all of them, but in a search that leaves one out.
    let rules: SafetyRules
    var timeline = Timeline<Event>()
    var network: SimulatedNetwork
    var random: SeededGenerator
    let sites: [BrokerSite]
    /// Open links by pair, the lower index first.
    var links: [MeshPair: MeshLink] = [:]
    var lastLink: UInt64 = 0
    /// When the last post from one loop to another arrives, so that they stay in order.
    var lastPosts: [Int: Int64] = [:]
    var clients: [any MeshClient] = []
    /// Open connections of clients; looked up, never iterated.
    var connections: [MeshRoute: SimulatedConnection] = [:]
    /// Who asked for a join, by the member's token.
    var joins: [UInt64: Int] = [:]
    var lastToken: UInt64 = 0
    /// Pairs between which everything is late, with the fault that has it so.
    var slowLinks: [(fault: MeshFault, pair: MeshPair, microseconds: Int64)] = []
    var checks = MeshChecks()
    var groupChecks = MeshGroupChecks()
    var audits = MeshAudits()
    var counts = MeshCounts()
    var activeFaults: [MeshFault] = []
    var faultPlan: FaultPlan
    /// A fault that waits until the mesh is whole, and since when.
    var awaited: (kind: MeshFault.Kind, since: Instant)?
    /// Partitions of the topic that have clients.
    var partitions: Int32
    /// When a rolling restart came to the broker that it is at, while there is one.
    var rollingSince: Instant?
    var faultsEnd = Instant(nanoseconds: .max)
    var isHealed = false
    /// When something last went wrong, was mended, or a process started.
    var lastUpset = Instant(nanoseconds: 0)
    /// A disk was wiped, and its copies are not whole again.
    var isDiskLost = false
    public private(set) var failure: MeshFailure?
    /// What is noted for the explanation of a failure; nil where nobody asked for one.
    var story: MeshStory?
    /// What happened, newest last; kept where somebody wants to read it.
    public var trace: [String]?
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325

    static let cluster = "simulated-cluster-0001"

    /// - Parameter schedule: nil has the seed draw everything, but for the `options` where given.
    public convenience init(
        seed: UInt64, options: MeshOptions? = nil, schedule: MeshSchedule? = nil,
        traced: Bool = false
    ) {
        self.init(
            seed: seed, options: options, schedule: schedule, traced: traced, rules: SafetyRules())
    }

    package init(
        seed: UInt64, options: MeshOptions? = nil, schedule: MeshSchedule? = nil,
        traced: Bool = false, rules: SafetyRules
    ) {
        self.rules = rules
        let seed = schedule?.seed ?? seed
        self.seed = seed
        let options = schedule?.options ?? options ?? MeshOptions(seed: seed)
        self.options = options
        partitions = options.partitions
        faultPlan = FaultPlan(seed: seed, given: schedule?.faults)
        random = SeededGenerator(seed: seed)
        network = SimulatedNetwork(
            endpoints: options.brokers, faults: .lan, seed: random.next())
        var sites: [BrokerSite] = []
        for index in 0..<options.brokers {
            sites.append(
                BrokerSite(
                    index: index, seed: random.next(),
                    isLate: index >= options.brokers - options.lateBrokers))
        }
        self.sites = sites
        trace = traced ? [] : nil
    }

    var now: Instant { timeline.now }

    /// A machine's clock while it is right, and that of clients: virtual time from a moment of the
    /// past.
    var clock: Now {
        Now(
            instant: now.advanced(byMilliseconds: 1_000),
            wall: Timestamp(milliseconds: 1_700_000_000_000 + now.nanoseconds / 1_000_000))
    }

    func schedule(_ event: Event, afterMicroseconds delay: Int64) {
        timeline.schedule(event, at: Instant(nanoseconds: now.nanoseconds + delay * 1_000))
    }

    func draw(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &random) }

    func chance(_ part: Double) -> Bool { Double.random(in: 0..<1, using: &random) < part }

    /// Folds something into the run's number; `what` is made for a reader only.
    func note(_ word: UInt64, _ what: @autoclosure () -> String? = nil) {
        hash = (hash ^ word) &* 0x0000_0100_0000_01B3  // wraps: a hash
        hash = (hash ^ UInt64(bitPattern: now.nanoseconds)) &* 0x0000_0100_0000_01B3
        guard trace != nil, let what = what() else { return }
        let milliseconds = Double(now.nanoseconds) / 1_000_000
        trace?.append("\(milliseconds) \(what)")
    }

    /// Only the first failure counts: what follows may be its consequence.
    func fail(
        _ reason: String, breaks promise: MeshPromise = .wholeAgain,
        about subject: MeshSubject = MeshSubject()
    ) {
        guard failure == nil else { return }
        note(1, "VIOLATION: \(reason)")
        failure = MeshFailure(promise: promise, reason: reason, subject: subject, at: now)
    }

    var violation: String? { failure?.reason }

    // MARK: Running

    /// The whole run.
    public func run() -> MeshVerdict {
        for site in members { timeline.schedule(.start(site: site.index), at: now) }
        timeline.schedule(.audit, at: now)
        until("the mesh forms", milliseconds: 30_000) { self.isFormed }
        beginClients()
        until("the topic is there", milliseconds: 30_000) { self.isWhole }
        network.faults = options.network
        faultsEnd = now.advanced(byMilliseconds: options.faultsMilliseconds)
        beginFaults()
        advance(to: faultsEnd)
        heal()
        until("the mesh is whole again", milliseconds: MeshOptions.convergenceMilliseconds) {
            self.isWhole && self.hasSettledVoters && self.isGroupSettled
                && self.clients.allSatisfy(\.isDone)
        }
        until("deleted topics are gone", milliseconds: MeshOptions.convergenceMilliseconds) {
            self.isRidOfDeletedTopics
        }
        if violation == nil { verify() }
        if violation == nil { auditEnd() }
        // Every operation of a disk is in its own number already.
        for site in sites { note(site.disk.traceHash) }
        countWhatWasReached()
        return MeshVerdict(
            seed: seed, failure: failure, counts: counts, hash: hash,
            milliseconds: now.nanoseconds / 1_000_000,
            schedule: MeshSchedule(seed: seed, options: options, faults: faultPlan.happened))
    }

    private func until(_ what: String, milliseconds: Int64, _ holds: () -> Bool) {
        let end = now.advanced(byMilliseconds: milliseconds)
        while violation == nil {
            if holds() { return }
            guard now < end else { return fail("\(what): not within \(milliseconds) ms. \(state)") }
            advance(to: min(end, now.advanced(byMilliseconds: 100)))
        }
    }

    /// Whether all brokers run, and three vote.
    private var isFormed: Bool {
        members.allSatisfy { $0.life?.isReady == true }
            && members.allSatisfy { site in
                site.life?.plane.mesh.proposer.roster.map {
                    $0.voters.count >= 3 && $0.next == nil
                } == true
            }
    }

    // MARK: Events

    /// More than any run needs: one that goes on and on at one moment is found out.
    private static let eventsMaximum = 10_000_000

    func handle(_ event: Event) {
        counts.events += 1
        guard counts.events < Self.eventsMaximum else {
            return fail("no end after \(counts.events) events. \(state)")
        }
        if let (index, life) = Self.place(of: event) {
            let site = sites[index]
            guard site.lives == life, site.life != nil else { return }
            if site.isPaused { return hold(event, for: site) }
            if waitsForLoop(event, of: site) { return }
        }
        switch event {
        case .post(let site, _, let loop, let post): deliver(post, to: loop, of: sites[site])
        case .job(let site, _, let shard, let job): run(job, shard, sites[site])
        case .slotRead(let site, _, let shard, let load, let piece):
            read(load, piece, shard, sites[site])
        case .table(let site, _): writeTable(sites[site])
        case .promise(let site, _): writePromise(sites[site])
        case .timer(let site, _, let timer, let number): wake(timer, number, sites[site])
        case .tick(let site, _): tick(sites[site])
        case .maintain(let site, _): maintain(sites[site])
        case .datagram(let from, let to, let session, let bytes):
            arrive(datagram: bytes, session, from: from, to: to)
        case .stream(let from, let to, let link, let wire):
            arrive(wire, on: link, from: from, to: to)
        case .dialled(let from, let to, _, let address): answerDial(from, to, address)
        case .dialFailed(let from, let to, _, let address, let failure):
            dialFailed(from, to, address, failure)
        case .closed(let site, _, let peer, let link): linkClosed(sites[site], peer, link)
        case .joinAsked(let from, let to, let boot): joinAsked(from, to, boot)
        case .joinAnswered(let site, let answer): joinAnswered(sites[site], answer)
        case .start(let site): start(sites[site])
        case .audit: audit()
        case .endFault(let fault): end(fault)
        case .step(let step): take(step)
        case .client(let index): clients[index].act(in: self)
        case .response(let connection, let bytes): arrive(response: bytes, on: connection)
        case .lost(let client, let site, let life): lose(client, MeshTarget(site: site, life: life))
        }
        watchCopies()
    }

    /// The process that an event is for, where it is for one.
    private static func place(of event: Event) -> (site: Int, life: Int)? {
        switch event {
        case .post(let site, let life, _, _), .job(let site, let life, _, _),
            .slotRead(let site, let life, _, _, _), .table(let site, let life),
            .promise(let site, let life), .timer(let site, let life, _, _),
            .tick(let site, let life), .maintain(let site, let life),
            .closed(let site, let life, _, _):
            (site, life)
        case .dialled(let from, _, let life, _): (from, life)
        case .dialFailed(let from, _, let life, _, _): (from, life)
        default: nil
        }
    }

    /// In one line, for the report of a failure.
    var state: String {
        sites.map { site in
            guard let life = site.life else { return "\(site.node.rawValue): down" }
            let mesh = life.plane.mesh
            let voters = mesh.proposer.roster?.voters.map { "\($0.node.rawValue)" } ?? []
            return "\(site.node.rawValue): \(life.isReady ? "ready" : "starting")"
                + " voters \(voters.joined(separator: ","))"
                + " lease \(mesh.leaseHolder.isHeld(at: clock(of: site).instant))"
                + " isolated \(mesh.isIsolated)"
        }.joined(separator: "; ") + "; \(whatIsMissing ?? "whole")"
            + (leftOfDeletedTopics.map { "; \($0)" } ?? "") + "; clients "
            + clients.map { "\($0.isDone ? "" : "waiting ")\($0.summary)" }.joined(separator: ", ")
    }
}
