// Gatekeeper: whether a request proves who sent it (RFC 2617, 7616). Written from the RFCs, beside the client's own.

import COpenSSL
import Foundation

/// The authentication of one connection.
struct Gatekeeper {
    private let rules: Authentication
    private var nonce = "n0"
    private var nonces = 1
    private var lastCount = 0
    private var wentStale: Set<String> = []

    init(_ rules: Authentication) {
        self.rules = rules
    }

    /// The lines of WWW-Authenticate with which a request is refused; nil: it is let in.
    mutating func refuse(_ request: RequestText) -> [String]? {
        if request.method == "OPTIONS", !rules.guardsOptions { return nil }
        guard isRight(request) else { return challenges(isStale: false) }
        if rules.staleAt.contains(request.method), wentStale.insert(request.method).inserted {
            nonce = "n\(nonces)"
            nonces += 1
            lastCount = 0
            return challenges(isStale: rules.saysStale)
        }
        return nil
    }

    private func challenges(isStale: Bool) -> [String] {
        let texts = rules.offers.map { scheme -> String in
            switch scheme {
            case .basic: return #"Basic realm="fake camera""#
            case .other(let name): return #"\#(name) realm="fake camera""#
            case .digest(let algorithm, let qop, let isNamed):
                var text = #"Digest realm="fake, camera", nonce="\#(nonce)", opaque="o""#
                if isNamed { text += ", algorithm=\(algorithm.name)" }
                if qop { text += #", qop="auth,auth-int""# }
                return isStale ? text + ", stale=true" : text
            }
        }
        return rules.isOneHeader ? [texts.joined(separator: ", ")] : texts
    }

    private mutating func isRight(_ request: RequestText) -> Bool {
        guard let header = request.headers["authorization"] else { return false }
        let accepted = rules.accepts ?? Set(rules.offers)
        if header.hasPrefix("Basic ") {
            let wanted = Data("\(rules.user):\(rules.password)".utf8).base64EncodedString()
            return accepted.contains(.basic) && header.dropFirst(6) == wanted
        }
        guard header.hasPrefix("Digest ") else { return false }
        let fields = Self.fields(of: String(header.dropFirst(7)))
        return accepted.contains { scheme in
            guard case .digest(let algorithm, let qop, _) = scheme else { return false }
            return isRight(fields, request, algorithm, qop: qop)
        }
    }

    private mutating func isRight(
        _ fields: [String: String], _ request: RequestText, _ algorithm: Authentication.Algorithm, qop: Bool
    ) -> Bool {
        guard fields["username"] == rules.user, fields["nonce"] == nonce, fields["uri"] == request.uri,
            fields["realm"] == "fake, camera", fields["opaque"] == "o",
            (fields["algorithm"] ?? "MD5") == algorithm.name
        else { return false }
        let first = Self.hash("\(rules.user):fake, camera:\(rules.password)", algorithm)
        let second = Self.hash("\(request.method):\(request.uri)", algorithm)
        guard qop else { return fields["response"] == Self.hash("\(first):\(nonce):\(second)", algorithm) }
        guard fields["qop"] == "auth", let counter = fields["nc"], counter.count == 8,
            let count = Int(counter, radix: 16), count > lastCount, let cnonce = fields["cnonce"], !cnonce.isEmpty,
            fields["response"] == Self.hash("\(first):\(nonce):\(counter):\(cnonce):auth:\(second)", algorithm)
        else { return false }
        lastCount = count
        return true
    }

    /// name=value, name="value"; commas and escaped quotes may stand inside quotes.
    private static func fields(of text: String) -> [String: String] {
        var fields: [String: String] = [:]
        var left = text[...]
        while let equals = left.firstIndex(of: "=") {
            let name = left[..<equals].drop { $0 == "," || $0 == " " }
            left = left[left.index(after: equals)...]
            var value = ""
            if left.first == "\"" {
                left.removeFirst()
                while let next = left.popFirst(), next != "\"" {
                    if next == "\\", let escaped = left.popFirst() { value.append(escaped) } else { value.append(next) }
                }
            } else {
                value = String(left.prefix { $0 != "," })
                left = left.dropFirst(value.count)
            }
            fields[name.lowercased()] = value
        }
        return fields
    }

    private static func hash(_ text: String, _ algorithm: Authentication.Algorithm) -> String {
        let bytes = Array(text.utf8)
        var room = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let kind = algorithm == .md5 ? EVP_md5() : EVP_sha256()
        guard EVP_Digest(bytes, bytes.count, &room, &length, kind, nil) == 1 else { return "" }
        return room.prefix(Int(length)).map { String(format: "%02x", $0) }.joined()
    }
}
