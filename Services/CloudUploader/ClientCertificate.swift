// The certificate of an application with its key, and the statement that it signs to get a token (RFC 7523): a JWT, three parts in
// base64url with dots between.
//
//   {"alg":"RS256","typ":"JWT","x5t":SHA-1,"x5t#S256":SHA-256}   both of the certificate's DER, in base64url
//   {"aud":token endpoint,"iss":client id,"sub":client id,"jti":unlike any other,"nbf":now,"iat":now,"exp":ten minutes later}
//   RSASSA-PKCS1-v1_5 with SHA-256 over the first two
import CivilTime
import Crypto
import CryptoExtras
import Foundation
import JSON
import NIOSSL
import ServiceKit

struct ClientCertificate: Sendable {
    /// What is wrong with the file. Never quotes it.
    struct Problem: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    /// The documentation asks for five to ten minutes.
    private static let lifeSeconds: Int64 = 600

    private let key: _RSA.Signing.PrivateKey
    private let sha1: Data
    private let sha256: Data

    /// Of a PEM file with the certificate first, others of its chain after it, and the key anywhere.
    init(pem: String, nowUs: Int64) throws(Problem) {
        guard let certificate = try? NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)).first,
            let der = try? certificate.toDERBytes()
        else {
            throw Problem(description: "the file holds no certificate ('BEGIN CERTIFICATE') that can be read")
        }
        guard let block = Self.privateKey(in: pem) else {
            throw Problem(
                description:
                    "the file holds no private key ('BEGIN PRIVATE KEY') that is not encrypted; put it behind the certificate"
            )
        }
        guard let key = try? _RSA.Signing.PrivateKey(pemRepresentation: block) else {
            throw Problem(description: "the private key is no RSA key of at least 2048 bits")
        }
        let publicKey = try? certificate.extractPublicKey().toSPKIBytes()
        guard publicKey == Array(key.publicKey.derRepresentation) else {
            throw Problem(description: "the private key is not that of the first certificate in the file")
        }
        let (begin, end) = (Int64(certificate.notValidBefore), Int64(certificate.notValidAfter))
        guard nowUs / 1_000_000 <= end else {
            let time = TimeStamp(us: end * 1_000_000)?.isoSeconds ?? "some time ago"
            throw Problem(
                description: "the certificate ended at \(time); make another one and upload it to the application")
        }
        guard nowUs / 1_000_000 >= begin else {
            throw Problem(description: "the certificate is not valid yet; check the clock of this host")
        }
        self.key = key
        sha1 = Data(Insecure.SHA1.hash(data: der))
        sha256 = Data(SHA256.hash(data: der))
    }

    /// The statement that gets one token. `id` must be unlike that of any other.
    func assertion(
        for application: EntraApplication, id: String, nowUs: Int64
    ) throws(Problem) -> Redacted<String> {
        let now = nowUs / 1_000_000
        let header = JSONValue.fields([
            "alg": .string("RS256"), "typ": .string("JWT"), "x5t": .string(Self.base64URL(sha1)),
            "x5t#S256": .string(Self.base64URL(sha256)),
        ])
        let claims = JSONValue.fields([
            "aud": .string(application.tokenEndpoint), "iss": .string(application.clientID),
            "sub": .string(application.clientID), "jti": .string(id), "nbf": .integer(now), "iat": .integer(now),
            "exp": .integer(now + Self.lifeSeconds),
        ])
        let text = [header, claims].map { Self.base64URL(Data($0.encoded())) }.joined(separator: ".")
        guard let signature = try? key.signature(for: Data(text.utf8), padding: .insecurePKCS1v1_5) else {
            throw Problem(description: "the private key does not sign")
        }
        return Redacted(text + "." + Self.base64URL(signature.rawRepresentation))
    }

    private static func privateKey(in pem: String) -> String? {
        for kind in ["PRIVATE KEY", "RSA PRIVATE KEY"] {
            guard let begin = pem.range(of: "-----BEGIN \(kind)-----"),
                let end = pem.range(of: "-----END \(kind)-----", range: begin.upperBound..<pem.endIndex)
            else { continue }
            let block = pem[begin.lowerBound..<end.upperBound]
            // The older form says so inside.
            return block.contains("ENCRYPTED") ? nil : String(block) + "\n"
        }
        return nil
    }

    private static func base64URL(_ bytes: Data) -> String {
        bytes.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }
}
