// Operations on index tags: Get Blob Tags, Set Blob Tags, Find Blobs by Tags. The index knows every change at once; the real one
// may take a while.
import Foundation
import NIOHTTP1

extension BlobService {
    func blobTags(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let record = try blob(request, in: catalogue.state)
        try Conditions(request).checkTags(record, in: request.container)
        try LeaseCheck.read(record.lease, .blob, request, now: now)
        return .xml(BlobTags.xml(record.tags))
    }

    /// Replaces the tags, which changes neither ETag nor Last-Modified.
    func setBlobTags(_ request: BlobRequest, body: ReceivedBody, now: Date) throws -> BlobResponse {
        let tags = try BlobTags.parse(xml: body.bytes)
        let conditions = try Conditions(request)
        try catalogue.decide { state in
            var record = try blob(request, in: state)
            try conditions.checkTags(record, in: request.container)
            try LeaseCheck.write(record.lease, .blob, request, now: now)
            record.tags = tags
            return .setBlob(container: request.container, blob: request.blob, record: record, dropsBlocks: false)
        }
        return BlobResponse(.noContent)
    }

    /// Of the account, or of one container.
    func findBlobs(_ request: BlobRequest) throws -> BlobResponse {
        let text = request.queryValue("where") ?? ""
        guard let expression = TagExpression(text) else {
            throw ServiceError.invalidQuery("where", text, "Not an expression about tags.")
        }
        let parameters = try ListParameters(request)
        let state = catalogue.state
        if !request.container.isEmpty { _ = try container(request, in: state) }
        var found: [String: (container: String, blob: String, tags: [TagItem])] = [:]
        for (name, container) in state.containers where request.container.isEmpty || request.container == name {
            for (blob, record) in container.blobs where expression.holds(record.tags, container: name) {
                found["\(name)/\(blob)"] = (name, blob, record.tags)
            }
        }
        let page = parameters.page(of: Array(found.keys))
        let blobs = page.names.compactMap { found[$0.text] }.map { item in
            "<Blob>\(XMLText.element("Name", item.blob))\(XMLText.element("ContainerName", item.container))"
                + "\(BlobTags.xml(item.tags))</Blob>"
        }
        return .xml(
            "<EnumerationResults ServiceEndpoint=\"\(serviceEndpoint(request))\">\(XMLText.element("Where", text))"
                + "<Blobs>\(blobs.joined())</Blobs>\(XMLText.element("NextMarker", page.nextMarker))</EnumerationResults>"
        )
    }
}
