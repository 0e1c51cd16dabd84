import ArgumentParser
import Client
import KafkaProtocol
import Model
import NIOCore
import Testing

@testable import gossamer

@Suite("The command line")
struct CommandLineTests {
    private func complaint(_ arguments: String...) -> Complaint? {
        do {
            var command = try Gossamer.parseAsRoot(arguments)
            // Asking for help is a command of the parser's own, whose answer is thrown.
            if String(describing: type(of: command)) == "HelpCommand" { try command.run() }
            return nil
        } catch {
            return Complaint(error)
        }
    }

    @Test("Help and version are answers with exit code 0")
    func answers() {
        #expect(complaint("--version")?.text == Version.line)
        let help = complaint("topic", "create", "--help")
        #expect(help?.code == .success)
        #expect(help?.isAnswer == true)
        #expect(help?.text.contains("EXAMPLES:") == true)
    }

    @Test(
        "The completion of a shell knows every verb",
        arguments: [CompletionShell.bash, .zsh, .fish])
    func completion(shell: CompletionShell) {
        let script = Gossamer.completionScript(for: shell)
        for verb in ["safe-to-stop", "add-voter", "remove-voter", "forget", "explain", "doctor"] {
            #expect(script.contains(verb), "\(verb)")
        }
    }

    @Test("Every command explains itself with examples")
    func everyCommandHasExamples() {
        var open: [any ParsableCommand.Type] = [Gossamer.self]
        var seen = 0
        while let command = open.popLast() {
            seen += 1
            #expect(!command.configuration.abstract.isEmpty)
            #expect(command.configuration.discussion.contains("EXAMPLES:"), "\(command)")
            open += command.configuration.subcommands
        }
        #expect(seen >= 22)
    }

    @Test("A wrong value names the flag, the value and what was expected; exit code 2")
    func wrongValues() {
        let partitions = complaint("topic", "create", "x", "--partitions", "0")
        #expect(partitions?.code == .usage)
        #expect(
            partitions?.text.hasPrefix(
                "error: --partitions 0: expected a whole number from 1 to 100000\n") == true)
        let timeout = complaint("topic", "list", "--timeout", "5")
        #expect(timeout?.text.hasPrefix("error: --timeout 5: expected a duration") == true)
        #expect(complaint("topic", "frobnicate")?.code == .usage)
        #expect(complaint("serve", "--frob")?.code == .usage)
    }

    @Test("Errors become their exit codes")
    func codes() {
        #expect(Complaint(UsageError("x")).code.rawValue == 2)
        #expect(Complaint(CommandFailure("x")) == Complaint(CommandFailure("x")))
        #expect(Complaint(CommandFailure("x")).code.rawValue == 1)
        #expect(Complaint(Unhealthy("x")).code.rawValue == 10)
        let address = BrokerAddress(host: "127.0.0.1", port: 9092)
        #expect(
            Complaint(ClientError.unreachable(address, reason: "connection refused")).text
                == "error: no broker answered at 127.0.0.1:9092 (connection refused). "
                + "Start one with: gossamer serve")
    }

    @Test("Bootstrap from flag, environment, default")
    func bootstrap() throws {
        func options(_ arguments: [String]) throws -> ConnectionOptions {
            try ConnectionOptions.parse(arguments)
        }
        let fromFlag = try options(["-b", "a:1,b:2", "-b", "[::1]:3"]).addresses(environment: [:])
        #expect(fromFlag.map(\.description) == ["a:1", "b:2", "[::1]:3"])
        let environment = ["GOSSAMER_BOOTSTRAP": "c:4"]
        #expect(try options([]).addresses(environment: environment).first?.host == "c")
        #expect(try options([]).addresses(environment: [:]).first?.port == 9092)
        #expect(throws: UsageError.self) {
            try options(["-b", "9092"]).addresses(environment: [:])
        }
    }

    @Test("consume refuses what cannot be before it connects")
    func consumePlans() throws {
        func plan(_ arguments: String...) throws -> ConsumePlan {
            try ConsumeCommand.parse(arguments).plan(now: 0)
        }
        #expect(try plan("t").position == .end)
        #expect(try plan("t", "-e").position == .beginning)
        #expect(try plan("t", "--from", "-5").position == .beforeEnd(5))
        #expect(try plan("t", "-o", "json").format == nil)
        #expect(throws: UsageError.self) { try plan("t", "--from", "then") }
        #expect(throws: UsageError.self) { try plan("t", "-g", "g", "--partition", "1") }
        #expect(throws: UsageError.self) { try plan("t", "-o", "json", "--format", "%v") }
        #expect(throws: UsageError.self) { try plan("a b") }
    }

    @Test("produce reads separators, headers and acks")
    func produceOptions() throws {
        #expect(try ProduceCommand.separator("\\t") == [9])
        #expect(throws: UsageError.self) { try ProduceCommand.separator("") }
        #expect(try ProduceCommand.acknowledgement("all") == .all)
        #expect(throws: UsageError.self) { try ProduceCommand.acknowledgement("2") }
        #expect(try ProduceCommand.headers(["a=b=c"]).count == 1)
        #expect(throws: UsageError.self) { try ProduceCommand.headers(["=b"]) }
        let parser = LineRecords(
            separator: Array("::".utf8), headers: [], partition: nil, tombstones: true)
        let record = parser.record(ArraySlice("k::".utf8), .none)
        #expect(record.key.map { String(buffer: $0) } == "k")
        #expect(record.value == nil)
        #expect(parser.record(ArraySlice("plain".utf8), .none).key == nil)
    }

    @Test("reset-offsets reads what to move and where")
    func resetOptions() throws {
        #expect(try GroupReset.selection(["a", "b:3", "b:4"]) == ["a": [], "b": [3, 4]])
        #expect(throws: UsageError.self) { try GroupReset.selection(["b:x"]) }
        let command = try GroupReset.parse(["g", "--topic", "t", "--shift-by", "-100"])
        #expect(try command.move(now: 0) == .by(-100))
        let both = try GroupReset.parse(["g", "--to", "end", "--shift-by", "1"])
        #expect(throws: UsageError.self) { try both.move(now: 0) }
    }

    @Test("Lag is never negative and needs both ends")
    func lag() {
        let name = TopicPartitionName(topic: "t", partition: 0)
        #expect(GroupDescribe.row(name, 3, 10, nil).lag == 7)
        #expect(GroupDescribe.row(name, 12, 10, nil).lag == 0)
        #expect(GroupDescribe.row(name, nil, 10, nil).lag == nil)
    }
}
