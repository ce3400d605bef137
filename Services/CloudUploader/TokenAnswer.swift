// What a service that gives tokens answers, read and put into words. Values only. Answers carry tokens and what was sent may be
// quoted in them, so of a refusal nothing is told but its error word and numbers.
import Foundation
import JSON
import ServiceKit

struct TokenAnswer: Sendable {
    let status: Int
    var retryAfterSeconds: Int?
    let body: [UInt8]

    /// An answer has some thousand bytes; a token of many groups a few times that.
    static let largestBytes = 256 << 10
    private static let rules = JSONReader.Rules(
        maximumBytes: largestBytes, maximumDepth: 8, maximumValues: 1000, refusesRepeatedKeys: false)

    /// The token of an answer with status 200. `service` is its address, for the words; `nowUs` the time of day. Numbers may stand
    /// in quotes, as the identity endpoints write them.
    func token(from service: String, nowUs: Int64) throws(TokenFailure) -> AccessToken {
        guard let object = json, let text = object["access_token"]?.string else {
            throw TokenFailure(
                reason:
                    "\(service) answers something that is no token; is the address right, and is no other service between?",
                isTransient: true)
        }
        // It becomes a header.
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw TokenFailure(reason: "\(service) gives a token that no header can hold", isTransient: true)
        }
        let end = Self.seconds(object["expires_on"]).map { $0 - nowUs / 1_000_000 }
        guard let life = Self.seconds(object["expires_in"]) ?? end, (1...Self.longestLifeSeconds).contains(life) else {
            throw TokenFailure(
                reason:
                    "\(service) gives a token that has ended, or does not say when it ends; check the clock of this host",
                isTransient: true)
        }
        return AccessToken(
            text: Redacted(text), life: .seconds(life),
            renewAfter: Self.seconds(object["refresh_in"]).map { .seconds(max(0, $0)) })
    }

    /// A year: no token lives so long, and no sum of times overflows.
    private static let longestLifeSeconds: Int64 = 366 * 86_400

    /// "invalid_client", in small letters, digits and '_'; nil for what is no such word.
    var errorWord: String? {
        guard let word = json?["error"]?.string, !word.isEmpty, word.utf8.count <= 64,
            word.utf8.allSatisfy({ (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_") }
            )
        else { return nil }
        return word
    }

    /// The numbers of Entra ID's errors: 7000215 of AADSTS7000215.
    var errorNumbers: [Int] { json?["error_codes"]?.elements?.compactMap(\.integer) ?? [] }

    /// "401 invalid_client AADSTS7000215".
    var told: String {
        ([String(status)] + [errorWord].compactMap { $0 } + errorNumbers.prefix(3).map { "AADSTS\($0)" })
            .joined(separator: " ")
    }

    private var json: JSONValue? { try? JSONReader.read(body, Self.rules) }

    private static func seconds(_ value: JSONValue?) -> Int64? {
        if let number = value?.integer { return Int64(number) }
        return value?.string.flatMap { Int64($0) }
    }
}
