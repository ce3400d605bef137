// StreamSocket: one non-blocking TCP socket. Every call returns at once; SocketLoop knows when it is worth making.

import Glibc

/// Owns a descriptor; closed by `deinit`.
final class StreamSocket {
    let descriptor: Int32

    /// Begins to connect.
    init(connectingTo address: HostAddress) throws(SocketError) {
        descriptor = socket(
            address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            Int32(IPPROTO_TCP))
        guard descriptor >= 0 else { throw SocketError(code: errno) }
        // Requests are small and waited for.
        set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        let result = address.withSocketAddress { Glibc.connect(descriptor, $0, $1) }
        if result != 0, errno != EINPROGRESS {
            let error = SocketError(code: errno)
            throw error
        }
    }

    deinit { Glibc.close(descriptor) }

    /// Whether the connection came about; to be asked once the socket is writable. Nil: it did.
    var connectError: SocketError? {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { return SocketError(code: errno) }
        return code == 0 ? nil : SocketError(code: code)
    }

    /// How many bytes must be there before the loop is woken (socket(7), SO_RCVLOWAT).
    func setLowWater(bytes: Int) { set(SOL_SOCKET, SO_RCVLOWAT, Int32(clamping: max(1, bytes))) }

    private func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        // The options only save time; a kernel that refuses one still carries the bytes.
        _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    enum Read {
        case bytes(Int)
        case nothingThere
        case ended
        case failed(SocketError)
    }

    func read(into room: UnsafeMutableRawBufferPointer) -> Read {
        while true {
            let count = recv(descriptor, room.baseAddress, room.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .ended }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothingThere
            case let code: return .failed(SocketError(code: code))
            }
        }
    }

    /// Gives how many bytes the kernel took, which may be none.
    func write(_ bytes: ArraySlice<UInt8>) throws(SocketError) -> Int {
        while true {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count >= 0 { return count }
            switch errno {
            case EINTR: continue
            case EAGAIN: return 0
            case let code: throw SocketError(code: code)
            }
        }
    }
}

/// What the kernel said of a socket.
struct SocketError: Error, Sendable, Equatable, CustomStringConvertible {
    /// errno.
    let code: Int32
    var description: String { String(cString: strerror(code)) }
}
