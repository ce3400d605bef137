// What a server asks of a user (RFC 7235, 7616, 2617), read from WWW-Authenticate as cameras write it: one header with a list,
// several headers, Basic and Digest in any order, values with and without quotes.

/// One challenge: a scheme and its parameters.
struct RTSPChallenge: Sendable, Hashable {
    /// What it takes to answer, the weakest first.
    enum Method: Int, Sendable, Comparable {
        case basic
        case digestMD5
        case digestSHA256

        static func < (left: Method, right: Method) -> Bool { left.rawValue < right.rawValue }
    }

    /// "digest", in lower case.
    let scheme: String
    /// Names in lower case; values without their quotes.
    var parameters: [String: String]

    /// Nil for one that we cannot answer.
    var method: Method? {
        switch scheme {
        case "basic": .basic
        case "digest" where parameters["nonce"] != nil && offersAuth: digestMethod
        default: nil
        }
    }

    private var digestMethod: Method? {
        switch (parameters["algorithm"] ?? "MD5").uppercased() {
        case "MD5", "MD5-SESS": .digestMD5
        case "SHA-256", "SHA-256-SESS", "SHA256": .digestSHA256
        default: nil
        }
    }

    /// Whether the hash covers the session's nonces as well.
    var isSession: Bool { parameters["algorithm"]?.lowercased().hasSuffix("-sess") ?? false }

    /// Whether the server asks for a quality of protection, which brings a counter and a nonce of ours.
    var wantsQop: Bool { parameters["qop"] != nil }

    /// RTSP bodies are not protected by anybody; a server that offers nothing but auth-int cannot be answered.
    private var offersAuth: Bool {
        guard let qop = parameters["qop"] else { return true }
        return qop.lowercased().split(separator: ",").contains { $0.trimmed == "auth" }
    }

    /// Whether only the nonce was too old, and the user name was right.
    var isStale: Bool { parameters["stale"]?.lowercased() == "true" }

    /// All challenges of a response's WWW-Authenticate headers, in their order.
    static func all(in values: [String]) -> [RTSPChallenge] { values.flatMap { list(in: $0) } }

    /// The one that is hardest to forge.
    static func strongest(of challenges: [RTSPChallenge]) -> RTSPChallenge? {
        challenges.filter { $0.method != nil }.max { left, right in
            (left.method ?? .basic) < (right.method ?? .basic)
        }
    }

    private static func list(in text: String) -> [RTSPChallenge] {
        var challenges: [RTSPChallenge] = []
        var reader = Reader(left: text[...])
        while let word = reader.word() {
            if reader.takes("=") {
                let value = reader.value()
                if !challenges.isEmpty { challenges[challenges.count - 1].parameters[word.lowercased()] = value }
            } else {
                challenges.append(RTSPChallenge(scheme: word.lowercased(), parameters: [:]))
            }
        }
        return challenges
    }

    /// Reads words, '=' and quoted values from the front of a text.
    private struct Reader {
        var left: Substring

        /// The next word; nil at the end. Commas and what else is no word are passed over.
        mutating func word() -> String? {
            left = left.drop { !Self.isWord($0) }
            let word = left.prefix { Self.isWord($0) }
            left = left.dropFirst(word.count)
            return word.isEmpty ? nil : String(word)
        }

        mutating func takes(_ character: Character) -> Bool {
            let rest = left.drop { $0 == " " || $0 == "\t" }
            guard rest.first == character else { return false }
            left = rest.dropFirst()
            return true
        }

        mutating func value() -> String {
            left = left.drop { $0 == " " || $0 == "\t" }
            guard left.first == "\"" else {
                let value = left.prefix { $0 != "," && $0 != " " && $0 != "\t" }
                left = left.dropFirst(value.count)
                return String(value)
            }
            left = left.dropFirst()
            var value = ""
            while let character = left.popFirst(), character != "\"" {
                // A quoted pair (RFC 7230, section 3.2.6); a value that ends with a lone backslash ends there.
                guard character == "\\" else {
                    value.append(character)
                    continue
                }
                if let quoted = left.popFirst() { value.append(quoted) }
            }
            return value
        }

        private static func isWord(_ character: Character) -> Bool {
            character.isLetter || character.isNumber || character == "-" || character == "_"
        }
    }
}
