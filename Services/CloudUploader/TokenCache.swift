// Holds the token for the storage and has it renewed ahead of its end. What happens when is decided by TokenMachine; this actor
// does it: one fetch at a time, and those who need its outcome wait here.
import Logging
import ServiceKit

/// Gets one token; how often is not its business.
protocol TokenFetch: Sendable {
    /// Throws TokenFailure or CancellationError.
    func token() async throws -> AccessToken
}

actor TokenCache: Authorizer {
    nonisolated let words = CredentialWords.token
    private let source: any TokenFetch
    private let logger: Logger
    private var machine = TokenMachine()
    /// A fetch belongs to nobody who waits for it: their end must not end it for the others.
    private var fetching: Task<Void, Never>?
    private var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    private var nextWaiter: UInt64 = 0

    init(source: any TokenFetch, logger: Logger) {
        self.source = source
        self.logger = logger
    }

    func authorize(_ request: SignedParts, nowUs: Int64) async throws -> Authorization {
        let token = try await token()
        return Authorization(
            headers: [("x-ms-date", BlobText.date(nowUs)), ("authorization", "Bearer \(token.text.revealed)")],
            mark: token.mark)
    }

    func renew(after mark: CredentialMark) async -> Bool {
        guard machine.refuse(mark) else { return false }
        logger.info("the storage refused a token before its end; another one is fetched")
        // A reason why there is none is told by the attempt that follows.
        guard let token = try? await token() else { return true }
        return token.mark != mark
    }

    func close() async {
        fetching?.cancel()
        await fetching?.value
    }

    private func token() async throws -> AccessToken {
        while true {
            try Task.checkCancellation()
            switch machine.next(nowUs: MonotonicTime.nowUs()) {
            case .use(let token): return token
            case .useAndFetch(let token):
                fetch()
                return token
            case .fetch:
                fetch()
                await outcome()
            case .wait: await outcome()
            case .pause(let duration): try await Task.sleep(for: duration)
            case .refuse(let failure):
                throw UploadProblem(
                    reason: failure.reason, isRetryable: true,
                    retryAfter: failure.isTransient ? nil : RetryTable.operatorPause, concernsStorage: true)
            }
        }
    }

    private func fetch() {
        fetching = Task {
            do {
                let token = try await source.token()
                Redaction.remember(token.text.revealed)
                machine.fetched(token, nowUs: MonotonicTime.nowUs())
                logger.info("token for the storage", metadata: ["life_s": "\(token.life.components.seconds)"])
            } catch {
                // Only `close` cancels it; nobody asks for a token after that.
                let failure = error as? TokenFailure ?? .init(reason: "stopped", isTransient: true)
                machine.failed(failure, nowUs: MonotonicTime.nowUs(), chance: .random(in: 0..<1))
                logger.warning("no token for the storage", metadata: ["reason": "\(failure.reason)"])
            }
            let ended = waiters.values
            waiters = [:]
            for waiter in ended { waiter.resume() }
        }
    }

    /// Waits for the end of the fetch that is on its way, or of the task that waits.
    private func outcome() async {
        nextWaiter += 1
        let id = nextWaiter
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { return continuation.resume() }
                waiters[id] = continuation
            }
        } onCancel: {
            Task { await self.release(id) }
        }
    }

    private func release(_ id: UInt64) { waiters.removeValue(forKey: id)?.resume() }
}
