// What a service of tokens knows: who may have one, how long they live, which were given. Shared by a service and whoever takes its
// place after it was stopped, and asked by the storage whether a token is taken.
import Crypto
import CryptoExtras
import Foundation
import Synchronization

/// A request for a token, as it arrived.
public struct TokenRequest: Sendable {
    /// "POST".
    public let method: String
    /// With the query.
    public let uri: String
    /// Names in lower case.
    public let headers: [String: String]
    /// The body as text.
    public let body: String

    var path: String { String(uri.prefix { $0 != "?" }) }
    var query: [String: String] { Self.fields(String(uri.drop { $0 != "?" }.dropFirst())) }
    var form: [String: String] { Self.fields(body) }

    private static func fields(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            fields[String(parts[0])] = parts.count == 2 ? String(parts[1]).removingPercentEncoding : nil
        }
        return fields
    }
}

/// What is answered.
struct TokenReply: Sendable {
    let status: Int
    var headers: [(String, String)] = []
    var body = "{}"
}

/// The rules and the tokens of a service.
public final class TokenBook: Sendable {
    /// Who gets a token.
    public enum Rule: Sendable {
        /// An application of Entra ID with its secret.
        case secret(String)
        /// An application of Entra ID for whom another issuer speaks.
        case federatedToken(String)
        /// An application of Entra ID that signs with the key of this certificate, in PEM.
        case certificate(publicKeyPEM: String)
        /// Who reaches the metadata address of the machine; with the id of a user-assigned identity only who names it.
        case machine(clientID: String?)
        /// Who can read keys in this folder.
        case arc(keyFolder: String)
    }

    /// The application and the tenant that exist.
    public static let clientID = "0f6f2a39-5d0c-4b3e-9d86-3a9a6b7f1c11"
    /// The tenant that exists.
    public static let tenantID = "8a4d1c6e-77b2-4c35-8f0e-2f7f3b9f5d22"
    private static let storage = "https://storage.azure.com/"

    private struct State {
        var rule: Rule
        var lifeSeconds: Int
        var ends: [String: Date] = [:]
        var keys: Set<String> = []
        var requests: [TokenRequest] = []
        var failures: [TokenReply] = []
        var challengePath: String?
    }
    private let state: Mutex<State>

    /// - Parameter lifeSeconds: how long each token is taken.
    public init(_ rule: Rule, lifeSeconds: Int = 3600) { state = Mutex(State(rule: rule, lifeSeconds: lifeSeconds)) }

    /// Until when the storage takes a token; nil for one that was never given.
    public func end(of token: String) -> Date? { state.withLock { $0.ends[token] } }

    /// Every token that was given.
    public var tokens: [String] { state.withLock { Array($0.ends.keys) } }

    /// Ends all tokens at once, as a revocation does.
    public func revokeAll() {
        state.withLock { state in for token in state.ends.keys { state.ends[token] = .distantPast } }
    }

    /// The requests that came.
    public var requests: [TokenRequest] { state.withLock { $0.requests } }

    /// Whom the service gives tokens from now on.
    public func change(_ rule: Rule) { state.withLock { $0.rule = rule } }

