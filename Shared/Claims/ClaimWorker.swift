// The loop of a worker: claim what is free, work on several items at once, renew the claims meanwhile, report each
// outcome until the indexer has it. Which claims are held: ClaimTable.swift. What the work is, the service says.
//
// While the indexer is away the work goes on: copies and uploads never replace anything, so that doing one twice does no
// harm, and the indexer refuses the report of a claim that another worker has taken since.
import Logging
import Metrics
import RPC
import ServiceKit
import Synchronization
import Wire

/// How the work on an item ended.
public enum ClaimOutcome: Sendable, Equatable {
    /// Done; what to report. Claim, work and worker are filled in by the loop.
    case completed(CompleteItemRequest)
    /// Not done. `reason` is for a person; `retryAfter` overrides the indexer's back-off.
    case failed(reason: String, isRetryable: Bool, retryAfter: Duration? = nil)
    /// Stopped because the task was cancelled.
    case stopped
}

/// Claims items and works on them until its task is cancelled.
public final class ClaimWorker: Sendable {
    /// What is claimed, and how.
    public struct Options: Sendable {
        /// Which work.
        public var work: Work
        /// Instance, as in logs: "archiver/archiver-0".
        public var worker: String
        /// Kinds that the worker can do.
        public var kinds: [ItemKind]
        /// Items at once, 1 to 64.
        public var parallel: Int
        /// Time until an unrenewed claim falls back, 1 s to 10 min.
        public var lease: Duration
        /// How long the indexer holds a call while there is no work, at most 20 s.
        public var wait: Duration

        /// All are required: the defaults are the settings' of each service.
        public init(
            work: Work, worker: String, kinds: [ItemKind], parallel: Int, lease: Duration, wait: Duration
        ) {
            self.work = work
            self.worker = worker
            self.kinds = kinds
            self.parallel = parallel
            self.lease = lease
            self.wait = wait
        }
    }

    private struct State {
        var table: ClaimTable
        var tasks: [UInt64: Task<ClaimOutcome, Never>] = [:]
        var progress: [ItemClaim: ClaimProgress] = [:]

        /// What the work reported since it was asked last goes into the table.
        mutating func noteProgress() {
            for (claim, progress) in progress {
                if let bytes = progress.news() { table.note(claim, doneBytes: bytes) }
            }
        }
    }

    private let client: RPCClient
    private let options: Options
    private let logger: Logger
    private let mayClaim: @Sendable () async -> Bool
    private let perform: @Sendable (ClaimedItem, ClaimProgress) async -> ClaimOutcome
    private let state: Mutex<State>
    /// Signalled when a slot became free or work may have appeared.
    private let wakeup = Wakeup()
    private let renewWakeup = Wakeup()
    private let completed: Counter
    private let failed: Counter
    private let lost: Counter

    /// Longest pause after the indexer did not answer: short, because a restart of it takes seconds.
    private static let longestPause = Duration.seconds(2)
    /// A report that the indexer does not take for so long is given up; the item is claimed again some time.
    private static let reportTimeout = Duration.seconds(5)
    /// Time for handing back what a stop interrupts, within the 5 s that a service has to end.
    private static let handBackTimeout = Duration.seconds(1)

    /// A worker. `mayClaim` says whether work can be done now (the volume is there, the storage answers); `perform` does
    /// it, says how far it is where it can, and must end soon after its task is cancelled. `metric` begins the names of its
    /// counters: "sightglass_archiver".
    public init(
        client: RPCClient, options: Options, metric: String, logger: Logger,
        mayClaim: @escaping @Sendable () async -> Bool,
        perform: @escaping @Sendable (ClaimedItem, ClaimProgress) async -> ClaimOutcome
    ) {
        self.client = client
        self.options = options
        self.logger = logger
        self.mayClaim = mayClaim
        self.perform = perform
        state = Mutex(State(table: ClaimTable(lease: options.lease)))
        completed = Counter(label: "\(metric)_items_completed_total")
        failed = Counter(label: "\(metric)_items_failed_total")
        lost = Counter(label: "\(metric)_claims_lost_total")
    }

    /// Work may have appeared: a hint came, or what stood in the way is gone.
    public func wake() {
        wakeup.signal()
    }

