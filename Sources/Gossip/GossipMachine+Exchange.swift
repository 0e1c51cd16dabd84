internal import Model
internal import NIOCore
internal import OrderedCollections

/// Links, first contact, and anti-entropy: compare roots, descend where they differ, exchange only
/// what differs.
///
///     A                                   B
///     | digests (datagram, or in hello)   |
///     |---------------------------------->|  roots differ
///     |        branches                   |
///     |<----------------------------------|
///     |  leaves of differing branches     |
///     |---------------------------------->|
///     |  entries of differing leaves (table), states (members)
///     |<----------------------------------|
///     |  values that B lacks, want, states|
///     |---------------------------------->|
///
/// No state is kept between the messages, so that a lost peer leaves nothing behind.
extension GossipMachine {
    var roots: Roots { Roots(table: table.tree.root, members: memberTree.root) }

    // MARK: Links

    mutating func opened(_ link: LinkUp) {
        guard isStarted else { return }
        let peer = link.peer
        if let dialled = link.dialled {
            for index in seeds.indices where seeds[index].address == dialled {
                seeds[index].peer = peer
            }
        }
        guard peer != node else { return }
        if members[peer] != nil {
            members[peer]?.connectingSince = nil
            members[peer]?.keyedBoot = link.boot
            members[peer]?.lastHeard = now
            counters.linksOpened += 1
            answeredByHandshake(peer)
        }
        let accusations = members[peer]?.accusations ?? []
        let hello = LinkMessage.hello(roots, ownState, accusations: accusations)
        sendMessage(hello.encoded(), to: peer)
        if node < peer { tellMarks(to: peer) }
    }

    private mutating func answeredByHandshake(_ peer: NodeID) {
        if probe?.target == peer { probe?.answeredOverLink = true }
        if overtime?.target == peer { overtime?.answeredOverLink = true }
        let served = relays.filter { $0.value.target == peer }
        for (id, relay) in served {
            relays.removeValue(forKey: id)
            sendDatagram(pack(.ack(relay.originID), lead: []), to: relay.origin)
        }
    }

    mutating func failed(_ peer: NodeID, _ failure: LinkFailure) {
        members[peer]?.connectingSince = nil
        if probe?.target == peer { probe?.linkFailed = true }
        if probe?.target == peer || failure != .closed { note(.linkFailed(peer, failure)) }
    }

    private var ownState: MemberState {
        MemberState(status: record.isLeaving ? .left : .present, record: record, evidence: [])
    }

    mutating func receiveMessage(_ bytes: ByteBuffer, from peer: NodeID) {
        guard isStarted, !isRevoked(peer) else { return }
        counters.messagesReceived += 1
        do {
            let message = try LinkMessage(decoding: bytes)
            members[peer]?.lastHeard = now
            accept(message, from: peer)
        } catch {
            counters.refusedPackets += 1
            note(.refusedBytes(from: peer, error))
        }
    }

    private mutating func accept(_ message: LinkMessage, from peer: NodeID) {
        switch message {
        case .packet(let packet): accept(packet, from: peer, overLink: true)
        case .hello(let roots, let state, let accusations):
            if state.record.node == peer { hear(state.record, from: .exchange(peer)) }
            for accusation in accusations where accusation.subject == node {
                accuse(accusation, from: .exchange(peer))
            }
            // Both ends greet; one of them begins.
            if node < peer { compare(roots, with: peer) }
        case .branches(let tree, let hashes): answer(tree, branches: hashes, to: peer)
        case .leaves(let tree, let mask, let hashes):
            answer(tree, mask: mask, leaves: hashes, to: peer)
        case .entries(let leaves, let adverts): merge(leaves, adverts, from: peer)
        case .members(let leaves, let wantsAnswer, let states):
            for state in states { hear(state, from: peer) }
            if wantsAnswer { sendStates(leaves, wantsAnswer: false, to: peer) }
        case .want(let keys): give(keys, to: peer)
        case .values(let values):
            let isNews = values.count <= GossipLimits.valuesThatAreNews
            for value in values { offer(value, from: peer, isNews: isNews) }
            if !wants.isEmpty { retryWants() }
        case .marks(let marks, let wantsAnswer): hear(marks, wantsAnswer, from: peer)
        case .pull(let pulls): give(pulls, to: peer)
        case .delta(let delta): merge(delta, from: peer)
        case .doubt(let keys):
            for key in keys.prefix(GossipLimits.wantsPerMessage) {
                if let entry = table[key], entry.value.ballot <= floor { doubt(key) }
            }
        }
    }

