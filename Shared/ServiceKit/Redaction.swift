// Redaction: the last look at every text before it leaves the process (log lines, messages of settings errors). Code must
// not put credentials into messages to begin with; this catches what a library or an operator's value brought along.
//
// What is replaced by ***:
//   user information in URLs                rtsp://admin:pw@cam/1  ->  rtsp://***@cam/1, also where the password holds '/'
//   values of telling keys                  password=pw  sig=pw&  AccountKey=pw;  "token": "pw"  password: pw
//   what follows an authorization scheme    Authorization: Basic pw (to the end of the line)   Bearer pw
//   secrets that were read from files       wherever they turn up (SecretStore remembers them)
// It would rather take too much than too little.
import Synchronization

/// Removes credentials from text.
public enum Redaction {
    /// What stands for a credential.
    public static let mark = "***"
    /// Shorter secrets are not looked for: replacing each "admin" would make logs useless and protect nothing.
    static let shortestRemembered = 8
    private static let remembered = Mutex(RememberedSecrets())

    /// From now on `secret` is replaced wherever it turns up.
    public static func remember(_ secret: String) {
        guard secret.utf8.count >= shortestRemembered else { return }
        remembered.withLock { $0.add(Array(secret.utf8)) }
    }

    /// `text` without credentials.
    public static func redact(_ text: String) -> String {
        let text = remembered.withLock { $0 }.removed(from: text)
        // Most lines hold none of these; they pass unchanged.
        guard text.utf8.contains(where: { $0 == ascii("=") || $0 == ascii(":") || $0 == ascii(" ") }) else {
            return text
        }
        return withoutValues(withoutSchemes(withoutUserInformation(text)))
    }

    /// Whether a key's value is a credential by its name.
    public static func isTelling(key: String) -> Bool {
        isTelling(Array(key.utf8)[...])
    }

    // MARK: URLs

