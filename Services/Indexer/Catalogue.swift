// The database: opened once, read by many, written by one queue. Commits are grouped: what waits while one commit is being
// synced goes into the next one, so that a thousand events a second need no thousand syncs; and what can wait a moment does.
// Schema.swift has the tables; Turn.swift is what a write works with.

import Foundation
import GRDB
import Logging
import Metrics
import RPC
import ServiceKit
import Synchronization

/// Why the catalogue could not be opened; one line for the operator.
struct CatalogueError: Error, CustomStringConvertible {
    let description: String
}

final class Catalogue: Sendable {
    /// A write that waits for its turn: does its part, and gives what to call when all is safe or failed.
    private struct Job: Sendable {
        let work: @Sendable (Database) throws -> Effects
        let finish: @Sendable (Result<Effects, any Error>) -> Void
    }

    /// Carries a write's value from the writer's queue to the task that waits.
    private final class Slot<T: Sendable>: Sendable {
        let value = Mutex<T?>(nil)
    }

    private struct Queue {
        var jobs: [Job] = []
        var isDraining = false
        /// Somebody will begin a commit when the moment for what can wait has come.
        var isTimed = false
        var drainedAt: ContinuousClock.Instant?
    }

    /// How soon a write has to be durable.
    enum Haste: Sendable {
        /// Somebody waits for it.
        case now
        /// With the next write that is urgent, and not later than `Policy.commitDelayUs` after the commit before.
        case soon
    }

    let policy: Policy
    let clock: any WallClock
    let startedUs: Int64
    /// Keeps the lock on the state directory as long as somebody can write.
    private let holding: StateDirectory?
    private let pool: DatabasePool
    private let queue = Mutex(Queue())
    private let onCommit: @Sendable (Effects) -> Void
    private let onHealth: @Sendable (String?) -> Void
    private let commits = Counter(label: "sightglass_indexer_commits_total")

    /// At most so many writes share one commit, so that the first of them does not wait for a long list.
    private static let largestGroup = 256
    /// A check of 256 MiB takes about a second; a larger catalogue is believed, and errors show when a page is read.
    private static let largestCheckedBytes: Int64 = 256 << 20

    /// Opens or makes the catalogue. `onCommit` hears what each commit changed; `onHealth` hears nil when the database
    /// works and a reason when it does not.
    init(
        path: String, policy: Policy, clock: any WallClock, holding: StateDirectory? = nil,
        onCommit: @escaping @Sendable (Effects) -> Void = { _ in },
        onHealth: @escaping @Sendable (String?) -> Void = { _ in }
    ) throws {
        self.policy = policy
        self.clock = clock
        self.holding = holding
        self.onCommit = onCommit
        self.onHealth = onHealth
        startedUs = clock.nowUs()
        do {
            var configuration = Configuration()
            configuration.foreignKeysEnabled = true
            configuration.busyMode = .timeout(5)
            configuration.maximumReaderCount = 4
            configuration.label = "catalogue"
            configuration.prepareDatabase { db in
                // A WAL that grew in a rush is cut back at the next checkpoint.
                try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
            }
            pool = try DatabasePool(path: path, configuration: configuration)
            try pool.writeWithoutTransaction { db in
                // FULL: what we accepted survives a power cut, also in WAL mode. After opening, because GRDB sets NORMAL then.
                try db.execute(sql: "PRAGMA synchronous = FULL")
                // 16 MiB each. A page that batches change again and again is written into the database once per 16 MiB of log, and
                // those that dozens of cameras write to stay at hand.
                try db.execute(sql: "PRAGMA wal_autocheckpoint = 4096")
                try db.execute(sql: "PRAGMA cache_size = -16384")
            }
            try pool.write { db in try Self.checkPages(db) }
            try Schema.migrator.migrate(pool)
        } catch {
            throw CatalogueError(
                description: "the catalogue \(path) cannot be used (\(Self.text(error))): "
                    + "restore it from a backup, or move it away and let the controllers report their volumes again")
        }
    }

    /// Reads every page of a catalogue that is small enough for a quick start, and the schema of any.
    private static func checkPages(_ db: Database) throws {
        let pages = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
        let pageBytes = try Int64.fetchOne(db, sql: "PRAGMA page_size") ?? 0
        _ = try Row.fetchOne(db, sql: "SELECT name FROM sqlite_schema LIMIT 1")
        guard pages * pageBytes <= largestCheckedBytes else { return }
        let answer = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? "no answer"
        guard answer == "ok" else { throw CatalogueError(description: answer) }
    }

