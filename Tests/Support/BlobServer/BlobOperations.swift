// Operations on whole blobs: put, get with range, properties, metadata, delete.
import Foundation
import NIOHTTP1

extension BlobService {
    /// Header names of the properties that a client may set, without the prefix "x-ms-blob-".
    static let settableProperties = [
        "content-type", "content-encoding", "content-language", "content-md5", "cache-control", "content-disposition",
    ]

    func properties(_ request: BlobRequest, withStandardHeaders: Bool) -> [String: String] {
        var result: [String: String] = [:]
        for name in Self.settableProperties {
            var value = request.header("x-ms-blob-\(name)")
            if value == nil, withStandardHeaders, name != "content-md5" { value = request.header(name) }
            if let value, !value.isEmpty { result[name] = value }
        }
        return result
    }

    func putBlob(_ request: BlobRequest, body: ReceivedBody, now: Date) throws -> BlobResponse {
        let conditions = try Conditions(request)
        let metadata = try request.metadata()
        let tags = try BlobTags.parse(header: request.header("x-ms-tags") ?? "")
        guard let extent = body.extent else { throw ServiceError.internalError }
        guard let md5 = body.md5Base64 else { throw ServiceError.internalError }
        if let given = request.header("x-ms-blob-content-md5") {
            guard Data(base64Encoded: given)?.count == 16 else { throw ServiceError.invalidMD5 }
            guard given == md5 else { throw ServiceError.md5Mismatch(given: given, computed: md5) }
        }
        var properties = properties(request, withStandardHeaders: true)
        if properties["content-type"] == nil { properties["content-type"] = "application/octet-stream" }
        properties["content-md5"] = md5
        let etag = newETag()
        try catalogue.decide { state in
            let existing = try container(request, in: state).blobs[request.blob]
            try conditions.checkWrite(existing: existing, in: request.container)
            try LeaseCheck.write(existing?.lease, .blob, request, now: now)
            let record = BlobRecord(
                extents: extent.sizeBytes > 0 ? [extent] : [], blocks: [], properties: properties, metadata: metadata,
                tags: tags, lease: existing?.lease.afterWrite(now), etag: etag, createdAt: existing?.createdAt ?? now,
                modifiedAt: now)
            return .setBlob(container: request.container, blob: request.blob, record: record, dropsBlocks: true)
        }
        var headers: HTTPHeaders = [
            "ETag": etag, "Last-Modified": HTTPDate.rfc1123(now), "Content-MD5": md5,
            "x-ms-request-server-encrypted": "true",
        ]
        if request.version >= ServiceVersion.withCRC64, let crc = body.crc64Base64 {
            headers.add(name: "x-ms-content-crc64", value: crc)
        }
        return BlobResponse(.created, headers: headers)
    }

    func getBlob(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let record = try readable(request, now: now)
        var headers = describe(record, now: now)
        let size = record.sizeBytes
        guard let text = request.header("x-ms-range") ?? request.header("range"),
            let range = try ByteRange.parse(text, size: size)
        else {
            headers.add(name: "Content-Length", value: String(size))
            return BlobResponse(.ok, headers: headers, body: .extents(Self.slices(record.extents, 0..<size)))
        }
        headers.add(name: "Content-Length", value: String(range.count))
        headers.add(name: "Content-Range", value: "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)")
        if let md5 = headers.first(name: "Content-MD5") {
            headers.remove(name: "Content-MD5")
            headers.add(name: "x-ms-blob-content-md5", value: md5)
        }
        let slices = Self.slices(record.extents, range)
        let wantsMD5 = request.header("x-ms-range-get-content-md5") == "true"
        let wantsCRC = request.header("x-ms-range-get-content-crc64") == "true"
        if wantsMD5, wantsCRC {
            throw ServiceError(
                .badRequest, "BothCrc64AndMd5RangeHeaderPresent",
                "Both x-ms-range-get-content-crc64 header and x-ms-range-get-content-md5 header are present.")
        }
        if wantsMD5 || wantsCRC {
            guard range.count <= 4 << 20 else {
                throw ServiceError(
                    .badRequest, "OutOfRangeInput", "One of the request inputs is out of range.")
            }
            var sums = BodyChecksums(md5: wantsMD5, crc64: wantsCRC)
            for slice in slices {
                guard let part = catalogue.extents.read(slice.extent, offset: slice.offset, length: slice.length) else {
                    throw ServiceError.internalError
                }
                part.withUnsafeReadableBytes { sums.update($0) }
            }
            if let md5 = sums.md5Base64 { headers.add(name: "Content-MD5", value: md5) }
            if let crc = sums.crc64Base64 { headers.add(name: "x-ms-content-crc64", value: crc) }
        }
        return BlobResponse(.partialContent, headers: headers, body: .extents(slices))
    }