    private static func withoutUserInformation(_ text: String) -> String {
        guard text.contains("://"), text.utf8.contains(ascii("@")) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index] == ascii(":"), bytes[index...].starts(with: Array("://".utf8)) else {
                result.append(bytes[index])
                index += 1
                continue
            }
            result += Array("://".utf8)
            index += 3
            let end = bytes[index...].firstIndex(where: endsToken) ?? bytes.count
            let token = bytes[index..<end]
            if let at = lastAt(in: token) {
                result += Array(mark.utf8)
                index = at
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The '@' that ends the user information. Strictly it lies before the first '/'; a password with an unescaped '/', '?'
    /// or '#' puts it behind, and then a ':' lies before it.
    private static func lastAt(in token: ArraySlice<UInt8>) -> Int? {
        let authorityEnd =
            token.firstIndex { $0 == ascii("/") || $0 == ascii("?") || $0 == ascii("#") } ?? token.endIndex
        let strict = token[..<authorityEnd].lastIndex(of: ascii("@"))
        guard let last = token.lastIndex(of: ascii("@")) else { return nil }
        return strict ?? (token[..<last].contains(ascii(":")) ? last : nil)
    }

    // MARK: authorization headers

    private static let headers = ["authorization", "proxy-authorization", "www-authenticate-response"]
    private static let schemes = ["bearer", "basic", "sharedkey", "sharedkeylite", "digest"]

    private static func withoutSchemes(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard isWord(bytes[index]) else {
                result.append(bytes[index])
                index += 1
                continue
            }
            let wordEnd = bytes[index...].firstIndex { !isWord($0) } ?? bytes.count
            let word = String(decoding: bytes[index..<wordEnd], as: UTF8.self).lowercased()
            result += bytes[index..<wordEnd]
            index = wordEnd
            if headers.contains(word), let value = valueStart(bytes, after: wordEnd) {
                result += bytes[wordEnd..<value]
                result += Array(mark.utf8)
                let isQuoted = value > 0 && bytes[value - 1] == ascii("\"")
                index =
                    bytes[value...].firstIndex { $0 == 10 || $0 == 13 || isQuoted && $0 == ascii("\"") } ?? bytes.count
            } else if schemes.contains(word), wordEnd + 1 < bytes.count, bytes[wordEnd] == ascii(" "),
                looksLikeCredential(bytes, at: wordEnd + 1)
            {
                result += Array((" " + mark).utf8)
                index = bytes[(wordEnd + 1)...].firstIndex { endsToken($0) } ?? bytes.count
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// "Basic settings" is prose; "Basic dXNlcjpwYXNz" is not: at least 12 characters without a space, or with a '=' or ':'.
    private static func looksLikeCredential(_ bytes: [UInt8], at start: Int) -> Bool {
        let end = bytes[start...].firstIndex(where: endsToken) ?? bytes.count
        let token = bytes[start..<end]
        return token.count >= 12 || token.contains { $0 == ascii("=") || $0 == ascii(":") }
    }

    // MARK: keys and values

    private static let tellingEnds = [
        "password", "passwd", "pwd", "passphrase", "secret", "token", "accountkey", "accesskey", "sharedaccesskey",
        "apikey",
        "api-key", "api_key", "account-key", "account_key", "access-key", "access_key", "privatekey", "private-key",
        "private_key", "signature", "credential", "credentials",
    ].map { Array($0.utf8) }
    private static let tellingWords = ["sig", "pass", "authorization", "proxy-authorization", "cookie"].map {
        Array($0.utf8)
    }
    /// Keys whose value is taken after a plain ": " as well; for the others that is usually prose.
    private static let tellingInYAML = ["password", "passwd", "pwd", "accountkey"].map { Array($0.utf8) }

    private static func isTelling(_ key: ArraySlice<UInt8>) -> Bool {
        let lower = key.map(lowercase)
        return tellingWords.contains(lower) || tellingEnds.contains { lower.suffix($0.count).elementsEqual($0) }
    }

    private static func withoutValues(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard isWord(bytes[index]) else {
                result.append(bytes[index])
                index += 1
                continue
            }
            let wordEnd = bytes[index...].firstIndex { !isWord($0) } ?? bytes.count
            let word = bytes[index..<wordEnd]
            result += word
            index = wordEnd
            guard isTelling(word), let value = valueStart(bytes, after: wordEnd) else { continue }
            let separator = bytes[wordEnd..<value]
            let isQuotedKey = separator.first == ascii("\"") || separator.first == ascii("'")
            let isPlainColon = !isQuotedKey && !separator.contains(ascii("="))
            if isPlainColon, !tellingInYAML.contains(where: { word.map(lowercase).suffix($0.count).elementsEqual($0) })
            {
                continue
            }
            let quote = separator.last.flatMap { $0 == ascii("\"") || $0 == ascii("'") ? $0 : nil }
            let end = bytes[value...].firstIndex { byte in quote.map { byte == $0 } ?? endsValue(byte) } ?? bytes.count
            guard end > value else { continue }
            result += separator
            result += Array(mark.utf8)
            index = end
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Where the value begins after `key=`, `key: `, `"key": "`, `key = '`; nil when no '=' or ':' follows.
    private static func valueStart(_ bytes: [UInt8], after wordEnd: Int) -> Int? {
        var index = wordEnd
        func at(_ index: Int) -> UInt8? { index < bytes.count ? bytes[index] : nil }
        if at(index) == ascii("\"") || at(index) == ascii("'") { index += 1 }
        while at(index) == ascii(" ") { index += 1 }
        guard at(index) == ascii("=") || at(index) == ascii(":") else { return nil }
        index += 1
        while at(index) == ascii(" ") { index += 1 }
        if at(index) == ascii("\"") || at(index) == ascii("'") { index += 1 }
        return index < bytes.count ? index : nil
    }

    // MARK: bytes

    private static func ascii(_ scalar: Unicode.Scalar) -> UInt8 { UInt8(ascii: scalar) }

    private static func lowercase(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte + 0x20 : byte }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, ascii("_"), ascii("-"): true
        default: false
        }
    }

    private static func endsToken(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte == ascii("\"") || byte == ascii("'") || byte == ascii("<") || byte == ascii(">")
    }

    private static func endsValue(_ byte: UInt8) -> Bool {
        endsToken(byte) || byte == ascii("&") || byte == ascii(";") || byte == ascii(",") || byte == ascii(")")
    }
}

/// A value that must not be shown: it prints as ***.
public struct Redacted<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The value itself; use it where it is needed and nowhere else.
    public let revealed: Value

    /// Hides a value.
    public init(_ value: Value) { revealed = value }

    /// Always ***.
    public var description: String { Redaction.mark }
    /// Always ***.
    public var debugDescription: String { Redaction.mark }
    /// Without children, so that `dump` and reflection-based printing show nothing.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension Redacted: Equatable where Value: Equatable {}
extension Redacted: Hashable where Value: Hashable {}
