import Broker
import Testing

@testable import gossamer

@Suite("Why a member is as it is")
struct MemberCaseTests {
    private func judge(
        _ views: [InspectionAnswer], _ events: [SeenEvent] = [], isRevoked: Bool = false,
        isolated: [Int32] = []
    ) -> MemberCase.Verdict {
        MemberCase(
            node: 3, members: views, events: events, isRevoked: isRevoked, isolated: isolated,
            now: Given.noon + 10_000
        ).verdict()
    }

    @Test("Two processes with one store: said before anything else that they look like")
    func duplicates() {
        var twin = Given.member(3, "dead", accusers: [1])
        twin?.duplicateBoots = [4, 5]
        let verdict = judge([Given.view(1, twin), Given.view(2, Given.member(3, "alive"))])
        #expect(verdict.condition == .duplicate && !verdict.isWell)
        #expect(verdict.sentence.hasPrefix("DUPLICATE_STORE: two processes ran"))
        #expect(verdict.sentence.contains("boots 4 and 5, seen by 1."))
    }

    private func views(_ make: () -> MemberReport?) -> [InspectionAnswer] {
        [Given.view(1, make()), Given.view(2, make())]
    }

    /// What both brokers see of a member that stops answering.
    private func death(_ failure: SeenEvent?) -> [SeenEvent] {
        [
            Given.event(1, 0, "probeUnanswered", node: 3),
            Given.event(1, 0, "linkProbed", node: 3), failure,
            Given.event(1, 200, "suspected", node: 3, by: 1),
            Given.event(1, 1_000, "declaredDead", node: 3, by: 1, others: [1, 2]),
        ].compactMap { $0 }
    }

