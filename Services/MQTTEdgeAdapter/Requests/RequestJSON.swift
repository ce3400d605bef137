// Receipts and requests as JSON: what an operator reads on N/media-sync/receipts and N/media-sync/requests. Pure.

import JSON
import RPC
import Wire

/// What became of a message: the retained receipt.
enum ReceiptJSON {
    /// The indexer has it.
    static func accepted(_ reply: SubmitReply, key: String, topic: String, atUs: Int64) -> JSONValue {
        let request = reply.request
        return .fields([
            "key": .string(key),
            "receipt": .string((reply.receipt ?? .accepted).name),
            "requestId": .string(optional: request?.requestID),
            "state": request?.state.map { .string($0.name) },
            "start": .time(request?.window?.startUs),
            "end": .time(request?.window?.endUs),
            "cameras": request.map { .array($0.cameras.map(RequestJSON.camera)) },
            "topic": .string(topic),
            "time": .time(atUs),
        ])
    }

    /// A cancellation.
    static func cancelled(_ request: ArchiveRequest, topic: String, atUs: Int64) -> JSONValue {
        .fields([
            "key": .string(optional: request.requestID),
            "receipt": .string("cancelled"),
            "requestId": .string(optional: request.requestID),
            "state": request.state.map { .string($0.name) },
            "topic": .string(topic),
            "time": .time(atUs),
        ])
    }

    /// Nothing is done about the message; `error` says why.
    static func rejected(_ error: RPCError, key: String, topic: String, atUs: Int64) -> JSONValue {
        .fields([
            "key": .string(key),
            "receipt": .string("rejected"),
            "error": ErrorJSON.of(error),
            "topic": .string(topic),
            "time": .time(atUs),
        ])
    }
}

/// An error as a person reads it.
enum ErrorJSON {
    static func of(_ error: RPCError) -> JSONValue {
        .fields([
            "code": .string(error.code.name),
            "message": .string(error.message),
            "field": .nonEmpty(error.field),
        ])
    }
}

/// The state of a request: the retained answer to "what became of it, and where is it".
enum RequestJSON {
    /// More files than this are not listed, because the message has to stay small; the manifest has them all.
    static let maximumFiles = 500
    /// As many gaps are listed.
    static let maximumGaps = 200

    /// Room for topic and properties in a packet.
    private static let overheadBytes = 1_024

    /// As bytes that fit the broker's packet: with fewer files and gaps where there are too many.
    static func encoded(_ request: ArchiveRequest, bytesInFlight: UInt64?, maximumBytes: Int?) -> [UInt8] {
        var files = maximumFiles
        var gaps = maximumGaps
        while true {
            let bytes = render(request, bytesInFlight: bytesInFlight, files: files, gaps: gaps).encoded()
            guard let maximumBytes, bytes.count + overheadBytes > maximumBytes, files + gaps > 0 else { return bytes }
            files /= 2
            gaps /= 2
        }
    }

    static func render(
        _ request: ArchiveRequest, bytesInFlight: UInt64? = nil, files: Int = maximumFiles, gaps: Int = maximumGaps
    ) -> JSONValue {
        let delivered = request.files.filter { $0.kind != .manifest }
        return .fields([
            "requestId": .string(optional: request.requestID),
            "state": .string((request.state ?? .unspecified).name),
            "reason": .nonEmpty(request.reason),
            "start": .time(request.window?.startUs),
            "end": .time(request.window?.endUs),
            "cameras": .array(request.cameras.map(camera)),
            "delivery": request.delivery.map { .string($0.name) },
            "mode": request.mode.map { .string($0.name) },
            "requestedBy": .nonEmpty(request.requestedBy),
            "why": .nonEmpty(request.why),
            "eventKeys": request.eventKeys.isEmpty ? nil : .array(request.eventKeys.map { .string($0) }),
            "dueAt": .time(request.dueUs),
            "acceptedAt": .time(request.acceptedUs),
            "copyingAt": .time(request.copyingUs),
            "archivedAt": .time(request.archivedUs),
            "finishedAt": .time(request.finishedUs),
            "bytesTotal": .integer(optional: request.bytesTotal),
            "bytesArchived": .integer(optional: request.bytesArchived),
            "bytesUploaded": .integer(optional: request.bytesUploaded),
            "bytesInFlight": .integer(optional: bytesInFlight),
            "filesTotal": .integer(delivered.count),
            "files": .array(delivered.prefix(files).map(file)),
            "gapsTotal": .integer(optional: request.gaps.count),
            "gaps": .array(request.gaps.prefix(gaps).map(gap)),
            "manifestPath": .nonEmpty(request.manifestPath),
        ])
    }

    /// One line of a list: what is in the retained status in full.
    static func summary(_ request: ArchiveRequest) -> JSONValue {
        .fields([
            "requestId": .string(optional: request.requestID),
            "state": .string((request.state ?? .unspecified).name),
            "reason": .nonEmpty(request.reason),
            "start": .time(request.window?.startUs),
            "end": .time(request.window?.endUs),
            "cameras": .array(request.cameras.map { .string(optional: $0.camera) ?? .string("") }),
            "requestedBy": .nonEmpty(request.requestedBy),
            "why": .nonEmpty(request.why),
            "acceptedAt": .time(request.acceptedUs),
            "finishedAt": .time(request.finishedUs),
        ])
    }

    static func isFinal(_ state: RequestState?) -> Bool {
        switch state {
        case .done, .partial, .failed, .cancelled: true
        case .accepted, .waiting, .copying, .uploading, .unspecified, .unrecognized, nil: false
        }
    }

    static func camera(_ camera: RequestedCamera) -> JSONValue {
        .fields([
            "camera": .nonEmpty(camera.camera),
            "device": .nonEmpty(camera.source?.device),
            "endpoint": .nonEmpty(camera.source?.endpoint),
            "footage": camera.footage.flatMap { $0 == .unspecified ? nil : .string($0.name) },
            "footageReason": .nonEmpty(camera.footageReason),
        ])
    }

    private static func file(_ file: DeliveredFile) -> JSONValue {
        .fields([
            "camera": .nonEmpty(file.camera),
            "kind": file.kind.map { .string($0.name) },
            "state": file.state.map { .string($0.name) },
            "archivePath": .nonEmpty(file.archivePath),
            "blobUrl": .nonEmpty(file.blobURL),
            "sha256": file.sha256.flatMap { $0.isEmpty ? nil : .string(hex($0)) },
            "sizeBytes": .integer(optional: file.sizeBytes),
            "start": .time(file.window?.startUs),
            "end": .time(file.window?.endUs),
            "error": .nonEmpty(file.error),
        ])
    }

    static func gap(_ gap: Gap) -> JSONValue {
        .fields([
            "device": .nonEmpty(gap.source?.device),
            "endpoint": .nonEmpty(gap.source?.endpoint),
            "start": .time(gap.window?.startUs),
            "end": .time(gap.window?.endUs),
            "cause": .nonEmpty(gap.cause),
            "reason": .nonEmpty(gap.reason),
        ])
    }
}
