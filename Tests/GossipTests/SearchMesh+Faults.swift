import Model
import NIOCore
import Simulation

@testable import Gossip

/// What goes wrong in a schedule, and how it ends.
extension SearchMesh {
    mutating func begin() {
        let fault = plan.faults[Int.random(in: plan.faults.indices, using: &dice)]
        let length = draw(2_000...9_000)
        switch fault {
        case .brokenPath: breakPath(length)
        case .cutOff: cutOff(length)
        case .split: split(draw(8_000...20_000))
        case .wholeRestart: restartWhole()
        case .pause: pause(draw(1_500...7_000))
        case .crash: crash(draw(200...7_000))
        case .wrongMemory: misremember()
        case .lostRumours: loseRumours()
        case .forgery: forge()
        case .slander: slander()
        case .verdict: pronounceDead()
        case .selfAccusation: accuseItself()
        case .echo: echo()
        case .forgotten: sayWhatIsForgotten()
        case .orphan: startOrphan(length)
        case .values: chooseValues()
        }
    }

    private mutating func end(
        after milliseconds: Int64, _ how: @escaping (inout SearchMesh) -> Void
    ) {
        mending = (now + milliseconds, how)
    }

    private func excuse(_ index: Int, for milliseconds: Int64) {
        watch.doubtful[index] = max(
            watch.doubtful[index], now + milliseconds + Self.settlingMilliseconds)
    }

    private func mislead(_ index: Int, for milliseconds: Int64) {
        watch.misled[index] = max(
            watch.misled[index], now + milliseconds + Self.settlingMilliseconds)
    }

    // MARK: The network

    /// Neither of the two is to be doubted: the others reach both.
    private mutating func breakPath(_ length: Int64) {
        let (first, second) = pair()
        mesh.partition(first..<first + 1, second..<second + 1)
        end(after: length) { $0.mesh.network.healAll() }
    }

    /// It may doubt the others, and hold a few for dead until it knows that it is the sick one.
    /// When it is back nobody believes it, and it believes nothing of that itself.
    private mutating func cutOff(_ length: Int64) {
        let (victim, _) = pair()
        excuse(victim, for: length)
        // What it concluded others ask about in their own name.
        for index in 0..<count { mislead(index, for: length) }
        watch.cutOff(victim, until: now + length)
        for other in 0..<count where other != victim {
            mesh.partition(victim..<victim + 1, other..<other + 1)
        }
        end(after: length) { $0.mesh.network.healAll() }
    }

    private mutating func split(_ length: Int64) {
        let place = Int.random(in: 1..<count, using: &dice)
        for index in 0..<count {
            excuse(index, for: length)
            mislead(index, for: length)
        }
        mesh.partition(0..<place, place..<count)
        end(after: length) { $0.mesh.network.healAll() }
    }

    private mutating func loseRumours() {
        let (member, _) = pair()
        for index in 0..<count {
            excuse(index, for: 2_500)
            mislead(index, for: 2_500)
        }
        mesh.network.faults.datagramLoss = 0.999
        mesh.choose(value("topic/lost-\(counter)", "x"), at: member)
        end(after: 2_500) { $0.mesh.network.faults.datagramLoss = 0 }
    }

    // MARK: Members

    /// When it goes on it finds its timers late, and the others well.
    private mutating func pause(_ length: Int64) {
        let (victim, _) = pair()
        excuse(victim, for: length)
        mesh.freeze(victim, .process, until: mesh.now.advanced(byMilliseconds: length))
        end(after: length) { _ in }
    }

    private func remembered(of index: Int) -> ([PersistedMember], [ChosenValue]) {
        (mesh.persisted(index), mesh.registers.sorted { $0.key < $1.key }.map(\.value))
    }

    private mutating func crash(_ length: Int64) {
        let (victim, _) = pair()
        excuse(victim, for: length)
        let (members, table) = remembered(of: victim)
        mesh.crash(victim)
        end(after: length) { $0.restart(victim, members, table) }
    }

    /// As a broker does: tombstones up to the floor are forgotten with the start.
    private mutating func restart(
        _ index: Int, _ members: [PersistedMember], _ table: [ChosenValue]
    ) {
        mesh.start(index, remembering: members, table: table)
        mesh.handle(.setFloor(watch.floor), at: index)
    }

    private mutating func misremember() {
        let (victim, other) = pair()
        let (members, table) = remembered(of: victim)
        let wrong = members.map { member in
            member.record.node == mesh.nodes[other].node
                ? PersistedMember(status: .dead, record: member.record) : member
        }
        excuse(victim, for: 200)
        // What it remembers counts once as its word, and the other one is asked.
        mislead(victim, for: 200)
        for index in 0..<count { mislead(index, for: 200) }
        mesh.crash(victim)
        end(after: 200) { $0.restart(victim, wrong, table) }
    }

    private mutating func restartWhole() {
        let memories = (0..<count).map { remembered(of: $0) }
        for index in 0..<count {
            excuse(index, for: 1_000)
            mislead(index, for: 1_000)
            mesh.crash(index)
        }
        mesh.run(milliseconds: 100)
        for index in 0..<count {
            let (members, table) = memories[index]
            let dead = members.map { PersistedMember(status: .dead, record: $0.record) }
            restart(index, dead, table)
            mesh.run(milliseconds: draw(0...300))
        }
        end(after: 1_000) { _ in }
    }

