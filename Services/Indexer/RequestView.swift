// How a request is shown: to who asks (ArchiveRequest), and in its manifest.

import Crypto
import GRDB
import RPC
import Volume
import Wire

/// SHA-256 of a document.
func sha256(_ bytes: [UInt8]) -> [UInt8] { [UInt8](SHA256.hash(data: bytes)) }

extension Database {
    /// At most so many event keys are shown; a window of ten minutes may hold half a million.
    private static let mostEventKeys = 200
    /// At most so many gaps are shown, the rest is in the manifest.
    private static let mostGaps = 500

    /// The request as a reply shows it. Files and gaps only `inFull`; those that do not fit into one message are left out,
    /// files with an error never are; the byte counts always speak of all.
    func view(_ request: RequestRow, inFull: Bool) throws -> ArchiveRequest {
        let cameras = try cameras(of: request.requestID)
        var view = ArchiveRequest(
            requestID: request.requestID, state: request.machine.state,
            reason: request.machine.reason.isEmpty ? nil : request.machine.reason, window: request.window.window,
            cameras: cameras.map { camera in
                RequestedCamera(
                    camera: camera.camera, source: camera.source.name, footage: camera.footage,
                    footageReason: camera.footageReason.isEmpty ? nil : camera.footageReason)
            },
            delivery: request.machine.delivery, mode: request.mode, requestedBy: request.requestedBy,
            why: request.why, acceptedUs: request.acceptedUs, copyingUs: request.machine.copyingUs,
            archivedUs: request.machine.archivedUs, finishedUs: request.machine.finishedUs,
            eventKeys: try eventKeys(of: request.requestID, limit: inFull ? Self.mostEventKeys : 20),
            manifestPath: request.manifestPath, cursor: UInt64(clamping: request.cursor),
            priority: Int32(clamping: request.priority), kinds: request.kinds.wire, dueUs: request.dueUs)
        let bytes = try row(
            """
            SELECT COALESCE(SUM(size_bytes), 0) AS total,
              COALESCE(SUM(CASE WHEN progress IN (1, 2, 4) THEN size_bytes END), 0) AS archived,
              COALESCE(SUM(CASE WHEN progress = 2 THEN size_bytes END), 0) AS uploaded
            FROM request_items JOIN items USING (item_id) WHERE request_id = ?
            """, [request.requestID])
        if let bytes {
            view.bytesTotal = UInt64(clamping: bytes["total"] as Int64)
            view.bytesArchived = UInt64(clamping: bytes["archived"] as Int64)
            view.bytesUploaded = UInt64(clamping: bytes["uploaded"] as Int64)
        }
        guard inFull else { return view }
        for (position, camera) in cameras.enumerated() {
            let missing = try missing(request.requestID, position: position)
            view.gaps += missing.prefix(Self.mostGaps - view.gaps.count).map { $0.wire(camera.source) }
        }
        var room = MessageRoom()
        _ = room.take(view.encoded().count)
        let files = try items(of: request.requestID).map(Self.file)
        var shown = files.filter { $0.error != nil && room.take($0.encoded().count) }
        shown += files.filter { $0.error == nil && room.take($0.encoded().count) }
        view.files = shown.sorted { ($0.itemID ?? 0) < ($1.itemID ?? 0) }
        return view
    }

    /// Newest first, without files and gaps.
    func list(state: RequestState?, openOnly: Bool, limit: Int, beforeUs: Int64) throws -> [ArchiveRequest] {
        var sql = "SELECT * FROM requests WHERE accepted_us < ?"
        var arguments: StatementArguments = [beforeUs]
        if let state {
            sql += " AND state = ?"
            arguments += [state.rawValue]
        }
        if openOnly { sql += " AND state <= 4" }
        arguments += [limit]
        var room = MessageRoom()
        return try rows(sql + " ORDER BY accepted_us DESC, request_id LIMIT ?", arguments)
            .map { try view(RequestRow($0), inFull: false) }.prefix { room.take($0.encoded().count) }
    }

    private static func file(_ item: ItemRow) -> DeliveredFile {
        let machine = item.machine
        return DeliveredFile(
            itemID: UInt64(clamping: item.itemID), kind: item.kind, state: machine.state,
            archivePath: item.archivePath, blobURL: machine.blobURL, camera: item.camera.isEmpty ? nil : item.camera,
            window: item.span.isEmpty ? Window(startUs: item.span.startUs, endUs: item.span.endUs) : item.span.window,
            sizeBytes: machine.sizeBytes.map { UInt64(clamping: $0) }, sha256: machine.sha256,
            error: machine.error.isEmpty ? nil : machine.error, sourceVolumeID: item.mediaVolumeID,
            sourcePath: item.mediaPath)
    }
}

extension Turn {
    /// The manifest of a request whose media is all archived or given up.
    func manifest(of request: RequestRow) throws -> Manifest {
        var cameras: [Manifest.Camera] = []
        var gapsLeft = 1000
        for (position, camera) in try db.cameras(of: request.requestID).enumerated() {
            let missing = try db.missing(request.requestID, position: position)
            let holes = CoverageMap.joined(missing.map(\.span))
            let listed = missing.prefix(gapsLeft)
            gapsLeft -= listed.count
            cameras.append(
                Manifest.Camera(
                    camera: camera.camera, source: camera.source.text,
                    covered: CoverageMap.uncovered(request.window, by: holes).prefix(1000).map(Manifest.TimeSpan.init),
                    gaps: listed.map { gap in
                        Manifest.MissingSpan(
                            start: documentTime(gap.span.startUs), end: documentTime(gap.span.endUs), cause: gap.cause,
                            reason: gap.reason, framesLost: gap.framesLost > 0 ? gap.framesLost : nil)
                    }, gapsOmitted: listed.count < missing.count ? missing.count - listed.count : nil))
        }
        let files = try db.items(of: request.requestID).filter { $0.kind != .manifest }.map { item in
            let isArchived = item.machine.progress != .poisoned
            return Manifest.File(
                path: item.archivePath, kind: item.kind.name, camera: item.camera,
                start: documentTime(item.span.startUs), end: documentTime(item.span.endUs),
                sizeBytes: isArchived ? item.machine.sizeBytes : nil,
                sha256: isArchived ? item.machine.sha256.map(Digest.hexadecimal) : nil,
                sourceVolumeID: item.mediaVolumeID,
                sourcePath: item.mediaPath, error: isArchived ? nil : item.machine.error)
        }
        return Manifest(
            requestID: request.requestID, window: Manifest.TimeSpan(request.window), requestedBy: request.requestedBy,
            reason: request.why, eventKeys: try db.eventKeys(of: request.requestID, limit: 200),
            accepted: documentTime(request.acceptedUs), mode: request.mode.name, cameras: cameras, files: files,
            part: 1, parts: 1)
    }
}
