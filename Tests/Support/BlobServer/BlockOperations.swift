// Blocks: Put Block, Put Block List, Get Block List. A block is invisible until a list names it; a list makes the blob of
// exactly the blocks that it names, and drops the other uncommitted ones.
import Foundation
import NIOHTTP1

extension BlobService {
    private static let maximumUncommitted = 100_000
    private static let maximumCommitted = 50_000

    func putBlock(_ request: BlobRequest, body: ReceivedBody, now: Date) throws -> BlobResponse {
        guard let id = request.queryValue("blockid") else {
            throw ServiceError(
                .badRequest, "MissingRequiredQueryParameter",
                "A query parameter that's mandatory for this request is not specified.",
                details: [.init(name: "QueryParameterName", value: "blockid")])
        }
        guard let decoded = Data(base64Encoded: id), (1...64).contains(decoded.count) else {
            throw ServiceError.invalidQuery("blockid", id, "Not a valid base64 string.")
        }
        guard let extent = body.extent else { throw ServiceError.internalError }
        try catalogue.decide { state in
            let container = try container(request, in: state)
            try LeaseCheck.write(container.blobs[request.blob]?.lease, .blob, request, now: now)
            let waiting = container.uncommitted[request.blob]?.blocks ?? [:]
            // All ids of one blob have one length, or a list could not be told apart.
            let known = waiting.values.first ?? container.blobs[request.blob]?.blocks.first
            if let known, known.id.utf8.count != id.utf8.count { throw ServiceError.invalidBlobOrBlock }
            guard waiting.count < Self.maximumUncommitted else { throw ServiceError.blockCountExceedsLimit }
            return .putBlock(
                container: request.container, blob: request.blob, block: Block(id: id, extent: extent), at: now)
        }
        var headers: HTTPHeaders = ["x-ms-request-server-encrypted": "true"]
        headers.add(checksumsOf: body, to: request)
        return BlobResponse(.created, headers: headers)
    }

    func putBlockList(_ request: BlobRequest, body: ReceivedBody, now: Date) throws -> BlobResponse {
        let conditions = try Conditions(request)
        let metadata = try request.metadata()
        let tags = try BlobTags.parse(header: request.header("x-ms-tags") ?? "")
        let references = try BlockReference.parseList(body.bytes)
        guard references.count <= Self.maximumCommitted else { throw ServiceError.blockListTooLong }
        var properties = properties(request, withStandardHeaders: false)
        if properties["content-type"] == nil { properties["content-type"] = "application/octet-stream" }
        let etag = newETag()
        try catalogue.decide { state in
            let container = try container(request, in: state)
            let existing = container.blobs[request.blob]
            try conditions.checkWrite(existing: existing, in: request.container)
            try LeaseCheck.write(existing?.lease, .blob, request, now: now)
            let committed = Dictionary(existing?.blocks.map { ($0.id, $0) } ?? []) { first, _ in first }
            let waiting = container.uncommitted[request.blob]?.blocks ?? [:]
            let blocks = try references.map { reference throws -> Block in
                let found =
                    switch reference.source {
                    case .committed: committed[reference.id]
                    case .uncommitted: waiting[reference.id]
                    case .latest: waiting[reference.id] ?? committed[reference.id]
                    }
                guard let found else { throw ServiceError.invalidBlockList }
                return found
            }
            let record = BlobRecord(
                extents: blocks.map(\.extent), blocks: blocks, properties: properties, metadata: metadata, tags: tags,
                lease: existing?.lease.afterWrite(now), etag: etag, createdAt: existing?.createdAt ?? now,
                modifiedAt: now)
            return .setBlob(container: request.container, blob: request.blob, record: record, dropsBlocks: true)
        }
        var headers: HTTPHeaders = [
            "ETag": etag, "Last-Modified": HTTPDate.rfc1123(now), "x-ms-request-server-encrypted": "true",
        ]
        headers.add(checksumsOf: body, to: request)
        return BlobResponse(.created, headers: headers)
    }

    func blockList(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let wanted = request.queryValue("blocklisttype") ?? "committed"
        guard ["committed", "uncommitted", "all"].contains(wanted) else {
            throw ServiceError.invalidQuery("blocklisttype", wanted, "One of committed, uncommitted, all.")
        }
        let container = try container(request, in: catalogue.state)
        let record = container.blobs[request.blob]
        let waiting = container.uncommitted[request.blob]?.blocks
        guard record != nil || waiting != nil else { throw ServiceError.blobNotFound }
        try LeaseCheck.read(record?.lease, .blob, request, now: now)
        func list(_ name: String, _ blocks: [Block]) -> String {
            "<\(name)>"
                + blocks.map { block in
                    "<Block>\(XMLText.element("Name", block.id))<Size>\(block.extent.sizeBytes)</Size></Block>"
                }.joined() + "</\(name)>"
        }
        var text = "<BlockList>"
        if wanted != "uncommitted" { text += list("CommittedBlocks", record?.blocks ?? []) }
        if wanted != "committed" { text += list("UncommittedBlocks", (waiting ?? [:]).values.sorted { $0.id < $1.id }) }
        var response = BlobResponse.xml(text + "</BlockList>")
        if let record {
            response.headers.add(name: "ETag", value: record.etag)
            response.headers.add(name: "Last-Modified", value: HTTPDate.rfc1123(record.modifiedAt))
        }
        response.headers.add(name: "x-ms-blob-content-length", value: String(record?.sizeBytes ?? 0))
        return response
    }
}
