// Who may talk over tls+tcp: both sides show a certificate of the authority that the other trusts.

import Foundation
import Testing
import Wire

@testable import RPC

struct TLSTests {
    private let anyPort = "tls+tcp://localhost:0"

    @Test func aClientOfAnotherAuthorityIsNotServed() async throws {
        let certificates = try await Certificates.shared()
        try await serving(try RPCAddress(parsing: anyPort), tls: certificates.server) { server async throws in
            let foreign = makeClient(server.listeningAddresses, tls: certificates.foreignClient)
            let error = try await failure { try await foreign.call(sayMethod, Hint(), timeout: .milliseconds(500)) }
            #expect(error.code == .unavailable || error.code == .deadlineExceeded)
            let good = makeClient(server.listeningAddresses, tls: certificates.client)
            #expect(try await good.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
        }
    }

    @Test func aClientDoesNotTalkToAServerOfAnotherAuthority() async throws {
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

    @Test func theServersNameIsChecked() async throws {
        let certificates = try await Certificates.shared()
        try await serving(try RPCAddress(parsing: anyPort), tls: certificates.server) { server async throws in
            guard case .tls(_, let port) = server.listeningAddresses[0].transport else { return }
            let byNumber = try RPCAddress(parsing: "tls+tcp://127.0.0.1:\(port)")
            let wrongName = makeClient([byNumber], tls: certificates.client)
            let error = try await failure { try await wrongName.call(sayMethod, Hint(), timeout: .milliseconds(500)) }
            #expect(error.code == .unavailable)
            var named = certificates.client
            named.serverName = "localhost"
            let rightName = makeClient([byNumber], tls: named)
            #expect(try await rightName.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
        }
    }

    @Test func aTlsAddressWithoutCertificatesIsRefusedAtOnce() async throws {
        let address = try RPCAddress(parsing: "tls+tcp://localhost:7001")
        #expect(makeClient([address]).setupError?.message.contains("tls-ca") == true)
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
        var swapped = certificates.client
        (swapped.certificatePath, swapped.keyPath) = (swapped.keyPath, swapped.certificatePath)
        let other = try #require(makeClient([address], tls: swapped).setupError)
        #expect(other.field == "tls-certificate")
        #expect(!other.message.contains("BEGIN"))
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
