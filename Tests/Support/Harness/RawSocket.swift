// Sends bytes that no client of ours would send, for the tests of bad input. Speaks the little of nng's wire protocol that it
// needs by itself: nng 1.5 in the sender would hang for good where the receiver cuts a message off (Shared/CNNGRepair).
//
//   greeting, both ways   00 'S' 'P' 00, protocol (REQ 00 30, REP 00 31), 00 00
//   message over ipc      01, length (8 bytes, big endian), then for REQ and REP a request id (4 bytes, top bit set), body

import Foundation
import Wire

/// What came back for raw bytes.
public enum RawReply: Sendable {
    /// The server answered with an envelope.
    case reply(ReplyEnvelope)
    /// The server answered with something that is no envelope.
    case garbage([UInt8])
    /// The server closed the connection, or said nothing in time.
    case nothing(String)
}

/// Sends `bytes` as the body of one request to an ipc:// address and waits for the reply, on a thread of its own.
public func sendRaw(_ bytes: [UInt8], to address: String, timeoutMs: Int = 3000) async -> RawReply {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            do {
                let reply = try exchange(bytes, address, timeoutMs)
                let envelope = try? ReplyEnvelope(wire: reply)
                continuation.resume(returning: envelope.map(RawReply.reply) ?? .garbage(reply))
            } catch {
                continuation.resume(returning: .nothing("\(error)"))
            }
        }
    }
}

private let greeting: [UInt8] = [0x00, 0x53, 0x50, 0x00, 0x00, 0x30, 0x00, 0x00]
private let requestID: [UInt8] = [0x80, 0x00, 0x00, 0x01]
/// No reply of ours is larger.
private let longestReply = 64 << 20

private func exchange(_ bytes: [UInt8], _ address: String, _ timeoutMs: Int) throws -> [UInt8] {
    let descriptor = try connectIPC(address, timeoutMs)
    defer { close(descriptor) }
    try sendAll(greeting, descriptor)
    let answer = try receive(greeting.count, descriptor)
    guard answer.prefix(4) == greeting.prefix(4) else { throw HarnessError("the greeting is \(answer)") }
    let size = UInt64(requestID.count + bytes.count)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: size >> (56 - 8 * $0)) }
    try sendAll([1] + length + requestID + bytes, descriptor)
    let header = try receive(9, descriptor)
    let replyBytes = header.dropFirst().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard replyBytes >= 4, replyBytes <= longestReply else { throw HarnessError("a reply of \(replyBytes) bytes") }
    return [UInt8](try receive(Int(replyBytes), descriptor).dropFirst(requestID.count))
}

private func connectIPC(_ address: String, _ timeoutMs: Int) throws -> Int32 {
    let path = Array(address.dropFirst("ipc://".count).utf8)
    var name = sockaddr_un()
    guard address.hasPrefix("ipc://"), path.count < MemoryLayout.size(ofValue: name.sun_path) else {
        throw HarnessError("\(address) is no ipc address that fits")
    }
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw HarnessError("no socket") }
    var patience = timeval(tv_sec: timeoutMs / 1000, tv_usec: (timeoutMs % 1000) * 1000)
    let patienceBytes = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, patienceBytes)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, patienceBytes)
    // Sound: sockaddr_un is what connect reads through sockaddr for AF_UNIX.
    let connected = withUnsafePointer(to: &name) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    guard connected == 0 else {
        close(descriptor)
        throw HarnessError("\(address): \(String(cString: strerror(errno)))")
    }
    return descriptor
}

private func sendAll(_ bytes: [UInt8], _ descriptor: Int32) throws {
    var sent = 0
    while sent < bytes.count {
        let count = bytes[sent...].withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { throw HarnessError("after \(sent) bytes: \(String(cString: strerror(errno)))") }
        sent += count
    }
}

private func receive(_ wanted: Int, _ descriptor: Int32) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: wanted)
    var got = 0
    while got < wanted {
        let count = bytes[got...].withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else {
            throw HarnessError(count == 0 ? "the server closed the connection" : "no answer in time")
        }
        got += count
    }
    return bytes
}
