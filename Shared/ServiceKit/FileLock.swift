// A lock on a file, for StateDirectory: taken at once or not at all, and let go by the kernel when the process dies, however it
// dies. A volume's lock is its own (Shared/Volume), with that module's fault points.
import Glibc

/// Why a lock was not taken.
enum FileLockProblem: Error, Sendable, Equatable {
    /// The file cannot be made or locked; what the system says.
    case unusable(String)
    /// Another process holds it.
    case inUse
}

/// The lock, held as long as this object lives.
final class FileLock: Sendable {
    private let descriptor: Int32

    /// Makes the file where it is missing, and locks it.
    init(_ path: String) throws(FileLockProblem) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .unusable(Self.text(errno)) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            close(file)
            throw number == EWOULDBLOCK ? .inUse : .unusable(Self.text(number))
        }
        descriptor = file
    }

    deinit { close(descriptor) }

    private static func text(_ number: Int32) -> String {
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }
}
