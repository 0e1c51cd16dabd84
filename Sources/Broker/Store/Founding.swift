import Model
import Storage

/// The first act of a mesh: a data directory that begins a cluster, and the secret that lets others
/// in.
public enum Founding {
    /// What was made.
    public struct Result: Sendable {
        public let clusterID: String
        public let nodeID: Int32
        /// Whether the secret file was there already and is used as it is.
        public let keptSecret: Bool
    }

    /// Formats an empty directory; changes nothing where it belongs to a cluster already.
    public static func run(
        dataDirectory: String, nodeID: Int32?, secretFile: String
    ) throws(BrokerStartError) -> Result {
        let opening = try StoreOpening(root: dataDirectory)
        guard opening.isBlank else {
            let identity: DirectoryIdentity
            do throws(DataDirectoryError) {
                identity = try DataDirectory.identity(in: opening.disk)
            } catch {
                throw .dataDirectory(StoreOpening.explain(error, dataDirectory))
            }
            throw .dataDirectory(
                "\(dataDirectory) belongs to cluster \(identity.clusterID) as node "
                    + "\(identity.nodeID.rawValue) already. Start it with `gossamer serve`, or "
                    + "choose an empty --data-dir for a new mesh")
        }
        var keptSecret = true
        do throws(SecretFile.Failure) {
            if try SecretFile.read(secretFile) == nil {
                try SecretFile.write(MeshSecrets.mint(), to: secretFile)
                keptSecret = false
            }
            // Whatever is there has to be a secret that brokers take.
            _ = try MeshSecrets.ring(secretFile)
        } catch {
            throw .dataDirectory("--secret-file \(error)")
        }
        try DataStore.forgetDecisions(in: opening)
        let store = try DataStore(
            opening, identity: DataStore.founding(nodeID: nodeID), nodeID: nodeID)
        store.markClean()
        return Result(
            clusterID: store.clusterID, nodeID: store.nodeID.rawValue, keptSecret: keptSecret)
    }
}
