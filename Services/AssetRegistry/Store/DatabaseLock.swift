// One registry per database. Two would each believe in their own copy of the state: both would answer, and what one of them
// started the other would undo. A lock on a file beside the database, so that sqlite3 and backups can still read.

import ServiceKit

/// The lock, held as long as this object lives.
final class DatabaseLock: Sendable {
    private let lock: FileLock

    /// Takes the lock at once or not at all.
    init(database path: String) throws {
        do throws(FileLockProblem) {
            lock = try FileLock(path + ".lock")
        } catch {
            switch error {
            case .unusable(let reason):
                throw StoreError(
                    description: "\(path).lock cannot be made (\(reason)): "
                        + "check that the folder exists and is writable, or set --database")
            case .inUse:
                throw StoreError(description: "another asset-registry uses \(path): stop it, or set --database")
            }
        }
    }
}

/// A database that cannot be used.
struct StoreError: Error, CustomStringConvertible {
    let description: String
}
