// Who may talk over tls+tcp: both sides show a certificate of a role's authority that the other trusts.

import Foundation
import Testing
import Wire

@testable import RPC

struct TLSTests {
    private let anyPort = "tls+tcp://localhost:0"

    @Test func aClientOfARoleThatIsNotTrustedIsNotServed() async throws {
        let certificates = try await Certificates.shared()
        try await serving(try RPCAddress(parsing: anyPort), tls: certificates.server) { server async throws in
            let foreign = makeClient(server.listeningAddresses, tls: certificates.foreignClient)
            let error = try await failure { try await foreign.call(sayMethod, Hint(), timeout: .milliseconds(500)) }
            #expect(error.code == .unavailable || error.code == .deadlineExceeded)
            let good = makeClient(server.listeningAddresses, tls: certificates.client)
            #expect(try await good.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
        }
    }

    @Test func aClientDoesNotTalkToAServerOfAnotherRole() async throws {
        let certificates = try await Certificates.shared()
        let served = Counter()
        try await serving(try RPCAddress(parsing: anyPort), tls: certificates.server) { server in
            server.handle(sayMethod) { request, _ in
                served.add()
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses, tls: certificates.mistrustfulClient)
            let error = try await failure { try await client.call(sayMethod, Hint(), timeout: .milliseconds(500)) }
            #expect(error.code == .unavailable)
            #expect(error.message.contains("certificate"))
            #expect(served.value == 0)
        }
    }

    @Test func everyTrustedRoleGetsInAndNobodyElse() async throws {
        let certificates = try await Certificates.shared()
        let tls = certificates.tls(of: "indexer", trusting: ["capture-controller", "archiver", "operator"])
        try await serving(try RPCAddress(parsing: anyPort), tls: tls) { server async throws in
            let address = server.listeningAddresses[0]
            for role in tls.trustedRoles {
                #expect(try await certificates.handshake(as: role, at: address) == 0, "\(role)")
            }
            for role in ["asset-registry", "indexer", "cloud-uploader", "mqtt-edge-adapter"] {
                #expect(try await certificates.handshake(as: role, at: address) > 0, "\(role)")
            }
            #expect(try await certificates.handshake(as: nil, at: address) > 0, "without a certificate")
        }
    }

    @Test func aServerThatPosesAsAnotherRoleIsLeft() async throws {
        let certificates = try await Certificates.shared()
        // A controller trusts those whom an indexer would, so that only its own certificate can be what is refused.
        let impostor = certificates.tls(of: "capture-controller", trusting: ["archiver"])
        try await serving(try RPCAddress(parsing: anyPort), tls: impostor) { server async throws in
            let address = server.listeningAddresses[0]
            #expect(try await certificates.handshake(as: "archiver", with: "indexer", at: address) > 0)
            #expect(try await certificates.handshake(as: "archiver", with: "capture-controller", at: address) == 0)
        }
    }

    @Test func aRoleWithoutAuthorityFileIsNotTrusted() async throws {
        let certificates = try await Certificates.shared()
        let some = try certificates.site.authorities(of: ["operator"])
        let tls = certificates.tls(of: "indexer", trusting: ["archiver", "operator"], in: some.url.path)
        #expect(tls.rolesWithoutAuthority == ["archiver"])
        try await serving(try RPCAddress(parsing: anyPort), tls: tls) { server async throws in
            let address = server.listeningAddresses[0]
            #expect(try await certificates.handshake(as: "operator", at: address) == 0)
            #expect(try await certificates.handshake(as: "archiver", at: address) > 0)
        }
    }

    @Test func theServersNameIsChecked() async throws {
        let certificates = try await Certificates.shared()
        try await serving(try RPCAddress(parsing: anyPort), tls: certificates.server) { server async throws in
            guard case .tls(_, let port) = server.listeningAddresses[0].transport else { return }
            let byNumber = try RPCAddress(parsing: "tls+tcp://127.0.0.1:\(port)")
            var named = certificates.client
            named.serverName = "another.example"
            let wrongName = makeClient([byNumber], tls: named)
            let error = try await failure { try await wrongName.call(sayMethod, Hint(), timeout: .milliseconds(500)) }
            #expect(error.code == .unavailable)
            named.serverName = "localhost"
            let rightName = makeClient([byNumber], tls: named)
            #expect(try await rightName.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
        }
    }

