// The service behind a connection: takes a request's head, says what to do with the body, and answers when the body is
// there. Operations on containers and lists are in ContainerOperations.swift and Listing.swift, on blobs in
// BlobOperations.swift, on blocks in BlockOperations.swift.
import Foundation
import NIOCore
import NIOHTTP1
import Synchronization

/// An answer, without the headers that every answer has.
struct BlobResponse {
    enum Body {
        case none
        case bytes([UInt8])
        /// Parts of extents, in order.
        case extents([ExtentSlice])
    }
    var status: HTTPResponseStatus
    var headers = HTTPHeaders()
    var body = Body.none

    init(_ status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: Body = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static func xml(_ text: String) -> BlobResponse {
        let bytes = Array(("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>" + text).utf8)
        return BlobResponse(.ok, headers: ["Content-Type": "application/xml"], body: .bytes(bytes))
    }
}

struct ExtentSlice {
    let extent: Extent
    let offset: Int
    let length: Int
}

/// The body of a request as it arrived.
struct ReceivedBody {
    /// Bytes of Put Blob and Put Block; everything else is in `bytes`.
    var extent: Extent?
    var bytes: [UInt8] = []
    var md5Base64 = ""
    var crc64Base64: String?
}

/// What a connection is to do with a body.
enum BodyPlan {
    /// Write it to the extent store.
    case store
    /// Keep it in memory up to so many bytes.
    case collect(maximumBytes: Int)
}

/// A new entity tag, in quotes; never the same twice.
func newETag() -> String {
    let ticks = UInt64(Date().timeIntervalSince1970 * 1e7) &+ etagCounter.add(1, ordering: .relaxed).newValue
    return "\"0x8\(String(ticks, radix: 16, uppercase: true))\""
}

private let etagCounter = Atomic<UInt64>(0)

final class BlobService: Sendable {
    let account: String
    let catalogue: Catalogue
    let faults = FaultTable()
    private let key: [UInt8]
    /// The oldest service version whose rules this server follows; older ones sign differently.
    static let oldestVersion = "2015-02-21"
    /// 50 000 block ids of at most 88 characters with their tags.
    private static let maximumListBytes = 8 << 20

    init(account: String, key: [UInt8], folder: String?) throws {
        self.account = account
        self.key = key
        catalogue = try Catalogue(folder: folder)
    }

    /// Checks version and authorization.
    func authorize(_ request: BlobRequest, _ operation: BlobOperation, now: Date) throws(ServiceError) {
        if let version = request.header("x-ms-version") {
            guard version.utf8.count == 10, HTTPDate.parseISO8601(version) != nil, version >= Self.oldestVersion else {
                throw .invalidHeader("x-ms-version", version)
            }
        } else if request.header("authorization") != nil {
            throw .missingHeader("x-ms-version")
        }
        if SharedAccessSignature.isPresent(request) {
            let exists = catalogue.state.containers[request.container]?.blobs[request.blob] != nil
            try SharedAccessSignature(account: account, key: key)
                .verify(request, operation: operation, now: now, blobExists: exists)
        } else {
            try SharedKey(account: account, key: key).verify(request, now: now)
        }
    }

    /// Says what to do with the body, or refuses the request before it.
    func plan(_ request: BlobRequest, _ operation: BlobOperation) throws(ServiceError) -> BodyPlan {
        let longVersion = (request.header("x-ms-version") ?? request.queryValue("sv") ?? "") >= "2019-12-12"
        switch operation {
        case .putBlob:
            guard request.header("x-ms-copy-source") == nil else { throw .notImplemented }
            guard let type = request.header("x-ms-blob-type") else { throw .missingHeader("x-ms-blob-type") }
            guard type == "BlockBlob" else {
                throw ["AppendBlob", "PageBlob"].contains(type)
                    ? .notImplemented : .invalidHeader("x-ms-blob-type", type)
            }
            guard let length = request.contentLength else { throw .missingContentLength }
            guard length <= (longVersion ? 5000 : 256) << 20 else { throw .bodyTooLarge }
            return .store
        case .putBlock:
            guard request.header("x-ms-copy-source") == nil else { throw .notImplemented }
            guard let length = request.contentLength else { throw .missingContentLength }
            guard length > 0 else { throw .invalidHeader("Content-Length", "0") }
            guard length <= (longVersion ? 4000 : 100) << 20 else { throw .bodyTooLarge }
            return .store
        case .putBlockList:
            guard request.contentLength != nil else { throw .missingContentLength }
            return .collect(maximumBytes: Self.maximumListBytes)
        default:
            return .collect(maximumBytes: 64 << 10)
        }
    }

