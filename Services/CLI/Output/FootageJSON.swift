// What the indexer answers, as JSON.

import Wire

extension JSONText {
    static func of(_ camera: CameraSummary) -> JSONText {
        .object([
            ("camera", .text(camera.camera)), ("source", of(camera.source)), ("oldest_us", .integer(camera.oldestUs)),
            ("newest_us", .integer(camera.newestUs)), ("segments", .unsigned(camera.segments)),
            ("snapshots", .unsigned(camera.snapshots)), ("bytes", .unsigned(camera.bytes)),
        ])
    }

    static func of(_ gap: Gap) -> JSONText {
        .object([
            ("source", of(gap.source)), ("window", of(gap.window)), ("cause", .text(gap.cause)),
            ("reason", .text(gap.reason)),
            ("run_id", .text(gap.runID)), ("frames_lost", .unsigned(gap.framesLost)),
        ])
    }

    static func of(_ coverage: CoverageReply) -> JSONText {
        .object([
            ("covered", .list(coverage.covered.compactMap { of($0) })), ("gaps", .list(coverage.gaps.map { of($0) })),
            ("segments", .unsigned(coverage.segments)), ("bytes", .unsigned(coverage.bytes)),
        ])
    }

    static func of(_ camera: RequestedCamera) -> JSONText {
        .object([
            ("camera", .text(camera.camera)), ("source", of(camera.source)), ("footage", .text(camera.footage?.name)),
            ("footage_reason", .text(camera.footageReason)),
        ])
    }

    static func of(_ file: DeliveredFile) -> JSONText {
        .object([
            ("item_id", .unsigned(file.itemID)), ("kind", .text(file.kind?.name)), ("state", .text(file.state?.name)),
            ("camera", .text(file.camera)), ("window", of(file.window)), ("archive_path", .text(file.archivePath)),
            ("blob_url", .text(file.blobURL)), ("size_bytes", .unsigned(file.sizeBytes)),
            ("sha256", .text(file.sha256.map(hexText))), ("error", .text(file.error)),
            ("source_volume_id", .text(file.sourceVolumeID)), ("source_path", .text(file.sourcePath)),
        ])
    }

    static func of(_ request: ArchiveRequest) -> JSONText {
        .object([
            ("request_id", .text(request.requestID)), ("state", .text(request.state?.name)),
            ("reason", .text(request.reason)),
            ("window", of(request.window)), ("cameras", .list(request.cameras.map { of($0) })),
            ("delivery", .text(request.delivery?.name)), ("mode", .text(request.mode?.name)),
            ("requested_by", .text(request.requestedBy)), ("why", .text(request.why)),
            ("accepted_us", .integer(request.acceptedUs)), ("copying_us", .integer(request.copyingUs)),
            ("archived_us", .integer(request.archivedUs)), ("finished_us", .integer(request.finishedUs)),
            ("event_keys", .list(request.eventKeys.map { .text($0) })), ("files", .list(request.files.map { of($0) })),
            ("gaps", .list(request.gaps.map { of($0) })), ("bytes_total", .unsigned(request.bytesTotal)),
            ("bytes_archived", .unsigned(request.bytesArchived)), ("bytes_uploaded", .unsigned(request.bytesUploaded)),
            ("manifest_path", .text(request.manifestPath)), ("priority", .integer(request.priority.map { Int64($0) })),
        ])
    }

    static func of(_ hold: Hold) -> JSONText {
        .object([
            ("hold_id", .text(hold.holdID)), ("kind", .text(hold.kind?.name)), ("camera", .text(hold.camera)),
            ("source", of(hold.source)), ("window", of(hold.window)), ("placed_by", .text(hold.placedBy)),
            ("reason", .text(hold.reason)), ("placed_us", .integer(hold.placedUs)),
            ("request_id", .text(hold.requestID)),
        ])
    }

    static func of(_ entry: AuditEntry) -> JSONText {
        .object([
            ("at_us", .integer(entry.atUs)), ("who", .text(entry.who)), ("action", .text(entry.action)),
            ("subject", .text(entry.subject)), ("detail", .text(entry.detail)),
        ])
    }
}

/// Bytes in hexadecimal.
func hexText(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
