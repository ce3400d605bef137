// RecordMedia, ReportVolume, ListFiles: what controllers tell of their volumes, and what we believe them to hold.

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

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.recordMedia) { request, _ in try await recordMedia(request) }
        server.handle(IndexerMethods.reportVolume) { request, _ in try await reportVolume(request) }
        server.handle(IndexerMethods.listFiles) { request, _ in try await listFiles(request) }
    }

    /// Stores a batch in one transaction. A bad record is rejected with its reason and costs the others nothing.
    func recordMedia(_ request: RecordMediaRequest) async throws -> RecordMediaReply {
        let controllerID = try Check.someText(request.controllerID, "controller_id")
        guard request.records.count <= Self.mostRecords else {
            throw RPCError.invalidArgument(
                "records", "has \(request.records.count) records: at most \(Self.mostRecords) are allowed")
        }
        var good: [(spoolID: UInt64, record: CheckedRecord)] = []
        var rejected: [RejectedRecord] = []
        for (index, record) in request.records.enumerated() {
            do throws(RPCError) {
                good.append((record.spoolID ?? 0, try Self.check(record, "records[\(index)]")))
            } catch {
                let place = error.field.map { "\($0) " } ?? ""
                rejected.append(RejectedRecord(spoolID: record.spoolID, message: place + error.message))
            }
        }
        let checked = good
        var reply = try await catalogue.write { turn in
            try turn.record(checked, controllerID: controllerID)
        }
        reply.rejected = rejected + reply.rejected
        counters.recorded(reply.acknowledged.count, rejected: reply.rejected.count)
        return reply
    }

    func reportVolume(_ request: ReportVolumeRequest) async throws -> ReportVolumeReply {
        guard let volume = request.volume else { throw RPCError.invalidArgument("volume", "is missing") }
        let volumeID = try Check.someText(volume.volumeID, "volume.volume_id")
        let owner = try Check.someText(request.owner, "owner")
        let address = try Check.text(request.ownerAddress, "owner_address", maximumBytes: 512)
        guard let role = volume.role, role == "recording" || role == "archive" else {
            throw RPCError.invalidArgument("volume.role", "must be 'recording' or 'archive'")
        }
        _ = try Check.count(volume.totalBytes, "volume.total_bytes")
        _ = try Check.count(volume.freeBytes, "volume.free_bytes")
        try await catalogue.write { turn in
            try turn.storeVolume(volume, id: volumeID, role: role, owner: owner, address: address)
        }
        return ReportVolumeReply()
    }

    func listFiles(_ request: ListFilesRequest) async throws -> ListFilesReply {
        let volumeID = try Check.someText(request.volumeID, "volume_id")
        let after = try Check.text(request.afterPath, "after_path")
        let limit = try Check.bounded(request.limit, "limit", default: 1000, 1...2000)
        return try await catalogue.read { db in try db.files(volumeID: volumeID, after: after, limit: limit) }
    }

    // MARK: - Checks

    static func check(_ record: MediaRecord, _ place: String) throws(RPCError) -> CheckedRecord {
        let given = [record.file != nil, record.run != nil, record.anchor != nil, record.gap != nil].count { $0 }
        guard given == 1 else {
            throw .invalidArgument(place, "must have exactly one of file, run, anchor and gap, not \(given)")
        }
        if let file = record.file { return .media(try check(file, "\(place).file")) }
        if let run = record.run { return try check(run, "\(place).run") }
        if let anchor = record.anchor { return try check(anchor, "\(place).anchor") }
        return try check(record.gap ?? Gap(), "\(place).gap")
    }

    private static func check(_ file: MediaFile, _ place: String) throws(RPCError) -> NewMedia {
        let volumeID = try Check.someText(file.volumeID, "\(place).volume_id")
        let path = try Check.path(file.path, "\(place).path")
        let source = try Check.source(file.source, "\(place).source")
        let start = try Check.time(file.startUs, "\(place).start_us")
        let end = try Check.time(file.endUs, "\(place).end_us")
        let kind = file.kind ?? .unspecified
        switch kind {
        case .segment:
            guard end > start else {
                throw .invalidArgument("\(place).end_us", "must be greater than start_us for a segment")
            }
            guard end - start <= EventWindow.longestUs else {
                throw .invalidArgument("\(place).end_us", "a segment has at most 24 hours")
            }
        case .snapshot:
            guard end == start else {
                throw .invalidArgument("\(place).end_us", "must be equal to start_us for a snapshot")
            }
        case .unspecified, .unrecognized:
            throw .invalidArgument("\(place).kind", "is missing or unknown: segment and snapshot are allowed")
        }
        let asset = try file.stream.map { stream throws(RPCError) in
            _ = try Check.name(stream.stream, "\(place).stream.stream")
            return try Check.name(stream.asset, "\(place).stream.asset")
        }
        let ending = file.fileExtension ?? path.name.split(separator: ".").last.map(String.init) ?? ""
        let isPlain = ending.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        guard (1...16).contains(ending.utf8.count), isPlain, ending.lowercased() != "json" else {
            throw .invalidArgument("\(place).file_extension", "is 1 to 16 letters and digits, and not 'json'")
        }
        _ = try Check.digest(file.sha256, "\(place).sha256")
        var checked = file
        checked.fileExtension = ending
        if file.sha256?.isEmpty == true { checked.sha256 = nil }
        return NewMedia(
            file: checked, source: source, volumeID: volumeID, path: path.string, kind: kind, span: Span(start, end),
            sizeBytes: try Check.count(file.sizeBytes, "\(place).size_bytes"),
            leaseEpoch: try Check.count(file.leaseEpoch, "\(place).lease_epoch"),
            runID: try Check.text(file.runID, "\(place).run_id", maximumBytes: 128), asset: asset)
    }

    private static func check(_ run: Run, _ place: String) throws(RPCError) -> CheckedRecord {
        if let ended = run.endedUs { _ = try Check.time(ended, "\(place).ended_us") }
        _ = try Check.text(run.endReason, "\(place).end_reason")
        return .run(
            run, id: try Check.someText(run.runID, "\(place).run_id"),
            source: try Check.source(run.source, "\(place).source"),
            startedUs: try Check.time(run.startedUs, "\(place).started_us"),
            leaseEpoch: try Check.count(run.leaseEpoch, "\(place).lease_epoch"))
    }

    private static func check(_ anchor: Anchor, _ place: String) throws(RPCError) -> CheckedRecord {
        let runID = try Check.someText(anchor.runID, "\(place).run_id")
        guard let version = anchor.version else { throw .invalidArgument("\(place).version", "is missing") }
        guard (-500...500).contains(anchor.ratePpm ?? 0) else {
            throw .invalidArgument("\(place).rate_ppm", "is \(anchor.ratePpm ?? 0): -500 to 500 are allowed")
        }
        guard let mediaUs = anchor.mediaUs else { throw .invalidArgument("\(place).media_us", "is missing") }
        _ = try Check.text(anchor.origin, "\(place).origin", maximumBytes: 64)
        return .anchor(
            anchor, runID: runID, version: Int64(version), mediaUs: mediaUs,
            wallUs: try Check.time(anchor.wallUs, "\(place).wall_us"))
    }

    private static func check(_ gap: Gap, _ place: String) throws(RPCError) -> CheckedRecord {
        // Longer than the contract's window: a camera that was dark for a week is one report.
        let span = try Check.window(gap.window, "\(place).window", longestUs: Timeline.longestGapUs)
        return .gap(
            KnownGap(
                span: span, cause: try Check.someText(gap.cause, "\(place).cause", maximumBytes: 64),
                reason: try Check.text(gap.reason, "\(place).reason"),
                runID: try Check.text(gap.runID, "\(place).run_id", maximumBytes: 128),
                framesLost: Int64(gap.framesLost ?? 0)), try Check.source(gap.source, "\(place).source"))
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
