// LogLine: what one line of log looks like, in both forms. Pure: time and values in, text out; every value has passed
// Redaction. Where lines go: StandardErrorLog.swift.
//
//   text  2026-11-23T05:06:12.123Z info indexer-0: accepted [request=r1 window_ms=30000]
//   json  {"time":"2026-11-23T05:06:12.123Z","level":"info","service":"indexer-0","logger":"catalogue","message":"accepted",
//          "request":"r1"}     metadata keys that clash with these five get a trailing '_'
import CivilTime
import JSON
import Logging

/// The form of log lines.
public enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// For people.
    case text
    /// One JSON object per line, for collectors.
    case json
}

/// One line of log.
struct LogLine: Sendable {
    var timeUs: Int64
    var level: Logger.Level
    var service: String
    var logger: String
    var message: String
    var metadata: Logger.Metadata

    /// The line with its end, at most `maximumBytes` long and free of credentials.
    func text(_ format: LogFormat) -> String {
        let fields = metadata.sorted { $0.key < $1.key }.map { key, value in
            (key, Redaction.isTelling(key: key) ? Redaction.mark : Self.harmless(Self.flat(value)))
        }
        let message = Self.harmless(message)
        switch format {
        case .text:
            let values = fields.map { key, value in "\(Self.printable(key))=\(Self.quotedIfNeeded(value))" }
            let tail = values.isEmpty ? "" : " [\(values.joined(separator: " "))]"
            return "\(Self.time(timeUs)) \(level.rawValue) \(service): \(Self.printable(message))\(tail)\n"
        case .json:
            var pairs = [
                ("time", Self.time(timeUs)), ("level", level.rawValue), ("service", service), ("logger", logger),
                ("message", message),
            ]
            let taken = Set(pairs.map(\.0))
            pairs += fields.map { key, value in (taken.contains(key) ? key + "_" : key, value) }
            return JSONValue.object(pairs.map { JSONValue.Member(key: $0, value: .string($1)) }).text() + "\n"
        }
    }

    /// A line longer than this is somebody's payload, not a message; collectors cut at 16 KiB.
    static let maximumBytes = 8 * 1024

    private static func flat(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): text
        case .stringConvertible(let value): value.description
        case .array(let values): "[" + values.map(flat).joined(separator: ",") + "]"
        case .dictionary(let values):
            "{"
                + values.sorted { $0.key < $1.key }.map { key, value in
                    "\(key)=\(Redaction.isTelling(key: key) ? Redaction.mark : flat(value))"
                }.joined(separator: ",") + "}"
        }
    }

    /// Without credentials, then cut: a cut in the middle of a credential would leave its beginning. What can be many times
    /// too long is cut to twice the length first, so that it costs no more.
    private static func harmless(_ text: String) -> String {
        guard text.utf8.count > maximumBytes else { return Redaction.redact(text) }
        let redacted = Redaction.redact(String(decoding: text.utf8.prefix(2 * maximumBytes), as: UTF8.self))
        return String(decoding: redacted.utf8.prefix(maximumBytes), as: UTF8.self) + "…"
    }

    /// Control characters as escapes: a message cannot forge a second line or drive a terminal.
    private static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: result += isControl(scalar) ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
            }
        }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
    }

    private static func quotedIfNeeded(_ value: String) -> String {
        let needs = value.isEmpty || value.contains { $0 == " " || $0 == "\"" || $0 == "]" || $0 == "=" }
        let text = printable(value)
        return needs ? "\"" + text.replacing("\"", with: "\\\"") + "\"" : text
    }

    private static func time(_ us: Int64) -> String { TimeStamp(us: us)?.isoMilliseconds ?? "\(us) us" }
}
