// Operations on containers.
import Foundation
import NIOHTTP1

extension BlobService {
    func createContainer(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let metadata = try request.metadata()
        let etag = newETag()
        try catalogue.decide { state in
            guard state.containers[request.container] == nil else { throw ServiceError.containerAlreadyExists }
            return .createContainer(name: request.container, metadata: metadata, etag: etag, at: now)
        }
        return BlobResponse(.created, headers: ["ETag": etag, "Last-Modified": HTTPDate.rfc1123(now)])
    }

    func containerProperties(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let container = try container(request, in: catalogue.state)
        try LeaseCheck.read(container.lease, .container, request, now: now)
        var headers: HTTPHeaders = [
            "ETag": container.etag, "Last-Modified": HTTPDate.rfc1123(container.modifiedAt),
            "x-ms-has-immutability-policy": "false", "x-ms-has-legal-hold": "false",
        ]
        headers.add(lease: container.lease, now: now)
        headers.add(metadata: container.metadata)
        return BlobResponse(.ok, headers: headers)
    }

    func setContainerMetadata(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let metadata = try request.metadata()
        let conditions = try Conditions(request)
        let etag = newETag()
        try catalogue.decide { state in
            let container = try container(request, in: state)
            try conditions.checkWrite(container)
            try LeaseCheck.read(container.lease, .container, request, now: now)
            return .setContainerMetadata(name: request.container, metadata: metadata, etag: etag, at: now)
        }
        return BlobResponse(.ok, headers: ["ETag": etag, "Last-Modified": HTTPDate.rfc1123(now)])
    }

    func deleteContainer(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let conditions = try Conditions(request)
        try catalogue.decide { state in
            let container = try container(request, in: state)
            try conditions.checkWrite(container)
            try LeaseCheck.write(container.lease, .container, request, now: now)
            return .deleteContainer(name: request.container)
        }
        return BlobResponse(.accepted)
    }
}

extension HTTPHeaders {
    mutating func add(metadata: [MetadataItem]) {
        for item in metadata { add(name: "x-ms-meta-\(item.name)", value: item.value) }
    }
}
