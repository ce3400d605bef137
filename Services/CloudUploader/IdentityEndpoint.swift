// Tokens of the identity that Azure gave to this host, from an address that only this host reaches. Never through a proxy.
//
//   Azure machine  GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=…[&client_id=…]
//                  Metadata: true
//   Azure Arc      GET http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01&resource=…
//                  Metadata: true
//     answers 401, WWW-Authenticate: Basic realm=/var/opt/azcmagent/tokens/….key; the same again with
//                  Authorization: Basic CONTENT-OF-THAT-FILE
//     which shows that the caller is in the group that may read it (himds).
//
// 404, 408, 410, 429 and 5xx pass by themselves; 410 says that the endpoint is being updated, for 70 s at most, and is asked every
// ten. Everything else does not get better by asking again.
import AsyncHTTPClient
import Foundation
import ServiceKit

struct IdentityEndpoint: TokenFetch {
    static let metadataAddress = "http://169.254.169.254/metadata/identity/oauth2/token"
    static let arcAddress = "http://localhost:40342/metadata/identity/oauth2/token"
    private static let resource = "https://storage.azure.com/"
    /// A key has some dozen bytes; larger files are none, and are not sent anywhere.
    static let largestKeyBytes = 4096

    enum Kind: Sendable, Equatable {
        /// `clientID` is empty for the identity of the machine itself.
        case machine(clientID: String)
        /// Keys are read below `keyFolder` only.
        case arc(keyFolder: String)
    }

    let kind: Kind
    let address: String
    let clock: any WallClock
    let outbound: Outbound

    func token() async throws -> AccessToken {
        var (answer, challenge) = try await call(key: nil)
        if case .arc(let folder) = kind, answer.status == 401 {
            let key = try Self.key(challenge: challenge, below: folder)
            (answer, _) = try await call(key: key)
        }
        guard answer.status == 200 else { throw refusal(answer) }
        return try answer.token(from: address, nowUs: clock.nowUs())
    }

    private func call(key: Redacted<String>?) async throws -> (TokenAnswer, challenge: String?) {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "metadata", value: "true")
        if let key { request.headers.add(name: "authorization", value: "Basic \(key.revealed)") }
        do {
            return try await TokenCall.send(request, by: outbound.direct, to: address)
        } catch let failure as TokenFailure {
            throw TokenFailure(reason: "\(failure.reason); \(hint)", isTransient: true)
        }
    }

    var url: String {
        let resource = BlobText.encodedQuery(Self.resource)
        return switch kind {
        case .machine(""): "\(address)?api-version=2018-02-01&resource=\(resource)"
        case .machine(let id):
            "\(address)?api-version=2018-02-01&resource=\(resource)&client_id=\(BlobText.encodedQuery(id))"
        case .arc: "\(address)?api-version=2020-06-01&resource=\(resource)"
        }
    }

    private var hint: String {
        switch kind {
        case .machine: "only Azure machines have managed-identity; servers of Azure Arc have arc-identity"
        case .arc: "is the agent of Azure Arc (himdsd) running and connected?"
        }
    }

    /// The key that a challenge names. The path comes from whoever answers at the address, so nothing but a small "….key" below
    /// `folder` is read, also not by links and "..".
    static func key(challenge: String?, below folder: String) throws(TokenFailure) -> Redacted<String> {
        let prefix = "Basic realm="
        guard let challenge, challenge.lowercased().hasPrefix(prefix.lowercased()) else {
            throw .lasting("the agent of Azure Arc names no key file in its challenge; update the agent")
        }
        var path = challenge.dropFirst(prefix.count)
        if path.hasPrefix("\""), path.hasSuffix("\""), path.count > 1 { path = path.dropFirst().dropLast() }
        guard path.hasPrefix(folder + "/"), path.hasSuffix(".key") else {
            throw .lasting(
                "the challenge of \(UploaderKeys.identityEndpoint.key) names a file that is no key below \(folder); it was not read. "
                    + "Check that the agent of Azure Arc answers there, and arc-key-folder")
        }
        let key: Redacted<String>
        do throws(SecretError) {
            key = try SecretFile.read(String(path.dropFirst(folder.utf8.count + 1)), below: folder)
        } catch {
            throw .lasting("the key of Azure Arc cannot be read: \(error); is the service's user in the group himds?")
        }
        guard key.revealed.utf8.count <= largestKeyBytes else {
            throw .lasting(
                "the file that Azure Arc's challenge names is larger than \(largestKeyBytes) bytes; it was not sent")
        }
        guard key.revealed.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw .lasting("the file that Azure Arc's challenge names is no key; it was not sent")
        }
        return key
    }

    func refusal(_ answer: TokenAnswer) -> TokenFailure {
        switch answer.status {
        case 404, 408, 429, 500...:
            return TokenFailure(
                reason: "\(address) gives no token now (\(answer.told)); \(hint)", isTransient: true,
                retryAfter: answer.retryAfterSeconds.map { .seconds($0) })
        case 410:
            return TokenFailure(
                reason: "\(address) is being updated (\(answer.told)) and comes again within 70 s", isTransient: true,
                retryAfter: .seconds(10))
        default:
            let advice =
                switch kind {
                case .machine(""): "is a managed identity assigned to this machine? Where it has several, set client-id"
                case .machine: "is the identity of client-id assigned to this machine?"
                case .arc: "is the service's user in the group himds, and the server connected to Azure?"
                }
            return .lasting("\(address) refuses a token (\(answer.told)): \(advice)")
        }
    }
}
