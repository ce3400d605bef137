// The sidecar as it goes to the volume: the indexer's JSON with the size and the SHA-256 that only the copy knows.
import JSON
import Volume

enum SidecarDocument {
    /// The JSON with "size_bytes" and "sha256" (64 hexadecimal digits) filled in; keys sorted, so that the same facts give
    /// the same bytes. Throws when it is no JSON object.
    static func filled(_ json: [UInt8], with digest: Digest) throws(ArchiveProblem) -> [UInt8] {
        guard let members = object(json)?.members else {
            throw ArchiveProblem(reason: "the sidecar that came with the item is not a JSON object", isRetryable: false)
        }
        let filled = [
            JSONValue.Member(key: "size_bytes", value: .integer(digest.sizeBytes)),
            JSONValue.Member(key: "sha256", value: .string(digest.hexadecimal)),
        ]
        let kept = members.filter { member in !filled.contains { $0.key == member.key } }
        return Array((JSONValue.object(kept + filled).text(.indented, sortedKeys: true) + "\n").utf8)
    }

    /// Whether a sidecar that is on the volume already is about the same bytes. The rest may differ: an earlier attempt
    /// wrote it when fewer requests had asked for the file.
    static func describes(_ json: [UInt8], _ digest: Digest) -> Bool {
        object(json)?["sha256"]?.string == digest.hexadecimal
    }

    /// Far more than the indexer writes: a flat object with a list of requests. A message holds at most 1 MiB.
    private static let rules = JSONReader.Rules(
        maximumBytes: 1 << 20, maximumDepth: 32, maximumValues: 200_000, refusesRepeatedKeys: true)

    private static func object(_ json: [UInt8]) -> JSONValue? { try? JSONReader.read(json, rules) }
}
