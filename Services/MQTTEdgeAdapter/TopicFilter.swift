// MQTT topic names and filters: which are valid, which match, which can meet. Pure. All look at bytes, as the broker does:
// for Swift's Character, '/' or '+' with a combining accent after it would be another letter.

import RPC

/// A subscription's filter.
struct TopicFilter: Sendable, Hashable, CustomStringConvertible {
    let description: String
    private let levels: [String]

    /// Nil where the text is no filter by MQTT 5, section 4.7, or is a shared subscription or one below `$`: the adapter
    /// has one session, and the broker's own topics hold no events.
    init?(_ text: String) {
        guard TopicName.hasValidText(text), text.utf8.first != UInt8(ascii: "$") else { return nil }
        let levels = TopicName.levels(text)
        for (index, level) in levels.enumerated() {
            if level.utf8.contains(UInt8(ascii: "#")) && (level != "#" || index != levels.count - 1) { return nil }
            if level.utf8.contains(UInt8(ascii: "+")) && level != "+" { return nil }
        }
        self.levels = levels
        description = text
    }

    /// Whether a message on the topic reaches this subscription.
    func matches(_ topic: String) -> Bool {
        let names = TopicName.levels(topic)
        if topic.utf8.first == UInt8(ascii: "$") && (levels[0] == "+" || levels[0] == "#") { return false }
        for (index, level) in levels.enumerated() {
            if level == "#" { return true }
            guard index < names.count, level == "+" || level == names[index] else { return false }
            // "a/#" matches "a" too.
            if index == names.count - 1, index + 2 == levels.count, levels[index + 1] == "#" { return true }
        }
        return names.count == levels.count
    }

    /// Whether some topic would reach both. What we publish must not come back as what we take.
    func canMeet(_ other: TopicFilter) -> Bool {
        var index = 0
        while true {
            let mine = index < levels.count ? levels[index] : nil
            let theirs = index < other.levels.count ? other.levels[index] : nil
            switch (mine, theirs) {
            case (nil, nil): return true
            case ("#"?, _), (_, "#"?): return true
            case (nil, _), (_, nil): return false
            case (let mine?, let theirs?):
                guard mine == "+" || theirs == "+" || mine == theirs else { return false }
            }
            index += 1
        }
    }
}

/// Text as MQTT 5 takes it (section 1.5.4). Brokers end the connection of who sends other text.
enum MQTTText {
    /// Longest text of a property, in bytes.
    static let maximumBytes = 65_535

    /// No control characters and none of Unicode's noncharacters.
    static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        let value = scalar.value
        return value >= 0x20 && !(0x7F...0x9F).contains(value) && !(0xFDD0...0xFDEF).contains(value)
            && value & 0xFFFE != 0xFFFE
    }

    /// The text with '?' for what is forbidden, and cut where it is too long.
    static func clean(_ text: String) -> String {
        guard text.utf8.count > maximumBytes || !text.unicodeScalars.allSatisfy(isAllowed) else { return text }
        var clean = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { clean.append(isAllowed(scalar) ? scalar : "?") }
        return String(clean).prefixed(maximumBytes)
    }
}

enum TopicName {
    /// Longest topic that is taken or used, in bytes. MQTT allows 65535; nothing real needs more than this.
    static let maximumBytes = 1_024

    /// What filters and names share: not empty, not too long, nothing that MQTT forbids.
    static func hasValidText(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumBytes && text.unicodeScalars.allSatisfy(MQTTText.isAllowed)
    }

    /// Whether something can be published there by us.
    static func isPublishable(_ text: String) -> Bool {
        hasValidText(text) && text.utf8.first != UInt8(ascii: "$")
            && !text.utf8.contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }
    }

    /// The parts between the slashes; those of "/a" are "" and "a".
    static func levels(_ topic: some StringProtocol) -> [String] {
        topic.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { level in
            String(decoding: level, as: UTF8.self)
        }
    }

    /// A name as one level of a topic: '/', '+', '#', '%' and what MQTT forbids as %XX of their UTF-8 bytes.
    static func level(_ name: String) -> String {
        var text = ""
        for scalar in name.unicodeScalars {
            let isPlain = MQTTText.isAllowed(scalar) && !["/", "+", "#", "%"].contains(scalar)
            if isPlain {
                text.unicodeScalars.append(scalar)
            } else {
                for byte in String(Character(scalar)).utf8 {
                    text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
                }
            }
        }
        return text.isEmpty ? "%" : text
    }

    /// The name that `level` was made of. A '%' that begins no %XX stands for itself.
    static func name(ofLevel level: some StringProtocol) -> String {
        guard level.utf8.contains(UInt8(ascii: "%")) else { return String(level) }
        let bytes = Array(level.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16)
            {
                out.append(value)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
