// Makes backups of the catalogue, one at a time: a copy of one consistent state through SQLite, checked, made a file that stands
// alone, synced, and only then given its name (BackupFolder.swift). The writer goes on meanwhile.
//
// The work is nobody's call: it goes on when the caller's deadline is over. Whoever asks while it is under way gets its result,
// and so does whoever asks within a minute after it ended; so a caller whose deadline is short asks again until there is an answer.

import Foundation
import GRDB
import Logging
import RPC
import ServiceKit
import Synchronization
import Volume

/// A finished backup.
struct Backup: Sendable, Equatable {
    var name: BackupName
    var sizeBytes: Int64
    var sha256: [UInt8]
}

final class Backups: Sendable {
    private struct State {
        var underWay: Task<Backup, any Error>?
        var newest: Backup?
        var endedAt = ContinuousClock.now
    }

    let folder: BackupFolder
    private let longReads: LongReads
    private let clock: any WallClock
    private let logger: Logger
    private let freshTime: Duration
    private let lane = BlockingLane("backup")
    private let state = Mutex(State())

    /// 4 MiB of a usual page size: between two pieces it is seen that the service stops.
    private static let pagesPerStep: CInt = 1024

    /// - Parameter freshTime: so long after its end a backup is still the answer.
    init(
        folder: BackupFolder, longReads: LongReads, clock: any WallClock, logger: Logger,
        freshTime: Duration = .seconds(60)
    ) {
        self.folder = folder
        self.longReads = longReads
        self.clock = clock
        self.logger = logger
        self.freshTime = freshTime
    }

    /// Makes a backup, or waits for the one that is being made, or gives the one that was made just now.
    func make() async throws -> Backup {
        let task = state.withLock { state -> Task<Backup, any Error>? in
            if let underWay = state.underWay { return underWay }
            if state.newest != nil, .now - state.endedAt < freshTime { return nil }
            let task = Task { try await run() }
            state.underWay = task
            return task
        }
        if let task { return try await task.value }
        guard let newest = state.withLock({ $0.newest }) else { throw RPCError.internal("a backup was lost") }
        return newest
    }

    /// Removes what a killed attempt left; it may be as large as the catalogue.
    func tidy() async throws {
        try await lane.run { [folder] in
            folder.removeLeftovers()
            folder.removeSurplus()
        }
    }

    private func run() async throws -> Backup {
        let begin = ContinuousClock.now
        do {
            let backup = try await longReads.run(on: lane) { [self] read in try copy(read) }
            state.withLock { $0 = State(underWay: nil, newest: backup, endedAt: .now) }
            logger.notice(
                "the catalogue was backed up",
                metadata: [
                    "backup": "\(folder.path(of: backup.name))", "bytes": "\(backup.sizeBytes)",
                    "seconds": "\((ContinuousClock.now - begin).components.seconds)",
                ])
            return backup
        } catch {
            state.withLock { $0 = State(underWay: nil, newest: nil) }
            logger.error("the catalogue could not be backed up: \(error)")
            throw error
        }
    }

    private func copy(_ read: LongRead) throws -> Backup {
        try folder.make()
        folder.removeLeftovers()
        guard let name = BackupName.next(after: folder.names(), nowUs: clock.nowUs()) else {
            throw RPCError.unavailable("the clock is beyond the year 2100: set it right, a backup is named by it")
        }
        defer { folder.removeLeftovers() }
        do {
            let needed = try read.read { db in
                (try db.number("PRAGMA page_count") ?? 0) * (try db.number("PRAGMA page_size") ?? 0)
            }
            try folder.checkRoom(for: needed)
            try fill(from: read)
        } catch let error as DatabaseError {
            throw failure(error)
        }
        let digest = try folder.digest()
        try folder.publish(as: name)
        folder.removeSurplus()
        return Backup(name: name, sizeBytes: digest.sizeBytes, sha256: digest.sha256)
    }

    private func fill(from read: LongRead) throws {
        var configuration = Configuration()
        configuration.label = "backup"
        let copy = try DatabaseQueue(path: folder.temporaryPath, configuration: configuration)
        // It is synced once, when it is whole.
        try copy.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA synchronous = OFF") }
        try read.read { source in
            // Begins to read. A transaction that has read nothing holds no state: each commit of the writer would let SQLite
            // begin the copy again.
            _ = try source.number("SELECT COUNT(*) FROM sqlite_schema")
            try copy.writeWithoutTransaction { destination in
                do {
                    try source.backup(to: destination, pagesPerStep: Self.pagesPerStep) { _ in
                        try read.checkCancelled()
                    }
                } catch let error as DatabaseError {
                    // It may be either of the two.
                    throw failure(error)
                }
            }
        }
        let problem = try copy.writeWithoutTransaction { db -> String? in
            // The catalogue's log is no part of the copy, so the copy must not ask for one.
            let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = DELETE") ?? "nothing"
            guard mode == "delete" else { return "its journal mode is \(mode)" }
            let answer = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? "no answer"
            return answer == "ok" ? nil : answer
        }
        try copy.close()
        if let problem {
            throw RPCError.internal(
                "the copy of the catalogue is damaged (\(problem)), and was not kept: check the catalogue "
                    + "(CheckCatalogue) and its disk; the backups before it are still there")
        }
    }

    private func failure(_ error: DatabaseError) -> RPCError {
        .unavailable("the catalogue could not be copied to \(folder.path): \(error.message ?? "\(error.resultCode)")")
    }
}