    /// Claims and works until the task is cancelled; then stops the work and hands the claims back.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.renew() }
            group.addTask { await self.claim() }
        }
    }

    private func claim() async {
        await withDiscardingTaskGroup { group in
            var pause = Duration.milliseconds(100)
            while !Task.isCancelled {
                let free = options.parallel - state.withLock { $0.table.count }
                guard free > 0, await mayClaim() else {
                    await wakeup.wait(atMost: Self.longestPause)
                    continue
                }
                let sentAt = ContinuousClock.now
                do {
                    let items = try await ask(limit: free)
                    for item in items {
                        let claim = ItemClaim(itemID: item.itemID, epoch: item.epoch)
                        state.withLock { $0.table.add(claim, sentAt: sentAt) }
                        group.addTask { await self.work(on: item, claim) }
                    }
                    if !items.isEmpty { renewWakeup.signal() }
                    pause = .milliseconds(100)
                    // An indexer that answers "nothing" at once, against the wait that was asked for, is not asked in a circle.
                    if items.isEmpty, .now - sentAt < .milliseconds(100) {
                        await wakeup.wait(atMost: .milliseconds(200))
                    }
                } catch {
                    guard !Task.isCancelled else { return }
                    logger.debug("cannot claim work", metadata: ["error": "\(error)"])
                    await wakeup.wait(atMost: pause)
                    pause = min(pause * 2, Self.longestPause)
                }
            }
        }
    }

    private func ask(limit: Int) async throws(RPCError) -> [ClaimedItem] {
        let request = ClaimItemsRequest(
            work: options.work, worker: options.worker, limit: UInt32(limit), leaseMs: Self.ms(options.lease),
            kinds: options.kinds, waitMs: Self.ms(options.wait))
        return try await client.call(IndexerMethods.claimItems, request, timeout: options.wait + .seconds(5)).items
    }

    private func work(on item: ClaimedItem, _ claim: ItemClaim) async {
        let id = claim.itemID ?? 0
        let progress = ClaimProgress { [renewWakeup] in renewWakeup.signal() }
        let task = Task { await perform(item, progress) }
        state.withLock { state in
            state.tasks[id] = task
            state.progress[claim] = progress
        }
        let outcome = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        // Still in the table unless the indexer said that the claim is lost.
        let isHeld = state.withLock { state in
            state.tasks[id] = nil
            state.progress[claim] = nil
            return state.table.holds(claim)
        }
        if isHeld {
            if Task.isCancelled {
                await handBack(claim, outcome)
            } else {
                await report(claim, outcome, path: item.archivePath ?? "")
            }
        }
        state.withLock { $0.table.remove(claim) }
        wakeup.signal()
    }

    private func report(_ claim: ItemClaim, _ outcome: ClaimOutcome, path: String) async {
        var pause = Duration.milliseconds(200)
        while !Task.isCancelled {
            do throws(RPCError) {
                try await send(claim, outcome, timeout: Self.reportTimeout)
                switch outcome {
                case .completed: completed.increment()
                case .failed(let reason, let isRetryable, _):
                    failed.increment()
                    logger.warning(
                        "item failed",
                        metadata: ["path": "\(path)", "reason": "\(reason)", "retryable": "\(isRetryable)"])
                case .stopped: break
                }
                return
            } catch {
                switch error.code {
                case .failedPrecondition, .notFound, .invalidArgument:
                    logger.warning(
                        "the indexer refuses the report", metadata: ["path": "\(path)", "error": "\(error)"])
                    return
                default:
                    logger.info(
                        "the indexer does not take the report yet", metadata: ["path": "\(path)", "error": "\(error)"])
                    await Wakeup().wait(atMost: pause)
                    pause = min(pause * 2, Self.longestPause)
                }
            }
        }
    }

    private func send(_ claim: ItemClaim, _ outcome: ClaimOutcome, timeout: Duration) async throws(RPCError) {
        switch outcome {
        case .completed(var request):
            request.claim = claim
            request.work = options.work
            request.worker = options.worker
            _ = try await client.call(IndexerMethods.completeItem, request, timeout: timeout)
        case .failed(let reason, let isRetryable, let retryAfter):
            var request = Self.failure(reason, isRetryable: isRetryable, retryAfter: retryAfter)
            (request.claim, request.work, request.worker) = (claim, options.work, options.worker)
            _ = try await client.call(IndexerMethods.failItem, request, timeout: timeout)
        case .stopped:
            let request = FailItemRequest(
                claim: claim, work: options.work, worker: options.worker,
                reason: "the worker was stopped; the work goes on when one is running", retryable: true, retryAfterMs: 1
            )
            _ = try await client.call(IndexerMethods.failItem, request, timeout: timeout)
        }
    }

    /// A report within the contract's bounds: one that the indexer refuses would leave the item to run into its lease's end
    /// again and again. A storage that asks for a longer pause than an hour is asked again each hour.
    static func failure(_ reason: String, isRetryable: Bool, retryAfter: Duration?) -> FailItemRequest {
        FailItemRequest(
            reason: reason.isEmpty ? "no reason was given" : reason.prefixed(1024), retryable: isRetryable,
            retryAfterMs: retryAfter.map { ms(min($0, .seconds(3600))) })
    }

    /// In a task of its own, because this one is cancelled and its calls would end at once.
    private func handBack(_ claim: ItemClaim, _ outcome: ClaimOutcome) async {
        await Task { try? await send(claim, outcome, timeout: Self.handBackTimeout) }.value
    }

    private func renew() async {
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let (due, next) = state.withLock { state in
                state.noteProgress()
                return (state.table.due(at: now), state.table.nextDue)
            }
            guard !due.isEmpty else {
                await renewWakeup.wait(atMost: next.map { max($0 - now, .milliseconds(10)) } ?? .seconds(60))
                continue
            }
            do {
                let reply = try await client.call(
                    IndexerMethods.renewClaims,
                    RenewClaimsRequest(worker: options.worker, claims: due, leaseMs: Self.ms(options.lease)),
                    timeout: options.lease / 3)
                let stopped = state.withLock { state in
                    state.table.renewed(due, lost: reply.lost, sentAt: now)
                        .map { ($0, state.tasks[$0.itemID ?? 0]) }
                }
                for (claim, task) in stopped {
                    lost.increment()
                    logger.warning(
                        "the claim is lost; its work stops", metadata: ["item": "\(claim.itemID ?? 0)"])
                    task?.cancel()
                }
            } catch {
                await renewWakeup.wait(atMost: min(Self.longestPause, options.lease / 6))
            }
        }
    }

    private static func ms(_ duration: Duration) -> UInt32 {
        UInt32(clamping: Int64(duration / .milliseconds(1)))
    }
}
