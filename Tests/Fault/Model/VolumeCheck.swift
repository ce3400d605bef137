// Judges volumes against the catalogue: every file has its row and every row its file, nothing is left behind, segments do not
// overlap, gaps are named. Pure.

struct VolumeCheck {
    let history: FaultHistory
    let snapshot: Snapshot
    /// Whether no camera is recorded any more: then nothing at all may be in staging.
    let isAtRest: Bool

    /// Rounding between a track's time base and microseconds.
    static let overlapUs: Int64 = 1000

    func judge() -> [Violation] {
        agreement() + leftovers() + overlaps() + missing()
            + snapshot.unplayable.sorted { $0.key < $1.key }.map { Violation(.playback, $0.key, $0.value) }
    }

    private func agreement() -> [Violation] {
        var violations: [Violation] = []
        var known: Set<String> = []
        for row in snapshot.rows {
            if !known.insert(row.path).inserted { violations.append(Violation(.catalogue, row.path, "two rows")) }
            guard let file = snapshot.recorded[row.path] else {
                violations.append(Violation(.catalogue, row.path, "a row without a file"))
                continue
            }
            if file != row.fact {
                violations.append(
                    Violation(
                        .catalogue, row.path,
                        "the row says \(row.fact), the file has \(file)"))
            }
        }
        for path in snapshot.recorded.keys.sorted() where !known.contains(path) {
            violations.append(Violation(.catalogue, path, "a file without a row"))
        }
        return violations
    }

    private func leftovers() -> [Violation] {
        var violations = snapshot.archiveStaging.map {
            Violation(.leftover, "archive/.staging/\($0)", "left in staging")
        }
        for name in snapshot.recordingStaging {
            // "{owner}.{epoch}.{run}.{sequence}.mp4": the present runs' segments grow there.
            let isGrowing = !isAtRest && snapshot.liveRuns.contains { name.contains($0) }
            if !isGrowing { violations.append(Violation(.leftover, "recording/.staging/\(name)", "left in staging")) }
        }
        if snapshot.waitingItems > 0 {
            violations.append(Violation(.leftover, "indexer", "\(snapshot.waitingItems) items wait for a worker"))
        }
        if snapshot.spooledRecords > 0, isAtRest {
            violations.append(
                Violation(.leftover, "capture-controller", "\(snapshot.spooledRecords) records wait for the indexer"))
        }
        violations += snapshot.holds.map { Violation(.leftover, "indexer", "\($0) is held, and no request is open") }
        let named = Set(snapshot.requests.flatMap(\.files).map(\.path))
        let owned = named.union(named.map { RequestCheck.sidecar(of: $0) })
        for path in snapshot.archive.keys.sorted() where !owned.contains(path) {
            violations.append(Violation(.leftover, "archive/\(path)", "no request names this file"))
        }
        for path in snapshot.blobs.keys.sorted() where !owned.contains(path) {
            violations.append(Violation(.leftover, "blob \(path)", "no request names this blob"))
        }
        return violations
    }

    private func overlaps() -> [Violation] {
        var violations: [Violation] = []
        for (name, rows) in [("shown", snapshot.shown), ("stored", snapshot.rows)] {
            for camera in Camera.allCases {
                let ordered = rows.filter { $0.camera == camera && $0.isSegment }.sorted { $0.span < $1.span }
                for (row, next) in zip(ordered, ordered.dropFirst())
                where row.span.endUs > next.span.startUs + Self.overlapUs {
                    violations.append(
                        Violation(
                            .overlap, row.path,
                            "\(name): \(seconds(row.span.endUs - next.span.startUs)) are in \(next.path) too"))
                }
            }
        }
        return violations
    }

    /// Every time without footage is named, and while a camera was to be recorded only a fault makes one.
    private func missing() -> [Violation] {
        var violations: [Violation] = []
        for gap in snapshot.missing {
            if gap.cause == "expired", gap.span.endUs < snapshot.takenUs - RequestCheck.keptUs { continue }
            if gap.cause == "not_recorded" {
                violations.append(
                    Violation(.unexplained, gap.camera.rawValue, "nobody says why \(gap.span) is missing"))
            }
            let recorded = (history.recordings[gap.camera] ?? []).compactMap { $0.clipped(to: gap.span) }
            for part in recorded.flatMap({ $0.without(history.disturbed(gap.camera)) })
            where part.durationUs > RequestCheck.seamUs {
                violations.append(
                    Violation(
                        .gap, gap.camera.rawValue, "recorded, and \(part) is missing (\(gap.cause): \(gap.reason))"))
            }
        }
        return violations
    }
}