    @Test("A killed broker: dead since, accused by, last heard, and that nobody listens")
    func killed() {
        let verdict = judge(
            views { Given.member(3, "dead", accusers: [1, 2], heard: 10_300) },
            death(Given.event(1, 1, "linkFailed", node: 3, reason: "unreachable")))
        #expect(verdict.condition == .dead)
        #expect(!verdict.isWell)
        #expect(
            verdict.sentence.hasPrefix(
                "3 is dead since 12:00:01.000 (9.0 s ago), accused by 1, 2, last heard at "
                    + "11:59:59.700 by 1. Nobody listens at its address: the process has ended"))
    }

    @Test("A paused broker keeps its connections and says nothing")
    func paused() {
        let seen = views { Given.member(3, "dead", accusers: [1, 2]) }
        #expect(judge(seen, death(nil)).sentence.contains("paused (SIGSTOP"))
        let timedOut = Given.event(1, 1, "linkFailed", node: 3, reason: "timedOut")
        let joining = Given.events(
            Given.event(2, -5_000, "linkFailed", node: 3, reason: "authentication"))
        #expect(judge(seen, joining + death(nil)).sentence.contains("paused (SIGSTOP"))
        #expect(judge(seen, death(timedOut)).sentence.contains("does not answer: it is paused"))
    }

    @Test("One that comes back by itself was away; one that has a new boot was restarted")
    func back() {
        let alive = views { Given.member(3) }
        let rejoined = Given.events(Given.event(1, 5_600, "rejoined", node: 3))
        let away = judge(alive, death(nil) + rejoined)
        #expect(away.condition == .wasAway)
        #expect(away.sentence.contains("held for dead from 12:00:01.000 for 4.6 s"))
        #expect(away.sentence.contains("without a restart"))
        let restarted = Given.events(Given.event(1, 5_601, "restarted", node: 3))
        #expect(judge(alive, death(nil) + rejoined + restarted).condition == .restarted)
        let quick = judge(alive, restarted)
        #expect(quick.sentence.hasSuffix("before anybody declared it dead"))
        let left = Given.events(Given.event(1, 100, "departed", node: 3))
        #expect(judge(alive, left + restarted).sentence.hasSuffix("after it had left in order"))
        let refuted = Given.events(Given.event(1, 6_500, "refuted", node: 3))
        #expect(judge(alive, left + restarted + refuted).condition == .restarted)
    }

    @Test("A datagram hole is no death")
    func hole() {
        let verdict = judge([
            Given.view(1, Given.member(3, isBlocked: true)), Given.view(2, Given.member(3)),
        ])
        #expect(verdict.condition == .udpBlocked)
        #expect(
            verdict.sentence
                == "3 answers by TCP and not by UDP, seen from 1. 2 reaches it by UDP. Not dead; "
                + "leadership was not moved. Open UDP 7946 from 1 to 3 (10.0.0.3:7946), and back")
        let closed = Given.events(
            Given.event(1, 0, "datagramsBlocked", node: 3),
            Given.event(1, 4_000, "datagramsBlocked", node: 3))
        let after = judge(views { Given.member(3) }, closed)
        #expect(after.sentence.contains("answers by UDP again since 12:00:04.000 (6.0 s ago)"))
        #expect(after.isWell)
    }

    @Test("A suspect has so long to refute")
    func suspect() {
        let verdict = judge([
            Given.view(1, Given.member(3, "suspect", accusers: [1, 2], deadIn: 700)),
            Given.view(2, Given.member(3)),
        ])
        #expect(verdict.condition == .suspected)
        #expect(
            verdict.sentence.hasPrefix(
                "3 is suspected by 1, 2: dead in 700 ms unless it refutes"))
        let refuted = judge(
            views { Given.member(3) }, Given.events(Given.event(2, 900, "refuted", node: 3)))
        #expect(refuted.sentence.contains("suspected and refuted that at 12:00:00.900"))
    }

    @Test("Left, forced out, revoked, unheard, unknown to the others, disputed")
    func others() {
        let left = views { Given.member(3, "left") }
        let own = judge(left, Given.events(Given.event(1, 0, "departed", node: 3)))
        #expect(own.sentence.hasPrefix("3 left in order at 12:00:00.000 (10.0 s ago)"))
        let forced = judge(left, Given.events(Given.event(1, 0, "departed", node: 3, by: 2)))
        #expect(forced.sentence.hasPrefix("3 was forced out by 2 at"))
        let revoked = judge(
            [], Given.events(Given.event(1, 0, "revoked", node: 3)), isRevoked: true)
        #expect(revoked.condition == .revoked)
        #expect(revoked.sentence.hasPrefix("3 was revoked at 12:00:00.000"))
        #expect(judge(views { Given.member(3, "unheard") }).condition == .unheard)
        #expect(judge([]).condition == .unheard)
        let split = judge([
            Given.view(1, Given.member(3)), Given.view(2, Given.member(3, "dead")),
        ])
        #expect(split.condition == .disputed)
        #expect(split.sentence.contains("1 hears 3, 2 holds it for dead"))
        let lonely = judge([Given.view(1, Given.member(3, "dead"))], isolated: [1])
        #expect(lonely.sentence.contains("Mind: 1 hears hardly anybody else"))
    }

    @Test("A broker that nothing happened to is alive and well")
    func well() {
        let verdict = judge(views { Given.member(3) })
        #expect(verdict.sentence == "3 is alive and well: heard within 100 ms by 1, 2")
        #expect(verdict.isWell)
        // Its own view is no evidence.
        #expect(judge([Given.view(3, Given.member(3, "dead"))]).condition == .unheard)
    }

    @Test("The chain tells a probe and what was tried after it in one line")
    func chain() {
        let events = Given.events(
            Given.event(1, 0, "digestsDiffered", node: 3),
            Given.event(
                1, 0, "probeUnanswered", node: 3, "probed 3: no answer in 100 ms (health 0)"),
            Given.event(1, 0, "helpersAsked", node: 3, others: [2, 4]),
            Given.event(2, 1, "suspected", node: 3, "2 SUSPECTS 3"),
            Given.event(1, 2, "linkProbed", node: 3),
            Given.event(1, 3, "linkFailed", node: 3, reason: "nobody answers there"),
            Given.event(1, 4, "linkFailed", node: 3, reason: "unreachable"),
            Given.event(1, 5, "helperAnswered", node: 3, by: 2, reason: "unreached"),
            Given.event(1, 6, "probeFailed", node: 3),
            Given.event(1, 7, "suspected", node: 3, "1 SUSPECTS 3"))
        #expect(
            EvidenceChain(events).lines(now: Given.noon) == [
                "12:00:00.000  1  probed 3: no answer in 100 ms; asked 2: no answer, 4: silent "
                    + "itself; by TCP: nobody answers there",
                "12:00:00.001  2  2 SUSPECTS 3", "12:00:00.007  1  1 SUSPECTS 3",
            ])
    }

    @Test("What a broker sees again and again is one line")
    func repeats() {
        let events = Given.events(
            Given.event(1, 0, "linkAnswered", node: 3, "reached 3 by TCP"),
            Given.event(2, 5, "linkAnswered", node: 3, "reached 3 by TCP"),
            Given.event(1, 300, "linkAnswered", node: 3, "reached 3 by TCP"),
            Given.event(1, 600, "linkAnswered", node: 3, "reached 3 by TCP"))
        #expect(
            EvidenceChain(events).lines(now: Given.noon) == [
                "12:00:00.000  1  reached 3 by TCP, and 2 times more until 12:00:00.600",
                "12:00:00.005  2  reached 3 by TCP",
            ])
    }

    @Test("Clocks that are far apart are corrected, and said so")
    func clocks() {
        var ahead = Given.answer(2, at: Given.noon + 60_000)
        ahead.events = Given.events(Given.event(2, 59_000, "suspected")).map(\.event)
        var right = Given.answer(1)
        right.events = Given.events(Given.event(1, 0, "declaredDead")).map(\.event)
        let merged = EventMerge([ahead, right], reference: 1)
        #expect(merged.events.map(\.observer) == [2, 1])
        #expect(
            merged.remarks == ["the clock of 2 is 1 min ahead: its times are corrected by that"])
        let near = EventMerge([right, Given.answer(2, at: Given.noon + 2_000)])
        #expect(near.remarks.isEmpty)
    }
}
