// What the indexer answers, as JSON for programs. Keys are the contract's field names; absent fields are left out; times are
// microseconds since 1970.

import JSON
import Volume
import Wire

extension JSONValue {
    static func of(_ camera: CameraSummary) -> JSONValue {
        .fields([
            "camera": .string(optional: camera.camera), "source": of(camera.source),
            "oldest_us": .integer(optional: camera.oldestUs),
            "newest_us": .integer(optional: camera.newestUs), "segments": .integer(optional: camera.segments),
            "snapshots": .integer(optional: camera.snapshots), "bytes": .integer(optional: camera.bytes),
        ])
    }

    static func of(_ day: DayCount) -> JSONValue {
        .fields([
            "day_us": .integer(optional: day.dayUs), "camera": .string(optional: day.camera), "source": of(day.source),
            "segments": .integer(optional: day.segments), "snapshots": .integer(optional: day.snapshots),
            "bytes": .integer(optional: day.bytes),
        ])
    }

    static func of(_ gap: Gap) -> JSONValue {
        .fields([
            "source": of(gap.source), "window": of(gap.window), "cause": .string(optional: gap.cause),
            "reason": .string(optional: gap.reason),
            "run_id": .string(optional: gap.runID), "frames_lost": .integer(optional: gap.framesLost),
        ])
    }

    static func of(_ coverage: CoverageReply, camera: String? = nil) -> JSONValue {
        .fields([
            "camera": .string(optional: camera),
            "covered": .array(coverage.covered.compactMap { of($0) }), "gaps": .array(coverage.gaps.map { of($0) }),
            "segments": .integer(optional: coverage.segments), "bytes": .integer(optional: coverage.bytes),
        ])
    }

    static func of(_ camera: RequestedCamera) -> JSONValue {
        .fields([
            "camera": .string(optional: camera.camera), "source": of(camera.source),
            "footage": .string(optional: camera.footage?.name),
            "footage_reason": .string(optional: camera.footageReason),
        ])
    }

    static func of(_ file: DeliveredFile) -> JSONValue {
        .fields([
            "item_id": .integer(optional: file.itemID), "kind": .string(optional: file.kind?.name),
            "state": .string(optional: file.state?.name),
            "camera": .string(optional: file.camera), "window": of(file.window),
            "archive_path": .string(optional: file.archivePath),
            "blob_url": .string(optional: file.blobURL), "size_bytes": .integer(optional: file.sizeBytes),
            "sha256": .string(optional: file.sha256.map(Digest.hexadecimal)), "error": .string(optional: file.error),
            "source_volume_id": .string(optional: file.sourceVolumeID),
            "source_path": .string(optional: file.sourcePath),
        ])
    }

    static func of(_ request: ArchiveRequest) -> JSONValue {
        .fields([
            "request_id": .string(optional: request.requestID), "state": .string(optional: request.state?.name),
            "reason": .string(optional: request.reason),
            "window": of(request.window), "cameras": .array(request.cameras.map { of($0) }),
            "delivery": .string(optional: request.delivery?.name), "mode": .string(optional: request.mode?.name),
            "requested_by": .string(optional: request.requestedBy), "why": .string(optional: request.why),
            "accepted_us": .integer(optional: request.acceptedUs), "copying_us": .integer(optional: request.copyingUs),
            "archived_us": .integer(optional: request.archivedUs),
            "finished_us": .integer(optional: request.finishedUs),
            "event_keys": .array(request.eventKeys.map { .string($0) }), "files": .array(request.files.map { of($0) }),
            "gaps": .array(request.gaps.map { of($0) }), "bytes_total": .integer(optional: request.bytesTotal),
            "bytes_archived": .integer(optional: request.bytesArchived),
            "bytes_uploaded": .integer(optional: request.bytesUploaded),
            "manifest_path": .string(optional: request.manifestPath),
            "priority": .integer(optional: request.priority.map { Int64($0) }),
            "due_us": .integer(optional: request.dueUs),
        ])
    }

    static func of(_ uploads: ListUploadsReply) -> JSONValue {
        let pace = UploadPace(uploads)
        return .fields([
            "waiting_files": .integer(optional: uploads.waitingFiles),
            "waiting_bytes": .integer(optional: uploads.waitingBytes),
            "active_files": .integer(optional: uploads.activeFiles),
            "active_bytes": .integer(optional: uploads.activeBytes),
            "set_aside_files": .integer(optional: uploads.setAsideFiles),
            "set_aside_bytes": .integer(optional: uploads.setAsideBytes),
            "oldest_us": .integer(optional: uploads.oldestUs),
            "minute_files": .integer(optional: uploads.minuteFiles),
            "minute_bytes": .integer(optional: uploads.minuteBytes),
            "hour_files": .integer(optional: uploads.hourFiles), "hour_bytes": .integer(optional: uploads.hourBytes),
            "newest_uploaded_us": .integer(optional: uploads.newestUploadedUs),
            "bytes_per_second": .integer(optional: pace.bytesPerSecond),
            "seconds_left": .integer(optional: pace.secondsLeft), "items": .array(uploads.items.map { of($0) }),
        ])
    }

    static func of(_ item: UploadItem) -> JSONValue {
        .fields([
            "item_id": .integer(optional: item.itemID), "kind": .string(optional: item.kind?.name),
            "state": .string(optional: item.state?.name), "camera": .string(optional: item.camera),
            "archive_path": .string(optional: item.archivePath), "size_bytes": .integer(optional: item.sizeBytes),
            "sent_bytes": .integer(optional: item.sentBytes), "worker": .string(optional: item.worker),
            "attempts": .integer(optional: item.attempts), "error": .string(optional: item.error),
            "archived_us": .integer(optional: item.archivedUs), "retry_us": .integer(optional: item.retryUs),
            "priority": .integer(optional: item.priority.map { Int64($0) }), "due_us": .integer(optional: item.dueUs),
            "request_ids": .array(item.requestIDs.map { .string($0) }),
        ])
    }

    static func of(_ hold: Hold) -> JSONValue {
        .fields([
            "hold_id": .string(optional: hold.holdID), "kind": .string(optional: hold.kind?.name),
            "camera": .string(optional: hold.camera),
            "source": of(hold.source), "window": of(hold.window), "placed_by": .string(optional: hold.placedBy),
            "reason": .string(optional: hold.reason), "placed_us": .integer(optional: hold.placedUs),
            "request_id": .string(optional: hold.requestID),
        ])
    }

    static func of(_ entry: AuditEntry) -> JSONValue {
        .fields([
            "at_us": .integer(optional: entry.atUs), "who": .string(optional: entry.who),
            "action": .string(optional: entry.action),
            "subject": .string(optional: entry.subject), "detail": .string(optional: entry.detail),
        ])
    }
}
