// What a client asks, taken from the request line and the headers before any of the body has come: account, container,
// blob, query, and which operation of the protocol it is.
import Foundation
import NIOHTTP1

/// The operations this server knows. Raw values are the names that the service's documentation uses; faults and the
/// request log use them too.
public enum BlobOperation: String, Sendable, Codable, CaseIterable {
    /// The account.
    case listContainers = "ListContainers"
    /// A container.
    case createContainer = "CreateContainer"
    /// A container's properties and metadata, without a body.
    case getContainerProperties = "GetContainerProperties"
    /// Replaces a container's metadata.
    case setContainerMetadata = "SetContainerMetadata"
    /// A container and all in it.
    case deleteContainer = "DeleteContainer"
    /// Who alone may delete a container.
    case leaseContainer = "LeaseContainer"
    /// The blobs of a container.
    case listBlobs = "ListBlobs"
    /// Blobs of the account or of a container whose tags are such.
    case findBlobsByTags = "FindBlobsByTags"
    /// A blob in one request.
    case putBlob = "PutBlob"
    /// One block, not visible until a list commits it.
    case putBlock = "PutBlock"
    /// Makes the blob of blocks.
    case putBlockList = "PutBlockList"
    /// Committed and uncommitted blocks.
    case getBlockList = "GetBlockList"
    /// A blob's bytes, or a range of them.
    case getBlob = "GetBlob"
    /// A blob's properties, without a body.
    case getBlobProperties = "GetBlobProperties"
    /// Content type and the like.
    case setBlobProperties = "SetBlobProperties"
    /// A blob's metadata.
    case getBlobMetadata = "GetBlobMetadata"
    /// Replaces a blob's metadata.
    case setBlobMetadata = "SetBlobMetadata"
    /// A blob's index tags.
    case getBlobTags = "GetBlobTags"
    /// Replaces a blob's index tags.
    case setBlobTags = "SetBlobTags"
    /// Who alone may write a blob.
    case leaseBlob = "LeaseBlob"
    /// Removes a blob.
    case deleteBlob = "DeleteBlob"

    var isOnBlob: Bool {
        switch self {
        case .listContainers, .createContainer, .getContainerProperties, .setContainerMetadata, .deleteContainer,
            .leaseContainer, .listBlobs, .findBlobsByTags:
            false
        default: true
        }
    }
}

/// A request without its body.
struct BlobRequest {
    let method: HTTPMethod
    /// As it came, percent-encoded: part of what the client signed.
    let rawPath: String
    /// Names in lower case; values percent-decoded; a name that occurs twice is there twice.
    let query: [(name: String, value: String)]
    let headers: HTTPHeaders
    let account: String
    /// Empty for requests on the account.
    let container: String
    /// Empty for requests on the account or a container.
    let blob: String
    let remoteAddress: String?

    init(head: HTTPRequestHead, remoteAddress: String?) throws(ServiceError) {
        method = head.method
        headers = head.headers
        self.remoteAddress = remoteAddress
        let halves = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        rawPath = String(halves[0])
        var query: [(name: String, value: String)] = []
        if halves.count == 2 {
            for pair in halves[1].split(separator: "&") {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard let name = PercentText.decoded(parts[0]),
                    let value = parts.count == 2 ? PercentText.decoded(parts[1]) : ""
                else { throw .invalidURI }
                query.append((name.lowercased(), value))
            }
        }
        self.query = query
        let path = rawPath.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard path.count >= 2, path[0].isEmpty, !path[1].isEmpty, let account = PercentText.decoded(path[1])
        else { throw .invalidURI }
        self.account = account
        let rest = path.count == 3 ? path[2] : ""
        let names = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let container = PercentText.decoded(names.first ?? ""),
            let blob = PercentText.decoded(names.count == 2 ? names[1] : "")
        else { throw .invalidURI }
        self.container = container
        self.blob = blob
    }

    func header(_ name: String) -> String? {
        let values = headers[name]
        return values.isEmpty ? nil : values.joined(separator: ",")
    }

    func queryValue(_ name: String) -> String? {
        query.first { $0.name == name }?.value
    }

    /// Bytes of the body as announced.
    var contentLength: Int? {
        headers.first(name: "content-length").flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }

