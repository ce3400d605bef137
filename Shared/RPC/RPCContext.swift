// RPCContext: what a handler knows about the call beside its request.

/// The circumstances of one call, passed to its handler.
public struct RPCContext: Sendable {
    /// Names the call in the logs of both sides.
    public let requestID: String
    /// Role and instance of the caller as it says, "archiver/archiver-0". For logs and audit, never to authorize.
    public let caller: String
    /// The same key and method again means: give the stored answer, do not act twice.
    public let idempotencyKey: String?
    /// W3C Trace Context of the caller.
    public let traceparent: String?
    /// When the caller stops waiting. The handler's task is cancelled then.
    public let deadline: ContinuousClock.Instant
    /// "sightglass.v1.Indexer/RecordMedia".
    public let method: String

    /// The connection that the call came by; 0 in tests of handlers.
    let pipe: UInt32

    /// Time left; negative once the deadline has passed.
    public var remaining: Duration { deadline - .now }

    /// Tests of handlers make contexts; otherwise the server does.
    public init(
        requestID: String, caller: String, idempotencyKey: String? = nil, traceparent: String? = nil,
        deadline: ContinuousClock.Instant = .now + .seconds(10), method: String = ""
    ) {
        self.init(
            requestID: requestID, caller: caller, idempotencyKey: idempotencyKey, traceparent: traceparent,
            deadline: deadline, method: method, pipe: 0)
    }

    init(
        requestID: String, caller: String, idempotencyKey: String?, traceparent: String?,
        deadline: ContinuousClock.Instant, method: String, pipe: UInt32
    ) {
        self.requestID = requestID
        self.caller = caller
        self.idempotencyKey = idempotencyKey
        self.traceparent = traceparent
        self.deadline = deadline
        self.method = method
        self.pipe = pipe
    }
}
