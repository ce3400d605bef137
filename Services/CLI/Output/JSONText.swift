// JSON for programs. Keys are the contract's field names; absent fields are left out; times are microseconds since 1970.

/// A JSON value, written with two blanks of indentation.
indirect enum JSONText {
    case text(String)
    case integer(Int64)
    case unsigned(UInt64)
    case real(Double)
    case bool(Bool)
    case list([JSONText])
    case object([(String, JSONText?)])

    static func text(_ value: String?) -> JSONText? { value.map { .text($0) } }
    static func integer(_ value: Int64?) -> JSONText? { value.map { .integer($0) } }
    static func unsigned(_ value: (some UnsignedInteger)?) -> JSONText? { value.map { .unsigned(UInt64($0)) } }
    static func bool(_ value: Bool?) -> JSONText? { value.map { .bool($0) } }

    var rendered: String {
        var output = ""
        write(to: &output, indentation: "")
        return output
    }

    private func write(to output: inout String, indentation: String) {
        switch self {
        case .text(let text): Self.quote(text, to: &output)
        case .integer(let number): output += String(number)
        case .unsigned(let number): output += String(number)
        case .real(let number): output += number.isFinite ? String(number) : "null"
        case .bool(let value): output += value ? "true" : "false"
        case .list(let elements):
            if elements.isEmpty {
                output += "[]"
                return
            }
            let inner = indentation + "  "
            for (index, element) in elements.enumerated() {
                output += (index == 0 ? "[\n" : ",\n") + inner
                element.write(to: &output, indentation: inner)
            }
            output += "\n\(indentation)]"
        case .object(let members):
            let present = members.compactMap { member in member.1.map { (member.0, $0) } }
            if present.isEmpty {
                output += "{}"
                return
            }
            let inner = indentation + "  "
            for (index, (key, value)) in present.enumerated() {
                output += (index == 0 ? "{\n" : ",\n") + inner
                Self.quote(key, to: &output)
                output += ": "
                value.write(to: &output, indentation: inner)
            }
            output += "\n\(indentation)}"
        }
    }

    /// One line, for JSON that goes to a service.
    var compact: String {
        switch self {
        case .list(let elements): return "[" + elements.map(\.compact).joined(separator: ",") + "]"
        case .object(let members):
            let parts = members.compactMap { member in
                member.1.map { JSONText.text(member.0).rendered + ":" + $0.compact }
            }
            return "{" + parts.joined(separator: ",") + "}"
        default: return rendered
        }
    }

    private static func quote(_ text: String, to output: inout String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\t": output += "\\t"
            case "\r": output += "\\r"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let hex = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }
}
