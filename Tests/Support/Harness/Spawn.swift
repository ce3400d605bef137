// Starts processes with posix_spawn: no signal blocked, no descriptor inherited. Foundation's Process does neither (a child
// with SIGTERM blocked ends only by SIGKILL, and an inherited descriptor keeps a daemon's starter waiting), and it crashed
// when two tests started processes at once.

import Foundation
import Synchronization

/// One child process. Its end is noticed by `exitStatus`, which reaps it.
final class ChildProcess: Sendable {
    let processID: pid_t
    private let ended: Mutex<Int32?> = Mutex(nil)

    /// Starts `executable`. The three standard descriptors are the files named; output is appended to.
    init(
        _ executable: URL, _ arguments: [String], environment: [String: String], input: String, output: String,
        error: String
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, error, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        closeOnExec()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var id: pid_t = 0
        let status = withCStrings([executable.path] + arguments) { argv in
            withCStrings(environment.map { "\($0)=\($1)" }) { envp in
                posix_spawn(&id, executable.path, &actions, &attributes, argv, envp)
            }
        }
        guard status == 0 else {
            throw HarnessError("cannot start \(executable.path): \(String(cString: strerror(status)))")
        }
        processID = id
    }

    deinit {
        if exitStatus == nil {
            kill(processID, SIGKILL)
            waitpid(processID, nil, 0)
        }
    }

    /// Nil while it runs; then its exit code, or the negated number of the signal that ended it.
    var exitStatus: Int32? {
        ended.withLock { ended in
            if ended == nil {
                var status: Int32 = 0
                if waitpid(processID, &status, WNOHANG) == processID {
                    let signal = status & 0x7F
                    ended = signal == 0 ? (status >> 8) & 0xFF : -signal
                }
            }
            return ended
        }
    }

    /// Sends a signal, unless the process has ended.
    func signal(_ number: Int32) {
        if exitStatus == nil { kill(processID, number) }
    }
}

/// Lets no descriptor of this process but the standard ones reach a child.
private func closeOnExec() {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
        if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }
}

/// Gives `body` a NULL-terminated array of C strings, valid during the call.
private func withCStrings<T>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> T) -> T {
    let copies = strings.map { strdup($0) }
    defer { copies.forEach { free($0) } }
    return body(copies + [nil])
}
