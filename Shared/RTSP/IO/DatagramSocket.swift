// DatagramSocket: one UDP port of a track, for a camera that sends no packets inside the connection. Every call returns at once.

import Glibc

/// Owns a descriptor; closed by `deinit`.
final class DatagramSocket {
    /// Bytes that the kernel may keep for us: half a second of 8 Mbit/s, for a loop that is busy elsewhere. The kernel gives less
    /// where its own bound (net.core.rmem_max) is lower.
    static let kernelBytes: Int32 = 512 << 10
    /// Attempts to find two free ports beside each other.
    private static let attempts = 64

    let descriptor: Int32
    /// Ours.
    let port: UInt16
    /// What its owner knows it by: the channel that the same packets would have inside the connection.
    let channel: UInt8

    private init(family: Int32, port wanted: UInt16, channel: UInt8) throws(SocketError) {
        self.channel = channel
        let made = socket(
            family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw SocketError(code: errno) }
        var bytes = Self.kernelBytes
        _ = setsockopt(made, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        let bound = HostAddress.any(family: family, port: wanted).withSocketAddress { Glibc.bind(made, $0, $1) }
        guard bound == 0, let name = HostAddress(nameOf: made) else {
            let error = SocketError(code: errno)
            Glibc.close(made)
            throw error
        }
        descriptor = made
        port = name.port
    }

    deinit { Glibc.close(descriptor) }

    /// Two ports beside each other, the first even: RTP and its RTCP (RFC 3550, section 11).
    static func pair(family: Int32, channel: UInt8) throws(SocketError) -> (DatagramSocket, DatagramSocket) {
        var last = SocketError(code: EADDRINUSE)
        for _ in 0..<attempts {
            do throws(SocketError) {
                let first = try DatagramSocket(family: family, port: 0, channel: channel)
                guard first.port % 2 == 0, first.port < .max else { continue }
                return (first, try DatagramSocket(family: family, port: first.port + 1, channel: channel &+ 1))
            } catch {
                last = error
            }
        }
        throw last
    }

    /// The next datagram and who sent it; nil: nothing waits.
    func read(into room: UnsafeMutableRawBufferPointer) -> (bytes: Int, from: HostAddress)? {
        while true {
            var from: HostAddress?
            let count = HostAddress.filled(&from) { recvfrom(descriptor, room.baseAddress, room.count, 0, $0, $1) }
            if count >= 0, let from { return (count, from) }
            // What an earlier datagram of ours met (ECONNREFUSED) says nothing about those that wait.
            guard errno == EINTR || errno == ECONNREFUSED else { return nil }
        }
    }

    /// Sends a datagram, if the kernel takes it now: all that is sent here is repeated.
    func send(_ bytes: [UInt8], to address: HostAddress) {
        _ = bytes.withUnsafeBytes { bytes in
            address.withSocketAddress {
                sendto(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), $0, $1)
            }
        }
    }
}
