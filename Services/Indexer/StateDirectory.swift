// The folder of the catalogue, and the lock that keeps a second indexer out of it: the catalogue has one writer.

import Foundation
import ServiceKit

/// Holds the lock as long as it lives.
final class StateDirectory: Sendable {
    let cataloguePath: String
    private let lock: FileLock

    /// Makes the folder where it is missing and takes the lock. Throws one line for the operator.
    init(_ path: String) throws(CatalogueError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CatalogueError(
                description: "the state directory \(path) cannot be made: "
                    + "\((error as NSError).localizedDescription) Make it, or set 'state-directory'")
        }
        do throws(FileLockProblem) {
            lock = try FileLock(path + "/indexer.lock")
        } catch {
            switch error {
            case .unusable(let reason):
                throw CatalogueError(
                    description: "the state directory \(path) cannot be written (\(reason)): "
                        + "check its owner and that the disk is not read-only")
            case .inUse:
                throw CatalogueError(
                    description: "the state directory \(path) is in use by another indexer: stop that one first, "
                        + "or give this one a folder of its own")
            }
        }
        cataloguePath = path + "/catalogue.sqlite"
    }
}