    /// What a peer asked for: each key once, no more keys and bytes than an honest one asks for.
    private mutating func give(_ keys: [String], to peer: NodeID) {
        var given: Set<String> = []
        var values: [ChosenValue] = []
        var bytes = 0
        for key in keys.prefix(GossipLimits.wantsPerMessage) where given.insert(key).inserted {
            guard let value = table[key]?.value else { continue }
            bytes += value.encodedBytes
            guard values.isEmpty || bytes <= GossipLimits.wantedBytesPerPeer else { break }
            values.append(value)
        }
        send(values, to: peer)
    }

    // MARK: Anti-entropy

    mutating func compareDigests() {
        antiEntropyDue = nil
        guard leftAt == nil else { return }
        let interval = profile.antiEntropyIntervalMilliseconds
        antiEntropyDue = schedule(.antiEntropy, after: interval * 3 / 4 + spread(interval / 2))
        guard let peer = digestRound.next(using: &generator), let member = members[peer] else {
            return
        }
        guard member.keyedBoot == member.life.boot else {
            connect(peer)
            return
        }
        let lead = [Part.feedRoot(feeds.root).encoded()]
        sendDatagram(pack(.digests(roots), lead: lead), to: peer)
    }

    mutating func compare(_ theirs: Roots, with peer: NodeID) {
        let ours = roots
        guard ours != theirs, rules.antiEntropy else { return }
        let seconds = Double(now.milliseconds(since: descentTokensAt)) / 1_000
        let rate = Double(GossipLimits.descentsPerSecond)
        descentTokens = min(rate, descentTokens + seconds * rate)
        descentTokensAt = now
        guard descentTokens >= 1 else { return }
        descentTokens -= 1
        counters.descents += 1
        note(.digestsDiffered(peer))
        if ours.table != theirs.table {
            let message = LinkMessage.branches(.table, table.tree.branches)
            sendMessage(message.encoded(), to: peer)
        }
        if ours.members != theirs.members {
            let message = LinkMessage.branches(.members, memberTree.branches)
            sendMessage(message.encoded(), to: peer)
        }
    }

    private func tree(_ kind: TreeKind) -> DigestTree {
        kind == .table ? table.tree : memberTree
    }

    private mutating func answer(_ kind: TreeKind, branches: [UInt64], to peer: NodeID) {
        let mask = tree(kind).mask(differingFrom: branches)
        guard mask != 0 else { return }
        let message = LinkMessage.leaves(kind, mask: mask, tree(kind).leaves(under: mask))
        sendMessage(message.encoded(), to: peer)
    }

    private mutating func answer(
        _ kind: TreeKind, mask: UInt32, leaves hashes: [UInt64], to peer: NodeID
    ) {
        let leaves = tree(kind).leaves(under: mask, differingFrom: hashes)
        guard !leaves.isEmpty else { return }
        if kind == .members {
            sendStates(leaves, wantsAnswer: true, to: peer)
        } else {
            sendEntries(leaves, to: peer)
        }
    }

