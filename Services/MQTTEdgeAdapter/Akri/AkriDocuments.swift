// Between Azure Device Registry's definitions and ours: documents for the asset-registry, and the status that goes back. Pure.

import JSON
import Wire

/// Builds documents and status.
enum AkriDocuments {
    /// Marks a document as ours to remove again.
    static let originKey = "sightglass/origin"

    /// A device's document with those of its endpoints that this connector serves.
    ///
    /// - Parameter served: an endpoint with the definition of the device that was given for it. A definition may hold the other
    ///   endpoints or not; what they have in common is taken from the newest one.
    static func device(_ name: String, served: [(endpoint: String, definition: JSONValue)], origin: String) -> JSONValue
    {
        let newest = served.max { version($0.definition) < version($1.definition) }?.definition ?? .object([])
        let inbound = served.compactMap { served in
            served.definition[given: "endpoints"]?[given: "inbound"]?[given: served.endpoint].map {
                JSONValue.Member(key: served.endpoint, value: $0)
            }
        }
        let properties = (newest.members ?? []).filter { $0.key != "endpoints" }
        let endpoints = JSONValue.fields(["inbound": .object(inbound)])
        return document(
            "Device", name, origin, .object(properties + [JSONValue.Member(key: "endpoints", value: endpoints)]))
    }

    /// An asset's document.
    static func asset(_ name: String, _ definition: JSONValue, origin: String) -> JSONValue {
        document("Asset", name, origin, definition)
    }

    private static func document(_ kind: String, _ name: String, _ origin: String, _ properties: JSONValue) -> JSONValue
    {
        .fields([
            "kind": .string(kind),
            "metadata": .fields(["name": .string(name), "annotations": .fields([originKey: .string(origin)])]),
            "properties": properties,
        ])
    }

    /// Who brought a document; nil where nobody of Akri did.
    static func origin(of document: JSONValue) -> String? {
        document["metadata"]?["annotations"]?[originKey]?.string
    }

    /// The inbound endpoints of a definition.
    static func endpoints(_ definition: JSONValue) -> Set<String> {
        Set((definition[given: "endpoints"]?[given: "inbound"]?.members ?? []).map(\.key))
    }

    /// Whether a connector under Akri brought a document, whichever one.
    static func isOfAkri(_ document: JSONValue) -> Bool { origin(of: document)?.hasPrefix("akri:") == true }

    /// The inbound endpoints of a stored device that are not among `names`, as if the device had been asked for each.
    static func others(
        in document: JSONValue, beside names: Set<String>
    ) -> [(endpoint: String, definition: JSONValue)] {
        guard let properties = document[given: "properties"] else { return [] }
        // Without a version: what is known of the device itself is taken from a definition that was asked for.
        let old = JSONValue.object((properties.members ?? []).filter { $0.key != "version" })
        return endpoints(properties).subtracting(names).sorted().map { ($0, old) }
    }

    static func version(_ definition: JSONValue) -> Int { definition[given: "version"]?.integer ?? 0 }

    /// The status of a device with one of its endpoints: `deviceStatusUpdate`.
    static func deviceStatus(version: Int, endpoint: String, issues: [Issue], atUs: Int64) -> JSONValue {
        let errors = issues.filter { $0.severity == .error }
        let ofEndpoint = errors.filter { mentions($0, endpoint) }
        let others = errors.filter { $0.field?.contains("inbound") != true }
        return .fields([
            "config": config(version, others, atUs),
            "endpoints": .fields(["inbound": .fields([endpoint: .fields(["error": error(ofEndpoint)])])]),
        ])
    }

    private static func mentions(_ issue: Issue, _ endpoint: String) -> Bool {
        let parts = (issue.field ?? "").split(separator: ".")
        guard let inbound = parts.firstIndex(of: "inbound") else { return false }
        // A name with dots of its own is several parts.
        let rest = parts[(inbound + 1)...].joined(separator: ".")
        return rest == endpoint || rest.hasPrefix(endpoint + ".")
    }

    /// The status of an asset: each stream with its own error, so that a wrong one does not hide that the others run.
    ///
    /// - Parameters:
    ///   - issues: of the asset as a whole.
    ///   - streams: those of the asset, with their issues.
    static func assetStatus(
        version: Int, issues: [Issue], streams: [StreamDefinition], names: [String], atUs: Int64
    ) -> JSONValue {
        let byName = Dictionary(streams.map { ($0.name?.stream ?? "", $0) }) { first, _ in first }
        let ofAsset = issues.filter { issue in
            issue.severity == .error && issue.field?.hasPrefix("streams[") != true
                && !streams.contains { $0.issues.contains(issue) }
        }
        return .fields([
            "config": config(version, ofAsset, atUs),
            "streams": .array(
                names.map { name in
                    let own = byName[name]?.issues.filter { $0.severity == .error } ?? []
                    return .fields(["name": .string(name), "error": error(own)])
                }),
        ])
    }

    private static func config(_ version: Int, _ issues: [Issue], _ atUs: Int64) -> JSONValue {
        .fields(["version": .integer(version), "lastTransitionTime": .time(atUs), "error": error(issues)])
    }

    /// Nil, which leaves it out, where nothing is wrong.
    private static func error(_ issues: [Issue]) -> JSONValue? {
        guard let first = issues.first else { return nil }
        let details = issues.dropFirst().map { issue in
            JSONValue.fields(["code": .nonEmpty(issue.code), "message": .nonEmpty(issue.message)])
        }
        return .fields([
            "code": .nonEmpty(first.code), "message": .nonEmpty(first.message),
            "details": details.isEmpty ? nil : .array(details),
        ])
    }

    /// The names of an asset's streams, in their order.
    static func streamNames(_ definition: JSONValue) -> [String] {
        (definition[given: "streams"]?.elements ?? []).compactMap { $0[given: "name"]?.string }
    }
}
