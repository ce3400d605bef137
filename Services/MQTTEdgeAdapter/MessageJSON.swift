// What the JSON of all messages has in common, read and written.

import JSON

extension JSONReader.Rules {
    /// For messages of strangers. No event that means anything is nested so deep; `maximumValues` is what the bytes can hold.
    static let messages = JSONReader.Rules(
        maximumBytes: EventMapping.maximumBytes, maximumDepth: 64, maximumValues: EventMapping.maximumBytes / 2,
        // Devices that write a key twice exist, and an event of theirs is an event all the same.
        refusesRepeatedKeys: false)
    /// For documents as the asset-registry gives them back; it has checked them.
    static let registry = JSONReader.Rules(
        maximumBytes: 1 << 20, maximumDepth: 64, maximumValues: 1 << 19, refusesRepeatedKeys: false)
}

extension JSONValue {
    /// The value of a key; nil where it is absent or null, for senders write either for what they do not say.
    subscript(given key: String) -> JSONValue? {
        guard let value = self[key], !value.isNull else { return nil }
        return value
    }

    /// A text; nil, which leaves the member out, where there is none or it is empty.
    static func nonEmpty(_ text: String?) -> JSONValue? { text.flatMap { $0.isEmpty ? nil : .string($0) } }

    /// A time as RFC 3339 text, from microseconds since 1970.
    static func time(_ us: Int64?) -> JSONValue? { us.map { .string(TimeText.rfc3339($0)) } }
}
