// StateDirectory: the folder of a database that has one writer, and the lock that keeps a second process out of it. Two
// registries or indexers would each believe in their own copy of the state, and undo each other's work.
import Foundation

/// A folder that this process alone writes to, as long as this object lives. sqlite3 and backups can still read the database.
public final class StateDirectory: Sendable {
    /// Path of the database in it.
    public let databasePath: String
    private let lock: FileLock

    /// Makes the folder where it is missing, and takes the lock at once or not at all.
    /// - Parameters:
    ///   - path: the value of the setting 'state-directory'.
    ///   - database: file name of the database.
    ///   - lockFile: file name of the lock beside it.
    ///   - role: whose folder it is, for the message: "indexer".
    /// - Throws: where the folder cannot be made or written, or another process has it.
    public init(_ path: String, database: String, lockFile: String, role: String) throws(StateDirectoryError) {
        databasePath = path + "/" + database
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw StateDirectoryError(
                description: "the state directory \(path) cannot be made: "
                    + "\((error as NSError).localizedDescription) Make it, or set 'state-directory'")
        }
        do throws(FileLockProblem) {
            lock = try FileLock(path + "/" + lockFile)
        } catch {
            switch error {
            case .unusable(let reason):
                throw StateDirectoryError(
                    description: "the state directory \(path) cannot be written (\(reason)): "
                        + "check its owner and that the disk is not read-only")
            case .inUse:
                throw StateDirectoryError(
                    description:
                        "\(databasePath) is in use by another \(role): stop that one first, or give this one a "
                        + "state-directory of its own")
            }
        }
    }
}

/// A state directory that cannot be used.
public struct StateDirectoryError: Error, Sendable, CustomStringConvertible {
    /// One line for the operator: what was wrong and what to do.
    public let description: String
}
