import ArgumentParser

/// `gossamer gossip`: what brokers know of each other, and why.
struct GossipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossip",
        abstract: "See who is in the mesh, what each broker knows, and why.",
        discussion: """
            Asks a broker on this machine by the socket in its data directory, or one
            elsewhere with --via and the mesh's secret. Strangers get no answer. --from N
            lets member N answer.

            At 3 in the morning: `members` shows who is missing, `why N` says why, `heat`
            who does not hear whom, `diff --all` whose tables are behind, `monitor --all`
            what happens now. Exit codes: 0 well, 1 failed, 2 wrong usage, 10 somebody has
            to do something.

            EXAMPLES:
              gossamer gossip members --data-dir /var/lib/gossamer
              gossamer gossip why 3
              gossamer gossip members --via 10.0.0.1:7946 --secret-file secret -o json
            """,
        subcommands: [
            GossipMembers.self, GossipWhy.self, GossipHeat.self, GossipRTT.self,
            GossipReachability.self, GossipMonitor.self, GossipTrace.self, GossipDiff.self,
            GossipVersions.self, GossipTap.self, GossipInfo.self, GossipStats.self,
            GossipKeys.self, GossipJoin.self, GossipLeave.self, GossipForceLeave.self,
        ])
}
