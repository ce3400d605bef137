// Bell: wakes a session's thread while it waits for its socket.

import Glibc

/// Wakes a session's thread while it waits for its socket.
final class Bell: Sendable {
    private let readEnd: Int32
    private let writeEnd: Int32

    /// Nil where the process has no file descriptor left.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Wakes the thread, now or when it waits next. A full pipe is as good: it wakes too.
    func ring() {
        var byte: UInt8 = 1
        _ = write(writeEnd, &byte, 1)
    }

    /// Waits for the bell or the socket. True where the socket has something to read, or an error to tell.
    @discardableResult
    func wait(milliseconds: Int, socket: Int32 = -1, forWriting: Bool = false) -> Bool {
        // A negative descriptor is passed over by poll.
        var descriptors = [
            pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: Int16(POLLIN) | (forWriting ? Int16(POLLOUT) : 0), revents: 0),
        ]
        guard poll(&descriptors, nfds_t(descriptors.count), Int32(clamping: max(0, milliseconds))) > 0 else {
            return false
        }
        if descriptors[0].revents != 0 {
            var bytes = [UInt8](repeating: 0, count: 256)
            while read(readEnd, &bytes, bytes.count) == bytes.count {}
        }
        return descriptors[1].revents & Int16(POLLIN | POLLHUP | POLLERR | POLLNVAL) != 0
    }
}

extension Duration {
    /// Rounded up, so that a wait for it does not end early and spin.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(clamping: seconds) * 1_000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
