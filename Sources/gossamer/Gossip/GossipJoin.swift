import ArgumentParser
import Broker

/// `gossamer gossip join`: brings a broker into contact with another.
struct GossipJoin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Make a broker contact another one now.",
        discussion: """
            For a broker that is a member already and lost sight of the others: brokers try
            their seeds and the dead for ever, this only names another address at once. A
            broker that is no member yet joins with `gossamer serve --seed`, and two meshes
            are never merged.

            EXAMPLES:
              $ gossamer gossip join 127.0.0.1:17947
              127.0.0.1:17947 is member 2, alive
            """)

    @Argument(help: ArgumentHelp("Mesh address of the other broker.", valueName: "host:port"))
    var address: String

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let address: String
        let nodeId: Int32?
    }

    private static let patienceMilliseconds: Int64 = 3_000

    func run() async throws {
        guard HostPort(parsing: address) != nil else {
            throw UsageError("join \(address): expected HOST:PORT, for example 10.0.0.2:7946")
        }
        let before = try await admin.askOne(InspectionQuestion(.events, limit: 1))
        let number = max(1, before.events?.last?.number ?? 1)
        _ = try await admin.ask(InspectionQuestion(.join, address: address))
        let start = WallClock.milliseconds()
        while true {
            let members = try await admin.askOne(InspectionQuestion(.members))
            if let found = Self.member(at: address, members.members ?? []) {
                if output.format == .json {
                    return try Terminal.printJSON(Answer(address: address, nodeId: found.nodeId))
                }
                return Terminal.print(
                    "\(address) is member \(found.nodeId), \(found.state)"
                        + (found.isSelf ? ": the broker that was asked itself" : ""))
            }
            let events = try await admin.askOne(InspectionQuestion(.events, after: number))
            if let failure = Self.failure(to: address, events.events ?? []) {
                throw CommandFailure(
                    "\(failure): is a broker of this mesh there, and is that its --mesh address?")
            }
            guard WallClock.milliseconds() - start < Self.patienceMilliseconds else {
                throw CommandFailure(
                    "\(address) has not shown up as a member in 3 s: see gossip monitor")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// The member that says of itself that it is there, if it is.
    static func member(at address: String, _ members: [MemberReport]) -> MemberReport? {
        members.first { $0.address == address && ($0.state == "alive" || $0.isSelf) }
    }

    static func failure(to address: String, _ events: [EventReport]) -> String? {
        events.last { $0.kind == "linkFailed" && $0.text.contains(" \(address):") }?.text
    }
}