    func blobProperties(_ request: BlobRequest, now: Date, metadataOnly: Bool = false) throws -> BlobResponse {
        let record = try readable(request, now: now)
        if metadataOnly {
            var headers: HTTPHeaders = ["ETag": record.etag, "Last-Modified": HTTPDate.rfc1123(record.modifiedAt)]
            headers.add(metadata: record.metadata)
            return BlobResponse(.ok, headers: headers)
        }
        var headers = describe(record, now: now)
        headers.add(name: "Content-Length", value: String(record.sizeBytes))
        headers.add(name: "x-ms-access-tier", value: "Hot")
        headers.add(name: "x-ms-access-tier-inferred", value: "true")
        return BlobResponse(.ok, headers: headers)
    }

    func setBlobProperties(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let properties = properties(request, withStandardHeaders: false)
        return try change(request, now: now) { $0.properties = properties }
    }

    func setBlobMetadata(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let metadata = try request.metadata()
        return try change(request, now: now) { $0.metadata = metadata }
    }

    func deleteBlob(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let conditions = try Conditions(request)
        try catalogue.decide { state in
            let record = try blob(request, in: state)
            try conditions.checkWrite(existing: record, in: request.container)
            try LeaseCheck.write(record.lease, .blob, request, now: now)
            return .deleteBlob(container: request.container, blob: request.blob)
        }
        return BlobResponse(.accepted, headers: ["x-ms-delete-type-permanent": "true"])
    }

    private func change(_ request: BlobRequest, now: Date, _ body: (inout BlobRecord) -> Void) throws -> BlobResponse {
        let conditions = try Conditions(request)
        let etag = newETag()
        try catalogue.decide { state in
            var record = try blob(request, in: state)
            try conditions.checkWrite(existing: record, in: request.container)
            try LeaseCheck.write(record.lease, .blob, request, now: now)
            body(&record)
            record.lease = record.lease.afterWrite(now)
            record.etag = etag
            record.modifiedAt = now
            return .setBlob(container: request.container, blob: request.blob, record: record, dropsBlocks: false)
        }
        return BlobResponse(.ok, headers: ["ETag": etag, "Last-Modified": HTTPDate.rfc1123(now)])
    }

    /// The blob of a request that reads, after its conditions and a lease that it names.
    private func readable(_ request: BlobRequest, now: Date) throws -> BlobRecord {
        let record = try blob(request, in: catalogue.state)
        try Conditions(request).checkRead(record, in: request.container)
        try LeaseCheck.read(record.lease, .blob, request, now: now)
        return record
    }

    private func describe(_ record: BlobRecord, now: Date) -> HTTPHeaders {
        var headers: HTTPHeaders = [
            "ETag": record.etag, "Last-Modified": HTTPDate.rfc1123(record.modifiedAt), "Accept-Ranges": "bytes",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-server-encrypted": "true", "x-ms-creation-time": HTTPDate.rfc1123(record.createdAt),
            "Content-Type": record.properties["content-type"] ?? "application/octet-stream",
        ]
        for (name, header) in [
            ("content-encoding", "Content-Encoding"), ("content-language", "Content-Language"),
            ("content-md5", "Content-MD5"), ("cache-control", "Cache-Control"),
            ("content-disposition", "Content-Disposition"),
        ] {
            if let value = record.properties[name] { headers.add(name: header, value: value) }
        }
        headers.add(lease: record.lease, now: now)
        if !record.tags.isEmpty { headers.add(name: "x-ms-tag-count", value: String(record.tags.count)) }
        headers.add(metadata: record.metadata)
        return headers
    }

    /// The parts of extents that make up a range of a blob.
    static func slices(_ extents: [Extent], _ range: Range<Int>) -> [ExtentSlice] {
        var result: [ExtentSlice] = []
        var start = 0
        for extent in extents {
            let part = range.clamped(to: start..<start + extent.sizeBytes)
            if !part.isEmpty {
                result.append(ExtentSlice(extent: extent, offset: part.lowerBound - start, length: part.count))
            }
            start += extent.sizeBytes
        }
        return result
    }
}

enum ByteRange {
    /// "bytes=0-499", "bytes=500-"; nil for what is no range of bytes, which the service ignores.
    static func parse(_ text: String, size: Int) throws(ServiceError) -> Range<Int>? {
        guard text.hasPrefix("bytes=") else { return nil }
        let ends = text.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Int(ends[0]), first >= 0 else { return nil }
        let last = ends[1].isEmpty ? Int.max - 1 : Int(ends[1]) ?? -1
        guard last >= first else { return nil }
        guard first < size else { throw .invalidRange }
        return first..<min(last + 1, size)
    }
}
