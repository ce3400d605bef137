// A recording volume against the rows that the catalogue has of it. Both change while we look: files are sealed and deleted,
// rows come and go a little later. So the files are listed first, each difference is looked at again, and what is young is
// given its time. Calls block; they take turns.

import Synchronization
import Volume
import Wire

/// What was compared so far.
struct RecordingReport: Sendable {
    var findings = Findings()
    var rows = 0
    /// Files on the volume when it was listed.
    var files = 0
    var bytes: Int64 = 0
    /// Files so young that their row may still come.
    var onTheirWay = 0
    /// Rows whose file is not there: to be asked for again, because it may have been deleted in good order.
    var withoutFile: [String] = []
}

final class RecordingComparison: Sendable {
    private struct Listed {
        let sizeBytes: Int64
        let modifiedUs: Int64
    }

    private struct State {
        /// Files that no row was seen of yet.
        var unclaimed: [String: Listed] = [:]
        var report = RecordingReport()
    }

    private let volume: VolumeRoot
    private let depth: CheckDepth
    private let state = Mutex(State())

    init(_ volume: VolumeRoot, depth: CheckDepth) {
        self.volume = volume
        self.depth = depth
    }

    var report: RecordingReport { state.withLock { $0.report } }

    /// Lists the volume's files and looks into staging. Before any row is asked for.
    func listFiles(nowUs: Int64) throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            var unclaimed: [String: Listed] = [:]
            var bytes: Int64 = 0
            try volume.forEachFile { (entry) throws(VolumeError) in
                unclaimed[entry.path.string] = Listed(sizeBytes: entry.sizeBytes, modifiedUs: entry.modifiedUs)
                bytes += entry.sizeBytes
                return true
            }
            state.unclaimed = unclaimed
            state.report.files = unclaimed.count
            state.report.bytes = bytes
            state.report.findings.add(try ArchiveInspection.leftovers(of: volume, nowUs: nowUs))
        }
    }

    /// Compares rows with their files.
    func compare(_ rows: [MediaFile]) throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            for row in rows {
                state.report.rows += 1
                guard let text = row.path, let path = try? RelativePath(text) else { continue }
                var found = ContentFacts(sizeBytes: state.unclaimed.removeValue(forKey: text)?.sizeBytes)
                do throws(VolumeError) {
                    // A file that was sealed after the listing, or one to be read.
                    if found.sizeBytes == nil || (depth >= .hashes && row.sha256 != nil) {
                        let reader = try volume.reader(path)
                        found.sizeBytes = reader.sizeBytes
                        if depth >= .hashes, row.sha256 != nil { found.sha256 = try reader.digest().hexadecimal }
                    }
                } catch let error where error.kind == .missing {
                    try volume.checkStillThere()
                    state.report.withoutFile.append(text)
                    continue
                } catch {
                    try volume.checkStillThere()
                    state.report.findings.add(Finding(.unreadable, text, error.detail))
                    continue
                }
                guard depth > .names else { continue }
                let expected = ContentFacts(
                    sizeBytes: row.sizeBytes.map { Int64(clamping: $0) }, sha256: row.sha256.map(Digest.hexadecimal))
                state.report.findings.add(expected.differences(found, path: text, by: "the catalogue"))
            }
        }
    }

    /// After all rows: what is left has none.
    func judgeFilesWithoutRow(nowUs: Int64) throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            try volume.checkStillThere()
            for (text, listed) in state.unclaimed.sorted(by: { $0.key < $1.key }) {
                guard let path = try? RelativePath(text), volume.exists(path) else { continue }
                if nowUs - listed.modifiedUs < ArchiveInspection.settledUs {
                    state.report.onTheirWay += 1
                } else if Self.isOurs(path) {
                    state.report.findings.add(Finding(.noRow, text, "\(listed.sizeBytes) bytes"))
                } else {
                    state.report.findings.add(Finding(.foreign, text, "\(listed.sizeBytes) bytes"))
                }
            }
            state.unclaimed = [:]
        }
    }

    /// Rows whose file was not there and that the catalogue has still: is the file there now?
    func judgeRowsWithoutFile(_ known: [String]) throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            try volume.checkStillThere()
            for text in known {
                guard let path = try? RelativePath(text), !volume.exists(path) else { continue }
                state.report.findings.add(Finding(.noFile, text, ""))
            }
        }
    }

    /// Nothing is on the volume of all that the catalogue has: that is no list of files, but another disk.
    func giveUp(afterRows rows: Int) {
        state.withLock { state in
            state.report.findings.add(
                Finding(.emptyVolume, volume.path, "the catalogue has \(rows) files or more of it, the folder has none")
            )
        }
    }

    /// Whether the name is one that a controller gives; a stream's configured folder may lie in front of it.
    private static func isOurs(_ path: RelativePath) -> Bool {
        guard let layout = try? RelativePath(path.parts.suffix(7).joined(separator: "/")) else { return false }
        return RecordingLayout.parse(layout) != nil
    }
}
