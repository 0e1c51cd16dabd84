internal import Model
internal import NIOCore
internal import OrderedCollections

/// Who is a member, and what its own records say.
extension GossipMachine {
    // MARK: Admission

    /// Follows a register `members/<id>` that entered the table.
    mutating func followAdmission(_ value: ChosenValue) {
        guard let subject = AdmissionRecord.node(ofRegister: value.key) else { return }
        guard let bytes = value.value else {
            revoke(subject)
            return
        }
        guard let admission = try? AdmissionRecord(decoding: bytes), admission.node == subject
        else {
            out.append(.alarm(.malformedAdmission(key: value.key)))
            return
        }
        if admission.isRevoked {
            revoke(subject)
            return
        }
        if subject == node {
            ownAdmission = admission
            return
        }
        if let known = members[subject] {
            guard known.admission != admission else { return }
            if known.admission.key == admission.key, known.admission.store == admission.store {
                members[subject]?.admission = admission
                return
            }
            // Another broker has the id now: nothing that was said of the former counts.
            forget(subject)
        }
        guard members.count < GossipLimits.members else { return }
        members[subject] = Member(admission, now: now)
        if let waiting = waitingRecords.removeValue(forKey: subject) {
            hear(waiting, from: .own)
        }
    }

    private mutating func revoke(_ subject: NodeID) {
        waitingRecords.removeValue(forKey: subject)
        if subject == node {
            ownAdmission = nil
            out.append(.memberRemoved(node))
            return
        }
        guard members[subject] != nil else { return }
        forget(subject)
        note(.revoked(subject))
        out.append(.memberRemoved(subject))
    }

    /// Whether a peer was a member and may be no more; one that is not admitted yet may join. What
    /// it sent before its links were closed has no effect.
    func isRevoked(_ peer: NodeID) -> Bool {
        guard !members.contains(peer), peer != node,
            let entry = table[AdmissionRecord.registerKey(of: peer)]
        else { return false }
        guard let bytes = entry.value.value else { return true }
        return (try? AdmissionRecord(decoding: bytes))?.isRevoked == true
    }

    private mutating func forget(_ subject: NodeID) {
        stopAccusing(subject)
        forget(FeedID.ends(subject))
        memberRumours.remove(.record(subject))
        setStatus(subject, .unheard)
        members[subject]?.record = nil
        refreshDigest(of: subject)
        members[subject] = nil
        if probe?.target == subject { probe = nil }
        if overtime?.target == subject { overtime = nil }
        membersChanged = true
        weighIsolation()
    }

    // MARK: Records

    mutating func hear(_ record: SelfRecord, from source: Source) {
        let subject = record.node
        if subject == node {
            hearOwnRecord(record, from: source)
            return
        }
        guard let life = members[subject]?.life else {
            keepWaiting(record)
            return
        }
        // Most of what is heard is known already: a member is copied only for news.
        if let known = members[subject]?.record?.life {
            if rules.ordersBoots, record.life < life { return }
            if record.life == life, known == record.life { return }
        }
        guard let member = members[subject] else { return }
        if rules.checksSignatures, !record.isSigned(by: member.admission.key, signer) {
            counters.forged += 1
            if let peer = source.peer { note(.forged(from: peer, about: subject)) }
            return
        }
        install(record, over: member)
    }

    private mutating func install(_ record: SelfRecord, over member: Member) {
        let subject = record.node
        let isFirst = member.record == nil
        let wasRestarted = !isFirst && record.life.boot > member.life.boot
        let isHigher = record.life > member.life || isFirst || !rules.ordersBoots
        members[subject]?.record = record
        membersChanged = true
        memberRumours.insert(.record(subject), Part.record(record).encoded())
        rumourAdded()
        guard isHigher else {
            refreshDigest(of: subject)
            return
        }
        let accused = member.status == .suspect || member.status == .dead
        stopAccusing(subject)
        members[subject]?.life = record.life
        if wasRestarted {
            note(.restarted(subject, record.life.boot))
            members[subject]?.silentDatagrams = 0
            members[subject]?.isDatagramBlocked = false
        }
        if isFirst { note(.joined(subject)) }
        if record.isLeaving {
            note(.departed(subject, forcedBy: nil))
        } else if member.status == .dead || member.status == .left {
            note(.rejoined(subject, record.life))
        } else if accused {
            note(.refuted(subject, record.life))
        }
        setStatus(subject, record.isLeaving ? .left : .alive)
        weighIsolation()
    }

    /// Until its admission arrives: records and table travel apart.
    private mutating func keepWaiting(_ record: SelfRecord) {
        if let known = waitingRecords[record.node], known.life >= record.life { return }
        if waitingRecords.count >= GossipLimits.waitingRecords,
            waitingRecords[record.node] == nil
        {
            waitingRecords.removeFirst()
        }
        waitingRecords[record.node] = record
    }

    /// An older boot is history (swift-distributed-actors#866: a new node downed itself on gossip
    /// about its predecessor); a newer one is somebody else with this member's key.
    private mutating func hearOwnRecord(_ heard: SelfRecord, from source: Source) {
        guard source.peer != nil else { return }
        let boot = heard.life.boot
        guard boot >= record.life.boot, heard != record else { return }
        if let key = ownAdmission?.key, rules.checksSignatures, !heard.isSigned(by: key, signer) {
            counters.forged += 1
            return
        }
        guard boot == record.life.boot else {
            out.append(.alarm(.duplicateIdentity(heard.life)))
            return
        }
        guard heard.life >= record.life, rules.refutesStaleAlive else { return }
        refute(past: heard.life.incarnation, by: source.peer)
    }

    // MARK: Bookkeeping

    /// An accusation was ahead of the record that this member has.
    mutating func advance(_ subject: NodeID, to life: MemberLife) {
        members[subject]?.life = life
        members[subject]?.suspicion?.life = life
        refreshDigest(of: subject)
    }

    /// The one place where a status changes: keeps rounds, counts, digest and listeners in step.
    mutating func setStatus(_ subject: NodeID, _ next: MemberStatus) {
        guard let old = members[subject]?.status else { return }
        if old != next {
            members[subject]?.status = next
            members[subject]?.since = now
            suspectCount += (next == .suspect ? 1 : 0) - (old == .suspect ? 1 : 0)
            deadCount += (next == .dead ? 1 : 0) - (old == .dead ? 1 : 0)
            if old.isPresent != next.isPresent { movePresence(subject, next.isPresent) }
            if next == .dead {
                deadRound.insert(subject, using: &generator)
            } else if old == .dead {
                deadRound.remove(subject)
            }
            membersChanged = true
        }
        refreshDigest(of: subject)
        if next != .unheard { announce(subject) }
    }

    private mutating func movePresence(_ subject: NodeID, _ isPresent: Bool) {
        if isPresent {
            presentCount += 1
            probeRound.insert(subject, using: &generator)
            gossipRound.insert(subject, using: &generator)
            digestRound.insert(subject, using: &generator)
        } else {
            presentCount -= 1
            probeRound.remove(subject)
            gossipRound.remove(subject)
            digestRound.remove(subject)
        }
    }

    mutating func refreshDigest(of subject: NodeID) {
        guard let member = members[subject] else { return }
        let fingerprint = member.digestFingerprint
        guard fingerprint != member.fingerprint else { return }
        memberTree.toggle(member.fingerprint ^ fingerprint, leaf: Self.leaf(of: subject))
        members[subject]?.fingerprint = fingerprint
    }

    mutating func announce(_ subject: NodeID) {
        if let member = members[subject] { out.append(.memberChanged(MemberSnapshot(member))) }
    }
}
