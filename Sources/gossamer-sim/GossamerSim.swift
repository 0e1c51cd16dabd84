import ArgumentParser

/// The command line of the simulator: whole meshes under virtual time, by seed.
@main
struct GossamerSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossamer-sim",
        abstract: "Run a mesh under virtual time, network and disk, by seed.",
        discussion: """
            Without a subcommand it runs whole meshes (`gossamer-sim mesh --help`).

            EXAMPLES:
              gossamer-sim --seed 42
              gossamer-sim --seeds 1..1000
              gossamer-sim gossip --table lifeguard --seed 7 -o json
            """,
        subcommands: [MeshRuns.self, GossipTables.self],
        defaultSubcommand: MeshRuns.self)
}