    /// Does what was asked. Whatever is thrown that is no ServiceError becomes InternalError.
    func perform(_ request: BlobRequest, _ operation: BlobOperation, body: ReceivedBody, now: Date) throws
        -> BlobResponse
    {
        switch operation {
        case .listContainers: try listContainers(request)
        case .createContainer: try createContainer(request, now: now)
        case .getContainerProperties: try containerProperties(request)
        case .setContainerMetadata: try setContainerMetadata(request, now: now)
        case .deleteContainer: try deleteContainer(request)
        case .listBlobs: try listBlobs(request)
        case .putBlob: try putBlob(request, body: body, now: now)
        case .putBlock: try putBlock(request, body: body)
        case .putBlockList: try putBlockList(request, body: body, now: now)
        case .getBlockList: try blockList(request)
        case .getBlob: try getBlob(request)
        case .getBlobProperties: try blobProperties(request)
        case .setBlobProperties: try setBlobProperties(request, now: now)
        case .getBlobMetadata: try blobProperties(request, metadataOnly: true)
        case .setBlobMetadata: try setBlobMetadata(request, now: now)
        case .deleteBlob: try deleteBlob(request)
        }
    }

    /// The container of a request.
    func container(_ request: BlobRequest, in state: CatalogueState) throws(ServiceError) -> ContainerRecord {
        guard let container = state.containers[request.container] else { throw .containerNotFound }
        return container
    }

    /// The committed blob of a request.
    func blob(_ request: BlobRequest, in state: CatalogueState) throws(ServiceError) -> BlobRecord {
        guard let blob = try container(request, in: state).blobs[request.blob] else { throw .blobNotFound }
        return blob
    }

    /// Commands that come over HTTP; nil where there is no such path.
    func control(method: HTTPMethod, path: String, body: [UInt8]) -> BlobResponse? {
        struct FaultList: Codable {
            let faults: [Fault]
        }
        struct RequestList: Codable {
            let requests: [RequestRecord]
        }
        func json(_ value: some Encodable) -> BlobResponse {
            let bytes = (try? JSONEncoder().encode(value)).map { [UInt8]($0) } ?? []
            return BlobResponse(.ok, headers: ["Content-Type": "application/json"], body: .bytes(bytes))
        }
        switch (method, path) {
        case (.POST, "/_control/faults"):
            do {
                faults.add(try JSONDecoder().decode(FaultList.self, from: Data(body)).faults)
                return json(FaultList(faults: faults.waiting))
            } catch {
                let text = "A fault list is {\"faults\": [{\"action\": \"status\", …}]}: \(error)\n"
                return BlobResponse(
                    .badRequest, headers: ["Content-Type": "text/plain"], body: .bytes(Array(text.utf8)))
            }
        case (.GET, "/_control/faults"): return json(FaultList(faults: faults.waiting))
        case (.DELETE, "/_control/faults"):
            faults.clear()
            return BlobResponse(.noContent)
        case (.GET, "/_control/requests"): return json(RequestList(requests: faults.requests))
        case (.POST, "/_control/expire-blocks"):
            catalogue.expireUncommittedBlocks()
            return BlobResponse(.noContent)
        default: return nil
        }
    }
}
