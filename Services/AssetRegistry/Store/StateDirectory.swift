// The folder of registry.sqlite, and the lock that keeps a second registry out of it. Two would each believe in their own copy
// of the state: both would answer, and what one of them started the other would undo.

import Foundation
import ServiceKit

/// Holds the lock as long as it lives. sqlite3 and backups can still read the database.
final class StateDirectory: Sendable {
    let databasePath: String
    private let lock: FileLock

    /// Makes the folder where it is missing, and takes the lock at once or not at all.
    init(_ path: String) throws(StoreError) {
        databasePath = path + "/registry.sqlite"
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw StoreError(
                description: "the state directory \(path) cannot be made: "
                    + "\((error as NSError).localizedDescription) Make it, or set 'state-directory'")
        }
        do throws(FileLockProblem) {
            lock = try FileLock(databasePath + ".lock")
        } catch {
            switch error {
            case .unusable(let reason):
                throw StoreError(
                    description: "the state directory \(path) cannot be written (\(reason)): "
                        + "check its owner and that the disk is not read-only")
            case .inUse:
                throw StoreError(
                    description: "another asset-registry uses \(databasePath): stop it, or set 'state-directory'")
            }
        }
    }
}

/// A database that cannot be used.
struct StoreError: Error, CustomStringConvertible {
    let description: String
}