    /// Answers the next requests with these states.
    public func fail(_ statuses: [Int]) {
        state.withLock {
            $0.failures += statuses.map { TokenReply(status: $0, body: #"{"error":"temporarily_unavailable"}"#) }
        }
    }

    /// Lets the next challenges of Azure Arc name this file.
    public func challenge(with path: String) { state.withLock { $0.challengePath = path } }

    func answer(_ request: TokenRequest, at address: String) -> TokenReply {
        state.withLock { state in
            state.requests.append(request)
            if !state.failures.isEmpty { return state.failures.removeFirst() }
            switch state.rule {
            case .machine, .arc: return Self.answerOfHost(request, &state)
            case .secret, .federatedToken, .certificate: return Self.answerOfEntra(request, address, &state)
            }
        }
    }

    // MARK: Entra ID

    private static func answerOfEntra(_ request: TokenRequest, _ address: String, _ state: inout State) -> TokenReply {
        let form = request.form
        guard request.method == "POST", request.path == "/\(tenantID)/oauth2/v2.0/token" else {
            return refusal(400, "invalid_request", 90_002, form)
        }
        guard form["client_id"] == clientID else { return refusal(400, "unauthorized_client", 700_016, form) }
        guard form["grant_type"] == "client_credentials", form["scope"] == storage + ".default" else {
            return refusal(400, "invalid_scope", 70_011, form)
        }
        let isAssertion =
            form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        switch state.rule {
        case .secret(let secret) where form["client_secret"] != secret:
            return refusal(401, "invalid_client", 7_000_215, form)
        case .federatedToken(let token) where !isAssertion || form["client_assertion"] != token:
            return refusal(400, "invalid_client", 700_213, form)
        case .certificate(let key)
        where !isAssertion || !isSigned(form["client_assertion"] ?? "", key, audience: address + request.path):
            return refusal(401, "invalid_client", 700_027, form)
        default: break
        }
        let (token, life) = give(&state)
        return TokenReply(
            status: 200,
            body: #"{"token_type":"Bearer","expires_in":\#(life),"ext_expires_in":\#(life),"access_token":"\#(token)"}"#
        )
    }

    /// As the real one, it may quote in its description what was sent: so a client must not repeat that.
    private static func refusal(_ status: Int, _ word: String, _ number: Int, _ form: [String: String]) -> TokenReply {
        let sent = form["client_secret"] ?? form["client_assertion"] ?? ""
        return TokenReply(
            status: status,
            body: #"{"error":"\#(word)","error_description":"AADSTS\#(number): \#(sent)","error_codes":[\#(number)]}"#)
    }

    private static func isSigned(_ assertion: String, _ publicKeyPEM: String, audience: String) -> Bool {
        let parts = assertion.split(separator: ".").map(String.init)
        guard parts.count == 3, let key = try? _RSA.Signing.PublicKey(pemRepresentation: publicKeyPEM),
            let signature = decoded(parts[2]), let body = decoded(parts[1]),
            let claims = try? JSONSerialization.jsonObject(with: body) as? [String: Any]
        else { return false }
        let isValid = key.isValidSignature(
            .init(rawRepresentation: signature), for: Data("\(parts[0]).\(parts[1])".utf8), padding: .insecurePKCS1v1_5)
        let now = Date().timeIntervalSince1970
        return isValid && claims["aud"] as? String == audience && claims["iss"] as? String == clientID
            && claims["sub"] as? String == clientID && (claims["exp"] as? Double ?? 0) > now
            && (claims["nbf"] as? Double ?? .infinity) <= now
    }

    /// Of base64url without its '='.
    private static func decoded(_ text: String) -> Data? {
        let plain = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        return Data(base64Encoded: plain + String(repeating: "=", count: (4 - plain.utf8.count % 4) % 4))
    }

    // MARK: The host's identity

    private static func answerOfHost(_ request: TokenRequest, _ state: inout State) -> TokenReply {
        let query = request.query
        guard request.path == "/metadata/identity/oauth2/token", request.headers["metadata"] == "true",
            request.headers["x-forwarded-for"] == nil, query["resource"] == storage
        else { return TokenReply(status: 400, body: #"{"error":"invalid_request"}"#) }
        switch state.rule {
        case .machine(let clientID):
            guard query["api-version"] == "2018-02-01", query["client_id"] == clientID else {
                return TokenReply(
                    status: 400, body: #"{"error":"invalid_request","error_description":"Identity not found"}"#)
            }
        case .arc(let folder):
            guard query["api-version"] == "2020-06-01" else { return TokenReply(status: 400) }
            if let authorization = request.headers["authorization"] {
                guard authorization.hasPrefix("Basic "), state.keys.contains(String(authorization.dropFirst(6))) else {
                    return TokenReply(status: 403)
                }
                break
            }
            return challenge(below: folder, &state)
        case .secret, .federatedToken, .certificate: break
        }
        let (token, life) = give(&state)
        let end = Int(Date().timeIntervalSince1970) + life
        // Numbers in quotes, as the real ones write them.
        return TokenReply(
            status: 200,
            body: #"{"access_token":"\#(token)","expires_in":"\#(life)","expires_on":"\#(end)","token_type":"Bearer"}"#)
    }

    private static func challenge(below folder: String, _ state: inout State) -> TokenReply {
        let key = "canary-key-" + UUID().uuidString
        let path = state.challengePath ?? "\(folder)/\(UUID().uuidString).key"
        if state.challengePath == nil {
            guard (try? Data(key.utf8).write(to: URL(fileURLWithPath: path))) != nil else {
                return TokenReply(status: 500)
            }
        }
        state.keys.insert(key)
        return TokenReply(status: 401, headers: [("WWW-Authenticate", "Basic realm=\(path)")])
    }

    private static func give(_ state: inout State) -> (token: String, lifeSeconds: Int) {
        let token = "canary-token-" + UUID().uuidString
        state.ends[token] = Date(timeIntervalSinceNow: Double(state.lifeSeconds))
        return (token, state.lifeSeconds)
    }
}
