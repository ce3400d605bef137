// JSON as the tests read it: from MQTT, from files, from `--json` output.

import Foundation

/// Any JSON value.
public enum JSON: Codable, Sendable, Equatable, CustomStringConvertible {
    /// What a value may be.
    case text(String), number(Double), flag(Bool), list([JSON]), object([String: JSON]), null

    /// Decodes whatever stands there.
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSON].self) {
            self = .list(list)
        } else if let object = try? value.decode([String: JSON].self) {
            self = .object(object)
        } else {
            self = .null
        }
    }

    /// Encodes the value as it is.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .flag(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        case .null: try container.encodeNil()
        }
    }

    /// The text, where it is one.
    public var text: String? { if case .text(let value) = self { value } else { nil } }
    /// The number, where it is one.
    public var number: Double? { if case .number(let value) = self { value } else { nil } }
    /// The elements; none where it is no list.
    public var list: [JSON] { if case .list(let value) = self { value } else { [] } }
    /// The value of a key, where it is an object that has it.
    public subscript(key: String) -> JSON? { if case .object(let value) = self { value[key] } else { nil } }

    /// As JSON text.
    public var description: String {
        guard let data = try? JSONEncoder().encode(self) else { return "?" }
        return String(decoding: data, as: UTF8.self)
    }
}
