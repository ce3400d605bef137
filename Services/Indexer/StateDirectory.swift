// The folder of the catalogue, and the lock that keeps a second indexer out of it: the catalogue has one writer.

import Foundation
import Glibc

/// Holds the lock as long as it lives.
final class StateDirectory: Sendable {
    let cataloguePath: String
    private let lock: Int32

    /// Makes the folder where it is missing and takes the lock. Throws one line for the operator.
    init(_ path: String) throws(CatalogueError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CatalogueError(
                description: "the state directory \(path) cannot be made: "
                    + "\((error as NSError).localizedDescription) Make it, or set 'state-directory'")
        }
        let lockPath = path + "/indexer.lock"
        let file = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw CatalogueError(
                description: "the state directory \(path) cannot be written (\(Self.errorText)): "
                    + "check its owner and that the disk is not read-only")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw CatalogueError(
                description: "the state directory \(path) is in use by another indexer: stop that one first, "
                    + "or give this one a folder of its own")
        }
        lock = file
        cataloguePath = path + "/catalogue.sqlite"
    }

    deinit { close(lock) }

    private static var errorText: String { strerror(errno).map { String(cString: $0) } ?? "error \(errno)" }
}
