import Model
import NIOCore
import Simulation

@testable import Gossip

/// One machine, node 1, in a mesh of members 2 and up that the test plays.
struct Fixture {
    var machine: GossipMachine
    var now = Instant(nanoseconds: 1_000_000_000)
    private var wake: Instant?

    init(
        members: Int, rules: GossipRules = GossipRules(), profile: GossipProfile = .lan,
        seeds: [MeshAddress] = [], isKeyed: Bool = true
    ) throws {
        var configuration = GossipConfiguration(profile: profile, seeds: seeds)
        configuration.rules = rules
        let identity = GossipIdentity(
            node: NodeID(1), boot: BootEpoch(5),
            description: SelfDescription(addresses: [Self.address(1)]))
        machine = try GossipMachine(
            configuration: configuration, identity: identity, signer: Self.signer(1),
            generator: SeededGenerator(seed: 7))
        let others = (2...max(2, members)).map { Int32($0) }.filter { $0 <= members }
        let table = (0..<members).map { GossipMesh.admission($0) }
        let persisted = others.map {
            PersistedMember(status: .alive, record: Self.record($0))
        }
        give(.start(members: persisted, table: table))
        guard isKeyed else { return }
        for peer in others {
            give(.linkOpened(LinkUp(peer: NodeID(peer), boot: BootEpoch(1))))
        }
    }

    static func address(_ node: Int32) -> MeshAddress {
        MeshAddress(host: "10.0.0.\(node)", port: 7_946)
    }

    static func signer(_ node: Int32) -> SimulatedSigner {
        SimulatedSigner(key: SimulatedSigner.key(of: NodeID(node)))
    }

    static func life(_ boot: UInt64, _ incarnation: UInt32) -> MemberLife {
        MemberLife(boot: BootEpoch(boot), incarnation: Incarnation(incarnation))
    }

    static func record(
        _ node: Int32, boot: UInt64 = 1, incarnation: UInt32 = 0, isLeaving: Bool = false,
        by signer: Int32? = nil, host: String? = nil
    ) -> SelfRecord {
        let address = host.map { MeshAddress(host: $0, port: 7_946) } ?? address(node)
        let record = SelfRecord(
            node: NodeID(node), life: life(boot, incarnation), isLeaving: isLeaving,
            description: SelfDescription(addresses: [address]),
            signer: Self.signer(signer ?? node))
        guard let record else { preconditionFailure("the test's record fits") }
        return record
    }

    static func accusation(
        _ kind: Accusation.Kind = .suspect, of subject: Int32, boot: UInt64 = 1,
        incarnation: UInt32 = 0, by accuser: Int32, signedBy signer: Int32? = nil
    ) -> Accusation {
        Accusation(
            kind: kind, subject: NodeID(subject), life: life(boot, incarnation),
            accuser: NodeID(accuser), signer: Self.signer(signer ?? accuser))
    }

    static func value(_ key: String, _ counter: UInt64, _ text: String?) -> ChosenValue {
        MeshTests.value(key, counter, text)
    }

    static func packet(_ kind: Packet.Kind, _ parts: [Part] = []) -> ByteBuffer {
        var bytes = Packet.open(kind)
        for part in parts { bytes.writeImmutableBuffer(part.encoded()) }
        Packet.close(&bytes, parts: parts.count)
        return bytes
    }

    @discardableResult
    mutating func give(_ input: GossipInput) -> [GossipEffect] {
        var effects: [GossipEffect] = []
        machine.handle(input, now: now, into: &effects)
        for case .wake(let at) in effects { wake = at }
        return effects
    }

    /// What a member says, as a datagram of gossip.
    @discardableResult
    mutating func hear(_ parts: Part..., from peer: Int32) -> [GossipEffect] {
        give(.datagram(from: NodeID(peer), Self.packet(.gossip, parts)))
    }

    /// A suspicion is as old before a verdict on it counts: half of the shortest.
    static let answerMilliseconds: Int64 = 450

    /// What a member says of one that it suspected for long enough: first the one, then the other.
    mutating func hearOfDeath(of subject: Int32, incarnation: UInt32 = 0, by accuser: Int32) {
        for kind in [Accusation.Kind.suspect, .dead] {
            let word = Self.accusation(kind, of: subject, incarnation: incarnation, by: accuser)
            hear(.accusation(word), from: accuser)
            if kind == .suspect { pass(Self.answerMilliseconds) }
        }
    }

    @discardableResult
    mutating func message(_ message: LinkMessage, from peer: Int32) -> [GossipEffect] {
        give(.message(from: NodeID(peer), message.encoded()))
    }

    /// Lets time pass, waking when the machine asked to be woken.
    @discardableResult
    mutating func pass(_ milliseconds: Int64) -> [GossipEffect] {
        let end = now.advanced(byMilliseconds: milliseconds)
        var effects: [GossipEffect] = []
        while let at = wake, at <= end {
            now = max(at, now)
            wake = nil
            effects += give(.wake)
        }
        now = end
        return effects
    }

    func status(_ node: Int32) -> MemberStatus? { machine.status(of: NodeID(node)) }
}

/// What a test asks of effects.
extension [GossipEffect] {
    var events: [GossipEvent] {
        compactMap {
            if case .event(let event) = $0 { return event }
            return nil
        }
    }

    var packets: [(to: NodeID, packet: Packet)] {
        compactMap {
            guard case .sendDatagram(let to, let bytes) = $0 else { return nil }
            return (try? Packet(decoding: bytes)).map { (to, $0) }
        }
    }

    var messages: [(to: NodeID, message: LinkMessage)] {
        compactMap {
            guard case .sendMessage(let to, let bytes) = $0 else { return nil }
            return (try? LinkMessage(decoding: bytes)).map { (to, $0) }
        }
    }

    var alarms: [GossipAlarm] {
        compactMap {
            if case .alarm(let alarm) = $0 { return alarm }
            return nil
        }
    }

    var confirmations: [String] {
        flatMap { effect -> [String] in
            if case .confirm(let keys) = effect { return keys }
            return []
        }
    }

    var tableChanges: [ChosenValue] {
        flatMap { effect -> [ChosenValue] in
            if case .tableChanged(let values) = effect { return values }
            return []
        }
    }
}

extension GossipRules {
    /// All rules, or all but one.
    static func with(_ rule: WritableKeyPath<GossipRules, Bool>, _ isOn: Bool) -> GossipRules {
        var rules = GossipRules()
        rules[keyPath: rule] = isOn
        return rules
    }
}