    /// Names and values of x-ms-meta-* as sent; order is theirs.
    func metadata() throws(ServiceError) -> [MetadataItem] {
        var items: [MetadataItem] = []
        var size = 0
        for (name, value) in headers where name.lowercased().hasPrefix("x-ms-meta-") {
            let key = String(name.dropFirst("x-ms-meta-".count))
            guard let first = key.utf8.first else {
                throw ServiceError(
                    .badRequest, "EmptyMetadataKey", "The key for one of the metadata key-value pairs is empty.")
            }
            // Names follow the rules of C# identifiers.
            guard first == 0x5f || Character(Unicode.Scalar(first)).isLetter,
                key.utf8.allSatisfy({
                    $0 == 0x5f || $0 == 0x2d || Character(Unicode.Scalar($0)).isLetter || (0x30...0x39).contains($0)
                }),
                !items.contains(where: { $0.name.lowercased() == key.lowercased() })
            else { throw .invalidMetadata }
            size += key.utf8.count + value.utf8.count
            items.append(MetadataItem(name: key, value: value))
        }
        guard size <= 8192 else { throw .metadataTooLarge }
        return items
    }

    /// Which operation it is; checks names on the way.
    func operation() throws(ServiceError) -> BlobOperation {
        let comp = queryValue("comp")
        let restype = queryValue("restype")
        if container.isEmpty {
            guard blob.isEmpty, method == .GET else { throw .notImplemented }
            switch comp {
            case "list": return .listContainers
            case "blobs": return .findBlobsByTags
            default: throw .notImplemented
            }
        }
        guard (3...63).contains(container.utf8.count) else { throw .resourceNameLength }
        guard Self.isContainerName(container) else { throw .invalidResourceName }
        if blob.isEmpty {
            guard restype == "container" else { throw .invalidURI }
            switch (method, comp) {
            case (.PUT, nil): return .createContainer
            case (.GET, nil), (.HEAD, nil), (.GET, "metadata"), (.HEAD, "metadata"): return .getContainerProperties
            case (.PUT, "metadata"): return .setContainerMetadata
            case (.DELETE, nil): return .deleteContainer
            case (.PUT, "lease"): return .leaseContainer
            case (.GET, "list"): return .listBlobs
            case (.GET, "blobs"): return .findBlobsByTags
            default: throw .notImplemented
            }
        }
        guard blob.utf16.count <= 1024 else { throw .resourceNameLength }
        guard !blob.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else { throw .invalidURI }
        switch (method, comp) {
        case (.PUT, nil): return .putBlob
        case (.PUT, "block"): return .putBlock
        case (.PUT, "blocklist"): return .putBlockList
        case (.GET, "blocklist"): return .getBlockList
        case (.GET, nil): return .getBlob
        case (.HEAD, nil): return .getBlobProperties
        case (.PUT, "properties"): return .setBlobProperties
        case (.GET, "metadata"), (.HEAD, "metadata"): return .getBlobMetadata
        case (.PUT, "metadata"): return .setBlobMetadata
        case (.GET, "tags"): return .getBlobTags
        case (.PUT, "tags"): return .setBlobTags
        case (.PUT, "lease"): return .leaseBlob
        case (.DELETE, nil): return .deleteBlob
        default: throw .notImplemented
        }
    }

    /// Lower-case letters, digits and single hyphens, with a letter or digit at both ends.
    static func isContainerName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        var previous = UInt8(ascii: "-")
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): break
            case UInt8(ascii: "-") where previous != UInt8(ascii: "-"): break
            default: return false
            }
            previous = byte
        }
        return previous != UInt8(ascii: "-")
    }
}

/// One name and value of metadata.
public struct MetadataItem: Sendable, Codable, Hashable {
    /// As the client spelled it.
    public let name: String
    /// ASCII text.
    public let value: String
}

/// Percent-encoded text.
enum PercentText {
    /// What it stands for; nil where a '%' is not followed by two hexadecimal digits, or where that is no UTF-8. Not Foundation's
    /// removingPercentEncoding, which drops a byte order mark at the beginning: a blob's name may begin with one.
    static func decoded(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
