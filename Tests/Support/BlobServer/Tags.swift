// Index tags of blobs: at most ten, names of 1 to 128 and values of up to 256 characters out of letters, digits, space and
// + - . / : = _ (Set Blob Tags). They come in the header x-ms-tags, encoded like a query, or as XML; and they are asked for by
// expressions such as "camera" = 'cam1' AND "start" >= '2026-11-30'.
import Foundation

/// One name and value of a blob's index.
public struct TagItem: Sendable, Codable, Hashable {
    /// Case counts.
    public let name: String
    /// May be empty.
    public let value: String
}

enum BlobTags {
    static let maximumCount = 10

    /// The header x-ms-tags: "name=value&name=value", percent-encoded, where + is a space.
    static func parse(header: String) throws(ServiceError) -> [TagItem] {
        var tags: [TagItem] = []
        for pair in header.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let name = decoded(parts[0]), let value = decoded(parts[1]) else {
                throw .invalidHeader("x-ms-tags", header)
            }
            tags.append(TagItem(name: name, value: value))
        }
        return try checked(tags)
    }

    private static func decoded(_ text: Substring) -> String? {
        text.replacingOccurrences(of: "+", with: " ").removingPercentEncoding
    }

    /// The body of Set Blob Tags: `<Tags><TagSet><Tag><Key>…</Key><Value>…</Value></Tag>…</TagSet></Tags>`.
    static func parse(xml: [UInt8]) throws(ServiceError) -> [TagItem] {
        var reader = try XMLReader(xml)
        var tags: [TagItem] = []
        try reader.open("Tags")
        try reader.open("TagSet")
        while reader.openIfNext("Tag") {
            let name = try reader.element("Key")
            let value = try reader.element("Value")
            tags.append(TagItem(name: name, value: value))
            try reader.close("Tag")
        }
        try reader.close("TagSet")
        try reader.close("Tags")
        try reader.end()
        return try checked(tags)
    }

    private static func checked(_ tags: [TagItem]) throws(ServiceError) -> [TagItem] {
        guard tags.count <= maximumCount else { throw .tagsTooLarge }
        for tag in tags {
            guard !tag.name.isEmpty else {
                throw ServiceError(
                    .badRequest, "EmptyTagName", "The name of one of the tag key-value pairs is empty.")
            }
            guard tag.name.utf16.count <= 128, tag.value.utf16.count <= 256 else { throw .tagsTooLarge }
            guard (tag.name + tag.value).utf8.allSatisfy(isAllowed) else {
                throw ServiceError(
                    .badRequest, "InvalidTag",
                    "The tags specified are invalid. It contains characters that are not permitted.")
            }
        }
        guard Set(tags.map(\.name)).count == tags.count else {
            throw ServiceError(
                .badRequest, "DuplicateTagNames", "The tags specified contain duplicate names.")
        }
        return tags.sorted { $0.name < $1.name }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: " +-./:=_".utf8.contains(byte)
        }
    }

    static func xml(_ tags: [TagItem]) -> String {
        let list = tags.map { tag in
            "<Tag>\(XMLText.element("Key", tag.name))\(XMLText.element("Value", tag.value))</Tag>"
        }
        return "<Tags><TagSet>\(list.joined())</TagSet></Tags>"
    }
}

/// What is asked of tags: comparisons joined by AND and OR, where AND binds stronger. Names stand in double quotes, values in
/// single ones; `@container` is the container's name. Brackets are not known here.
struct TagExpression {
    private struct Comparison {
        let name: String
        let operation: String
        let value: String
    }
    /// One of these must hold as a whole.
    private var alternatives: [[Comparison]] = [[]]

    /// Nil where the text is no such expression.
    init?(_ text: String) {
        var rest = text[...]
        while true {
            guard let name = Self.name(&rest), let operation = Self.operation(&rest),
                let value = Self.quoted("'", &rest)
            else { return nil }
            alternatives[alternatives.count - 1].append(Comparison(name: name, operation: operation, value: value))
            Self.skipSpace(&rest)
            if rest.isEmpty { return }
            let word = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(word.count)
            switch word.uppercased() {
            case "AND": break
            case "OR": alternatives.append([])
            default: return nil
            }
        }
    }

    private static func skipSpace(_ rest: inout Substring) {
        rest = rest.drop { $0 == " " }
    }

    private static func name(_ rest: inout Substring) -> String? {
        skipSpace(&rest)
        if rest.first == "\"" { return quoted("\"", &rest) }
        let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "@" }
        rest = rest.dropFirst(word.count)
        return word.isEmpty ? nil : String(word)
    }

    private static func operation(_ rest: inout Substring) -> String? {
        skipSpace(&rest)
        guard let found = ["<=", ">=", "<>", "=", "<", ">"].first(where: { rest.hasPrefix($0) }) else { return nil }
        rest = rest.dropFirst(found.count)
        return found
    }

    private static func quoted(_ mark: Character, _ rest: inout Substring) -> String? {
        skipSpace(&rest)
        guard rest.first == mark, let end = rest.dropFirst().firstIndex(of: mark) else { return nil }
        let value = rest[rest.index(after: rest.startIndex)..<end]
        rest = rest[rest.index(after: end)...]
        return String(value)
    }

    func holds(_ tags: [TagItem], container: String) -> Bool {
        var values = Dictionary(tags.map { ($0.name, $0.value) }) { first, _ in first }
        values["@container"] = container
        return alternatives.contains { all in
            all.allSatisfy { comparison in
                guard let value = values[comparison.name] else { return comparison.operation == "<>" }
                return switch comparison.operation {
                case "=": value == comparison.value
                case "<>": value != comparison.value
                case "<": value < comparison.value
                case "<=": value <= comparison.value
                case ">": value > comparison.value
                default: value >= comparison.value
                }
            }
        }
    }
}
