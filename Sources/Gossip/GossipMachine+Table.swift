internal import Model
internal import NIOCore
internal import OrderedCollections

/// Merging chosen values: by ballot, never by arrival; doubting what may have been deleted.
extension GossipMachine {
    /// What a peer's claim about a key means here.
    enum Verdict: Hashable {
        case news
        case known
        case old
        case split
        case doubtful
        case spentTombstone
    }

    func verdict(
        key: String, ballot: Ballot, hash: ContentHash, isTombstone: Bool
    ) -> Verdict {
        if isTombstone, ballot <= floor, rules.dropsOldTombstones { return .spentTombstone }
        guard let entry = table[key] else {
            return ballot <= floor && rules.confirmsUnknownKeys ? .doubtful : .news
        }
        if entry.value.ballot == ballot {
            guard entry.hash != hash else { return .known }
            return rules.alarmsSplitVersions ? .split : .known
        }
        return ballot > entry.value.ballot || !rules.ordersByBallot ? .news : .old
    }

    /// A whole value from a peer; `isNews` where it came as a rumour or with few others.
    mutating func offer(_ value: ChosenValue, from peer: NodeID, isNews: Bool) {
        let hash = value.contentHash
        var spreads = isNews
        if let want = wants[value.key], want.advert.ballot <= value.ballot {
            if wants.remove(value.key) { spreads = true }
        }
        let verdict = verdict(
            key: value.key, ballot: value.ballot, hash: hash, isTombstone: value.value == nil)
        switch verdict {
        case .news: store(value, hash, from: peer, spreads: spreads)
        case .known: counters.duplicateValues += 1
        case .old: counters.oldValues += 1
        case .spentTombstone: counters.spentTombstones += 1
        case .doubtful: doubt(value.key)
        case .split: alarmSplit(value.key, value.ballot, hash, from: peer)
        }
    }

    /// A fingerprint of a value that a peer has.
    mutating func weigh(_ advert: Advert, from peer: NodeID, isRumour: Bool) {
        let verdict = verdict(
            key: advert.key, ballot: advert.ballot, hash: advert.hash,
            isTombstone: advert.size == nil)
        switch verdict {
        case .news: want(advert, from: peer, isRumour: isRumour)
        case .known: counters.duplicateValues += 1
        case .old: counters.oldValues += 1
        case .spentTombstone: counters.spentTombstones += 1
        case .doubtful: doubt(advert.key)
        case .split: alarmSplit(advert.key, advert.ballot, advert.hash, from: peer)
        }
    }

    /// Takes in what was chosen together, and hands it on: few values as rumours; many, as after a
    /// broker's death, over the links to every member, because rumours pass a few at a time and a
    /// thousand partitions would wait for them. Anti-entropy finds who missed a message.
    mutating func adopt(chosen values: [ChosenValue]) {
        let present = members.values.filter(\.status.isPresent).map(\.node)
        let isBulk =
            values.count > GossipLimits.valuesThatAreNews
            && present.count <= GossipLimits.bulkPeers
        for value in values { adopt(value, from: nil, spreads: !isBulk) }
        guard isBulk else { return }
        for peer in present { send(values, to: peer) }
    }

    /// What this broker's Paxos chose needs no confirmation.
    mutating func adopt(_ value: ChosenValue, from peer: NodeID?, spreads: Bool = true) {
        let hash = value.contentHash
        if let entry = table[value.key] {
            if entry.value.ballot == value.ballot, entry.hash != hash {
                alarmSplit(value.key, value.ballot, hash, from: peer)
                return
            }
            guard value.ballot > entry.value.ballot else { return }
        }
        if value.value == nil, value.ballot <= floor, table[value.key] == nil { return }
        store(value, hash, from: peer, spreads: spreads)
    }

    /// What a newcomer fetches in bulk is no news to others, and is not passed on.
    private mutating func store(
        _ value: ChosenValue, _ hash: ContentHash, from peer: NodeID?, spreads: Bool = true
    ) {
        table.set(value, hash: hash)
        applied.append(value)
        note(.valueApplied(key: value.key, value.ballot, from: peer))
        let isLarge = value.encodedBytes > GossipLimits.datagramValueBytes
        let part =
            isLarge
            ? Part.advert(
                Advert(
                    key: value.key, ballot: value.ballot, hash: hash,
                    size: value.value?.readableBytes))
            : Part.value(value)
        if spreads, !isLarge || rules.adverts {
            tableRumours.insert(.value(value.key), part.encoded())
            rumourAdded()
        }
        followAdmission(value)
    }

    private mutating func alarmSplit(
        _ key: String, _ ballot: Ballot, _ hash: ContentHash, from peer: NodeID?
    ) {
        guard let entry = table[key] else { return }
        counters.splitVersions += 1
        guard doubt(key) else { return }
        out.append(
            .alarm(
                .splitVersion(key: key, ballot, ours: entry.hash, theirs: hash, from: peer)))
    }

    // MARK: Confirmation

    /// Asks Paxos, once at a time for each key; whether it was asked now.
    @discardableResult
    mutating func doubt(_ key: String) -> Bool {
        if let since = confirming[key],
            now.milliseconds(since: since) < GossipLimits.confirmTimeoutMilliseconds
        {
            return false
        }
        if confirming[key] == nil, confirming.count >= GossipLimits.confirmations {
            confirming.removeFirst()
        }
        confirming[key] = now
        toConfirm.append(key)
        note(.valueDoubted(key: key))
        return true
    }

    /// Paxos has the last word: also against an equal ballot, and against a deleted key.
    mutating func confirmed(_ key: String, _ value: ChosenValue?) {
        confirming.removeValue(forKey: key)
        let entry = table[key]
        guard let value else {
            guard let entry, entry.value.ballot <= floor else { return }
            forgetDeleted(entry.value)
            return
        }
        if let entry, value.ballot < entry.value.ballot { return }
        let hash = value.contentHash
        if let entry, value.ballot == entry.value.ballot, hash == entry.hash { return }
        if value.value == nil, value.ballot <= floor {
            if let entry { forgetDeleted(entry.value) }
            return
        }
        store(value, hash, from: nil)
    }

    /// A key that came back from before a delete leaves the table as the delete would have.
    private mutating func forgetDeleted(_ value: ChosenValue) {
        table.remove(value.key)
        tableRumours.remove(.value(value.key))
        let gone = ChosenValue(key: value.key, ballot: value.ballot, value: nil)
        applied.append(gone)
        followAdmission(gone)
    }

    mutating func raise(to next: Ballot) {
        guard next > floor else { return }
        floor = next
        if rules.dropsOldTombstones { table.removeTombstones(upTo: next) }
    }

    // MARK: Pulling

    private mutating func want(_ advert: Advert, from peer: NodeID, isRumour: Bool) {
        wants.add(advert, from: peer, isRumour: isRumour)
        let soon = now.advanced(byMilliseconds: GossipLimits.batchingMilliseconds)
        if let due = wantsDue, due <= soon { return }
        wantsDue = schedule(.wants, after: GossipLimits.batchingMilliseconds)
    }

    /// Asks for what was not asked or not answered in time.
    mutating func retryWants() {
        wantsDue = nil
        wants.expire(now)
        for (peer, keys) in wants.next(now) {
            if keys.count == 1 { note(.valueWanted(key: keys[0], from: peer)) }
            sendMessage(LinkMessage.want(keys).encoded(), to: peer)
        }
        if !wants.isEmpty {
            wantsDue = schedule(.wants, after: GossipLimits.wantTimeoutMilliseconds / 2)
        }
    }
}
