import ArgumentParser
import Broker
import Testing

@testable import gossamer

@Suite("Admission secrets at the command line")
struct KeysTextTests {
    private let new = "1111111122222222"
    private let old = "aaaaaaaabbbbbbbb"

    private func status(_ answers: InspectionAnswer..., silent: [Int32] = []) -> SecretStatus {
        SecretStatus(InspectionAnswers(answers: answers, silent: silent), reference: 1)
    }

    @Test("Safe to drop when all show the new one and nobody needed the old one")
    func safe() {
        let status = status(Given.keys(1, [new, old]), Given.keys(2, [new, old]))
        #expect(status.verdict.isSafe == true)
        #expect(status.verdict.sentence.hasPrefix("safe to drop aaaaaaaa: yes, because all 2"))
        #expect(KeysDropPrevious.objection(status) == nil)
        #expect(KeysRotate.unfinished(status) == nil)
    }

    @Test("Not safe while a broker shows the old one")
    func behind() {
        let status = status(Given.keys(1, [new, old]), Given.keys(2, [old]))
        #expect(status.behind == [2])
        #expect(
            status.verdict.sentence == "safe to drop aaaaaaaa: no, because 2 shows another: copy "
                + "the file there, then gossamer keys rotate --reload")
        #expect(KeysDropPrevious.objection(status)?.hasSuffix("(--force drops it)") == true)
        #expect(KeysRotate.unfinished(status)?.contains("2 may still show") == true)
        #expect(
            status.table.text == """
                NODE  SHOWS     ALSO TAKES  JOINS AND OPERATORS
                1     11111111  aaaaaaaa    11111111: 3  aaaaaaaa: 3
                2     aaaaaaaa  -           aaaaaaaa: 3               <- another secret
                """)
    }

    @Test("Not safe while a broker is silent, is away, or somebody needs the old one")
    func unsure() {
        let silent = status(Given.keys(1, [new, old]), silent: [2])
        #expect(silent.verdict.sentence.contains("2 did not answer"))
        let away = status(
            Given.keys(1, [new, old], members: [1, 2, 3]),
            Given.keys(2, [new, old], members: [1, 2, 3]))
        #expect(away.absent == [3])
        #expect(away.verdict.isSafe == false)
        let used = status(
            Given.keys(1, [new, old]), Given.keys(2, [new, old], needed: [old: 61_000]))
        #expect(used.verdict.sentence.contains("joined or asked with it 1 min ago, at 2"))
        let longAgo = status(
            Given.keys(1, [new, old]), Given.keys(2, [new, old], needed: [old: 700_000]))
        #expect(longAgo.verdict.isSafe == true)
    }

    @Test("Nothing to drop, nothing to show")
    func none() {
        #expect(status(Given.keys(1, [new])).verdict.sentence == "one secret, nothing to drop")
        #expect(status(Given.keys(1, [])).verdict.isSafe == nil)
        let apart = status(Given.keys(1, [new]), Given.keys(2, [new, old]), Given.keys(3, [old]))
        #expect(apart.verdict.sentence == "one secret, nothing to drop; 3 shows another")
    }

    @Test("A file is rotated once, twice and back, and names tell secrets apart")
    func rotation() throws {
        let first = MeshSecrets.mint()
        let firstName = MeshSecrets.names(in: first)
        #expect(firstName.count == 1)
        #expect(!first.contains(firstName[0]))
        #expect(MeshSecrets.withoutPrevious(first) == nil)
        let second = try #require(MeshSecrets.rotated(first))
        #expect(MeshSecrets.names(in: second).count == 2)
        #expect(MeshSecrets.names(in: second)[1] == firstName[0])
        let third = try #require(MeshSecrets.rotated(second))
        #expect(MeshSecrets.names(in: third)[1] == MeshSecrets.names(in: second)[0])
        let last = try #require(MeshSecrets.withoutPrevious(third))
        #expect(MeshSecrets.names(in: last) == [MeshSecrets.names(in: third)[0]])
        #expect(MeshSecrets.rotated("# empty\n") == nil)
    }

    @Test("rotate says what to do on the other machines")
    func next() {
        let text = KeysRotate.next([new, old], 1, others: [2, 3], path: "/etc/secret")
        #expect(text.hasPrefix("1 shows the new secret 11111111 and still takes aaaaaaaa\n"))
        #expect(text.contains("1. copy /etc/secret to the machines of 2, 3, mode 0600"))
        #expect(text.contains("2. gossamer keys rotate --reload"))
        #expect(text.contains("4. gossamer keys drop-previous --secret-file /etc/secret"))
        #expect(text.contains("need no secret and are not disturbed"))
        var failed = Given.answer(2)
        failed.error = "no such file"
        let seen = InspectionAnswers(
            answers: [Given.keys(1, [new, old]), failed], silent: [3])
        #expect(
            KeysRotate.reloaded(seen)
                == "1 shows 11111111, still takes aaaaaaaa\n2: no such file\nno answer from 3")
        #expect(throws: (any Error).self) { try KeysRotate.parse([]) }
    }

    @Test("show never has more than names")
    func show() throws {
        let keys = try #require(Given.keys(1, [new, old]).keys)
        let text = KeysShow.text(1, keys)
        #expect(text.contains("secret     shows 11111111, still takes aaaaaaaa"))
        #expect(text.contains("admission  number 1"))
    }

    @Test("revoke says who refuses the member, and who did not say so yet")
    func revoke() {
        let done = KeysRevoke.Answer(revoked: 3, refusedBy: [1, 2], pending: [], milliseconds: 25)
        #expect(KeysRevoke.text(done) == "3 is revoked; refused by 1, 2 after 25 ms")
        let open = KeysRevoke.Answer(revoked: 3, refusedBy: [1], pending: [2], milliseconds: 2_000)
        #expect(
            KeysRevoke.text(open).hasSuffix("2 did not say so yet: see gossip diff --all members/"))
    }
}
