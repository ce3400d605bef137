// The two loops beside the calls: the timer moves on what only the clock changes, the upkeep bounds the write-ahead log and
// counts what is open. Neither polls for records: those move requests on themselves.

import GRDB
import Logging
import Metrics
import RPC
import ServiceKit
import Wire

struct TimerLoop: Sendable {
    let catalogue: Catalogue
    let bell: WorkBell
    let logger: Logger

    /// A clock that was set forward, or a ring that was lost, is noticed after so long.
    private static let longestSleep = Duration.seconds(5)

    /// Runs until cancelled; then nobody waits for work any more.
    func run() async throws {
        defer { bell.close() }
        while !Task.isCancelled {
            let seen = bell.generation(.timing)
            let sleep = await turn()
            let goesOn = await bell.wait(for: .timing, after: seen, until: .now + sleep)
            if !goesOn { break }
        }
        try Task.checkCancellation()
    }

    /// Does what is due; gives how long nothing else will be.
    private func turn() async -> Duration {
        do {
            let nowUs = catalogue.clock.nowUs()
            guard let dueUs = try await catalogue.read({ db in try db.nextDueUs() }) else { return Self.longestSleep }
            if dueUs > nowUs { return min(.microseconds(dueUs - nowUs), Self.longestSleep) }
            try await catalogue.write { turn in
                try turn.advanceDue()
                try turn.expireClaims()
            }
            return .zero
        } catch is CancellationError {
            return .zero
        } catch {
            logger.error("the timer cannot use the catalogue, and tries again in a second: \(error)")
            return .seconds(1)
        }
    }
}

struct UpkeepLoop: Sendable {
    let catalogue: Catalogue
    let longReads: LongReads
    let logger: Logger

    /// One turn; see `every` in main.swift.
    func turn() async throws {
        do {
            if !longReads.areUnderWay { try await catalogue.checkpoint() }
            let counts = try await catalogue.read { db in try OpenCounts(db) }
            Gauge(label: "sightglass_indexer_open_requests").record(counts.requests)
            Gauge(label: "sightglass_indexer_waiting_items", dimensions: [("work", "archive")]).record(counts.archive)
            Gauge(label: "sightglass_indexer_waiting_items", dimensions: [("work", "upload")]).record(counts.upload)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            logger.warning("the write-ahead log could not be cut back, which is tried again: \(error)")
        }
    }

    private struct OpenCounts {
        let requests: Int64
        let archive: Int64
        let upload: Int64

        init(_ db: Database) throws {
            requests = try db.number("SELECT COUNT(*) FROM requests WHERE state <= 4") ?? 0
            archive = try db.number("SELECT archive_files FROM item_totals") ?? 0
            upload = try db.number("SELECT upload_files FROM item_totals") ?? 0
        }
    }
}
