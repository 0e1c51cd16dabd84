import ArgumentParser

/// `gossamer paxos`: what was decided, by whom, and why.
struct PaxosCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "paxos",
        abstract: "Look at decisions: voters, registers, why a broker leads, who duels.",
        discussion: """
            Asks a broker on this machine by the socket in its data directory (--data-dir), or one
            elsewhere with --via HOST:PORT --secret-file FILE, and through it all others. Nothing
            here changes anything, nor makes a voter promise anything.

            EXAMPLES:
              gossamer paxos roster
              gossamer paxos show topic/orders
              gossamer paxos explain orders/0
              gossamer paxos duels
              gossamer paxos stats -o json
            """,
        subcommands: [
            PaxosRoster.self, PaxosShow.self, PaxosExplain.self, PaxosDuels.self, PaxosStats.self,
        ])
}
