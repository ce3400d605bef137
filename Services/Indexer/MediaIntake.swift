// What one job learned of sources and counted of media, so that a batch of records asks the database once for each source and
// writes each counter once. Turn.settle() writes it, before anybody else reads what it is about, and before the job ends.

import Foundation
import GRDB
import Wire

/// What a batch knows of one source. Lives as long as its Turn, on the writer's queue.
final class SeenSource {
    var row: SourceRow
    /// A record of it came.
    var isHeard = false
    /// The row differs from the one that is stored.
    var isChanged = false
    /// Assets that are stored as its names.
    var names: Set<String> = []
    /// No segment of it that is stored ends later, by what was reported; nil: not asked yet.
    var latestEndUs: Int64?
    /// `media_id` of its next file; nil: not asked yet, or SQLite gives it.
    var freeMediaID: Int64?

    init(_ row: SourceRow) { self.row = row }

    /// The present run of a source has reported up to a time. Another run takes over, so that a clock that was set back
    /// does not make every window look complete; one that is only salvaged moves it forward at most.
    func reported(toUs: Int64, run runID: String?, takesOver: Bool) {
        let isOther = takesOver && row.reportedRun != runID
        row.reportedToUs = isOther ? toUs : max(row.reportedToUs, toUs)
        if takesOver { row.reportedRun = runID }
        isChanged = true
    }

    /// A new run began. It says nothing of the time before it: what a killed recorder left may still be salvaged. A clock
    /// that was set back moves the mark back.
    func runBegan(_ runID: String, atUs startedUs: Int64) {
        row.reportedToUs = min(row.reportedToUs, startedUs)
        row.reportedRun = runID
        isChanged = true
    }
}

/// Files and bytes that came (or went, where negative).
struct MediaCount: Sendable, Equatable {
    var files: Int64 = 0
    var bytes: Int64 = 0

    mutating func add(_ bytes: Int64, times sign: Int64) {
        files += sign
        self.bytes += sign * bytes
    }
}

struct MediaIntake {
    /// What is counted per day.
    struct Day: Hashable, Sendable {
        let sourceID: Int64
        let kind: Int32
        /// Whole days since 1970.
        let day: Int64
    }

    var sources: [SourceID: SeenSource] = [:]
    var endedRuns: [String: Bool] = [:]
    /// Nil: not asked for yet.
    var insertion: MediaInsertion?
    private(set) var days: [Day: MediaCount] = [:]
    private(set) var volumes: [String: MediaCount] = [:]

    /// A file came (`sign` 1) or went (-1).
    mutating func count(_ kind: MediaKind, sourceID: Int64, volumeID: String, startUs: Int64, bytes: Int64, sign: Int64)
    {
        days[Day(sourceID: sourceID, kind: kind.rawValue, day: startUs / Micro.day), default: MediaCount()]
            .add(bytes, times: sign)
        volumes[volumeID, default: MediaCount()].add(bytes, times: sign)
    }

    mutating func forgetCounts() { (days, volumes) = ([:], [:]) }
}

extension Turn {
    /// A source as this job knows it, made where it is new.
    func seen(_ name: SourceID) throws -> SeenSource {
        if let known = intake.sources[name] { return known }
        let row: SourceRow
        if let stored = try db.source(name) {
            row = stored
        } else {
            try run("INSERT INTO sources (device, endpoint) VALUES (?, ?)", [name.device, name.endpoint])
            row = try db.source(id: db.lastInsertedRowID)
        }
        let made = SeenSource(row)
        intake.sources[name] = made
        return made
    }

    /// Remembers that an asset names a source.
    func name(_ source: SeenSource, asset: String) throws {
        guard source.names.insert(asset).inserted else { return }
        try run(
            "INSERT OR IGNORE INTO source_names (asset, source_id) VALUES (?, ?)", [asset, source.row.sourceID])
    }

    /// Whether a run is known to have ended: then its files are of the past.
    func hasEnded(_ runID: String) throws -> Bool {
        if let known = intake.endedRuns[runID] { return known }
        let ended = try number("SELECT 1 FROM runs WHERE run_id = ? AND ended_us IS NOT NULL", [runID]) != nil
        intake.endedRuns[runID] = ended
        return ended
    }

    /// Stores what this job has only noted or counted so far.
    func settle() throws {
        for source in intake.sources.values where source.isHeard || source.isChanged {
            try run(
                """
                UPDATE sources SET heard_us = CASE WHEN ?1 THEN ?2 ELSE heard_us END, reported_to_us = ?3, reported_run = ?4,
                  max_segment_us = ?5 WHERE source_id = ?6
                """,
                [
                    source.isHeard, nowUs, source.row.reportedToUs, source.row.reportedRun,
                    source.row.maximumSegmentUs, source.row.sourceID,
                ])
            (source.isHeard, source.isChanged) = (false, false)
        }
        for (volumeID, count) in intake.volumes {
            try run(
                """
                INSERT INTO volume_usage (volume_id, files, bytes) VALUES (?1, ?2, ?3)
                ON CONFLICT (volume_id) DO UPDATE SET files = files + ?2, bytes = bytes + ?3
                """, [volumeID, count.files, count.bytes])
        }
        for (day, count) in intake.days {
            try run(
                """
                INSERT INTO media_days (source_id, kind, day, files, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT (source_id, kind, day) DO UPDATE SET files = files + ?4, bytes = bytes + ?5
                """, [day.sourceID, day.kind, day.day, count.files, count.bytes])
            try run(
                """
                UPDATE sources SET segments = segments + (?2 = 1) * ?3, snapshots = snapshots + (?2 = 2) * ?3,
                  bytes = bytes + ?4 WHERE source_id = ?1
                """, [day.sourceID, day.kind, count.files, count.bytes])
        }
        intake.forgetCounts()
    }
}
