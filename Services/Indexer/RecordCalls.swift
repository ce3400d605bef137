// RecordMedia, ReportVolume, ListFiles: what controllers tell of their volumes, and what we believe them to hold.

import Foundation
import GRDB
import RPC
import ServiceKit
import Wire

/// A checked record.
enum CheckedRecord: Sendable {
    case media(NewMedia)
    case run(Run, id: String, source: SourceID, startedUs: Int64, leaseEpoch: Int64)
    case anchor(Anchor, runID: String, version: Int64, mediaUs: Int64, wallUs: Int64)
    case gap(KnownGap, SourceID)

    /// The source that it speaks of; nil for an anchor.
    var source: SourceID? {
        switch self {
        case .media(let new): new.source
        case .run(_, _, let source, _, _): source
        case .anchor: nil
        case .gap(_, let source): source
        }
    }
}

struct RecordCalls: Sendable {
    let catalogue: Catalogue
    let counters: IndexerCounters

    static let mostRecords = 500
    /// A call with more records is a backlog, whose sender waits to send the next.
    static let routineRecords = 64

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.recordMedia) { request, _ in try await recordMedia(request) }
        server.handle(IndexerMethods.reportVolume) { request, _ in try await reportVolume(request) }
        server.handleEncoded(IndexerMethods.listFiles) { request, _ in try await listFiles(request) }
    }

    /// Stores a batch in one transaction. A bad record is rejected with its reason and costs the others nothing.
    func recordMedia(_ request: RecordMediaRequest) async throws -> RecordMediaReply {
        let controllerID = try FieldCheck.someText(request.controllerID, "controller_id")
        try FieldCheck.entries(request.records, "records", 0...Self.mostRecords)
        var good: [(spoolID: UInt64, record: CheckedRecord)] = []
        var rejected: [RejectedRecord] = []
        for (index, record) in request.records.enumerated() {
            do throws(RPCError) {
                let checked = try Self.check(record, "records[\(index)]")
                guard let spoolID = record.spoolID else {
                    throw FieldCheck.wrong("records[\(index)].spool_id", "is missing: the reply could not name it")
                }
                good.append((spoolID, checked))
            } catch {
                rejected.append(RejectedRecord(spoolID: record.spoolID, message: error.message))
            }
        }
        let checked = good
        // Footage that somebody waits for is urgent; what came in the ordinary course of recording is not.
        let isAwaited = try await catalogue.read { db in try db.isFootageAwaited() }
        let isUrgent = isAwaited || checked.count > Self.routineRecords
        var reply = try await catalogue.write(isUrgent ? .now : .soon) { turn in
            try turn.record(checked, controllerID: controllerID)
        }
        reply.rejected = rejected + reply.rejected
        counters.recorded(reply.acknowledged.count, rejected: reply.rejected.count)
        return reply
    }

    func reportVolume(_ request: ReportVolumeRequest) async throws -> ReportVolumeReply {
        guard let volume = request.volume else { throw FieldCheck.wrong("volume", "is missing") }
        let volumeID = try FieldCheck.someText(volume.volumeID, "volume.volume_id")
        let owner = try FieldCheck.someText(request.owner, "owner")
        let given = request.ownerAddress ?? ""
        let address = given.isEmpty ? "" : try FieldCheck.address(given, "owner_address")
        guard let role = volume.role, role == "recording" || role == "archive" else {
            throw FieldCheck.wrong("volume.role", "must be 'recording' or 'archive'")
        }
        _ = try FieldCheck.count(volume.totalBytes, "volume.total_bytes")
        _ = try FieldCheck.count(volume.freeBytes, "volume.free_bytes")
        try await catalogue.write(.soon) { turn in
            try turn.storeVolume(volume, id: volumeID, role: role, owner: owner, address: address)
        }
        return ReportVolumeReply()
    }

    /// Gives a ListFilesReply.
    func listFiles(_ request: ListFilesRequest) async throws -> EncodedMessage {
        let volumeID = try FieldCheck.someText(request.volumeID, "volume_id")
        let after = try FieldCheck.text(request.afterPath, "after_path")
        let limit = try FieldCheck.bounded(request.limit, "limit", default: 1000, 1...2000)
        return try await catalogue.read { db in try db.files(volumeID: volumeID, after: after, limit: limit) }
    }

    // MARK: - Checks

    static func check(_ record: MediaRecord, _ place: @autoclosure () -> String) throws(RPCError) -> CheckedRecord {
        let given = [record.file != nil, record.run != nil, record.anchor != nil, record.gap != nil].count { $0 }
        guard given == 1 else {
            throw FieldCheck.wrong(place(), "must have exactly one of file, run, anchor and gap, not \(given)")
        }
        if let file = record.file { return .media(try check(file, "\(place()).file")) }
        if let run = record.run { return try check(run, "\(place()).run") }
        if let anchor = record.anchor { return try check(anchor, "\(place()).anchor") }
        return try check(record.gap ?? Gap(), "\(place()).gap")
    }

    private static func check(_ file: MediaFile, _ place: @autoclosure () -> String) throws(RPCError) -> NewMedia {
        let volumeID = try FieldCheck.someText(file.volumeID, "\(place()).volume_id")
        let path = try FieldCheck.path(file.path, "\(place()).path")
        let source = try FieldCheck.sourceID(file.source, "\(place()).source")
        let start = try FieldCheck.time(file.startUs, "\(place()).start_us")
        let end = try FieldCheck.time(file.endUs, "\(place()).end_us")
        let kind = file.kind ?? .unspecified
        switch kind {
        case .segment, .rendition:
            guard end > start else {
                throw FieldCheck.wrong("\(place()).end_us", "must be greater than start_us for a \(kind.name)")
            }
            guard end - start <= FieldCheck.longestWindowUs else {
                throw FieldCheck.wrong(
                    "\(place()).end_us", "lies more than 24 hours after start_us: a \(kind.name) is no longer")
            }
        case .snapshot:
            guard end == start else {
                throw FieldCheck.wrong("\(place()).end_us", "must be equal to start_us for a snapshot")
            }
        case .unspecified, .unrecognized:
            throw FieldCheck.wrong(
                "\(place()).kind", "is missing or unknown: segment, snapshot and rendition are allowed")
        }
        let asset = try file.stream.map { stream throws(RPCError) in
            try FieldCheck.stream(stream, "\(place()).stream").asset
        }
        let ending = file.fileExtension ?? path.name.split(separator: ".").last.map(String.init) ?? ""
        let isPlain = ending.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        guard (1...16).contains(ending.utf8.count), isPlain, ending.lowercased() != "json" else {
            throw FieldCheck.wrong("\(place()).file_extension", "is not 1 to 16 letters and digits, or is 'json'")
        }
        _ = try FieldCheck.digest(file.sha256, "\(place()).sha256")
        var checked = file
        checked.fileExtension = ending
        if file.sha256?.isEmpty == true { checked.sha256 = nil }
        return NewMedia(
            record: Data(checked.encoded()), source: source, volumeID: volumeID, path: path.string,
            kind: kind, span: Span(start, end),
            sizeBytes: try FieldCheck.fileSize(file.sizeBytes, "\(place()).size_bytes"),
            leaseEpoch: try FieldCheck.count(file.leaseEpoch, "\(place()).lease_epoch"),
            runID: try FieldCheck.text(file.runID, "\(place()).run_id", maximumBytes: 128), asset: asset,
            isSalvaged: file.salvaged == true)
    }

    private static func check(_ run: Run, _ place: @autoclosure () -> String) throws(RPCError) -> CheckedRecord {
        try FieldCheck.timeIfAny(run.endedUs, "\(place()).ended_us")
        _ = try FieldCheck.text(run.endReason, "\(place()).end_reason")
        _ = try FieldCheck.text(run.controllerID, "\(place()).controller_id", maximumBytes: 128)
        return .run(
            run, id: try FieldCheck.someText(run.runID, "\(place()).run_id"),
            source: try FieldCheck.sourceID(run.source, "\(place()).source"),
            startedUs: try FieldCheck.time(run.startedUs, "\(place()).started_us"),
            leaseEpoch: try FieldCheck.count(run.leaseEpoch, "\(place()).lease_epoch"))
    }

    private static func check(_ anchor: Anchor, _ place: @autoclosure () -> String) throws(RPCError) -> CheckedRecord {
        let runID = try FieldCheck.someText(anchor.runID, "\(place()).run_id")
        guard let version = anchor.version else { throw FieldCheck.wrong("\(place()).version", "is missing") }
        guard (-500...500).contains(anchor.ratePpm ?? 0) else {
            throw FieldCheck.wrong("\(place()).rate_ppm", "is \(anchor.ratePpm ?? 0): -500 to 500 are allowed")
        }
        guard let mediaUs = anchor.mediaUs else { throw FieldCheck.wrong("\(place()).media_us", "is missing") }
        _ = try FieldCheck.text(anchor.origin, "\(place()).origin", maximumBytes: 64)
        return .anchor(
            anchor, runID: runID, version: Int64(version), mediaUs: mediaUs,
            wallUs: try FieldCheck.time(anchor.wallUs, "\(place()).wall_us"))
    }

    private static func check(_ gap: Gap, _ place: @autoclosure () -> String) throws(RPCError) -> CheckedRecord {
        // Longer than the contract's window: a camera that was dark for a week is one report.
        let span = try FieldCheck.span(gap.window, "\(place()).window", longestUs: Timeline.longestGapUs)
        return .gap(
            KnownGap(
                span: span, cause: try FieldCheck.someText(gap.cause, "\(place()).cause", maximumBytes: 64),
                reason: try FieldCheck.text(gap.reason, "\(place()).reason"),
                runID: try FieldCheck.text(gap.runID, "\(place()).run_id", maximumBytes: 128),
                framesLost: Int64(gap.framesLost ?? 0)), try FieldCheck.sourceID(gap.source, "\(place()).source"))
    }
}

