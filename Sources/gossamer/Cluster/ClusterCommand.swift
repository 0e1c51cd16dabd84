import ArgumentParser

/// `gossamer cluster`: what concerns a mesh as a whole.
struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Begin a mesh, see how it is, and change who is in it and who votes.",
        discussion: """
            Asks a broker on this machine by the socket in its data directory (--data-dir), or one
            elsewhere with --via HOST:PORT --secret-file FILE; what changes something needs the
            socket. Any member may be asked.

            EXAMPLES:
              gossamer cluster init --data-dir /var/lib/gossamer --secret-file /etc/gossamer/secret
              gossamer cluster status
              gossamer cluster safe-to-stop 3 && systemctl stop gossamer     # on that machine
              gossamer cluster add-voter 4
              gossamer cluster balance
              gossamer cluster drain 3 && gossamer cluster forget 3   # once it was stopped
            """,
        subcommands: [
            ClusterInit.self, ClusterStatus.self, ClusterSafeToStop.self, ClusterVoters.self,
            ClusterAddVoter.self, ClusterRemoveVoter.self, ClusterBalance.self, ClusterDrain.self,
            ClusterForget.self,
        ])
}
