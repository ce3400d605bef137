// The documents on an archive volume as verify and fsck read them: manifests and sidecars. Pure; they are read strictly,
// because whoever may write there could have changed them. The indexer writes them: Services/Indexer/Documents.swift.

import JSON
import Volume

/// A document that is not what it should be; one sentence without its name.
struct DocumentProblem: Error, Equatable {
    let text: String
}

/// Size and SHA-256 as a document, a catalogue's row or a disk has them; nil where it does not say.
struct ContentFacts: Sendable, Equatable {
    var sizeBytes: Int64?
    /// 64 hexadecimal digits in lower case.
    var sha256: String?

    /// What `found` has that is not as this says. `by` is who says it: "the manifest of r-1".
    func differences(_ found: ContentFacts, path: String, by who: String) -> [Finding] {
        if let sizeBytes, let foundBytes = found.sizeBytes, sizeBytes != foundBytes {
            return [Finding(.size, path, "has \(foundBytes) bytes, \(who) says \(sizeBytes)")]
        }
        if let sha256, let foundSHA256 = found.sha256, sha256 != foundSHA256 {
            return [
                Finding(.hash, path, "has SHA-256 \(foundSHA256.prefix(16))…, \(who) says \(sha256.prefix(16))…")
            ]
        }
        return []
    }
}

/// What a request's manifest says of its files.
struct ManifestDocument: Sendable, Equatable {
    struct File: Sendable, Equatable {
        let path: String
        let content: ContentFacts
        /// Why it was not archived; then it is not expected to be there.
        let error: String?
    }

    let requestID: String
    /// 1 to `parts`.
    let part: Int
    let parts: Int
    let files: [File]

    /// A part has about 400 kB of files, beside at most some thousand spans of cameras.
    static let mostBytes: Int64 = 16 << 20

    init(_ bytes: [UInt8]) throws(DocumentProblem) {
        let document = try readDocument(bytes, atMost: Int(Self.mostBytes))
        guard let requestID = document["request_id"]?.string, let files = document["files"]?.elements else {
            throw DocumentProblem(text: "it is JSON, but no manifest: it has no \"request_id\" or no \"files\"")
        }
        self.requestID = requestID
        part = document["part"]?.integer ?? 1
        parts = document["parts"]?.integer ?? 1
        var read: [File] = []
        for (index, file) in files.enumerated() {
            guard let path = file["path"]?.string else {
                throw DocumentProblem(text: "files[\(index)] has no \"path\"")
            }
            read.append(File(path: path, content: ContentFacts(file), error: file["error"]?.string))
        }
        self.files = read
    }
}

/// What a sidecar says of its file.
struct SidecarContent: Sendable, Equatable {
    let fileName: String?
    let content: ContentFacts

    static let mostBytes: Int64 = 1 << 20

    init(_ bytes: [UInt8]) throws(DocumentProblem) {
        let document = try readDocument(bytes, atMost: Int(Self.mostBytes))
        guard document.members != nil else { throw DocumentProblem(text: "it is no JSON object") }
        fileName = document["file_name"]?.string
        content = ContentFacts(document)
    }

    /// What is wrong with it beside the file at `path` with this content. At the level of names it needs to be there only.
    func problems(of path: RelativePath, _ expected: ContentFacts, depth: CheckDepth) -> [Finding] {
        guard depth > .names else { return [] }
        var problems: [String] = []
        if fileName != path.name { problems.append("names \(fileName ?? "no file")") }
        if let wanted = expected.sizeBytes, content.sizeBytes != wanted {
            problems.append("says \(content.sizeBytes.map(String.init) ?? "nothing of the") bytes instead of \(wanted)")
        }
        if let wanted = expected.sha256, content.sha256 != wanted {
            problems.append("says SHA-256 \(content.sha256.map { $0.prefix(16) + "…" } ?? "nothing")")
        }
        if problems.isEmpty { return [] }
        return [Finding(.sidecar, path.string, "its sidecar " + problems.joined(separator: ", "))]
    }
}

extension ContentFacts {
    init(_ document: JSONValue) {
        sizeBytes = document["size_bytes"]?.integer.map(Int64.init)
        sha256 = document["sha256"]?.string
    }
}

private func readDocument(_ bytes: [UInt8], atMost mostBytes: Int) throws(DocumentProblem) -> JSONValue {
    do {
        return try JSONReader.read(
            bytes,
            .init(maximumBytes: mostBytes, maximumDepth: 32, maximumValues: 1_000_000, refusesRepeatedKeys: true))
    } catch {
        throw DocumentProblem(text: "it cannot be read as JSON: \(error)")
    }
}
