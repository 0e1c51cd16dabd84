import Testing

/// The source tree keeps its own rules.
@Suite struct TidyTests {
    private func check(_ rule: Rules.Rule) {
        let findings = SourceFile.all.flatMap(rule)
        #expect(findings.isEmpty, "\n\(findings.joined(separator: "\n"))")
    }

    @Test func theTreeIsThere() {
        #expect(SourceFile.all.count > 50)
        #expect(SourceFile.all.contains { $0.path == "Package.swift" })
    }

    @Test func filesAreShort() { check(Rules.fileLength) }
    @Test func linesAreShort() { check(Rules.lineLength) }
    @Test func functionsAreShort() { check(Rules.functionLength) }
    @Test func nothingIsForcedOrPrinted() { check(Rules.bannedCode) }
    @Test func nothingIsLeftOver() { check(Rules.leftovers) }
    @Test func uncheckedSendableHasItsReason() { check(Rules.uncheckedSendable) }
    @Test func importsKeepToTheirTargets() { check(Rules.imports) }
    @Test func pureTargetsArePure() { check(Rules.purity) }
    @Test func namesSayWhatTypesAre() { check(Rules.names) }
    @Test func typesAreDocumented() { check(Rules.documentedTypes) }
}

/// The rules find what they are for, and nothing else.
@Suite struct RuleTests {
    private func file(_ text: String, _ path: String = "Sources/Model/A.swift") -> SourceFile {
        SourceFile(path: path, text: text)
    }

    @Test func commentsAndStringsAreNotCode() {
        let text = "a // b\n\"c \\\" d\" e /* f\n g */ h #\"i\"j\"# k\n\"\"\"\nl \"\n\"\"\" m"
        #expect(
            file(text).code.map { $0.filter { $0 != " " } } == ["a", "e", "hk", "", "", "m"])
    }

    @Test func longThingsAreFound() {
        let body = String(repeating: "    x()\n", count: 69)
        #expect(Rules.functionLength(file("func f() {\n\(body)}\n")).count == 1)
        let shorter = String(repeating: "    x()\n", count: 68)
        #expect(Rules.functionLength(file("func f() {\n\(shorter)}\n")).isEmpty)
        #expect(
            Rules.functionLength(file("public init(\n  a: Int\n) throws(E) {\n\(body)}")).count == 1
        )
        #expect(
            Rules.functionLength(file("protocol P {\n    func f()\n}\nlet a = {\n\(body)}")) == [])
        #expect(Rules.fileLength(file(String(repeating: "\n", count: 401))).count == 1)
        #expect(Rules.fileLength(file(String(repeating: "\n", count: 400))).isEmpty)
        #expect(Rules.lineLength(file(String(repeating: "x", count: 101))).count == 1)
    }

    @Test func bannedCodeIsFoundWhereItIsBanned() {
        let text =
            "let a = try! b()\nlet c = d as! E\nprint(a)\nfatalError(c)\nlog.fingerprint(a)\n"
        #expect(Rules.bannedCode(file(text)).count == 4)
        #expect(Rules.bannedCode(file(text, "Sources/gossamer/A.swift")).count == 3)
        #expect(Rules.bannedCode(file(text, "Tests/ModelTests/A.swift")).count == 2)
        #expect(Rules.leftovers(file("// TO" + "DO: later")).count == 1)
    }

    @Test func reasonsAreAsked() {
        let bare = "struct A {}\nfinal class B: @unchecked Sendable {}"
        #expect(Rules.uncheckedSendable(file(bare)).count == 1)
        let said = "// One loop owns it.\n@safe\nfinal class B: @unchecked Sendable {}"
        #expect(Rules.uncheckedSendable(file(said)).isEmpty)
        #expect(Rules.documentedTypes(file("public struct A {\n}\nprivate struct B {}")).count == 1)
        #expect(Rules.documentedTypes(file("/// A.\n@frozen\nstruct A {}")).isEmpty)
        #expect(Rules.names(file("/// A.\nfinal class LogManager {}")).count == 1)
    }

    @Test func importsAndWordsAreKeptOut() {
        #expect(Rules.imports(file("public import NIOCore\nimport NIOPosix")).count == 1)
        #expect(Rules.imports(file("internal import struct Foundation.Date")).count == 1)
        #expect(Rules.imports(file("import Foundation", "Sources/Broker/A.swift")).count == 1)
        #expect(Rules.imports(file("import Foundation", "Sources/gossamer/A.swift")).isEmpty)
        #expect(Rules.imports(file("import Glibc", "Sources/Storage/A.swift")).isEmpty)
        #expect(Rules.purity(file("let a = Date()\nlet b: Dates\nx.shuffled()\n")).count == 2)
        #expect(Rules.purity(file("x.shuffled(using: &g)\nfunc update() {}")).isEmpty)
    }
}
