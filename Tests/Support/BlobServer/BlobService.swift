// The service behind a connection: takes a request's head, says what to do with the body, and answers when the body is
// there. Operations on containers and lists are in ContainerOperations.swift and Listing.swift, on blobs in
// BlobOperations.swift, on blocks in BlockOperations.swift, on tags and leases in TagOperations.swift and LeaseOperations.swift.
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
    var md5Base64: String?
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
    private let gate = Mutex<ThrottleGate?>(nil)
    /// The time as this server takes it.
    let now: @Sendable () -> Date
    private let key: [UInt8]
    private let tokens: TokenExpiry
    /// 50 000 block ids of at most 88 characters with their tags.
    private static let maximumListBytes = 8 << 20

    init(_ configuration: BlobServer.Configuration, key: [UInt8]) throws {
        account = configuration.account
        self.key = key
        tokens = configuration.tokens
        now = configuration.now
        catalogue = try Catalogue(folder: configuration.folder)
    }

    /// Counts a request against the account's limits, where it has some; throws where it is beyond them.
    func admit(_ request: BlobRequest) throws(ServiceError) {
        let refusal = gate.withLock { $0?.admit(bytes: request.contentLength ?? 0, now: now()) }
        if let refusal { throw refusal }
    }

    /// Sets the account's limits; nil: none.
    func limit(_ throttle: Throttle?) {
        let now = now()
        gate.withLock { $0 = throttle.map { ThrottleGate($0, now: now) } }
    }

    /// Checks version and authorization.
    func authorize(_ request: BlobRequest, _ operation: BlobOperation, now: Date) throws(ServiceError) {
        try ServiceVersion.check(request, operation)
        if SharedAccessSignature.isPresent(request) {
            let exists = catalogue.state.containers[request.container]?.blobs[request.blob] != nil
            try SharedAccessSignature(account: account, key: key)
                .verify(request, operation: operation, now: now, blobExists: exists)
        } else if BearerToken.isPresent(request) {
            try BearerToken(expiry: tokens, account: account).verify(request, now: now)
        } else {
            try SharedKey(account: account, key: key).verify(request, now: now)
        }
    }

    /// Says what to do with the body, or refuses the request before it.
    func plan(_ request: BlobRequest, _ operation: BlobOperation) throws(ServiceError) -> BodyPlan {
        let longVersion = request.version >= ServiceVersion.withTags
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
        case .putBlockList, .setBlobTags:
            guard request.contentLength != nil else { throw .missingContentLength }
            return .collect(maximumBytes: Self.maximumListBytes)
        default:
            return .collect(maximumBytes: 64 << 10)
        }
    }

    /// How long uncommitted blocks are kept after the newest of their blob.
    static let blockLife: TimeInterval = 7 * 86_400

    /// Does what was asked. Whatever is thrown that is no ServiceError becomes InternalError.
    func perform(_ request: BlobRequest, _ operation: BlobOperation, body: ReceivedBody, now: Date) throws
        -> BlobResponse
    {
        catalogue.expireUncommittedBlocks(before: now - Self.blockLife)
        return switch operation {
        case .listContainers: try listContainers(request, now: now)
        case .createContainer: try createContainer(request, now: now)
        case .getContainerProperties: try containerProperties(request, now: now)
        case .setContainerMetadata: try setContainerMetadata(request, now: now)
        case .deleteContainer: try deleteContainer(request, now: now)
        case .leaseContainer: try leaseContainer(request, now: now)
        case .listBlobs: try listBlobs(request, now: now)
        case .findBlobsByTags: try findBlobs(request)
        case .putBlob: try putBlob(request, body: body, now: now)
        case .putBlock: try putBlock(request, body: body, now: now)
        case .putBlockList: try putBlockList(request, body: body, now: now)
        case .getBlockList: try blockList(request, now: now)
        case .getBlob: try getBlob(request, now: now)
        case .getBlobProperties: try blobProperties(request, now: now)
        case .setBlobProperties: try setBlobProperties(request, now: now)
        case .getBlobMetadata: try blobProperties(request, now: now, metadataOnly: true)
        case .setBlobMetadata: try setBlobMetadata(request, now: now)
        case .getBlobTags: try blobTags(request, now: now)
        case .setBlobTags: try setBlobTags(request, body: body, now: now)
        case .leaseBlob: try leaseBlob(request, now: now)
        case .deleteBlob: try deleteBlob(request, now: now)
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
}
