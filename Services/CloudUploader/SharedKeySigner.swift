// Shared Key: the Authorization header for a request to the Blob service. Values only.
//
//   VERB \n Content-Encoding \n Content-Language \n Content-Length ("" for 0) \n Content-MD5 \n Content-Type \n Date ("") \n
//   If-Modified-Since \n If-Match \n If-None-Match \n If-Unmodified-Since \n Range \n
//   each x-ms- header "name:value\n", as `HeaderOrder` sorts  +  "/account" and the path as sent  +  "\nname:value" for each query name
import CivilTime
import Crypto
import Foundation
import Volume

/// A request as far as it is signed.
struct SignedParts: Sendable, Equatable {
    var method: String
    /// Percent-encoded, as it goes over the wire.
    var path: String
    /// Decoded values; names in lower case, each once.
    var query: [(name: String, value: String)] = []
    /// Names in lower case, each once.
    var headers: [(name: String, value: String)] = []

    static func == (left: SignedParts, right: SignedParts) -> Bool {
        left.method == right.method && left.path == right.path
            && left.query.elementsEqual(right.query, by: ==) && left.headers.elementsEqual(right.headers, by: ==)
    }
}

struct SharedKeySigner: Sendable {
    let account: String
    private let key: SymmetricKey

    /// Nil where the key is not base64.
    init?(account: String, base64Key: String) {
        guard let data = Data(base64Encoded: base64Key), !data.isEmpty else { return nil }
        self.account = account
        key = SymmetricKey(data: data)
    }

    /// "SharedKey account:signature".
    func authorization(_ request: SignedParts) -> String {
        let mac = HMAC<SHA256>.authenticationCode(for: Data(stringToSign(request).utf8), using: key)
        return "SharedKey \(account):\(Data(mac).base64EncodedString())"
    }

    func stringToSign(_ request: SignedParts) -> String {
        var text = request.method
        for name in Self.standardHeaders {
            let value = request.headers.first { $0.name == name }?.value ?? ""
            text += "\n"
            if name != "content-length" || value != "0" { text += value }
        }
        let ours = request.headers.lazy.filter { $0.name.hasPrefix("x-ms-") }
            .map { (order: HeaderOrder($0.name), name: $0.name, value: $0.value) }
        for header in ours.sorted(by: { $0.order < $1.order }) { text += "\n\(header.name):\(header.value)" }
        text += "\n/\(account)\(request.path)"
        for (name, value) in request.query.sorted(by: { $0.name < $1.name }) { text += "\n\(name):\(value)" }
        return text
    }

    private static let standardHeaders = [
        "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
        "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
    ]
}

/// The order of header names in which the service signs. The documentation says "lexicographically"; the service, and the
/// official SDKs after it, sort as one sorts words: hyphens count for nothing, '_' comes before digits, digits before
/// letters. Of names that differ in their hyphens alone, the one whose hyphen comes later is the first. Names in lower case.
struct HeaderOrder: Comparable {
    /// The letters; then a 0, which is before all of them; then, for each byte of the name, whether it is a hyphen.
    private let weights: [UInt8]

    init(_ name: String) {
        var weights: [UInt8] = []
        weights.reserveCapacity(2 * name.utf8.count + 1)
        for byte in name.utf8 where byte != UInt8(ascii: "-") {
            weights.append(byte == UInt8(ascii: "_") ? UInt8(ascii: " ") : byte)
        }
        weights.append(0)
        for byte in name.utf8 { weights.append(byte == UInt8(ascii: "-") ? 1 : 0) }
        self.weights = weights
    }

    static func < (left: HeaderOrder, right: HeaderOrder) -> Bool {
        left.weights.lexicographicallyPrecedes(right.weights)
    }
}

/// Spelling of what goes into requests.
enum BlobText {
    /// Percent-encodes a blob's name for a path: letters, digits and "-._~/" stay.
    static func encodedPath(_ name: String) -> String {
        encode(name) { byte in byte == UInt8(ascii: "/") }
    }

    /// Percent-encodes a value of the query.
    static func encodedQuery(_ value: String) -> String {
        encode(value) { _ in false }
    }

    /// A value of metadata: headers are ASCII, so other bytes and '%' are percent-encoded; at most `maximumBytes`. So is a space
    /// after a space: whether a run of them is signed as one is said differently by the documentation and by the SDKs.
    static func metadataValue(_ text: String, maximumBytes: Int = 1024) -> String {
        var result = ""
        for byte in text.utf8 {
            let isPlain = (0x21..<0x7f).contains(byte) && byte != UInt8(ascii: "%")
            let isLoneSpace = byte == UInt8(ascii: " ") && result.utf8.last != UInt8(ascii: " ")
            let part = isPlain || isLoneSpace ? String(UnicodeScalar(byte)) : hexadecimal(byte)
            guard result.utf8.count + part.utf8.count <= maximumBytes else { break }
            result += part
        }
        return result.trimmingCharacters(in: .whitespaces)
    }

    /// "Mon, 23 Nov 2026 05:11:01 GMT", as x-ms-date wants it, of microseconds since 1970.
    static func date(_ us: Int64) -> String {
        let time = (TimeStamp(us: us)?.isoSeconds ?? "1970-01-01T00:00:00Z").dropLast().split(separator: "T")
        let date = time[0].split(separator: "-")
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let month = Int(date[1]).map { months[($0 - 1) % 12] } ?? ""
        return "\(days[Int(us / 86_400_000_000 % 7)]), \(date[2]) \(month) \(date[0]) \(time[1]) GMT"
    }

    private static func encode(_ text: String, _ isKept: (UInt8) -> Bool) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e:
                result.unicodeScalars.append(UnicodeScalar(byte))
            case _ where isKept(byte): result.unicodeScalars.append(UnicodeScalar(byte))
            default: result += hexadecimal(byte)
            }
        }
        return result
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return digits.count == 1 ? "%0\(digits)" : "%\(digits)"
    }
}
