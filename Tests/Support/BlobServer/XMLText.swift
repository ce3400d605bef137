// The little XML that the protocol needs: escaping what we write, and reading a client's block list. The reader knows
// exactly the shape of that one document and refuses every other, so that there is nothing to expand or to nest.
import Foundation

enum XMLText {
    static func escape(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// `<Name>value</Name>`.
    static func element(_ name: String, _ value: String) -> String {
        "<\(name)>\(escape(value))</\(name)>"
    }
}

/// One entry of a Put Block List body.
struct BlockReference: Equatable {
    enum Source: String {
        case latest = "Latest"
        case committed = "Committed"
        case uncommitted = "Uncommitted"
    }
    let source: Source
    /// The block id, still in base64.
    let id: String

    /// Reads `<BlockList><Latest>id</Latest>…</BlockList>`.
    static func parseList(_ body: [UInt8]) throws(ServiceError) -> [BlockReference] {
        guard var text = String(validating: body, as: UTF8.self)?[...] else { throw .invalidXML }
        if text.first == "\u{feff}" { text.removeFirst() }
        text.trimWhitespace()
        if text.hasPrefix("<?xml") {
            guard let end = text.range(of: "?>") else { throw .invalidXML }
            text = text[end.upperBound...]
            text.trimWhitespace()
        }
        if text == "<BlockList/>" || text == "<BlockList />" { return [] }
        guard text.hasPrefix("<BlockList>"), text.hasSuffix("</BlockList>") else { throw .invalidXML }
        var references: [BlockReference] = []
        for piece in text.dropFirst(11).dropLast(12).split(separator: "<", omittingEmptySubsequences: true) {
            let parts = piece.split(separator: ">", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 1 {
                guard piece.allSatisfy(\.isWhitespace) else { throw .invalidXML }
                continue
            }
            if parts[0].hasPrefix("/") {
                guard parts[1].allSatisfy(\.isWhitespace), let last = references.last,
                    parts[0].dropFirst() == last.source.rawValue
                else { throw .invalidXML }
                continue
            }
            guard let source = Source(rawValue: String(parts[0])) else { throw .invalidXML }
            references.append(BlockReference(source: source, id: String(parts[1])))
        }
        return references
    }
}

extension Substring {
    fileprivate mutating func trimWhitespace() {
        while let first, first.isWhitespace { removeFirst() }
        while let last, last.isWhitespace { removeLast() }
    }
}
