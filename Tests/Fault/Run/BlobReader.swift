// Reads the Blob server as any client does: by HTTP with Shared Key, GET only. And tells it what to do to uploads.

import AsyncHTTPClient
import Crypto
import Foundation
import Harness
import NIOCore
import NIOHTTP1

struct BlobReader: Sendable {
    private let base: String
    private let account = "demo"
    private let container = "footage"
    private let key: SymmetricKey

    /// The Blob server of a site, by its port and key file.
    init(site: Site) throws {
        let ports = try String(contentsOfFile: site.path + "/site.env", encoding: .utf8).split(separator: "\n")
        let secret = try String(contentsOfFile: site.path + "/secrets/blob-key", encoding: .utf8)
        guard let port = ports.first(where: { $0.hasPrefix("BLOB_PORT=") })?.split(separator: "=").last,
            let data = Data(base64Encoded: secret.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw HarnessError("the site has no Blob server") }
        base = "http://127.0.0.1:\(port)"
        key = SymmetricKey(data: data)
    }

    /// Names of all blobs.
    func names() async throws -> Set<String> {
        var names: Set<String> = []
        var marker = ""
        repeat {
            var query = [("comp", "list"), ("restype", "container")]
            if !marker.isEmpty { query.append(("marker", marker)) }
            let text = String(decoding: try await get("", query), as: UTF8.self)
            for name in Self.contents(of: "Name", in: text) { names.insert(name) }
            marker = Self.contents(of: "NextMarker", in: text).first ?? ""
        } while !marker.isEmpty
        return names
    }

    /// Size and SHA-256 of one blob, as it comes over the wire.
    func fact(_ name: String) async throws -> FileFact {
        FileFact(bytes: try await get("/" + name, []))
    }

    /// Has the next uploads go wrong.
    func trouble(_ trouble: StorageTrouble, count: Int) async throws {
        let faults = ["PutBlob", "PutBlock", "PutBlockList"].map {
            #"{"operation": "\#($0)", "action": "\#(trouble.rawValue)", "count": \#(count), "delay_ms": 700, "after_bytes": 9000}"#
        }
        try await control(.POST, body: #"{"faults": [\#(faults.joined(separator: ", "))]}"#)
    }

    /// Lets all uploads go well again.
    func noTrouble() async throws { try await control(.DELETE, body: "") }

    private func control(_ method: HTTPMethod, body: String) async throws {
        var request = HTTPClientRequest(url: base + "/_control/faults")
        request.method = method
        request.body = .bytes(ByteBuffer(string: body))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(3))
        guard response.status == .ok || response.status == .noContent else {
            throw HarnessError("\(method) /_control/faults: \(response.status)")
        }
    }

    private func get(_ path: String, _ query: [(String, String)]) async throws -> [UInt8] {
        let allowed = CharacterSet(charactersIn: "-._~/").union(.alphanumerics)
        func encoded(_ text: String) -> String { text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text }
        let resource = "/\(account)/\(container)\(encoded(path))"
        let sorted = query.sorted { $0.0 < $1.0 }
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        let headers = [("x-ms-date", formatter.string(from: Date())), ("x-ms-version", "2021-12-02")]
        // The verb, eleven headers that are not sent, ours, the resource with its query.
        let text =
            "GET" + String(repeating: "\n", count: 12) + headers.map { "\($0):\($1)\n" }.joined()
            + "/\(account)\(resource)" + sorted.map { "\n\($0):\($1)" }.joined()
        let signature = Data(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key)).base64EncodedString()
        let suffix = sorted.isEmpty ? "" : "?" + sorted.map { "\($0)=\(encoded($1))" }.joined(separator: "&")
        var request = HTTPClientRequest(url: base + resource + suffix)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        request.headers.add(name: "Authorization", value: "SharedKey \(account):\(signature)")
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(20))
        let body = try await response.body.collect(upTo: 1 << 30)
        guard response.status == .ok else {
            throw HarnessError("GET \(resource): \(response.status) \(String(buffer: body).prefix(300))")
        }
        return Array(body.readableBytesView)
    }

    /// The texts of an XML element, wherever it stands.
    private static func contents(of element: String, in text: String) -> [String] {
        text.components(separatedBy: "<\(element)>").dropFirst().compactMap { part in
            part.components(separatedBy: "</\(element)>").first.map { $0.replacingOccurrences(of: "&amp;", with: "&") }
        }
    }
}

extension FileFact {
    init(bytes: [UInt8]) {
        self.init(sizeBytes: Int64(bytes.count), sha256: hexadecimal(SHA256.hash(data: bytes)))
    }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
}
