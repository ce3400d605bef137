// How a JSONValue is written. Everything that could end a line or drive a terminal is escaped, so that the text can go into a
// log, a message or a file as it is.

extension JSONValue {
    /// How a value is laid out.
    public enum Layout: Sendable {
        /// Without white space, for messages and lines.
        case compact
        /// Members and elements on lines of their own, two blanks deeper each, for people and files.
        case indented
    }

    /// The value as JSON text.
    /// - Parameter sortedKeys: members by the bytes of their keys, so that values that say the same in another order give the
    ///   same text.
    public func text(_ layout: Layout = .compact, sortedKeys: Bool = false) -> String {
        var writer = JSONWriter(layout: layout, sortedKeys: sortedKeys)
        writer.write(self)
        return writer.text
    }

    /// The compact text as bytes.
    public func encoded() -> [UInt8] { Array(text().utf8) }
}

private struct JSONWriter {
    let layout: JSONValue.Layout
    let sortedKeys: Bool
    var text = ""
    private var depth = 0

    init(layout: JSONValue.Layout, sortedKeys: Bool) {
        self.layout = layout
        self.sortedKeys = sortedKeys
    }

    mutating func write(_ value: JSONValue) {
        switch value.content {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let literal): text += literal
        case .string(let string): quote(string)
        case .array(let elements):
            enclose("[", elements, "]") { writer, element in writer.write(element) }
        case .object(let members):
            enclose("{", sortedKeys ? Self.sorted(members) : members, "}") { writer, member in
                writer.quote(member.key)
                writer.text += writer.layout == .compact ? ":" : ": "
                writer.write(member.value)
            }
        }
    }

    private mutating func enclose<Item>(
        _ opening: String, _ items: [Item], _ closing: String, _ write: (inout JSONWriter, Item) -> Void
    ) {
        text += opening
        depth += 1
        for (index, item) in items.enumerated() {
            if index > 0 { text += "," }
            breakLine()
            write(&self, item)
        }
        depth -= 1
        if !items.isEmpty { breakLine() }
        text += closing
    }

    private mutating func breakLine() {
        guard layout == .indented else { return }
        text += "\n" + String(repeating: "  ", count: depth)
    }

    private static func sorted(_ members: [JSONValue.Member]) -> [JSONValue.Member] {
        members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    private mutating func quote(_ string: String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            // The controls of ASCII and Latin-1, and the two line separators of Unicode.
            case "\0"..<" ", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
