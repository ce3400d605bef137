// BackgroundLoop: a loop of a service as a ServiceLifecycle service. One per loop; the group that runs them ends the whole
// service when one of them fails, because a service whose loop has died only looks alive.
import ServiceLifecycle

/// A loop that runs until the service stops; then its task is cancelled.
public struct BackgroundLoop: Service, CustomStringConvertible {
    /// Its name, for the message that says it ended.
    public let description: String
    private let body: @Sendable () async throws -> Void

    /// `body` runs once and is expected not to return before the stop. When it returns or throws earlier, the whole service
    /// ends with that error. During the stop its errors, CancellationError above all, mean nothing.
    public init(_ name: String, _ body: @escaping @Sendable () async throws -> Void) {
        description = name
        self.body = body
    }

    /// Runs `turn` now and then again `interval` after each turn's end. An error of a turn ends the service, so a turn
    /// handles what can be expected.
    public init(
        _ name: String, every interval: Duration, clock: some Clock<Duration> = ContinuousClock(),
        _ turn: @escaping @Sendable () async throws -> Void
    ) {
        self.init(name) {
            while true {
                try await turn()
                try await clock.sleep(for: interval)
            }
        }
    }

    /// Runs until the body ends or the service stops.
    public func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await body() }
        } catch {
            guard Task.isShuttingDownGracefully || Task.isCancelled else { throw error }
        }
    }
}