extension Turn {
    /// Stores a checked batch, then moves on whoever waited for it.
    func record(_ batch: [(spoolID: UInt64, record: CheckedRecord)], controllerID: String) throws -> RecordMediaReply {
        var reply = RecordMediaReply()
        var sources: Set<SourceID> = []
        for (spoolID, record) in batch {
            if let message = try store(record, controllerID: controllerID) {
                reply.rejected.append(RejectedRecord(spoolID: spoolID, message: message))
            } else {
                reply.acknowledged.append(spoolID)
                if let source = record.source { sources.insert(source) }
            }
        }
        try settle()
        for source in sources {
            if let row = try db.source(source) { try advanceWaiting(for: row.sourceID) }
        }
        return reply
    }

    /// Gives why a record is refused, or nil.
    private func store(_ record: CheckedRecord, controllerID: String) throws -> String? {
        switch record {
        case .media(let new):
            _ = try insertMedia(new)
        case .run(var run, let id, let source, let startedUs, let leaseEpoch):
            run.controllerID = run.controllerID ?? controllerID
            return try insertRun(run, runID: id, source: source, startedUs: startedUs, leaseEpoch: leaseEpoch)
        case .anchor(let anchor, let runID, let version, let mediaUs, let wallUs):
            try insertAnchor(anchor, runID: runID, version: version, mediaUs: mediaUs, wallUs: wallUs)
        case .gap(let gap, let source):
            try insertGap(gap, source: source)
        }
        return nil
    }
}
