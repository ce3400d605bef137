// From the text of an Apply to documents with kind, name and body. Whatever is wrong here refuses the whole call; what is
// wrong inside a body becomes an issue (DeviceDocument.swift, AssetDocument.swift).

import JSON
import RPC
import Wire

/// A document as it was applied, with what was read out of it.
struct RegistryDocument: Sendable {
    enum Body: Sendable {
        case device(DeviceDocument)
        case asset(AssetDocument)
    }

    let key: DocumentKey
    /// As it was applied, as JSON.
    let json: String
    /// With sorted keys: equal for documents that say the same.
    let canonicalJSON: String
    let body: Body
}

/// Kind and name: what makes a document the same one.
struct DocumentKey: Sendable, Hashable, Comparable {
    let kind: DocumentKind
    let name: String

    static func < (left: DocumentKey, right: DocumentKey) -> Bool {
        (left.kind.rawValue, left.name) < (right.kind.rawValue, right.name)
    }

    /// "device cam1".
    var text: String { "\(kind.name) \(name)" }
}

enum DocumentReading {
    /// The contract's bound for the text of one call: what a message of 1 MiB holds beside its envelope.
    static let maximumTextBytes = 1_000_000
    /// One call is one transaction and one answer of at most 1 MiB.
    static let maximumDocuments = 2000

    /// Reads the documents of a text.
    static func read(_ text: String) throws(RPCError) -> [RegistryDocument] {
        guard (1...maximumTextBytes).contains(text.utf8.count) else {
            throw .invalidArgument(
                "text", "the text has \(text.utf8.count) bytes: apply 1 to \(maximumTextBytes) at a time")
        }
        let values = try readValues(text)
        guard !values.isEmpty else {
            throw .invalidArgument("text", "there is no document in the text: begin with kind: Device or kind: Asset")
        }
        guard values.count <= maximumDocuments else {
            throw .invalidArgument(
                "text", "the text holds \(values.count) documents: apply at most \(maximumDocuments) at a time")
        }
        var documents: [RegistryDocument] = []
        var seen = Set<DocumentKey>()
        for value in values {
            let document = try readDocument(value)
            guard seen.insert(document.key).inserted else {
                throw .invalidArgument("text", value.placed("\(document.key.text) stands twice in the text"))
            }
            documents.append(document)
        }
        return documents
    }

    private static func readValues(_ text: String) throws(RPCError) -> [JSONValue] {
        let first = text.unicodeScalars.first { !$0.properties.isWhitespace && $0 != "\u{FEFF}" }
        let isJSON = first == "{" || first == "["
        guard isJSON else {
            do throws(YAMLReader.Mistake) { return try YAMLReader.readDocuments(text) } catch {
                throw .invalidArgument("text", "the text is not YAML: \(error)")
            }
        }
        let withoutMark = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text
        do throws(JSONError) {
            return try JSONReader.readSequence(withoutMark, .documents).flatMap { $0.elements ?? [$0] }
        } catch {
            throw .invalidArgument("text", "the text begins like JSON and is not: \(error)")
        }
    }

    /// Reads one document, new or from the store.
    static func readDocument(_ value: JSONValue) throws(RPCError) -> RegistryDocument {
        func refuse(_ field: String, _ problem: String) -> RPCError {
            .invalidArgument(field, value.placed(problem))
        }
        guard value.members != nil else {
            throw refuse("text", "a document is an object with kind, name and properties; this is \(value.kindName)")
        }
        let kind: DocumentKind
        let isProfile = value["kind"]?.string == DeviceDocument.profileKind
        switch value["kind"]?.string {
        case "Device", DeviceDocument.profileKind: kind = .device
        case "Asset": kind = .asset
        case let other?:
            throw refuse("text.kind", "the kind \(other.quotedForMessage) is not known: use Device or Asset")
        case nil: throw refuse("text.kind", "the document has no kind: begin with kind: Device or kind: Asset")
        }
        guard let name = value["name"]?.string ?? value["metadata"]?["name"]?.string else {
            throw refuse(
                "text.name",
                "the \(kind.name) has no name: give it as name or metadata.name, in quotes if it is a number")
        }
        if let problem = Names.problem(name) { throw refuse("text.name", "the name of the \(kind.name) \(problem)") }
        guard let body = value["properties"] ?? value["spec"], body.members != nil else {
            throw refuse("text.properties", "\(kind.name) \(name) has no properties (or spec) with its settings")
        }
        try refuseCredentials(value, what: "\(kind.name) \(name)")
        let key = DocumentKey(kind: kind, name: name)
        return RegistryDocument(
            key: key, json: value.text(), canonicalJSON: value.text(sortedKeys: true),
            body: kind == .device
                ? .device(DeviceDocument(name: name, body: body, isProfile: isProfile))
                : .asset(AssetDocument(name: name, body: body)))
    }

    /// A document is stored, shown and sent to every controller: it must not hold a secret.
    private static func refuseCredentials(_ value: JSONValue, what: String) throws(RPCError) {
        var found: JSONValue?
        value.forEachString { text, place in
            if found == nil, StreamURL.holdsUserInformation(text) { found = place }
        }
        if let found {
            throw .invalidArgument(
                "text",
                found.placed(
                    "an address in \(what) holds a user name or password ('@'): name secrets instead "
                        + "(authentication, mediaServer…Ref); an '@' that belongs to the path is written %40"))
        }
        let body = value["properties"] ?? value["spec"]
        let endpoints = body?["endpoints"]?["inbound"]?.members?.map(\.value) ?? []
        for authentication in (endpoints + [body].compactMap(\.self)).compactMap({ $0["authentication"] }) {
            let places = [authentication, authentication["usernamePasswordCredentials"]].compactMap(\.self)
            for place in places {
                if let secret = place["password"] ?? place["username"] {
                    throw .invalidArgument(
                        "text",
                        secret.placed(
                            "\(what) holds a user name or password itself: use usernameSecretName and "
                                + "passwordSecretName, which name files below the secrets folder"))
                }
            }
        }
    }
}

extension JSONReader.Rules {
    /// For documents, stored or applied, and the texts inside them. Real ones have 8 levels and some hundred values.
    static let documents = JSONReader.Rules(
        // `maximumTextBytes` of one call are stored as up to six times as many: "\u001f" for one byte.
        maximumBytes: 8 << 20, maximumDepth: 32,
        // 1 MiB holds fewer in any sensible document.
        maximumValues: 200_000,
        // Whoever writes a key twice means one of them; nobody else can know which.
        refusesRepeatedKeys: true)
}

extension JSONValue {
    /// A message about this value, with its place in front.
    func placed(_ message: String) -> String { place.map { "\($0): \(message)" } ?? message }
}
