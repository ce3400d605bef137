// Tokens of Entra ID. A real service checks a signature of Entra ID; this one is told which tokens it takes and until when, so
// that a test can let one end in the middle of a blob. The answers are the service's: from 2019-12-12 on 401 with a challenge that
// names tenant and resource, before that 403.
//
// One difference is meant: the real service refuses tokens over plain HTTP, and this server has no TLS.
import Foundation

/// Says until when a token is taken; nil for one that is not known. It is asked for each request.
public typealias TokenExpiry = @Sendable (_ token: String) -> Date?

struct BearerToken {
    let expiry: TokenExpiry
    let account: String
    /// The oldest service version that takes tokens at all.
    private static let oldestVersion = "2017-11-09"

    /// Whether the request carries a token, valid or not.
    static func isPresent(_ request: BlobRequest) -> Bool {
        request.header("authorization")?.lowercased().hasPrefix("bearer ") == true
    }

    /// Throws unless the token is taken now.
    func verify(_ request: BlobRequest, now: Date) throws(ServiceError) {
        let version = request.version
        guard version >= Self.oldestVersion else {
            throw .authenticationFailed("Authentication scheme Bearer is not supported in this version.")
        }
        guard request.account == account else {
            throw .authenticationFailed("The account being accessed does not exist or is not served here.")
        }
        let token = (request.header("authorization") ?? "").dropFirst("Bearer ".count)
        guard let end = expiry(String(token)) else { throw Self.refusal(version, "Signature validation failed.") }
        guard now < end else { throw Self.refusal(version, "Lifetime validation failed. The token is expired.") }
    }

    private static func refusal(_ version: String, _ detail: String) -> ServiceError {
        guard version >= ServiceVersion.withChallenges else { return .authenticationFailed(detail) }
        return ServiceError(
            .unauthorized, "InvalidAuthenticationInfo",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
            details: [.init(name: "AuthenticationErrorDetail", value: detail)])
    }
}

/// Tokens that are listed in a file, one a line: the token, a space, and the time up to which it is taken, in ISO 8601. The file is
/// read again for each request, so that a script can give and take tokens while the server runs.
public struct TokenFile: Sendable {
    /// Where it is.
    public let path: String

    /// - Parameter path: need not be there yet; without it no token is taken.
    public init(path: String) {
        self.path = path
    }

    /// Until when the file says that this token is taken; nil where it is not listed, or its line has no time.
    public func expiry(of token: String) -> Date? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == token { return HTTPDate.parseISO8601(String(words[1])) }
        }
        return nil
    }
}
