// The sidecar as it goes to the volume: the indexer's JSON with the size and the SHA-256 that only the copy knows.
import Foundation
import Volume

enum SidecarDocument {
    /// The JSON with "size_bytes" and "sha256" (64 hexadecimal digits) filled in; keys sorted, so that the same facts give
    /// the same bytes. Throws when it is no JSON object.
    static func filled(_ json: [UInt8], with digest: Digest) throws(ArchiveProblem) -> [UInt8] {
        guard var fields = object(json) else {
            throw ArchiveProblem(reason: "the sidecar that came with the item is not a JSON object", isRetryable: false)
        }
        fields["size_bytes"] = .number(Decimal(digest.sizeBytes))
        fields["sha256"] = .string(digest.hexadecimal)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(fields) else {
            throw ArchiveProblem(reason: "the sidecar cannot be written as JSON", isRetryable: false)
        }
        return [UInt8](data) + [UInt8(ascii: "\n")]
    }

    /// Whether a sidecar that is on the volume already is about the same bytes. The rest may differ: an earlier attempt
    /// wrote it when fewer requests had asked for the file.
    static func describes(_ json: [UInt8], _ digest: Digest) -> Bool {
        object(json)?["sha256"] == .string(digest.hexadecimal)
    }

    private static func object(_ json: [UInt8]) -> [String: Value]? {
        try? JSONDecoder().decode([String: Value].self, from: Data(json))
    }

    /// Any JSON value, kept as it is.
    enum Value: Codable, Equatable {
        case null
        case bool(Bool)
        case number(Decimal)
        case string(String)
        case list([Value])
        case object([String: Value])

        init(from decoder: any Decoder) throws {
            let single = try decoder.singleValueContainer()
            if single.decodeNil() {
                self = .null
            } else if let value = try? single.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? single.decode(Decimal.self) {
                self = .number(value)
            } else if let value = try? single.decode(String.self) {
                self = .string(value)
            } else if let value = try? single.decode([Value].self) {
                self = .list(value)
            } else {
                self = .object(try single.decode([String: Value].self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var single = encoder.singleValueContainer()
            switch self {
            case .null: try single.encodeNil()
            case .bool(let value): try single.encode(value)
            case .number(let value): try single.encode(value)
            case .string(let value): try single.encode(value)
            case .list(let value): try single.encode(value)
            case .object(let value): try single.encode(value)
            }
        }
    }
}
