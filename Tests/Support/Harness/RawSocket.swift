// Sends bytes that no client of ours would send: a bare nng request socket, for the tests of bad input.

import CNNG
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

/// Sends `bytes` as one nng request to `address` and waits for the reply, on a thread of its own.
public func sendRaw(_ bytes: [UInt8], to address: String, timeoutMs: Int32 = 3000) async -> RawReply {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: exchange(bytes, address, timeoutMs)) }
    }
}

private func exchange(_ bytes: [UInt8], _ address: String, _ timeoutMs: Int32) -> RawReply {
    var socket = nng_socket()
    guard nng_req0_open(&socket) == 0 else { return .nothing("no socket") }
    defer { nng_close(socket) }
    // Off: a resent request would hide that the server closed the connection.
    _ = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, -1)
    _ = nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, timeoutMs)
    _ = nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, timeoutMs)
    let dialed = nng_dial(socket, address, nil, 0)
    guard dialed == 0 else { return .nothing(text(dialed)) }
    var copy = bytes
    let sent = nng_send(socket, &copy, copy.count, 0)
    guard sent == 0 else { return .nothing(text(sent)) }
    var data: UnsafeMutableRawPointer?
    var size = 0
    let received = nng_recv(socket, &data, &size, Int32(NNG_FLAG_ALLOC))
    guard received == 0, let data else { return .nothing(text(received)) }
    defer { nng_free(data, size) }
    let answer = [UInt8](UnsafeRawBufferPointer(start: data, count: size))
    guard let envelope = try? ReplyEnvelope(wire: answer) else { return .garbage(answer) }
    return .reply(envelope)
}

private func text(_ code: Int32) -> String { String(cString: nng_strerror(code)) }
