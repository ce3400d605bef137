// One registry per database. Two would each believe in their own copy of the state: both would answer, and what one of them
// started the other would undo. A lock on a file beside the database, so that sqlite3 and backups can still read.

import Glibc

/// The lock, held as long as this object lives; the kernel lets go when the process dies, however it dies.
final class DatabaseLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock at once or not at all.
    init(database path: String) throws {
        let lockPath = path + ".lock"
        descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError(
                description: "\(lockPath) cannot be made (\(String(cString: strerror(errno)))): "
                    + "check that the folder exists and is writable, or set --database")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw StoreError(description: "another asset-registry uses \(path): stop it, or set --database")
        }
    }

    deinit { close(descriptor) }
}

/// A database that cannot be used.
struct StoreError: Error, CustomStringConvertible {
    let description: String
}
