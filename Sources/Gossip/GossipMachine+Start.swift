internal import Model
internal import NIOCore
internal import OrderedCollections

/// Starting, and never giving anybody up.
extension GossipMachine {
    mutating func start(_ persisted: [PersistedMember], _ values: [ChosenValue]) {
        guard !isStarted else { return }
        isStarted = true
        suspicionTokensAt = now
        pushTokensAt = now
        descentTokensAt = now
        ownFingerprint = digestFingerprintOfSelf
        memberTree.toggle(ownFingerprint, leaf: Self.leaf(of: node))
        for value in values where table[value.key] == nil {
            table.set(value, hash: value.contentHash)
            followAdmission(value)
        }
        for member in persisted { restore(member) }
        spreadOwnRecord()
        probeDue = schedule(.probe, after: spread(profile.probeIntervalMilliseconds))
        if rules.antiEntropy {
            let interval = spread(profile.antiEntropyIntervalMilliseconds)
            antiEntropyDue = schedule(.antiEntropy, after: interval)
        }
        if !seeds.isEmpty { contactSeeds() }
        scheduleDeadContact(after: 0)
    }

    /// A member of the past is taken to be where it was, and is soon probed: a mesh that was down
    /// as a whole finds itself again, dead members included (serf#333).
    private mutating func restore(_ persisted: PersistedMember) {
        let record = persisted.record
        guard record.node != node, let member = members[record.node],
            !rules.checksSignatures || record.isSigned(by: member.admission.key, signer)
        else { return }
        members[record.node]?.record = record
        members[record.node]?.life = record.life
        let status: MemberStatus =
            switch persisted.status {
            case .dead: .dead
            case .left: .left
            case .unheard, .alive, .suspect: record.isLeaving ? .left : .alive
            }
        if status == .dead {
            // Said again in this member's name: without it the other one would never hear of it,
            // nor refute, and both would hold to what they think for ever.
            let word = Accusation(
                kind: .dead, subject: record.node, life: record.life, accuser: node,
                signer: signer)
            members[record.node]?.evidence = [word]
        }
        setStatus(record.node, status)
    }

    /// A random share of an interval, so that machines started together do not march in step.
    mutating func spread(_ milliseconds: Int64) -> Int64 {
        Int64.random(in: 0...max(1, milliseconds), using: &generator)
    }

    /// Sets a timer and says when it is due.
    mutating func schedule(_ kind: TimerKind, after milliseconds: Int64) -> Instant {
        let at = now.advanced(byMilliseconds: milliseconds)
        timers.set(kind, at: at)
        return at
    }

    // MARK: Seeds

    /// Every member talks to every seed in the end: for ever, while one is not among the living
    /// (memberlist#222, weaviate#8246).
    mutating func contactSeeds() {
        seedsDue = nil
        let missing = seeds.filter { seed in
            guard let peer = seed.peer else { return true }
            return peer != node && members[peer]?.status.isPresent != true
        }
        guard leftAt == nil else { return }
        if !missing.isEmpty { out.append(.contactSeeds(missing.map(\.address))) }
        guard rules.contactsSeeds else { return }
        let range = GossipLimits.seedBackoffMilliseconds
        seedBackoff = missing.isEmpty ? range.lowerBound : min(range.upperBound, seedBackoff * 2)
        let delay = missing.isEmpty ? range.upperBound : seedBackoff
        seedsDue = now.advanced(byMilliseconds: delay / 2 + spread(delay / 2))
        if let seedsDue { timers.set(.seeds, at: seedsDue) }
    }

    // MARK: The dead

    /// All dead members together are contacted at most once a second, each about every ten.
    mutating func scheduleDeadContact(after minimum: Int64? = nil) {
        guard rules.contactsDead, deadCount > 0, deadDue == nil else { return }
        let share = GossipLimits.deadContactMilliseconds / Int64(deadCount)
        let delay = minimum ?? max(GossipLimits.deadContactMinimumMilliseconds, share)
        let at = now.advanced(byMilliseconds: delay / 2 + spread(delay))
        deadDue = at
        timers.set(.deadContact, at: at)
    }

    /// A handshake serves one that restarted; a ping with the accusation in it serves one that was
    /// cut off and still has keys, and has it refute.
    mutating func contactDead() {
        deadDue = nil
        guard deadCount > 0, leftAt == nil else { return }
        if let target = deadRound.next(using: &generator), let member = members[target] {
            connect(target)
            if member.keyedBoot == member.life.boot {
                let id = generator.next()
                let bytes = pack(.ping(id), lead: buddyParts(about: target))
                sendDatagram(bytes, to: target)
            }
        }
        scheduleDeadContact()
    }

    // MARK: What this member says of itself

    mutating func describe(_ description: SelfDescription) {
        let next = Incarnation(record.life.incarnation.rawValue &+ 1)  // 2^32 lives of one boot
        renewRecord(incarnation: next, isLeaving: leftAt != nil, description: description)
    }

    /// Signs a new record of this member and spreads it; the old one stays where the new
    /// description does not fit.
    mutating func renewRecord(
        incarnation: Incarnation, isLeaving: Bool, description: SelfDescription? = nil
    ) {
        let life = MemberLife(boot: record.life.boot, incarnation: incarnation)
        guard
            let next = SelfRecord(
                node: node, life: life, isLeaving: isLeaving,
                description: description ?? record.description, signer: signer)
        else { return }
        record = next
        memberTree.toggle(ownFingerprint, leaf: Self.leaf(of: node))
        ownFingerprint = digestFingerprintOfSelf
        memberTree.toggle(ownFingerprint, leaf: Self.leaf(of: node))
        spreadOwnRecord()
    }

    private mutating func spreadOwnRecord() {
        memberRumours.insert(.record(node), Part.record(record).encoded())
        rumourAdded()
    }

    var digestFingerprintOfSelf: UInt64 {
        DigestTree.fingerprint(
            UInt64(UInt32(bitPattern: node.rawValue)), record.life.boot.rawValue,
            UInt64(record.life.incarnation.rawValue), record.isLeaving ? 2 : 0)
    }

    /// The bucket of a member in the members' tree.
    static func leaf(of node: NodeID) -> Int {
        let hash = DigestTree.fingerprint(UInt64(UInt32(bitPattern: node.rawValue)))
        return Int(hash % UInt64(GossipLimits.digestLeaves))
    }
}
