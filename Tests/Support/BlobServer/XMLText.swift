// The little XML that the protocol needs: escaping what we write, and reading block lists and tags. The reader is asked for the
// elements that a document must have and refuses every other one, so that there is nothing to expand or to nest.
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

/// Reads a document from its beginning; every call takes the next part. Attributes are not known, space between elements does not
/// count.
struct XMLReader {
    private enum Token: Equatable {
        case open(String)
        case close(String)
        case text(String)
    }
    private var tokens: ArraySlice<Token>

    init(_ body: [UInt8]) throws(ServiceError) {
        guard var text = String(validating: body, as: UTF8.self)?[...] else { throw .invalidXML }
        if text.first == "\u{feff}" { text.removeFirst() }
        text = text.drop(while: \.isWhitespace)
        if text.hasPrefix("<?xml") {
            guard let end = text.range(of: "?>") else { throw .invalidXML }
            text = text[end.upperBound...]
        }
        var tokens: [Token] = []
        let pieces = text.split(separator: "<", omittingEmptySubsequences: false)
        guard let before = pieces.first, before.allSatisfy(\.isWhitespace) else { throw .invalidXML }
        for piece in pieces.dropFirst() {
            let parts = piece.split(separator: ">", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw .invalidXML }
            if parts[0].hasPrefix("/") {
                tokens.append(.close(String(parts[0].dropFirst())))
            } else if parts[0].hasSuffix("/") {
                let name = parts[0].dropLast().filter { !$0.isWhitespace }
                tokens += [.open(name), .close(name)]
            } else {
                tokens.append(.open(String(parts[0])))
            }
            if !parts[1].allSatisfy(\.isWhitespace) { tokens.append(.text(Self.unescaped(parts[1]))) }
        }
        self.tokens = tokens[...]
    }

    private static func unescaped(_ text: Substring) -> String {
        guard text.contains("&") else { return String(text) }
        var result = String(text)
        for (name, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")] {
            result = result.replacingOccurrences(of: name, with: character)
        }
        return result
    }

    mutating func open(_ name: String) throws(ServiceError) {
        guard openIfNext(name) else { throw .invalidXML }
    }

    mutating func openIfNext(_ name: String) -> Bool {
        guard tokens.first == .open(name) else { return false }
        tokens.removeFirst()
        return true
    }

    mutating func close(_ name: String) throws(ServiceError) {
        guard tokens.popFirst() == .close(name) else { throw .invalidXML }
    }

    /// The text of an element that has nothing else in it.
    mutating func element(_ name: String) throws(ServiceError) -> String {
        try open(name)
        return try restOfElement(name)
    }

    /// The text up to the end of an element that was opened.
    mutating func restOfElement(_ name: String) throws(ServiceError) -> String {
        var value = ""
        if case .text(let text) = tokens.first {
            value = text
            tokens.removeFirst()
        }
        try close(name)
        return value
    }

    /// Nothing may follow.
    func end() throws(ServiceError) {
        guard tokens.isEmpty else { throw .invalidXML }
    }
}

/// One entry of a Put Block List body.
struct BlockReference: Equatable {
    enum Source: String, CaseIterable {
        case latest = "Latest"
        case committed = "Committed"
        case uncommitted = "Uncommitted"
    }
    let source: Source
    /// The block id, still in base64.
    let id: String

    /// Reads `<BlockList><Latest>id</Latest>…</BlockList>`.
    static func parseList(_ body: [UInt8]) throws(ServiceError) -> [BlockReference] {
        var reader = try XMLReader(body)
        var references: [BlockReference] = []
        try reader.open("BlockList")
        reading: while true {
            for source in Source.allCases where reader.openIfNext(source.rawValue) {
                references.append(BlockReference(source: source, id: try reader.restOfElement(source.rawValue)))
                continue reading
            }
            break
        }
        try reader.close("BlockList")
        try reader.end()
        return references
    }
}
