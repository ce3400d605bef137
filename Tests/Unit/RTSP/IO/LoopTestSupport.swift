// An owner that tells what it is told, and a listening socket, for the tests of SocketLoop.

import Glibc
import Testing

@testable import RTSP

/// What an owner saw.
enum Seen: Sendable, Equatable {
    case connected
    case bytes([UInt8])
    case drained
    case ended(ConnectionEnd)
}

/// Tells all that it is told; takes whole messages of `messageBytes` only.
final class Teller: ConnectionOwner {
    let tell: AsyncStream<Seen>.Continuation
    let messageBytes: Int
    let lowWaterBytes: Int
    let greeting: [UInt8]
    private var owesDrained = false

    init(
        _ tell: AsyncStream<Seen>.Continuation, messageBytes: Int = 1, lowWaterBytes: Int = 1, greeting: [UInt8] = []
    ) {
        self.tell = tell
        self.messageBytes = messageBytes
        self.lowWaterBytes = lowWaterBytes
        self.greeting = greeting
    }

    func connected(_ connection: Connection, nowNs: Int64) {
        connection.setLowWater(bytes: lowWaterBytes)
        if !greeting.isEmpty { connection.send(greeting) }
        tell.yield(.connected)
    }

    func received(_ bytes: UnsafeRawBufferPointer, nowNs: Int64) -> Int {
        let whole = bytes.count - bytes.count % messageBytes
        if whole > 0 { tell.yield(.bytes([UInt8](bytes[..<whole]))) }
        owesDrained = true
        return whole
    }

    /// Told after bytes only: the rounds in which nothing came are of no interest.
    func drained(nowNs: Int64) {
        if owesDrained { tell.yield(.drained) }
        owesDrained = false
    }

    func tick(nowNs: Int64) {}

    func ended(_ end: ConnectionEnd, nowNs: Int64) {
        tell.yield(.ended(end))
        tell.finish()
    }
}

/// A listening socket of the test, and the connection that it accepts.
struct Listener {
    let descriptor: Int32
    let port: UInt16

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listening = descriptor
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listening, $0, length) == 0 && listen(listening, 8) == 0
                    && getsockname(listening, $0, &length) == 0
            }
        }
        try #require(bound)
        port = UInt16(bigEndian: address.sin_port)
    }

    /// A port that was free a moment ago, for servers that do not say which one they took.
    static func freePort() throws -> UInt16 {
        let free = try Listener()
        close(free.descriptor)
        return free.port
    }

    /// Waits for the connection; the kernel has made it by the time that the other side knows of it.
    func accepted() -> Int32 { accept(descriptor, nil, nil) }
}

func write(_ bytes: [UInt8], to descriptor: Int32) {
    var left = bytes[...]
    while !left.isEmpty {
        let count = left.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return }
        left = left.dropFirst(count)
    }
}

/// What a clock shows, in nanoseconds.
func nowNs(_ clock: clockid_t = CLOCK_MONOTONIC) -> Int64 {
    var now = timespec()
    clock_gettime(clock, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}
