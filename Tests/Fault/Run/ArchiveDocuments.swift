// Reads the documents of the archive volume, manifests and sidecars, as values of the model; each once, as long as it stays the same.

import Foundation
import Harness

struct ArchiveDocuments: Sendable {
    private let site: Site
    private var manifests: [String: (file: FileFact, fact: ManifestFact?)] = [:]
    private var sidecars: [String: (file: FileFact, fact: SidecarFact?)] = [:]

    init(site: Site) { self.site = site }

    /// What a manifest says whose file has this content; nil: it cannot be read.
    mutating func manifest(_ path: String, _ file: FileFact) -> ManifestFact? {
        if let known = manifests[path], known.file == file { return known.fact }
        let fact = object(path).map(Self.manifest)
        manifests[path] = (file, fact)
        return fact
    }

    /// The same of a sidecar.
    mutating func sidecar(_ path: String, _ file: FileFact) -> SidecarFact? {
        if let known = sidecars[path], known.file == file { return known.fact }
        let fact = object(path).map(Self.sidecar)
        sidecars[path] = (file, fact)
        return fact
    }

    private func object(_ path: String) -> JSON? {
        FileManager.default.contents(atPath: site.archived(path))
            .flatMap { try? JSONDecoder().decode(JSON.self, from: $0) }
    }

    private static func manifest(_ json: JSON) -> ManifestFact {
        let files = (json["files"]?.list ?? []).map { ManifestFact.File(path: $0["path"]?.text ?? "", fact: fact($0)) }
        let gaps = (json["cameras"]?.list ?? []).flatMap { ($0["gaps"]?.list ?? []).map { span($0) } }
        return ManifestFact(
            requestID: json["request_id"]?.text ?? "", window: span(json["window"]), files: Set(files),
            gaps: Set(gaps), isWhole: json["parts"]?.number == 1)
    }

    private static func sidecar(_ json: JSON) -> SidecarFact {
        SidecarFact(
            fileName: json["file_name"]?.text ?? "", camera: json["camera_id"]?.text ?? "",
            span: Span(us(json["segment_start"]), us(json["segment_end"])), fact: fact(json),
            requestIDs: Set((json["request_ids"]?.list ?? []).compactMap(\.text)))
    }

    private static func fact(_ json: JSON) -> FileFact? {
        guard let size = json["size_bytes"]?.number, let sha256 = json["sha256"]?.text else { return nil }
        return FileFact(sizeBytes: Int64(size), sha256: sha256)
    }

    private static func span(_ json: JSON?) -> Span { Span(us(json?["start"]), us(json?["end"])) }

    /// "2026-11-23T06:58:13.123456Z".
    private static func us(_ json: JSON?) -> Int64 {
        guard let text = json?.text, text.count == 27, let fraction = Int64(text.dropFirst(20).prefix(6)),
            let whole = ISO8601DateFormatter().date(from: text.prefix(19) + "Z")
        else { return 0 }
        return Int64(whole.timeIntervalSince1970) * secondUs + fraction
    }
}
