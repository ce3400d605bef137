// Shared access signatures that the official Python SDK made, in four versions of it (Tests/Support/signatures/make-vectors): what
// each gives the right to, and that nothing of it can be changed.
import Foundation
import NIOHTTP1
import Testing

@testable import BlobServer

/// A signature, and what is asked with it.
struct MadeSignature: Decodable, Sendable, CustomTestStringConvertible {
    struct Question: Decodable, Sendable {
        let method: String
        let path: String
        let exists: Bool
        /// Seconds since 1970.
        let at: Double
        let address: String
        /// An error code; empty where it is allowed.
        let answer: String

        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            method = try list.decode(String.self)
            path = try list.decode(String.self)
            exists = try list.decode(Bool.self)
            at = try list.decode(Double.self)
            address = try list.decode(String.self)
            answer = try list.decode(String.self)
        }
    }

    let kind: String
    let token: String
    let asked: [Question]

    /// Without the signature.
    var testDescription: String { "\(kind) \(asked[0].path) \(token.prefix { $0 != "&" })" }

    static let all: [MadeSignature] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Support/signatures/vectors/shared-access.jsonl")
        let lines = ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n")
        // A line that does not read is one less, which `thereAreEnough` notices.
        return lines.compactMap { try? JSONDecoder().decode(MadeSignature.self, from: Data($0.utf8)) }
    }()
}

@Suite struct SharedAccessVectorTests {
    private let verifier = SharedAccessSignature(
        account: "devstoreaccount1",
        key: Array("canary-account-key-of-the-signature-vectors-64-bytes-long-000000".utf8))

    private func answer(_ question: MadeSignature.Question, _ token: String, path: String? = nil) throws -> String {
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: question.method),
            uri: "\(path ?? question.path)?\(token)")
        do throws(ServiceError) {
            let request = try BlobRequest(head: head, remoteAddress: question.address)
            #expect(SharedAccessSignature.isPresent(request))
            try verifier.verify(
                request, operation: request.operation(), now: Date(timeIntervalSince1970: question.at),
                blobExists: question.exists)
            return ""
        } catch {
            return error.code
        }
    }

    @Test func thereAreEnough() {
        #expect(MadeSignature.all.count == 210)
        let versions = MadeSignature.all.compactMap { made in
            made.token.split(separator: "&").first { $0.hasPrefix("sv=") }
        }
        #expect(Set(versions) == ["sv=2019-02-02", "sv=2020-06-12", "sv=2021-08-06", "sv=2026-10-06"])
        #expect(Set(MadeSignature.all.map(\.kind)) == ["blob", "container", "account"])
        let answers = MadeSignature.all.flatMap { $0.asked.map(\.answer) }
        #expect(answers.filter(\.isEmpty).count > 300 && Set(answers).count == 6)
    }

    @Test(arguments: MadeSignature.all) func givesTheRightsOfTheToken(_ made: MadeSignature) throws {
        for question in made.asked {
            #expect(try answer(question, made.token) == question.answer, "\(question)")
        }
    }

    /// Each parameter changed, left out or put in.
    @Test(arguments: MadeSignature.all) func refusesWhatWasTamperedWith(_ made: MadeSignature) throws {
        guard let allowed = made.asked.first(where: { $0.answer.isEmpty }) else { return }
        let parameters = made.token.split(separator: "&").map(String.init)
        for (index, parameter) in parameters.enumerated() {
            let name = parameter.prefix { $0 != "=" }
            var less = parameters
            less.remove(at: index)
            if name != "sig" {
                #expect(try answer(allowed, less.joined(separator: "&")) != "", "without \(name)")
            }
            var more = parameters
            // The signature's first character, or one at the end of the value.
            let value = parameter.dropFirst(name.count + 1)
            more[index] =
                name == "sig" ? "sig=" + (value.hasPrefix("A") ? "B" : "A") + value.dropFirst() : parameter + "x"
            #expect(try answer(allowed, more.joined(separator: "&")) != "", "another \(name)")
        }
        for addition in [
            "rsct=text%2Fhtml", "si=policy", "sip=10.0.0.5", "snapshot=2026-11-23", "st=2020-01-01", "ses=x",
        ]
        where !parameters.contains(where: { $0.hasPrefix(addition.prefix { $0 != "=" } + "=") }) {
            // Early versions do not sign these two, and an account's signature has no snapshot and no content type.
            let version = parameters.first { $0.hasPrefix("sv=") } ?? ""
            if addition.hasPrefix("ses"), version < "sv=2020-12-06" { continue }
            if made.kind == "account", addition.hasPrefix("rsct") || addition.hasPrefix("snapshot") { continue }
            #expect(try answer(allowed, "\(made.token)&\(addition)") == "AuthenticationFailed", "with \(addition)")
        }
    }

    /// '+' in a path is no space, and "%2F" in a name is no separator: another spelling of a name is another name.
    @Test func theNameIsTheOneThatWasSigned() throws {
        let made = try #require(
            MadeSignature.all.first { $0.kind == "blob" && $0.asked[0].path.hasSuffix("/plus%2Bplus.mp4") })
        let allowed = try #require(made.asked.first { $0.answer.isEmpty })
        let folder = "/devstoreaccount1/cams/"
        for same in ["plus+plus.mp4", "plus%2bplus.mp4", "%70lus%2Bplus.mp4"] {
            #expect(try answer(allowed, made.token, path: folder + same) == "", "\(same)")
        }
        for other in [
            "plus%20plus.mp4", "plus%252Bplus.mp4", "Plus%2Bplus.mp4", "plus%2Bplus.mp4/", "plus%2Bplus.mp4%20",
        ] {
            #expect(try answer(allowed, made.token, path: folder + other) == "AuthenticationFailed", "\(other)")
        }
    }
}
