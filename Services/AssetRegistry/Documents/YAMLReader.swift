// Reads YAML into JSONValue, by Yams, with the place of every value. Plain scalars follow YAML 1.2's core schema (true, false, null, numbers): "no" and
// "012" stay texts. What YAML can do to a reader is refused before the parser sees it:
//   aliases (*name)        an alias bomb is small as text and huge as a tree
//   explicit keys (? key)  comparing whole trees as keys is quadratic
//   very many values       the tree takes a hundred times the memory of its text
// The text itself is bounded by the caller, so that the rest costs at most what its length costs.

import JSON
import Yams

enum YAMLReader {
    /// A text that is not YAML, or not as it is taken here.
    struct Mistake: Error, Sendable, Equatable, CustomStringConvertible {
        let place: TextPlace
        /// What is wrong and what to do. Never quotes a value: it may be a credential.
        let problem: String
        var description: String { "\(place): \(problem)" }
    }

    /// Collections used as keys are refused when converted; until then each costs the parser up to 1024 characters of
    /// comparing. So many may stand in a text: far above the "[::1]:554" of any real document.
    static let maximumCollectionKeys = 4096

    /// Those of JSON: what is read here is stored as JSON and read again.
    private static let bounds = JSONReader.Rules.documents

    /// Reads all documents of a text; empty ones are passed over.
    static func readDocuments(_ text: String) throws(Mistake) -> [JSONValue] {
        try refuseExpensiveForms(text)
        var values: [JSONValue] = []
        var budget = bounds.maximumValues
        do {
            let parser = try Parser(yaml: text, encoding: .utf8)
            while let node = try parser.nextRoot() {
                let value = try convert(node, depth: 0, budget: &budget)
                if !value.isNull { values.append(value) }
            }
        } catch let error as Mistake {
            throw error
        } catch let error as YamlError {
            throw mistake(error, text: text)
        } catch {
            throw Mistake(place: TextPlace(line: 1, column: 1), problem: "not YAML")
        }
        return values
    }

    // MARK: Before parsing

    /// Works on lines and bytes, without knowing quotes: it may refuse a text inside "..." that looks like an alias where
    /// a value could begin, and never lets a real one pass.
    static func refuseExpensiveForms(_ text: String) throws(Mistake) {
        var line = 1
        var column = 1
        var collectionKeys = 0
        // No more values than that: each begins after one of these bytes.
        var valueBound = 1
        // The last byte on this line that is no blank; nil at the line's start, where a value may begin.
        var previous: UInt8?
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() {
            let following = index + 1 < bytes.count ? bytes[index + 1] : 0x0A
            let followedByBlank = [0x20, 0x09, 0x0A, 0x0D].contains(following)
            let place = TextPlace(line: line, column: column)
            let mayBeginValue = previous.map { Self.valueOpeners.contains($0) } ?? true
            if byte == UInt8(ascii: "*"), mayBeginValue, !followedByBlank {
                throw Mistake(
                    place: place,
                    problem: "aliases (*name) are not taken: write the value out, or quote it where it is a text")
            }
            if byte == UInt8(ascii: "?"), mayBeginValue,
                followedByBlank || previous.map(Self.flowOpeners.contains) ?? false
            {
                throw Mistake(
                    place: place, problem: "explicit keys (? key) are not taken: write \"key: value\"")
            }
            if valueSeparators.contains(byte) {
                valueBound += 1
                guard valueBound <= bounds.maximumValues else {
                    throw Mistake(
                        place: place,
                        problem: "more than \(bounds.maximumValues) values: apply it in parts")
                }
            }
            if byte == UInt8(ascii: ":"), previous == UInt8(ascii: "]") || previous == UInt8(ascii: "}") {
                collectionKeys += 1
                guard collectionKeys <= maximumCollectionKeys else {
                    throw Mistake(place: place, problem: "lists and objects as keys are not taken")
                }
            }
            if byte == 0x0A {
                line += 1
                column = 1
                previous = nil
            } else {
                if byte & 0xC0 != 0x80 { column += 1 }
                if byte != 0x20 && byte != 0x09 && byte != 0x0D { previous = byte }
            }
        }
    }

    private static let valueSeparators: Set<UInt8> = Set(":,[{\n".utf8)
    private static let valueOpeners: Set<UInt8> = Set("-:?[{,".utf8)
    private static let flowOpeners: Set<UInt8> = Set("[{,".utf8)

    // MARK: Nodes to values

    private static func convert(_ node: Node, depth: Int, budget: inout Int) throws -> JSONValue {
        let place = TextPlace(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
        budget -= 1
        guard budget >= 0 else {
            throw Mistake(place: place, problem: "more than \(bounds.maximumValues) values")
        }
        switch node {
        case .scalar(let scalar):
            let text = try withoutNUL(scalar.string, place)
            return JSONValue(scalar.style == .plain ? plainContent(text) : .string(text), at: place)
        case .sequence(let sequence):
            let inner = try deeper(depth, place)
            let elements = try sequence.map { try convert($0, depth: inner, budget: &budget) }
            return JSONValue(.array(elements), at: place)
        case .mapping(let mapping):
            let inner = try deeper(depth, place)
            var members: [JSONValue.Member] = []
            for (key, value) in mapping {
                guard case .scalar(let name) = key else {
                    throw Mistake(place: place, problem: "a key must be a text")
                }
                let text = try withoutNUL(name.string, place)
                members.append(JSONValue.Member(key: text, value: try convert(value, depth: inner, budget: &budget)))
            }
            return JSONValue(.object(members), at: place)
        case .alias:
            throw Mistake(place: place, problem: "aliases (*name) are not taken: write the value out")
        }
    }

    private static func deeper(_ depth: Int, _ place: TextPlace) throws(Mistake) -> Int {
        guard depth < bounds.maximumDepth else {
            throw Mistake(place: place, problem: "nested deeper than \(bounds.maximumDepth) levels")
        }
        return depth + 1
    }

    /// As in JSON: the strings of the contract end at U+0000.
    private static func withoutNUL(_ text: String, _ place: TextPlace) throws(Mistake) -> String {
        guard !text.utf8.contains(0) else {
            throw Mistake(place: place, problem: "the character U+0000 is not allowed: leave it out")
        }
        return text
    }

    /// YAML 1.2's core schema, without octal, hexadecimal and the infinities, which no setting of ours takes.
    static func plainContent(_ text: String) -> JSONValue.Content {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if let value = try? JSONReader.read(text, bounds), case .number(let number) = value.content {
            return .number(number)
        }
        return .string(text)
    }

    // MARK: Errors

    private static func mistake(_ error: YamlError, text: String) -> Mistake {
        let (mark, problem): (TextPlace, String) =
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                (TextPlace(line: mark.line, column: mark.column), problem)
            case .duplicatedKeysInMapping(let keys, let context):
                (
                    TextPlace(line: context.mark.line, column: context.mark.column),
                    "the key \"\((keys.first ?? "").prefix(64))\" stands twice in one object, here for the first time"
                )
            case .reader(let problem, let offset, _, _):
                (position(of: offset ?? 0, in: text), problem)
            default: (TextPlace(line: 1, column: 1), "not YAML")
            }
        return Mistake(place: mark, problem: problem)
    }

    private static func position(of offset: Int, in text: String) -> TextPlace {
        let before = text.prefix(offset)
        let lastLine = before.split(separator: "\n", omittingEmptySubsequences: false).last ?? ""
        return TextPlace(
            line: before.count { $0.isNewline } + 1, column: lastLine.unicodeScalars.count + 1)
    }
}