    /// Runs `body` in a transaction and returns when it is durable. An error that it throws undoes its part alone.
    func write<T: Sendable>(
        _ haste: Haste = .now, _ body: @escaping @Sendable (Turn) throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
            let slot = Slot<T>()
            let job = Job(
                work: { [clock, startedUs, policy] db in
                    let turn = Turn(db: db, nowUs: clock.nowUs(), startedUs: startedUs, policy: policy)
                    let value = try body(turn)
                    try turn.settle()
                    turn.effects.cursor = try turn.newestCursor()
                    slot.value.withLock { $0 = value }
                    return turn.effects
                },
                finish: { result in
                    switch (result, slot.value.withLock { $0 }) {
                    case (.success, .some(let value)): continuation.resume(returning: value)
                    case (.success, .none):
                        continuation.resume(throwing: RPCError.internal("a write ended without a result"))
                    case (.failure(let error), _): continuation.resume(throwing: error)
                    }
                })
            enqueue(job, haste)
        }
    }

    /// Reads a consistent state, beside writes.
    func read<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        do {
            return try await pool.read(body)
        } catch let error as DatabaseError {
            throw unavailable(error)
        }
    }

    /// Keeps the write-ahead log bounded; called by the timer.
    func checkpoint() async throws {
        try await pool.barrierWriteWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
    }

    /// Closes the file; nothing is read or written afterwards.
    func close() throws { try pool.close() }

    private func enqueue(_ job: Job, _ haste: Haste) {
        let delay = Duration.microseconds(haste == .now ? 0 : policy.commitDelayUs)
        let pause: Duration? = queue.withLock { queue in
            queue.jobs.append(job)
            if queue.isDraining { return nil }
            let left = queue.drainedAt.map { delay - (.now - $0) } ?? .zero
            if left <= .zero {
                queue.isDraining = true
                return .zero
            }
            defer { queue.isTimed = true }
            return queue.isTimed ? nil : left
        }
        guard let pause else { return }
        if pause == .zero { return drain() }
        Task {
            try? await Task.sleep(for: pause)
            let mustDrain = queue.withLock { queue in
                queue.isTimed = false
                guard !queue.isDraining, !queue.jobs.isEmpty else { return false }
                queue.isDraining = true
                return true
            }
            if mustDrain { drain() }
        }
    }

    private func drain() {
        pool.asyncWriteWithoutTransaction { [self] db in
            while true {
                let jobs = queue.withLock { queue in
                    let next = Array(queue.jobs.prefix(Self.largestGroup))
                    queue.jobs.removeFirst(next.count)
                    if next.isEmpty { (queue.isDraining, queue.drainedAt) = (false, .now) }
                    return next
                }
                if jobs.isEmpty { return }
                commit(jobs, db)
            }
        }
    }

    private func commit(_ jobs: [Job], _ db: Database) {
        let changesBefore = db.totalChangesCount
        var outcomes: [Result<Effects, any Error>]
        do {
            outcomes = try together(jobs, db)
            // One that changed nothing writes nothing, and says nothing of the disk.
            if db.totalChangesCount != changesBefore {
                commits.increment()
                onHealth(nil)
            }
        } catch {
            let failure = (error as? DatabaseError).map(unavailable) ?? error
            outcomes = jobs.map { _ in .failure(failure) }
        }
        var effects = Effects()
        for case .success(let made) in outcomes { effects.merge(made) }
        onCommit(effects)
        for (job, outcome) in zip(jobs, outcomes) { job.finish(outcome) }
    }

    /// A group in one transaction. First without savepoints, for which SQLite would copy each page before a job changes it; only
    /// where a job fails is everything undone and done again, and then its part alone is undone. A fault of the database itself ends
    /// the whole group.
    private func together(_ jobs: [Job], _ db: Database) throws -> [Result<Effects, any Error>] {
        var outcomes: [Result<Effects, any Error>] = []
        do {
            try db.inTransaction(.immediate) {
                for job in jobs { outcomes.append(.success(try job.work(db))) }
                return .commit
            }
            return outcomes
        } catch let error as DatabaseError where Self.isFault(error) {
            throw error
        } catch  where jobs.count == 1 {
            return [.failure(Self.refusal(error))]
        } catch {
            outcomes = []
        }
        try db.inTransaction(.immediate) {
            for job in jobs { outcomes.append(try alone(job, db)) }
            return .commit
        }
        return outcomes
    }

    private func alone(_ job: Job, _ db: Database) throws -> Result<Effects, any Error> {
        var result: Result<Effects, any Error> = .success(Effects())
        do {
            try db.inSavepoint {
                result = .success(try job.work(db))
                return .commit
            }
        } catch let error as DatabaseError where Self.isFault(error) {
            throw error
        } catch {
            result = .failure(Self.refusal(error))
        }
        return result
    }

    /// What a caller is told of a job that failed.
    private static func refusal(_ error: any Error) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        return RPCError.internal("the catalogue refused a row: \(text(error))")
    }

    private func unavailable(_ error: DatabaseError) -> RPCError {
        guard Self.isFault(error) else { return .internal("the catalogue refused it: \(Self.text(error))") }
        onHealth("the catalogue cannot be written: \(Self.text(error)); check the disk of the state directory")
        return .unavailable("the catalogue cannot be used at present: \(Self.text(error))")
    }

    /// Whether the store failed, and not the statement.
    private static func isFault(_ error: DatabaseError) -> Bool {
        switch error.resultCode.primaryResultCode {
        case .SQLITE_CONSTRAINT, .SQLITE_ERROR, .SQLITE_MISUSE, .SQLITE_RANGE, .SQLITE_MISMATCH, .SQLITE_TOOBIG: false
        default: true
        }
    }

    private static func text(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        return error.message ?? "SQLite error \(error.resultCode.rawValue)"
    }

    /// Where the database is, for those who open it beside the pool (LongReads.swift).
    var path: String { pool.path }
}