    /// Whole leaves, in as many messages as their size asks for.
    private mutating func sendEntries(_ leaves: [UInt16], to peer: NodeID) {
        var sent: [UInt16] = []
        var adverts: [Advert] = []
        var bytes = 0
        for leaf in leaves {
            for key in table.keys(inLeaf: Int(leaf)) {
                guard let entry = table[key] else { continue }
                let advert = Advert(
                    key: key, ballot: entry.value.ballot, hash: entry.hash,
                    size: entry.value.value?.readableBytes)
                adverts.append(advert)
                bytes += 34 + key.utf8.count
            }
            sent.append(leaf)
            if bytes >= GossipLimits.messageTargetBytes {
                sendMessage(LinkMessage.entries(leaves: sent, adverts).encoded(), to: peer)
                sent = []
                adverts = []
                bytes = 0
            }
        }
        if !sent.isEmpty {
            sendMessage(LinkMessage.entries(leaves: sent, adverts).encoded(), to: peer)
        }
    }

    private mutating func merge(_ leaves: [UInt16], _ adverts: [Advert], from peer: NodeID) {
        var theirs = OrderedDictionary<String, Advert>(minimumCapacity: adverts.count)
        for advert in adverts { theirs[advert.key] = advert }
        var doubted: [String] = []
        for advert in adverts {
            let isUnknown = table[advert.key] == nil
            weigh(advert, from: peer, isRumour: adverts.count <= GossipLimits.valuesThatAreNews)
            let isOld = isUnknown && advert.ballot <= floor && advert.size != nil
            if isOld, doubted.count < GossipLimits.wantsPerMessage { doubted.append(advert.key) }
        }
        // What this member forgot, the peer may have kept from before a delete.
        if !doubted.isEmpty, rules.confirmsUnknownKeys {
            sendMessage(LinkMessage.doubt(doubted).encoded(), to: peer)
        }
        var missing: [ChosenValue] = []
        for leaf in leaves {
            for key in table.keys(inLeaf: Int(leaf)) {
                guard let entry = table[key] else { continue }
                if let known = theirs[key], known.ballot >= entry.value.ballot { continue }
                missing.append(entry.value)
            }
        }
        send(missing, to: peer)
    }

    /// Nothing is said to a member that is not there: it hears of them when it comes back.
    mutating func push(_ values: [ChosenValue], to peer: NodeID) {
        guard members[peer]?.isKeyed == true else { return }
        send(values, to: peer)
    }

    mutating func send(_ values: [ChosenValue], to peer: NodeID) {
        var batch: [ChosenValue] = []
        var bytes = 0
        for value in values {
            if !batch.isEmpty, bytes + value.encodedBytes > GossipLimits.messageTargetBytes {
                sendMessage(LinkMessage.values(batch).encoded(), to: peer)
                batch = []
                bytes = 0
            }
            batch.append(value)
            bytes += value.encodedBytes
        }
        if !batch.isEmpty { sendMessage(LinkMessage.values(batch).encoded(), to: peer) }
    }

    // MARK: Member states

    private mutating func sendStates(_ leaves: [UInt16], wantsAnswer: Bool, to peer: NodeID) {
        var isWanted = [Bool](repeating: false, count: GossipLimits.digestLeaves)
        for leaf in leaves { isWanted[Int(leaf)] = true }
        var states: [MemberState] = []
        if isWanted[Self.leaf(of: node)] { states.append(ownState) }
        for member in members.values where isWanted[Self.leaf(of: member.node)] {
            guard let record = member.record else { continue }
            let status: MemberState.Status =
                switch member.status {
                case .unheard, .alive, .suspect: .present
                case .dead: .dead
                case .left: .left
                }
            states.append(
                MemberState(status: status, record: record, evidence: member.accusations))
        }
        // The answer names the leaves once; a state is at most 1.6 KB, so 1,000 fit a message.
        var first = true
        repeat {
            let part = Array(states.prefix(1_000))
            states.removeFirst(part.count)
            let message = LinkMessage.members(
                leaves: first ? leaves : [], wantsAnswer: wantsAnswer && first, part)
            sendMessage(message.encoded(), to: peer)
            first = false
        } while !states.isEmpty
    }

    private mutating func hear(_ state: MemberState, from peer: NodeID) {
        hear(state.record, from: .exchange(peer))
        for accusation in state.evidence where accusation.subject == state.record.node {
            accuse(accusation, from: .exchange(peer))
        }
    }
}
