import ArgumentParser

/// `gossamer gossip`: what brokers know of each other, and why.
struct GossipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossip",
        abstract: "See who is in the mesh, what each broker knows, and why.",
        discussion: """
            Asks a broker on this machine by the socket in its data directory, or one elsewhere with
            --via and the mesh's secret. Strangers get no answer.

            EXAMPLES:
              gossamer gossip members --data-dir /var/lib/gossamer
              gossamer gossip members --via 10.0.0.1:7946 --secret-file secret -o json
            """,
        subcommands: [
            GossipMembers.self, GossipRTT.self, GossipVersions.self, GossipDiff.self,
        ])
}
