// Ends runs and leases when their time has come.

import ServiceLifecycle

struct DeadlineLoop: Service {
    let registry: Registry
    /// How late an end may be. A quarter of a second is below what a person notices, and costs one look at a few hundred
    /// values; a fixed beat also survives clocks that jump, which sleeping until the next end does not.
    let beat = Duration.milliseconds(250)

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await registry.tick()
                try await Task.sleep(for: beat)
            }
        }
    }
}