    /// The whole mesh was down, and nobody remembers one of its members, which knows nothing but
    /// its seed; that one comes late.
    private mutating func startOrphan(_ length: Int64) {
        let (orphan, seed) = pair()
        let memories = (0..<count).map { index in
            let (members, table) = remembered(of: index)
            return (members.filter { $0.record.node != mesh.nodes[orphan].node }, table)
        }
        for index in 0..<count {
            excuse(index, for: length)
            mislead(index, for: length)
            mesh.crash(index)
        }
        mesh.run(milliseconds: 100)
        for index in 0..<count where index != orphan && index != seed {
            restart(index, memories[index].0, memories[index].1)
        }
        mesh.start(orphan, seeds: [seed], table: [GossipMesh.admission(orphan)])
        end(after: length) { $0.restart(seed, memories[seed].0, memories[seed].1) }
    }

    // MARK: Words

    private mutating func say(_ parts: [Part], from speaker: Int, to hearers: [Int]) {
        for hearer in hearers where mesh.nodes[hearer].isUp {
            let bytes = Fixture.packet(.gossip, parts)
            mesh.handle(.datagram(from: mesh.nodes[speaker].node, bytes), at: hearer)
        }
    }

    private func life(of index: Int) -> MemberLife {
        mesh.nodes[index].machine?.ownRecord.life ?? Fixture.life(1, 0)
    }

    private func record(of index: Int, _ life: MemberLife, by signer: Int) -> SelfRecord {
        let node = mesh.nodes[index].node.rawValue
        return Fixture.record(
            node, boot: life.boot.rawValue, incarnation: life.incarnation.rawValue,
            by: mesh.nodes[signer].node.rawValue, host: "elsewhere")
    }

    private func accusation(of subject: Int, by accuser: Int, signedBy signer: Int) -> Part {
        .accusation(
            Fixture.accusation(
                of: mesh.nodes[subject].node.rawValue, boot: life(of: subject).boot.rawValue,
                incarnation: life(of: subject).incarnation.rawValue,
                by: mesh.nodes[accuser].node.rawValue,
                signedBy: mesh.nodes[signer].node.rawValue))
    }

    /// All but two members.
    private func others(_ first: Int, _ second: Int) -> [Int] {
        (0..<count).filter { $0 != first && $0 != second }
    }

    private mutating func forge() {
        let (liar, subject) = pair()
        let hearers = others(liar, subject)
        var ahead = life(of: subject)
        ahead = MemberLife(
            boot: ahead.boot, incarnation: Incarnation(ahead.incarnation.rawValue + 1))
        let part =
            draw(0...1) == 0
            ? accusation(of: subject, by: hearers[0], signedBy: liar)
            : .record(record(of: subject, ahead, by: liar))
        // A record that nobody signed is to leave no trace: not even a refutation.
        say([part], from: liar, to: Array(hearers.dropFirst()))
        end(after: 100) { _ in }
    }

    private mutating func slander() {
        let (liar, subject) = pair()
        excuse(subject, for: 3_000)
        mislead(liar, for: 3_000)
        mesh.freeze(subject, .process, until: mesh.now.advanced(byMilliseconds: 2_500))
        let part = accusation(of: subject, by: liar, signedBy: liar)
        for _ in 0..<3 { say([part], from: liar, to: others(liar, subject)) }
        end(after: 3_000) { _ in }
    }

    private mutating func pronounceDead() {
        let (liar, subject) = pair()
        mislead(liar, for: 200)
        let life = life(of: subject)
        let verdict = Fixture.accusation(
            .dead, of: mesh.nodes[subject].node.rawValue, boot: life.boot.rawValue,
            incarnation: life.incarnation.rawValue, by: mesh.nodes[liar].node.rawValue)
        say([.accusation(verdict)], from: liar, to: others(liar, subject))
        end(after: 200) { _ in }
    }

    private mutating func accuseItself() {
        let (subject, speaker) = pair()
        let part = accusation(of: subject, by: subject, signedBy: subject)
        say([part], from: speaker, to: others(subject, subject))
        end(after: 100) { _ in }
    }

    private mutating func echo() {
        let (victim, _) = pair()
        excuse(victim, for: 300)
        let (members, table) = remembered(of: victim)
        let old = life(of: victim)
        let delay = draw(500...4_000)
        mesh.crash(victim)
        mesh.run(milliseconds: 200)
        restart(victim, members, table)
        end(after: delay) { search in
            let record = search.record(of: victim, old, by: victim)
            let hearers = search.others(victim, victim)
            search.say([.record(record)], from: hearers[0], to: Array(hearers.dropFirst()))
        }
    }

    private mutating func sayWhatIsForgotten() {
        let (subject, speaker) = pair()
        let current = life(of: subject)
        let ahead = MemberLife(
            boot: current.boot,
            incarnation: Incarnation(current.incarnation.rawValue + UInt32(draw(1...5))))
        let record = record(of: subject, ahead, by: subject)
        say([.record(record)], from: speaker, to: others(subject, speaker))
        end(after: 100) { _ in }
    }

    // MARK: Values

    private mutating func value(_ key: String, _ text: String?) -> ChosenValue {
        counter += 1
        return MeshTests.value(key, counter, text)
    }

    private mutating func chooseValues() {
        let (first, second) = pair()
        let key = "topic/\(counter)"
        mesh.choose(value(key, "x"), at: first)
        mesh.run(milliseconds: draw(0...500))
        let gone = value(key, draw(0...1) == 0 ? nil : "y")
        mesh.choose(gone, at: second)
        end(after: draw(3_000...6_000)) { search in
            search.watch.floor = gone.ballot
            for index in 0..<search.count {
                search.mesh.handle(.setFloor(gone.ballot), at: index)
            }
        }
    }
}
