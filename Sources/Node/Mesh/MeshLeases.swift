import Gossip
import Model
import NIOCore
import OrderedCollections
import Paxos
import Replication

/// The lease of this broker, and those that it grants as a voter.
extension Mesh {
    mutating func drive(lease input: LeaseHolder.Input) {
        if case .wake = input, let wake = leaseWake, wake <= now { leaseWake = nil }
        var said: [LeaseHolder.Effect] = []
        leaseHolder.handle(input, now: now, into: &said)
        for effect in said {
            switch effect {
            case .renew(let node, let serial): renewLease(with: node, serial)
            case .release(let node):
                if node == identity.node {
                    leaseBook.release(node, boot: identity.boot)
                } else {
                    out.append(.replicate(to: node, .releaseLease(identity.boot)))
                }
            case .held(let until): out.append(.leased(until: until))
            case .lapsed: out.append(.leased(until: nil))
            case .confirm(let serial): out.append(.confirmLeaderships(serial))
            case .wake(let moment): leaseWake = min(leaseWake ?? moment, moment)
            }
        }
    }

    /// At once, and not when the roster is looked at next: a leader that counts the voters before
    /// these alone may hold a lease that these know nothing of.
    mutating func leaseVotersChanged(_ roster: Roster) {
        guard roster.generation > leaseGeneration else { return }
        leaseGeneration = roster.generation
        let voters = LeaseVoters(
            voters: roster.voters.map(\.node), next: roster.next.map { $0.map(\.node) })
        drive(lease: .voters(voters))
    }

    private mutating func renewLease(with voter: NodeID, _ serial: UInt64) {
        let copy = brokers().first { $0.entry.id == identity.node }?.replica
        guard let copy else { return }
        guard voter == identity.node else {
            let request = ReplicationMessage.renewLease(serial, copy, identity.boot)
            return out.append(.replicate(to: voter, request))
        }
        let answer = leaseBook.renew(copy, boot: identity.boot, now: now)
        take(answer, serial, from: voter)
    }

    mutating func hear(lease message: ReplicationMessage, from node: NodeID) {
        switch message {
        case .renewLease(let serial, let copy, let boot):
            guard acceptor?.roster != nil, copy.node == node else { return }
            let answer = leaseBook.renew(copy, boot: boot, now: now)
            out.append(.replicate(to: node, .leaseAnswer(serial, answer)))
        case .leaseAnswer(let serial, let answer): take(answer, serial, from: node)
        case .releaseLease(let boot): leaseBook.release(node, boot: boot)
        default: return
        }
    }

    private mutating func take(_ answer: LeaseAnswer, _ serial: UInt64, from voter: NodeID) {
        switch answer {
        case .granted(let mark): drive(lease: .granted(voter, serial: serial, mark))
        case .outdated, .full: drive(lease: .refused(voter))
        }
    }

    /// For how long this voter must not accept a value, because it deposes a leader whose lease it
    /// granted. One that it may accept is noted before it is: the deposed leader's next grant
    /// counts only once that leader has asked whether it still leads.
    static func heldMilliseconds(
        _ question: LeaseQuestion, _ book: inout LeaseBook, now: Instant
    ) -> Int64 {
        guard let value = question.value else { return 0 }
        if Control.topicName(of: question.key) != nil {
            return heldMilliseconds(deletion: value, &book, now: now)
        }
        guard PartitionRegister.partition(of: question.key) != nil,
            let state = try? PartitionState(decoding: value)
        else { return 0 }
        let held = book.heldMilliseconds(state, now: now)
        if held == 0, let deposed = state.deposed, !state.consented {
            book.noteDeposition(of: deposed)
        }
        return held
    }

    /// For how long a deletion must not outlive copies whose broker was not heard. Once it may,
    /// such a broker's next grant counts only after it has read what it holds anew, and has learned
    /// of the deletion with that.
    private static func heldMilliseconds(
        deletion value: ByteBuffer, _ book: inout LeaseBook, now: Instant
    ) -> Int64 {
        guard let record = try? TopicRecord(decoding: value), let deletion = record.deletion else {
            return 0
        }
        let held = deletion.unheard.map { book.heldMilliseconds($0, now: now) }.max() ?? 0
        if held == 0 { for copy in deletion.unheard { book.noteDeposition(of: copy) } }
        return held
    }
}
