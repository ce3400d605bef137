// Tokens of Entra ID for an application: OAuth 2.0 client credentials. The application shows who it is by a secret, by a token that
// the cluster's issuer signed (workload identity), or by a statement that it signs with its certificate's key.
//
//   POST {authority}/{tenant}/oauth2/v2.0/token   application/x-www-form-urlencoded
//     client_id  scope=https://storage.azure.com/.default  grant_type=client_credentials
//     client_secret                                                          or
//     client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer  client_assertion
//
// The file is read for each token, so that a renewed one is taken without a restart.
import AsyncHTTPClient
import Foundation
import NIOCore
import ServiceKit

struct EntraToken: TokenFetch {
    enum Proof: Sendable, Equatable {
        case secret(path: String)
        case federatedToken(path: String)
        case certificate(path: String)

        var setting: String {
            switch self {
            case .secret: UploaderKeys.clientSecretFile.key
            case .federatedToken: UploaderKeys.federatedTokenFile.key
            case .certificate: UploaderKeys.clientCertificateFile.key
            }
        }
        fileprivate var path: String {
            switch self {
            case .secret(let path), .federatedToken(let path), .certificate(let path): path
            }
        }
    }

    static let scope = "https://storage.azure.com/.default"
    private static let assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    let application: EntraApplication
    let proof: Proof
    let secrets: SecretStore
    let clock: any WallClock
    let outbound: Outbound

    func token() async throws -> AccessToken {
        var request = HTTPClientRequest(url: application.tokenEndpoint)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        request.headers.add(name: "accept", value: "application/json")
        request.body = .bytes(ByteBuffer(string: try form()))
        let client = outbound.client(for: application.tokenEndpoint)
        let (answer, _) = try await TokenCall.send(request, by: client, to: application.authority)
        guard answer.status == 200 else { throw refusal(answer) }
        return try answer.token(from: application.authority, nowUs: clock.nowUs())
    }

    /// The body of the request, with a credential in it.
    func form() throws(TokenFailure) -> String {
        let secret: String
        do throws(SecretError) {
            secret = try secrets.read(path: proof.path).revealed
        } catch {
            throw .lasting("setting '\(proof.setting)': \(error)")
        }
        var fields = [
            ("client_id", application.clientID), ("scope", Self.scope), ("grant_type", "client_credentials"),
        ]
        switch proof {
        case .secret: fields.append(("client_secret", secret))
        case .federatedToken: fields += [("client_assertion_type", Self.assertionType), ("client_assertion", secret)]
        case .certificate:
            let assertion: Redacted<String>
            do throws(ClientCertificate.Problem) {
                assertion = try ClientCertificate(pem: secret, nowUs: clock.nowUs()).assertion(
                    for: application, id: UUID().uuidString.lowercased(), nowUs: clock.nowUs())
            } catch {
                throw .lasting("setting '\(proof.setting)': \(error)")
            }
            fields += [("client_assertion_type", Self.assertionType), ("client_assertion", assertion.revealed)]
        }
        return fields.map { "\($0)=\(BlobText.encodedQuery($1))" }.joined(separator: "&")
    }

    /// The service's documentation warns that its numbers may change; they choose words here and nothing else.
    func refusal(_ answer: TokenAnswer) -> TokenFailure {
        if answer.status == 408 || answer.status == 429 || answer.status >= 500 {
            return TokenFailure(
                reason: "\(application.authority) gives no token now (\(answer.told))", isTransient: true,
                retryAfter: answer.retryAfterSeconds.map { .seconds($0) })
        }
        let what = answer.errorNumbers.lazy.compactMap(explanation).first
        let advice = what ?? "check tenant-id, client-id and \(proof.setting)"
        return .lasting("\(application.authority) refuses a token (\(answer.told)): \(advice)")
    }

    private func explanation(_ number: Int) -> String? {
        switch number {
        case 7_000_215:
            "the client secret is wrong; write the secret's value, not its id, to the file that \(proof.setting) names"
        case 7_000_222:
            "the client secret has ended; make another one and write it to the file that \(proof.setting) names"
        case 700_016: "the tenant knows no application with this client-id; check client-id and tenant-id"
        case 90_002: "there is no such tenant; check tenant-id"
        case 7_000_112: "the application is disabled in the tenant"
        case 700_027: "the certificate is not among those of the application; upload it there"
        case 700_024:
            "the time in what we showed is over or not yet there; check the clock of this host and \(proof.setting)"
        case 70_021, 700_211, 700_212, 700_213:
            "no federated credential of the application fits the token's issuer, subject and audience; compare them"
        default: nil
        }
    }
}

/// One call to a service that gives tokens.
enum TokenCall {
    private static let timeout = TimeAmount.seconds(10)

    /// The answer and the header WWW-Authenticate. `service` is for the words. Throws TokenFailure or CancellationError.
    static func send(
        _ request: HTTPClientRequest, by client: HTTPClient, to service: String
    ) async throws -> (TokenAnswer, challenge: String?) {
        do {
            let response = try await client.execute(request, timeout: timeout)
            let body = try await response.body.collect(upTo: TokenAnswer.largestBytes)
            let answer = TokenAnswer(
                status: Int(response.status.code),
                retryAfterSeconds: response.headers.first(name: "retry-after").flatMap { Int($0) },
                body: Array(body.readableBytesView))
            return (answer, response.headers.first(name: "www-authenticate"))
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw TokenFailure(
                reason:
                    "\(service) does not answer (\(Outbound.reason(error))), so there is no token for the storage; check the "
                    + "network and the address", isTransient: true)
        }
    }
}
