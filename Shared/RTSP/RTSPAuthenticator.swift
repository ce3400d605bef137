// RTSPAuthenticator: who we say we are. Keeps the server's last challenge and writes the Authorization header of each request.
// Pure; the nonce of ours comes from outside. Credentials are handed in for each header and kept nowhere.

import COpenSSL
import Foundation

/// A user of a camera or media server. Shows itself to nobody.
public struct RTSPUser: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let name: String
    let password: String

    /// A user from its parts.
    public init(name: String, password: String) {
        self.name = name
        self.password = password
    }

    /// Says nothing.
    public var description: String { "a user" }
    /// Says nothing.
    public var debugDescription: String { description }
    /// Has no parts.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The authentication of one connection.
struct RTSPAuthenticator: Sendable {
    /// What a 401 means.
    enum Verdict: Sendable, Equatable {
        /// Send the request again, with the header that `header` now writes.
        case answer
        /// The server knows who we say we are, and refuses.
        case refused
        /// It asks for something that we do not speak; its words.
        case notUnderstood(String)
    }

    /// A password that is right is asked for once, perhaps again with a new nonce or another algorithm. A server that says "stale"
    /// to every answer would be asked for ever.
    private static let maximumChallenges = 4
    /// What is told of what a server asks for: more would only fill logs.
    private static let maximumWords = 4
    private static let maximumWordCharacters = 40

    private var challenge: RTSPChallenge?
    /// Challenges since a request was accepted.
    private var challenges = 0
    private var count: UInt32 = 0
    /// Whether a request went out with an answer to `challenge`, and none was accepted since.
    private var isUntested = false
    /// Whether the user was let in since the last challenge.
    private var wasLetIn = false

    /// A response of status 401 came.
    mutating func challenged(_ headers: RTSPHeaders) -> Verdict {
        let offered = RTSPChallenge.all(in: headers.all("WWW-Authenticate"))
        guard let strongest = RTSPChallenge.strongest(of: offered) else {
            let words = offered.prefix(Self.maximumWords).map {
                "\($0.scheme) \($0.parameters["algorithm"] ?? "")".trimmed.prefix(Self.maximumWordCharacters)
            }
            return .notUnderstood(words.isEmpty ? "nothing" : words.joined(separator: ", "))
        }
        let isNewNonce = strongest.parameters["nonce"] != challenge?.parameters["nonce"]
        // A new nonce for a user that was let in is answered again, whether or not the server says that the old one ran out
        // (many do not); an answer that was never accepted is wrong.
        if isUntested, !strongest.isStale, !(wasLetIn && isNewNonce) { return .refused }
        // A server that says "stale" to every answer would be asked for ever.
        if strongest.isStale, isUntested, !isNewNonce { return .refused }
        challenges += 1
        guard challenges <= Self.maximumChallenges else { return .refused }
        challenge = strongest
        count = 0
        isUntested = false
        wasLetIn = false
        return .answer
    }

    /// A request was accepted.
    mutating func accepted() {
        wasLetIn = wasLetIn || isUntested
        isUntested = false
        challenges = 0
    }

    /// Whether a request needs a user.
    var needsUser: Bool { challenge != nil }

    /// The value of Authorization; nil as long as the server asked for nothing.
    ///
    /// - Parameter clientNonce: new random letters for each call.
    mutating func header(method: String, uri: String, user: RTSPUser, clientNonce: String) -> String? {
        guard let challenge, let way = challenge.method else { return nil }
        isUntested = true
        if way == .basic { return "Basic \(Base64.encode(Array("\(user.name):\(user.password)".utf8)))" }
        count &+= 1
        let digest: ([UInt8]) -> String = { way == .digestSHA256 ? Digest.sha256($0) : Digest.md5($0) }
        func hash(_ parts: String...) -> String { digest(Array(parts.joined(separator: ":").utf8)) }
        let realm = challenge.parameters["realm"] ?? ""
        let nonce = challenge.parameters["nonce"] ?? ""
        let hexadecimal = String(count, radix: 16)
        let counter = String(repeating: "0", count: max(0, 8 - hexadecimal.count)) + hexadecimal
        var first = hash(user.name, realm, user.password)
        if challenge.isSession { first = hash(first, nonce, clientNonce) }
        let second = hash(method, uri)
        let response =
            challenge.wantsQop
            ? hash(first, nonce, counter, clientNonce, "auth", second) : hash(first, nonce, second)
        var fields = [
            ("username", quoted(user.name)), ("realm", quoted(realm)), ("nonce", quoted(nonce)), ("uri", quoted(uri)),
            ("response", quoted(response)),
        ]
        // Some cameras refuse an algorithm that they did not name.
        if let algorithm = challenge.parameters["algorithm"] { fields.append(("algorithm", algorithm)) }
        if challenge.wantsQop { fields += [("qop", "auth"), ("nc", counter)] }
        if challenge.wantsQop || challenge.isSession { fields.append(("cnonce", quoted(clientNonce))) }
        if let opaque = challenge.parameters["opaque"] { fields.append(("opaque", quoted(opaque))) }
        return "Digest " + fields.map { "\($0.0)=\($0.1)" }.joined(separator: ", ")
    }

    private func quoted(_ value: String) -> String {
        var quoted = "\""
        for character in value {
            if character == "\"" || character == "\\" { quoted.append("\\") }
            quoted.append(character)
        }
        return quoted + "\""
    }
}

/// Hashes as lower-case hexadecimal digits.
enum Digest {
    static func md5(_ bytes: [UInt8]) -> String { hash(bytes, EVP_md5()) }
    static func sha256(_ bytes: [UInt8]) -> String { hash(bytes, EVP_sha256()) }

    private static func hash(_ bytes: [UInt8], _ algorithm: OpaquePointer?) -> String {
        var room = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard EVP_Digest(bytes, bytes.count, &room, &length, algorithm, nil) == 1 else { return "" }
        return room.prefix(Int(length)).map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    }
}

/// Base64 (RFC 4648) both ways; reading takes what cameras write into their descriptions.
enum Base64 {
    static func encode(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    /// Nil where a character is none of the alphabet. Padding may be missing or wrong, and the last letter too many.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var letters = String(text).filter { $0 != "=" }
        if letters.count % 4 == 1 { letters.removeLast() }
        letters += String(repeating: "=", count: (4 - letters.count % 4) % 4)
        return Data(base64Encoded: letters).map { [UInt8]($0) }
    }
}
