// The bounds of servers and clients, each default with its reason.

import Wire

/// Sizes that the contract fixes (envelope.proto).
public enum RPCContractLimits {
    /// Largest encoded envelope of any method that is not named below.
    public static let messageBytes = 1 << 20
    /// Largest encoded envelope of PublishSnapshot: a picture travels in it.
    public static let snapshotMessageBytes = 32 << 20
    /// Longest time that a call may ask for.
    public static let longestRemaining = Duration.milliseconds(600_000)
    /// What a request without `remaining_ms` gets.
    public static let defaultRemaining = Duration.milliseconds(10_000)

    /// Largest encoded request envelope of a method.
    public static func requestBytes(of method: String) -> Int {
        method == MqttEdgeAdapterMethods.publishSnapshot.name ? snapshotMessageBytes : messageBytes
    }
}

/// What a server takes on at once. Over a bound it answers RESOURCE_EXHAUSTED, at once.
public struct RPCServerLimits: Sendable, Equatable {
    /// Handlers at work at the same time, from 1. 64: long polls of a site's workers leave room for the short calls. One
    /// connection has at most three quarters of them.
    public var maximumConcurrentRequests: Int
    /// Largest reply, and largest request of a method that the contract does not name otherwise, in bytes.
    public var maximumMessageBytes: Int
    /// Encoded requests being worked on, together, in bytes. 128 MiB: four pictures of the largest size.
    public var maximumBytesInFlight: Int
    /// How long a stopping server waits for handlers before it cancels them. 3 s: services stop within 5 s.
    public var drainTime: Duration
    /// Mode of ipc socket files. 0660: the service's user and group, nobody else.
    public var socketMode: Int

    /// All bounds have defaults.
    public init(
        maximumConcurrentRequests: Int = 64, maximumMessageBytes: Int = RPCContractLimits.messageBytes,
        maximumBytesInFlight: Int = 128 << 20, drainTime: Duration = .seconds(3), socketMode: Int = 0o660
    ) {
        self.maximumConcurrentRequests = max(1, maximumConcurrentRequests)
        self.maximumMessageBytes = maximumMessageBytes
        self.maximumBytesInFlight = maximumBytesInFlight
        self.drainTime = drainTime
        self.socketMode = socketMode
    }
}

/// What a client keeps in flight.
public struct RPCClientLimits: Sendable, Equatable {
    /// Calls at the same time; one more fails with RESOURCE_EXHAUSTED. 256: a service never has more workers than that.
    public var maximumConcurrentCalls: Int
    /// Largest reply that is taken in, in bytes; a longer one ends the connection.
    public var maximumMessageBytes: Int

    /// Both bounds have defaults.
    public init(maximumConcurrentCalls: Int = 256, maximumMessageBytes: Int = RPCContractLimits.messageBytes) {
        self.maximumConcurrentCalls = max(1, maximumConcurrentCalls)
        self.maximumMessageBytes = maximumMessageBytes
    }
}
