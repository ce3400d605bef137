// List Containers and List Blobs: names in byte order, by prefix, folded at a delimiter, in pages. A page ends with a
// marker, which is the first name of the next page in base64.
import Foundation
import NIOHTTP1

/// The parameters that both lists share.
struct ListParameters {
    let prefix: String
    let delimiter: String
    let marker: String
    let maximum: Int
    let includes: Set<String>
    private let maximumText: String?

    init(_ request: BlobRequest) throws(ServiceError) {
        prefix = request.queryValue("prefix") ?? ""
        delimiter = request.queryValue("delimiter") ?? ""
        includes = Set((request.queryValue("include") ?? "").split(separator: ",").map(String.init))
        maximumText = request.queryValue("maxresults")
        if let maximumText {
            guard let value = Int(maximumText) else {
                throw .invalidQuery("maxresults", maximumText, "Not a number.")
            }
            guard value > 0 else {
                throw ServiceError(
                    .badRequest, "OutOfRangeQueryParameterValue",
                    "One of the query parameters specified in the request URI is outside the permissible range.")
            }
            maximum = min(value, 5000)
        } else {
            maximum = 5000
        }
        let given = request.queryValue("marker") ?? ""
        guard let data = Data(base64Encoded: given), let text = String(data: data, encoding: .utf8) else {
            throw .invalidQuery("marker", given, "Not a marker of this server.")
        }
        marker = text
    }

    /// One page: either whole names, or prefixes that end with the delimiter.
    struct Page {
        var names: [(text: String, isPrefix: Bool)] = []
        var nextMarker = ""
    }

    func page(of names: [String]) -> Page {
        var page = Page()
        for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            guard name.hasPrefix(prefix), !name.utf8.lexicographicallyPrecedes(marker.utf8) else { continue }
            var entry = (text: name, isPrefix: false)
            if !delimiter.isEmpty, let cut = name.dropFirst(prefix.count).range(of: delimiter) {
                entry = (String(name[..<cut.upperBound]), true)
                if let last = page.names.last, last.isPrefix, last.text == entry.text { continue }
            }
            if page.names.count == maximum {
                page.nextMarker = Data(name.utf8).base64EncodedString()
                return page
            }
            page.names.append(entry)
        }
        return page
    }

    var echo: String {
        var text = XMLText.element("Prefix", prefix)
        text += XMLText.element("Marker", marker.isEmpty ? "" : Data(marker.utf8).base64EncodedString())
        if let maximumText { text += XMLText.element("MaxResults", maximumText) }
        if !delimiter.isEmpty { text += XMLText.element("Delimiter", delimiter) }
        return text
    }
}

extension BlobService {
    func serviceEndpoint(_ request: BlobRequest) -> String {
        XMLText.escape("http://\(request.header("host") ?? "127.0.0.1")/\(account)/")
    }

    func listContainers(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let parameters = try ListParameters(request)
        let state = catalogue.state
        let page = parameters.page(of: Array(state.containers.keys))
        var text = "<EnumerationResults ServiceEndpoint=\"\(serviceEndpoint(request))\">\(parameters.echo)<Containers>"
        for (name, _) in page.names {
            guard let container = state.containers[name] else { continue }
            text += "<Container>\(XMLText.element("Name", name))<Properties>"
            text += XMLText.element("Last-Modified", HTTPDate.rfc1123(container.modifiedAt))
            text += XMLText.element("Etag", container.etag)
            text += Self.leaseXML(container.lease, now: now)
            text +=
                "<HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties>"
            if parameters.includes.contains("metadata") { text += Self.metadataXML(container.metadata) }
            text += "</Container>"
        }
        text += "</Containers>\(XMLText.element("NextMarker", page.nextMarker))</EnumerationResults>"
        return .xml(text)
    }

    func listBlobs(_ request: BlobRequest, now: Date) throws -> BlobResponse {
        let parameters = try ListParameters(request)
        let container = try container(request, in: catalogue.state)
        var names = Array(container.blobs.keys)
        if parameters.includes.contains("uncommittedblobs") {
            names += container.uncommitted.keys.filter { container.blobs[$0] == nil }
        }
        let page = parameters.page(of: names)
        var text = "<EnumerationResults ServiceEndpoint=\"\(serviceEndpoint(request))\""
        text += " ContainerName=\"\(XMLText.escape(request.container))\">\(parameters.echo)<Blobs>"
        for (name, isPrefix) in page.names {
            if isPrefix {
                text += "<BlobPrefix>\(XMLText.element("Name", name))</BlobPrefix>"
            } else {
                text += "<Blob>\(XMLText.element("Name", name))"
                text += Self.propertiesXML(container.blobs[name], now: now)
                if parameters.includes.contains("metadata") {
                    text += Self.metadataXML(container.blobs[name]?.metadata ?? [])
                }
                if parameters.includes.contains("tags"), let tags = container.blobs[name]?.tags, !tags.isEmpty {
                    text += BlobTags.xml(tags)
                }
                text += "</Blob>"
            }
        }
        text += "</Blobs>\(XMLText.element("NextMarker", page.nextMarker))</EnumerationResults>"
        return .xml(text)
    }

    /// Without a record it is a blob of which only uncommitted blocks exist.
    private static func propertiesXML(_ record: BlobRecord?, now: Date) -> String {
        var text = "<Properties>"
        if let record {
            text += XMLText.element("Creation-Time", HTTPDate.rfc1123(record.createdAt))
            text += XMLText.element("Last-Modified", HTTPDate.rfc1123(record.modifiedAt))
            text += XMLText.element("Etag", record.etag.filter { $0 != "\"" })
        }
        text += XMLText.element("Content-Length", String(record?.sizeBytes ?? 0))
        for name in [
            "Content-Type", "Content-Encoding", "Content-Language", "Content-MD5", "Cache-Control",
            "Content-Disposition",
        ] {
            text += XMLText.element(name, record?.properties[name.lowercased()] ?? "")
        }
        text +=
            "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>"
        if let count = record?.tags.count, count > 0 { text += XMLText.element("TagCount", String(count)) }
        text += leaseXML(record?.lease, now: now)
        return text + "<ServerEncrypted>true</ServerEncrypted></Properties>"
    }

    private static func leaseXML(_ lease: Lease?, now: Date) -> String {
        var text = XMLText.element("LeaseStatus", lease?.isLocked(now) == true ? "locked" : "unlocked")
        text += XMLText.element("LeaseState", lease?.state(now).rawValue ?? "available")
        if let lease, lease.state(now) == .leased {
            text += XMLText.element("LeaseDuration", lease.seconds == nil ? "infinite" : "fixed")
        }
        return text
    }

    private static func metadataXML(_ metadata: [MetadataItem]) -> String {
        "<Metadata>" + metadata.map { XMLText.element($0.name, $0.value) }.joined() + "</Metadata>"
    }
}
