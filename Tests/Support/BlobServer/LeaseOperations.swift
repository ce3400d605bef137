// Lease Blob and Lease Container. A lease changes neither ETag nor Last-Modified.
import Foundation
import NIOHTTP1

extension BlobService {
    func leaseBlob(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let action = try LeaseAction(request)
        let conditions = try Conditions(request)
        var record: BlobRecord?
        try catalogue.decide { state in
            var changed = try blob(request, in: state)
            try conditions.checkWrite(existing: changed, in: request.container)
            changed.lease = try action.applied(to: changed.lease, now: now, newID: Self.newLeaseID())
            record = changed
            return .setBlob(container: request.container, blob: request.blob, record: changed, dropsBlocks: false)
        }
        guard let record else { throw ServiceError.internalError }
        return Self.answer(action, record.lease, etag: record.etag, modifiedAt: record.modifiedAt, now: now)
    }

    func leaseContainer(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let action = try LeaseAction(request)
        let conditions = try Conditions(request)
        var changed: ContainerRecord?
        try catalogue.decide { state in
            var container = try container(request, in: state)
            try conditions.checkWrite(container)
            container.lease = try action.applied(to: container.lease, now: now, newID: Self.newLeaseID())
            changed = container
            return .setContainerLease(name: request.container, lease: container.lease)
        }
        guard let changed else { throw ServiceError.internalError }
        return Self.answer(action, changed.lease, etag: changed.etag, modifiedAt: changed.modifiedAt, now: now)
    }

    private static func newLeaseID() -> String { UUID().uuidString.lowercased() }

    private static func answer(
        _ action: LeaseAction, _ lease: Lease?, etag: String, modifiedAt: Date, now: Date
    ) -> BlobResponse {
        var headers: HTTPHeaders = ["ETag": etag, "Last-Modified": HTTPDate.rfc1123(modifiedAt)]
        switch action {
        case .acquire, .renew, .change:
            if let lease { headers.add(name: "x-ms-lease-id", value: lease.id) }
        case .breakIt:
            let rest = lease?.breaksAt.map { max($0.timeIntervalSince(now), 0).rounded(.up) } ?? 0
            headers.add(name: "x-ms-lease-time", value: String(Int(rest)))
        case .release: break
        }
        return BlobResponse(action.status, headers: headers)
    }
}

extension HTTPHeaders {
    mutating func add(lease: Lease?, now: Date) {
        add(name: "x-ms-lease-status", value: lease?.isLocked(now) == true ? "locked" : "unlocked")
        add(name: "x-ms-lease-state", value: lease?.state(now).rawValue ?? "available")
        if let lease, lease.state(now) == .leased {
            add(name: "x-ms-lease-duration", value: lease.seconds == nil ? "infinite" : "fixed")
        }
    }

    /// What the service says of a body that it took, other than that of Put Blob.
    mutating func add(checksumsOf body: ReceivedBody, to request: BlobRequest) {
        if request.version < ServiceVersion.withCRC64 || request.header("content-md5") != nil {
            if let md5 = body.md5Base64 { add(name: "Content-MD5", value: md5) }
        } else if let crc = body.crc64Base64 {
            add(name: "x-ms-content-crc64", value: crc)
        }
    }
}

extension Lease? {
    /// A write ends what is left of a lease that was broken or expired.
    func afterWrite(_ now: Date) -> Lease? { self?.isLocked(now) == true ? self : nil }
}
