// Shared Key for the Blob service, version 2015-02-21 and later: the string that both sides build of a request, and the
// comparison of its HMAC-SHA256 with what the client sent.
//
//   VERB \n Content-Encoding \n Content-Language \n Content-Length ("" for 0) \n Content-MD5 \n Content-Type \n Date \n
//   If-Modified-Since \n If-Match \n If-None-Match \n If-Unmodified-Since \n Range \n
//   each x-ms- header as "name:value\n", in order  +  "/account/path as sent"  +  "\nname:values" for each query name
import Crypto
import Foundation

struct SharedKey {
    let account: String
    let key: [UInt8]
    /// Clocks may differ by this much before the service takes a request for a replay.
    static let allowedSkewSeconds = 15.0 * 60

    /// Throws unless the request carries a valid Authorization header for our account.
    func verify(_ request: BlobRequest, now: Date) throws(ServiceError) {
        guard let authorization = request.header("authorization") else { throw .noAuthenticationInformation }
        let words = authorization.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0] == "SharedKey" else {
            throw ServiceError(
                .badRequest, "InvalidAuthenticationInfo",
                "Authentication information is not given in the correct format. Check the value of Authorization header."
            )
        }
        let credential = words[1].split(separator: ":", maxSplits: 1)
        guard credential.count == 2 else {
            throw ServiceError(
                .badRequest, "InvalidAuthenticationInfo",
                "Authentication information is not given in the correct format. Check the value of Authorization header."
            )
        }
        guard credential[0] == account, request.account == account else {
            throw .authenticationFailed("The account being accessed does not exist or is not served here.")
        }
        try checkDate(request, now: now)
        let text = stringToSign(request)
        guard isValid(Data(base64Encoded: String(credential[1])) ?? Data(), for: text) else {
            throw .authenticationFailed(
                "The MAC signature found in the HTTP request '\(credential[1])' is not the same as any computed signature. "
                    + "Server used following string to sign: '\(text)'.")
        }
    }

    private func checkDate(_ request: BlobRequest, now: Date) throws(ServiceError) {
        guard let text = request.header("x-ms-date") ?? request.header("date"), let date = HTTPDate.parseRFC1123(text)
        else {
            throw .authenticationFailed("The Date header in the request is incorrect or missing.")
        }
        let difference = now.timeIntervalSince(date)
        if difference > Self.allowedSkewSeconds {
            throw .authenticationFailed("Request date header too old: '\(text)'")
        }
        if difference < -Self.allowedSkewSeconds {
            throw .authenticationFailed("Request date header is too far in the future: '\(text)'")
        }
    }

    private func isValid(_ mac: Data, for text: String) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: Data(text.utf8), using: SymmetricKey(data: key))
    }

    func stringToSign(_ request: BlobRequest) -> String {
        var lines = [request.method.rawValue]
        for name in [
            "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
            "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
        ] {
            let value = request.header(name) ?? ""
            switch name {
            case "content-length" where value == "0": lines.append("")
            case "date" where request.header("x-ms-date") != nil: lines.append("")
            default: lines.append(value)
            }
        }
        for (name, value) in Self.canonicalHeaders(request) {
            lines.append("\(name):\(value)")
        }
        return lines.joined(separator: "\n") + "\n" + canonicalResource(request)
    }

    private static func canonicalHeaders(_ request: BlobRequest) -> [(String, String)] {
        let names = Set(request.headers.map { $0.name.lowercased() }.filter { $0.hasPrefix("x-ms-") })
        return names.sorted { key($0).lexicographicallyPrecedes(key($1)) }.map { ($0, request.header($0) ?? "") }
    }

    /// What the service sorts by: first the name without its hyphens, '_' before digits; then, after a 0, where each of its bytes
    /// is a hyphen.
    private static func key(_ name: String) -> [UInt8] {
        let letters = name.utf8.filter { $0 != UInt8(ascii: "-") }.map {
            $0 == UInt8(ascii: "_") ? UInt8(ascii: " ") : $0
        }
        return letters + [0] + name.utf8.map { $0 == UInt8(ascii: "-") ? 1 : 0 }
    }

    private func canonicalResource(_ request: BlobRequest) -> String {
        var text = "/\(account)\(request.rawPath)"
        let byName = Dictionary(grouping: request.query, by: \.name)
        for name in byName.keys.sorted() {
            let values = byName[name, default: []].map(\.value).sorted().joined(separator: ",")
            text += "\n\(name):\(values)"
        }
        return text
    }
}
