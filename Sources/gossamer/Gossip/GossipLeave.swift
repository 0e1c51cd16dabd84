import ArgumentParser
import Broker

/// `gossamer gossip leave`: says goodbye for the broker that is asked.
struct GossipLeave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave",
        abstract: "Let a broker leave the mesh in order, without an alarm at the others.",
        discussion: """
            The broker tells the others that it goes; they show it as left and suspect
            nothing. Its process runs on outside the mesh and joins again when it is
            started again. Stopping it with SIGTERM says goodbye too. Partitions that it
            leads are not available meanwhile. Asks first in a terminal.

            EXAMPLES:
              gossamer gossip leave --yes
              $ gossamer gossip leave --from 3         # let member 3 leave
              3 has left; start it again to bring it back
            """)

    @Flag(help: "Do not ask.")
    var yes = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let info = try await admin.askOne(InspectionQuestion(.members))
        let own = info.members?.first { $0.isSelf }
        guard own?.state != "left" else {
            throw CommandFailure("\(info.nodeId) has left already: start it again to come back")
        }
        try Confirmation.ask(
            Self.consequence(info.nodeId, leads: own?.leads ?? 0, isVoter: own?.isVoter ?? false),
            isGiven: yes)
        _ = try await admin.ask(InspectionQuestion(.leave))
        switch output.format {
        case .json: try Terminal.printJSON(["left": info.nodeId])
        case .table: Terminal.print("\(info.nodeId) has left; start it again to bring it back")
        }
    }

    static func consequence(_ node: Int32, leads: Int, isVoter: Bool) -> String {
        var text = "broker \(node) will leave the mesh until it is started again."
        if leads > 0 {
            text += " It leads \(Counted.text(leads, "partition")), which clients can't use then."
        }
        if isVoter { text += " It is a voter: nothing is decided by it meanwhile." }
        return text
    }
}

/// `gossamer gossip force-leave`: takes the dead off the list of those who are missed.
struct GossipForceLeave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "force-leave",
        abstract: "Declare that a dead member has left, so that nobody waits for it.",
        discussion: """
            For a machine that will not come back soon. Only the dead and the suspected are
            forced out; one that starts again is a member again. To shut one out for good,
            use `gossamer keys revoke`. Asks first in a terminal.

            EXAMPLES:
              $ gossamer gossip force-leave 3 --yes
              3 was forced out; it is a member again when it starts again
            """)

    @Argument(help: "The member.")
    var node: Int32

    @Flag(help: "Do not ask.")
    var yes = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try Confirmation.ask(
            "member \(node) will count as left until it starts again.", isGiven: yes)
        _ = try await admin.ask(InspectionQuestion(.forceLeave, node: node))
        switch output.format {
        case .json: try Terminal.printJSON(["forcedOut": node])
        case .table:
            Terminal.print("\(node) was forced out; it is a member again when it starts again")
        }
    }
}
