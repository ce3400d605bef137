// Runs, anchors and gaps.

import GRDB
import RPC
import Wire

extension Turn {
    /// Stores a run, or what is new of one that is known: its end. Gives why it cannot be, or nil.
    func insertRun(_ wire: Run, runID: String, source: SourceID, startedUs: Int64, leaseEpoch: Int64) throws -> String?
    {
        let source = try seen(source)
        let known = try number("SELECT source_id FROM runs WHERE run_id = ?", [runID])
        if let known, known != source.row.sourceID {
            return "run \(runID) is known as one of another source"
        }
        try run(
            """
            INSERT INTO runs (run_id, source_id, started_us, ended_us, end_reason, lease_epoch, controller_id)
            VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET
              ended_us = COALESCE(excluded.ended_us, ended_us), end_reason = COALESCE(excluded.end_reason, end_reason)
            """,
            [
                runID, source.row.sourceID, startedUs, wire.endedUs, wire.endReason, leaseEpoch,
                wire.controllerID ?? "",
            ])
        intake.endedRuns[runID] = nil
        source.isHeard = true
        // A run that just began is the present one, also where its clock is behind the one before it.
        if known == nil, wire.endedUs == nil { source.runBegan(runID, atUs: startedUs) }
        return nil
    }

    func insertAnchor(_ wire: Anchor, runID: String, version: Int64, mediaUs: Int64, wallUs: Int64) throws {
        try run(
            """
            INSERT INTO anchors (run_id, version, media_us, wall_us, rate_ppm, origin) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (run_id, version) DO NOTHING
            """, [runID, version, mediaUs, wallUs, Int64(wire.ratePpm ?? 0), wire.origin ?? ""])
    }

    /// Stores a gap, a long one in pieces.
    func insertGap(_ gap: KnownGap, source: SourceID) throws {
        let source = try seen(source)
        var from = gap.span.startUs
        while from < gap.span.endUs {
            let to = min(gap.span.endUs, from + Timeline.longestPieceUs)
            try run(
                """
                INSERT INTO gaps (source_id, start_us, end_us, cause, reason, run_id, frames_lost)
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """, [source.row.sourceID, from, to, gap.cause, gap.reason, gap.runID, gap.framesLost])
            if changedRows > 0, from == gap.span.startUs { try change(.gap, source.row.source.text) }
            from = to
        }
        source.isHeard = true
        // A gap that lies far ahead comes from a clock that is wrong; it must not make windows look complete.
        if gap.span.endUs <= nowUs + policy.futureBoundUs {
            source.reported(toUs: gap.span.endUs, run: nil, takesOver: false)
        }
    }
}

enum Timeline {
    /// Gaps are stored in pieces of at most so much; range queries look back so far.
    static let longestPieceUs = Micro.day
    /// A longer outage than this is a fault of the report.
    static let longestGapUs = 400 * Micro.day
}

extension Database {
    /// Known gaps of a source that touch a window, in order.
    func gaps(_ source: SourceRow, in window: Span) throws -> [KnownGap] {
        try rows(
            """
            SELECT * FROM gaps WHERE source_id = ? AND start_us > ? AND start_us < ? AND end_us > ? ORDER BY start_us
            """,
            [source.sourceID, window.startUs - Timeline.longestPieceUs - 1, window.endUs, window.startUs]
        ).map { row in
            KnownGap(
                span: Span(row["start_us"], row["end_us"]), cause: row["cause"], reason: row["reason"],
                runID: row["run_id"], framesLost: row["frames_lost"])
        }
    }

    /// The footage of a source in a window: what there is, and why the rest is missing.
    func coverage(_ source: SourceRow, in window: Span, seamUs: Int64) throws -> CoverageMap {
        CoverageMap(
            window: window, segments: try segments(source, in: window), known: try gaps(source, in: window),
            seamUs: seamUs, deletedToUs: source.deletedToUs)
    }
}
