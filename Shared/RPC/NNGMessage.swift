// NNGMessage: owners of nng_msg. A message has one owner at a time: whoever made it, until it is given to an aio that
// sends it; nng after a send that worked; the aio's user again after a send that failed.

import CNNG
import Wire

/// A message that is to be sent. It has one owner, who frees it or gives it away.
struct OutgoingMessage: @unchecked Sendable {
    // Sound: it moves from whoever made it to the slot that sends it, and is touched by one of them at a time.
    let pointer: OpaquePointer

    /// For what will not be sent after all.
    func free() { nng_msg_free(pointer) }

    /// An envelope: its head, and the message that is its body. Nil where there is no memory for it.
    ///
    /// - Throws: that it would be larger than `maximumBytes`.
    static func envelope(
        head: some WireMessage, body: (any WireMessage)? = nil, bodyField: UInt64, maximumBytes: Int = .max
    ) throws(EnvelopeFrame.Oversize) -> OutgoingMessage? {
        try EnvelopeFrame.withRoom(head: head, body: body, bodyField: bodyField, maximumBytes: maximumBytes) {
            size, fill in (try? makeMessage(ofBytes: size, fill)).map(OutgoingMessage.init)
        }.get()
    }
}

/// A received message; freed when it was read, or with its last reference.
final class ReceivedMessage: @unchecked Sendable {
    // Sound: whoever has the request in hand reads it, one after the other: nng's thread, then the task that answers it.
    private var pointer: OpaquePointer?
    /// The connection that it came by.
    let pipe: UInt32
    let sizeBytes: Int

    /// Takes ownership of a message that a receive gave.
    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
        pipe = nng_msg_get_pipe(pointer).id
        sizeBytes = nng_msg_len(pointer)
    }

    deinit { free() }

    func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: pointer.flatMap(nng_msg_body), count: pointer == nil ? 0 : sizeBytes))
    }

    /// Gives its memory back as soon as it is not needed any more: a handler may work long on what it read.
    func free() {
        if let pointer { nng_msg_free(pointer) }
        pointer = nil
    }
}

/// Makes a message of so many bytes and lets `fill` write them all. The caller owns it, until it gives it to an aio that sends
/// it.
func makeMessage(ofBytes size: Int, _ fill: (UnsafeMutableRawPointer) -> Void) throws(NNGError) -> OpaquePointer {
    var made: OpaquePointer?
    try nngCheck(nng_msg_alloc(&made, size))
    guard let made, let start = nng_msg_body(made) else { throw NNGError(NNG_ENOMEM) }
    fill(start)
    return made
}
