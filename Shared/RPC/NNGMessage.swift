// NNGMessage: owners of nng_msg. A message has one owner at a time: whoever made it, until it is given to an aio that
// sends it; nng after a send that worked; the aio's user again after a send that failed.

import CNNG

/// A received message; freed with its last reference.
final class ReceivedMessage: @unchecked Sendable {
    // Sound: the message is only read after `init`, and nobody else has its pointer.
    private let pointer: OpaquePointer

    /// Takes ownership of a message that a receive gave.
    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { nng_msg_free(pointer) }

    var sizeBytes: Int { nng_msg_len(pointer) }

    /// The connection that it came by.
    var pipe: UInt32 { nng_msg_get_pipe(pointer).id }

    func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: nng_msg_body(pointer), count: nng_msg_len(pointer)))
    }
}

/// Copies bytes into a new message. The caller owns it, until it gives it to an aio that sends it.
func makeMessage(_ first: [UInt8], _ second: [UInt8] = []) throws(NNGError) -> OpaquePointer {
    var made: OpaquePointer?
    try nngCheck(nng_msg_alloc(&made, first.count + second.count))
    guard let made, let start = nng_msg_body(made) else { throw NNGError(NNG_ENOMEM) }
    first.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { start.copyMemory(from: base, byteCount: bytes.count) }
    }
    second.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress {
            start.advanced(by: first.count).copyMemory(from: base, byteCount: bytes.count)
        }
    }
    return made
}
