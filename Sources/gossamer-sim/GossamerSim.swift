import ArgumentParser

/// The command line of the simulator: whole meshes under virtual time, by seed.
@main
struct GossamerSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossamer-sim",
        abstract: "Run a mesh under virtual time, network and disk, by seed.",
        discussion: """
            EXAMPLES:
              gossamer-sim gossip
              gossamer-sim gossip --table lifeguard --seed 7 -o json
            """,
        subcommands: [GossipTables.self, MeshRuns.self])
}
