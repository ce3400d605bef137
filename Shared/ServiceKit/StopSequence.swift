// StopSequence: from the service's closure to the exit code. On SIGTERM or SIGINT:
//
//   first     what `ServiceRuntime.beforeStopping` named is done, while everything still runs; a second signal ends that. The
//             times below begin behind it
//   at once   during the start: the closure's task is cancelled; afterwards: the services are stopped gracefully, the last
//             one first, the server with its requests at the end
//   3.5 s     what is still running is cancelled
//   4.8 s     the process ends all the same, with a line and exit code 70. A second signal does that immediately.
//
// So a service stops within 5 s whatever its loops do. The last step runs on a thread of its own, because the cooperative
// pool may be what is stuck.
import Foundation
import Logging
import RPC
import ServiceLifecycle
import Synchronization
import UnixSignals

final class StopSequence: Sendable {
    static let gracefulTime = Duration.milliseconds(3_500)
    static let longestTime = TimeInterval(4.8)

    private enum Phase {
        case starting(Task<Void, any Error>?)
        case running(ServiceGroup)
        case preparing(ServiceGroup)
        case stopping
    }

    /// An error of the closure, as against one of a running service.
    private struct StartFailure: Error { let cause: any Error }

    /// See RPCPulse; whoever supervises the process starts it again.
    private struct ConnectionsLost: Error, CustomStringConvertible {
        let description = "nng makes no connection any more in this process; it has to be started again"
    }

    private let runtime: ServiceRuntime
    private let phase = Mutex<Phase>(.starting(nil))
    private let hasEnded = Mutex(false)

    init(runtime: ServiceRuntime) { self.runtime = runtime }

    /// Starts, runs until a signal or a failure, stops; gives the exit code.
    func run(_ start: @escaping ServiceProgram.Start) async -> Int32 {
        // Trapped before anything is started, so that no signal finds the default behaviour: process 1 of a container
        // would ignore it.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let work = Task { try await self.work(start) }
        phase.withLock { if case .starting = $0 { $0 = .starting(work) } }
        let watch = Task {
            for await signal in signals { await self.stop(signal) }
        }
        let result = await work.result
        watch.cancel()
        runtime.close()
        hasEnded.withLock { $0 = true }
        return exitCode(result)
    }

    private func work(_ start: ServiceProgram.Start) async throws {
        let services: [any Service]
        var pages: StatusListener?
        defer { pages?.stop() }
        do {
            // From the beginning: whoever asks meanwhile hears that it is not ready.
            pages = try statusPages()
            services = try await start(runtime)
            // Opened here, so that an address in use is an error of the start.
            for case let server as RPCServer in services { try await server.start() }
        } catch {
            throw StartFailure(cause: error)
        }
        var configuration = ServiceGroupConfiguration(
            services: services.map { service in
                .init(service: (service as? RPCServer).map { ServedUntilStop(server: $0) } ?? service)
            } + [.init(service: Self.pulse)], logger: runtime.logger)
        configuration.maximumGracefulShutdownDuration = Self.gracefulTime
        let group = ServiceGroup(configuration: configuration)
        let mayRun = phase.withLock { phase in
            guard case .starting = phase else { return false }
            phase = .running(group)
            return true
        }
        guard mayRun else { return }
        let listening = services.compactMap { $0 as? RPCServer }.flatMap(\.listeningAddresses)
        runtime.logger.notice(
            "started",
            metadata: [
                "version": "\(ServiceProgram.version)", "instance": "\(runtime.instance)", "pid": "\(getpid())",
                "listen": "\(listening.map(\.description).joined(separator: ","))",
            ].merging(pages.map { ["http-port": "\($0.port)"] } ?? [:]) { $1 })
        try await group.run()
    }

    private func statusPages() throws -> StatusListener? {
        let address = runtime.settings[CommonSettings.httpListen]
        guard !address.isEmpty else { return nil }
        return try StatusListener(address) { [self] in
            var reply = runtime.healthReply()
            if case .starting = phase.withLock({ $0 }) {
                reply.ready = false
                reply.reasons.append("start: it is starting")
            }
            return reply
        }
    }

    /// Every 30 s: a service that cannot connect is noticed within a minute, and feeling costs a millisecond.
    private static let pulse = BackgroundLoop("pulse of nng", every: .seconds(30)) {
        if await RPCPulse.isBeating() { return }
        // Once may be a machine that stood still.
        guard await RPCPulse.isBeating() else { throw ConnectionsLost() }
    }

    private func stop(_ signal: UnixSignal) async {
        let preparation = runtime.preparation.withLock { $0 }
        let before = phase.withLock { phase in
            let before = phase
            if case .running(let group) = phase, preparation != nil {
                phase = .preparing(group)
            } else {
                phase = .stopping
            }
            return before
        }
        switch before {
        case .starting(let work):
            runtime.logger.notice("stopping while starting", metadata: ["signal": "\(signal)"])
            endInTime()
            work?.cancel()
        case .running(let group):
            runtime.logger.notice("stopping", metadata: ["signal": "\(signal)"])
            guard let preparation else { return await stop(group) }
            // Beside the loop over signals, which may bring a second one.
            Task {
                await preparation()
                let isDue = phase.withLock { phase in
                    guard case .preparing = phase else { return false }
                    phase = .stopping
                    return true
                }
                if isDue { await stop(group) }
            }
        case .preparing(let group):
            runtime.logger.notice("a second signal: stopping without waiting", metadata: ["signal": "\(signal)"])
            await stop(group)
        case .stopping:
            runtime.logger.error("a second signal: ending without finishing", metadata: ["signal": "\(signal)"])
            _exit(ServiceProgram.ExitCode.failure)
        }
    }

    private func stop(_ group: ServiceGroup) async {
        endInTime()
        await group.triggerGracefulShutdown()
    }

    private func endInTime() {
        Thread.detachNewThread { [self] in
            Thread.sleep(forTimeInterval: Self.longestTime)
            if hasEnded.withLock({ $0 }) { return }
            runtime.logger.critical("did not stop within 5 s: ending without finishing")
            _exit(ServiceProgram.ExitCode.failure)
        }
    }

    private func exitCode(_ result: Result<Void, any Error>) -> Int32 {
        let wasAsked = phase.withLock { phase in
            switch phase {
            case .preparing, .stopping: true
            case .starting, .running: false
            }
        }
        switch result {
        case .success: break
        case .failure where wasAsked: break
        case .failure(let failure as StartFailure):
            report("cannot start", failure.cause)
            return failure.cause is SettingsError
                ? ServiceProgram.ExitCode.settings : ServiceProgram.ExitCode.unavailable
        case .failure(let error):
            report("failed", error)
            return ServiceProgram.ExitCode.failure
        }
        runtime.logger.notice("stopped")
        return ServiceProgram.ExitCode.success
    }

    private func report(_ what: String, _ error: any Error) {
        let text = (error as? RPCError)?.message ?? "\(error)"
        runtime.logger.critical("\(what): \(ServiceProgram.oneLine(text))")
    }
}

/// A server as a member of the group: the graceful stop lets it finish what is in flight.
private struct ServedUntilStop: Service {
    let server: RPCServer

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await server.run()
        } onGracefulShutdown: {
            server.stop()
        }
    }
}
