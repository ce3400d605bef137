// One running media-worker: its start, its end, and the parent's end of the socket pair between them. Blocking.
import CConfinement
import Glibc

/// A child process that makes pictures. Used by one thread at a time, the one that started it; only `interrupt` is for others.
final class WorkerChild: Sendable {
    let processID: pid_t
    let socket: FrameSocket

    /// The environment that a worker gets: where the runtime's libraries are, if that was said to us, and that the runtime shall
    /// print no memory when it crashes.
    static var environment: [String] {
        let libraries = getenv("LD_LIBRARY_PATH").map { "LD_LIBRARY_PATH=" + String(cString: $0) }
        return ["SWIFT_BACKTRACE=enable=no"] + (libraries.map { [$0] } ?? [])
    }

    /// Starts the executable. Throws a sentence that says what to do.
    init(_ executable: String) throws(PictureError) {
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw PictureError(.unavailable, "no socket for a media-worker: \(Self.text(errno))")
        }
        let variables = Self.environment.map { strdup($0) }
        defer { for variable in variables { free(variable) } }
        var child: pid_t = 0
        let failure = sg_confinement_spawn(executable, pair[1], variables + [nil], &child)
        close(pair[1])
        guard failure == 0 else {
            close(pair[0])
            throw PictureError(
                .unavailable,
                "the media-worker \(executable) cannot be started (\(Self.text(failure))): install it there, or name its path in the setting media-worker"
            )
        }
        processID = child
        socket = FrameSocket(descriptor: pair[0])
    }

    /// Whether it ended by itself. It is reaped by `end` only, so that its id stays its own until then.
    var hasEnded: Bool {
        var information = siginfo_t()
        return waitid(P_PID, id_t(processID), &information, Int32(WEXITED | WNOHANG | WNOWAIT)) != 0
            || information.si_signo == SIGCHLD
    }

    /// Makes a call that waits on the socket fail, from another thread. Not after `end`.
    func interrupt() { shutdown(socket.descriptor, Int32(SHUT_RDWR)) }

    /// Ends the process and says how it ended. Called once, at last.
    @discardableResult func end() -> String {
        var status: Int32 = 0
        // One that ended by itself is not hit by this: it still has its id, and its status stays.
        kill(processID, SIGKILL)
        while waitpid(processID, &status, 0) < 0 && errno == EINTR {}
        close(socket.descriptor)
        let signal = status & 0x7F
        return signal == 0 ? "exit code \(status >> 8 & 0xFF)" : "signal \(signal)"
    }

    private static func text(_ error: Int32) -> String { String(cString: strerror(error)) }
}
