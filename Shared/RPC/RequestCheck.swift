// RequestCheck: from the bytes of a request to the call that they ask for, or to the error that says what is wrong with
// them; and from the outcome to the head of the reply's envelope. Pure.

import Wire

/// A request whose envelope is in order.
struct CheckedRequest: Sendable {
    let method: String
    let requestID: String
    let caller: String
    let idempotencyKey: String?
    let traceparent: String?
    let remaining: Duration
    /// Where the body stands in the bytes; empty where there is none.
    let body: Range<Int>

    /// A refusal, with the request's id where it could be read.
    struct Refusal: Error, Equatable {
        let requestID: String?
        let error: RPCError
    }

    /// - Parameter makeRequestID: names a request whose caller gave it no id.
    init(decoding bytes: UnsafeRawBufferPointer, makeRequestID: () -> String) throws(Refusal) {
        guard let frame = EnvelopeFrame(reading: bytes, bodyField: EnvelopeFrame.requestBodyField),
            let envelope = try? RequestEnvelope(wire: frame.head)
        else {
            throw Refusal(
                requestID: nil,
                error: .invalidArgument("", "the message is not a request envelope: \(bytes.count) bytes do not decode")
            )
        }
        let id = envelope.requestID
        func refuse(_ field: String, _ text: String) -> Refusal {
            Refusal(requestID: id?.prefixed(64), error: .invalidArgument(field, text))
        }
        func checkLength(_ value: String?, _ field: String, _ most: Int) throws(Refusal) {
            if let value, value.utf8.count > most {
                throw refuse(field, "\(field) has \(value.utf8.count) bytes; at most \(most) are allowed")
            }
        }
        try checkLength(id, "request_id", 64)
        try checkLength(envelope.method, "method", 128)
        try checkLength(envelope.idempotencyKey, "idempotency_key", 128)
        try checkLength(envelope.caller, "caller", 128)
        try checkLength(envelope.traceparent, "traceparent", 64)
        // What names no method is no call, of whatever version.
        guard let method = envelope.method, !method.isEmpty else {
            throw refuse("method", "the envelope names no method")
        }
        let version = envelope.version ?? 1000
        guard WireVersion.answers(version) else {
            let ours = WireVersion.current
            throw Refusal(
                requestID: id,
                error: .unimplemented(
                    "version \(version / 1000).\(version % 1000) of the contract is not spoken here, which is version "
                        + "\(ours / 1000).\(ours % 1000): update the older of the two services"))
        }
        let remaining = envelope.remainingMs.map { Duration.milliseconds($0) } ?? RPCContractLimits.defaultRemaining
        guard remaining > .zero, remaining <= RPCContractLimits.longestRemaining else {
            throw refuse("remaining_ms", "remaining_ms is \(envelope.remainingMs ?? 0); it must be 1 to 600000")
        }
        self.method = method
        self.remaining = remaining
        requestID = id ?? makeRequestID()
        caller = envelope.caller ?? ""
        idempotencyKey = envelope.idempotencyKey
        traceparent = envelope.traceparent
        body = frame.body ?? 0..<0
    }
}

/// The heads of reply envelopes.
enum ReplyHead {
    /// The longest message that a reply carries (envelope.proto).
    static let messageBytes = 1024

    /// Of the reply of a handler that worked.
    static func success(requestID: String) -> ReplyEnvelope {
        ReplyEnvelope(version: WireVersion.current, requestID: requestID)
    }

    /// Of the reply that carries an error.
    static func failure(_ error: RPCError, requestID: String?) -> ReplyEnvelope {
        ReplyEnvelope(
            code: error.code, message: error.message.prefixed(messageBytes), field: error.field,
            version: WireVersion.current, requestID: requestID)
    }

    /// What the caller gets where the handler's reply is larger than a message may be.
    static func tooLarge(_ sizeBytes: Int, method: String, maximumBytes: Int) -> RPCError {
        .internal(
            "the reply of \(method) has \(sizeBytes) bytes, more than the \(maximumBytes) that a message may have: "
                + "ask for less")
    }
}

extension String {
    /// The beginning, of at most so many UTF-8 bytes, cut between characters. A text for people that is longer than its field
    /// may be is sent so, rather than refused with all that it stands beside.
    public func prefixed(_ most: Int) -> String {
        guard utf8.count > most else { return self }
        var end = utf8.index(startIndex, offsetBy: most)
        while end > startIndex, end.samePosition(in: self) == nil { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
