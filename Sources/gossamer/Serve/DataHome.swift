import Foundation

/// Where data goes when nobody says: the user's data home (XDG Base Directory Specification).
enum DataHome {
    /// `$XDG_DATA_HOME/gossamer`, else `~/.local/share/gossamer`, else `./gossamer-data`.
    static func defaultDirectory(environment: [String: String]) -> String {
        if let home = environment["XDG_DATA_HOME"], home.hasPrefix("/") {
            return home + "/gossamer"
        }
        if let home = environment["HOME"], home.hasPrefix("/") {
            return (home == "/" ? "" : home) + "/.local/share/gossamer"
        }
        return absolute("gossamer-data")
    }

    /// The same path from the root: what is printed must mean something in another shell.
    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        let here = FileManager.default.currentDirectoryPath
        let rest = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
        return here == "/" ? "/" + rest : here + "/" + rest
    }
}