    @Test(arguments: ["127.0.0.1", "[::1]"])
    func aHostThatIsANumberIsRefusedAtOnce(host: String) async throws {
        let certificates = try await Certificates.shared()
        let client = makeClient([try RPCAddress(parsing: "tls+tcp://\(host):7001")], tls: certificates.client)
        #expect(client.setupError?.message.contains("\(host) is a number") == true)
    }

    @Test func aTlsAddressWithoutCertificatesIsRefusedAtOnce() async throws {
        let address = try RPCAddress(parsing: "tls+tcp://localhost:7001")
        #expect(makeClient([address]).setupError?.message.contains("tls-authorities") == true)
        let error = try await failure { try await RPCServer(addresses: [address]).start() }
        #expect(error.code == .invalidArgument)
        #expect(throws: RPCError.self) { try HintPublisher(addresses: [address]) }
        #expect(HintSubscriber(addresses: [address], topics: []).setupError != nil)
    }

    @Test func aMissingOrWrongFileIsNamedAndItsContentIsNot() async throws {
        let certificates = try await Certificates.shared()
        let address = try RPCAddress(parsing: "tls+tcp://localhost:7001")
        var missing = certificates.client
        missing.keyPath = "/nonexistent/key"
        let client = makeClient([address], tls: missing)
        let error = try await failure { try await client.call(sayMethod, Hint()) }
        #expect(error.field == "tls-key")
        #expect(error.message.contains("/nonexistent/key"))
        #expect(throws: error) { try missing.check() }
        var swapped = certificates.client
        (swapped.certificatePath, swapped.keyPath) = (swapped.keyPath, swapped.certificatePath)
        let other = try #require(makeClient([address], tls: swapped).setupError)
        #expect(other.field == "tls-certificate")
        #expect(!other.message.contains("BEGIN"))
    }

    @Test func authoritiesThatAreMissingOrNoneAreNamed() async throws {
        let certificates = try await Certificates.shared()
        let address = try RPCAddress(parsing: "tls+tcp://localhost:7001")
        func complaint(_ folder: TemporaryFolder, _ roles: [String]) throws -> RPCError {
            let tls = certificates.tls(of: "archiver", trusting: roles, in: folder.path)
            return try #require(makeClient([address], tls: tls).setupError)
        }
        let folder = try TemporaryFolder()
        let none = try complaint(folder, ["indexer", "operator"])
        #expect(none.field == "tls-authorities")
        #expect(none.message.contains("\(folder.path) has no indexer.pem, operator.pem: put "))
        try Data("no PEM".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/indexer.pem"))
        #expect(try complaint(folder, ["indexer"]).message.contains("\(folder.path)/indexer.pem is not PEM"))
        let block = "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"
        try Data(block.utf8).write(to: URL(fileURLWithPath: "\(folder.path)/indexer.pem"))
        let unusable = try complaint(folder, ["indexer", "operator"])
        #expect(unusable.message.contains("\(folder.path)/indexer.pem holds no usable certificate"))
    }

    @Test func aClientConnectsThoughTheServerBrokeItsFirstHandshakes() async throws {
        let certificates = try await Certificates.shared()
        // First something that closes each connection before the handshake is done, then the server on the same port.
        let breaker = try ConnectionBreaker()
        let address = try RPCAddress(parsing: "tls+tcp://localhost:\(breaker.port)")
        let client = makeClient([address], tls: certificates.client)
        defer { client.close() }
        try await eventually("handshakes were broken") { breaker.broken >= 3 }
        breaker.stop()
        try await serving(address, tls: certificates.server) { _ async throws in
            #expect(try await client.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
        }
    }
}
