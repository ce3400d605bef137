// What is attached to a blob for whoever lists or reads it, beside its index tags (UploadTags.swift).
import CivilTime
import Foundation
import Volume
import Wire

/// What is attached to a blob.
struct BlobLabels: Sendable {
    /// Names and values, in the order of names.
    let metadata: [(name: String, value: String)]
    /// The same for index tags.
    let tags: [(name: String, value: String)]
    /// Metadata by which a blob that is there already is known to be as good as this file.
    let identity: (name: String, value: String)

    /// - Parameters:
    ///   - hash: the name and the value by which the blob is known.
    ///   - events: as `events(of:)` gives them, which takes as long as all else of a small file.
    init(_ item: ClaimedItem, _ hash: (name: String, value: String), events: [String]) {
        identity = hash
        metadata = UploadMetadata.of(item, hash)
        tags = UploadTags.of(item, hash, events: events)
    }

    private struct Document: Decodable {
        let keys: [String]?
        enum CodingKeys: String, CodingKey { case keys = "event_keys" }
    }

    /// The events that asked for it, as the item's document names them; a document that cannot be read names none.
    static func events(of item: ClaimedItem) -> [String] {
        guard let document = item.sidecar ?? item.content else { return [] }
        return (try? JSONDecoder().decode(Document.self, from: Data(document)))?.keys ?? []
    }
}

/// Metadata, sorted by name as the signature wants it. Values fit into headers; the service takes 8 KiB in all.
enum UploadMetadata {
    /// Where a media file's blob carries its SHA-256.
    static let mediaName = "sha256"
    /// Where a sidecar's blob carries the SHA-256 of the media file that it is about.
    static let sidecarName = "media_sha256"

    static func of(_ item: ClaimedItem, _ hash: (name: String, value: String)) -> [(name: String, value: String)] {
        var result = [hash]
        if let camera = item.camera, !camera.isEmpty { result.append(("camera", BlobText.metadataValue(camera))) }
        if let start = item.window?.startUs.flatMap({ TimeStamp(us: $0) }) {
            result.append(("start", start.isoMicroseconds))
        }
        if let end = item.window?.endUs.flatMap({ TimeStamp(us: $0) }) { result.append(("end", end.isoMicroseconds)) }
        if !item.requestIDs.isEmpty {
            let list = item.requestIDs.sorted().joined(separator: ",")
            result.append(("requests", BlobText.metadataValue(list, maximumBytes: 4096)))
        }
        return result.sorted { $0.name < $1.name }
    }

    /// By the name's extension.
    static func contentType(of name: String) -> String {
        switch name.split(separator: ".").last?.lowercased() {
        case "mp4", "m4v": "video/mp4"
        case "mkv": "video/x-matroska"
        case "ts": "video/mp2t"
        case "jpg", "jpeg": "image/jpeg"
        case "png": "image/png"
        case "bmp": "image/bmp"
        case "tif", "tiff": "image/tiff"
        case "json": "application/json"
        default: "application/octet-stream"
        }
    }
}
