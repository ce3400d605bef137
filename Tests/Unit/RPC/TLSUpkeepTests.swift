// TLSUpkeep: what it ends and begins anew, and that clients need it: against a server that dies at the worst moments they
// would otherwise wait for good.

import Foundation
import Harness
import Testing
import Wire

@testable import RPC

struct TLSUpkeepTableTests {
    private let start = ContinuousClock.now

    @Test func aConnectionWithoutPeerIsClosedAtTheSecondLook() {
        var table = TLSUpkeepTable()
        table.connected(1, by: 7)
        table.connected(2, by: 7)
        #expect(table.turn(dead: [1], at: start).isEmpty)
        #expect(table.turn(dead: [1], at: start) == [.close(pipe: 1)])
        table.disconnected(1, at: start)
        #expect(table.connections == [2])
    }

    @Test func onlyTwoLooksInARowCount() {
        var table = TLSUpkeepTable()
        table.connected(1, by: 7)
        #expect(table.turn(dead: [1], at: start).isEmpty)
        #expect(table.turn(dead: [], at: start).isEmpty)
        #expect(table.turn(dead: [1], at: start).isEmpty)
    }

    @Test func aDialerIsMadeAnewWhenItHasHadNoConnectionForLong() {
        var table = TLSUpkeepTable()
        let late = start + TLSUpkeepTable.patience
        table.dialerAdded(7, at: start)
        #expect(table.turn(dead: [], at: late - .milliseconds(1)).isEmpty)
        #expect(table.turn(dead: [], at: late) == [.redial(dialer: 7)])
        table.connected(1, by: 7)
        #expect(table.turn(dead: [], at: late).isEmpty)
        table.disconnected(1, at: late)
        #expect(table.turn(dead: [], at: late + .seconds(1)).isEmpty)
        #expect(table.turn(dead: [], at: late + TLSUpkeepTable.patience) == [.redial(dialer: 7)])
        table.dialerRemoved(7)
        #expect(table.turn(dead: [], at: late + TLSUpkeepTable.patience).isEmpty)
    }

    @Test func aConnectionMayBeReportedBeforeItsDialer() {
        var table = TLSUpkeepTable()
        table.connected(1, by: 7)
        table.dialerAdded(7, at: start)
        #expect(table.turn(dead: [], at: start + TLSUpkeepTable.patience).isEmpty)
    }

    @Test func connectionsOfListenersAreClosedToo() {
        var table = TLSUpkeepTable()
        table.connected(1, by: .max)
        _ = table.turn(dead: [1], at: start)
        #expect(table.turn(dead: [1], at: start) == [.close(pipe: 1)])
    }
}

@Suite(.serialized) struct TLSUpkeepTests {
    /// Without the upkeep, one client in some ten never came again.
    @Test func aServerThatDiesAfterEachAnswerIsConnectedAgain() async throws {
        let certificates = try await Certificates.shared()
        let server = try await CuttingServer(cutting: "answer", certificates.site)
        let clients = (0..<64).map { _ in makeClient([server.address], tls: certificates.client) }
        defer { clients.forEach { $0.close() } }
        for round in 1...3 {
            try await eventually("all clients are there for call \(round)") {
                server.connections >= round * clients.count
            }
            // Sent again where it was sent into a connection that had ended.
            for client in clients { _ = try await client.call(askMethod, Hint(), timeout: .seconds(20)) }
        }
        try await server.process.kill()
    }

    /// Without the upkeep, some of these clients never called the server that came after.
    @Test func aServerThatDiesAfterEachHandshakeIsConnectedAgain() async throws {
        let certificates = try await Certificates.shared()
        let cutter = try await CuttingServer(cutting: "greeting", certificates.site)
        let clients = (0..<32).map { _ in makeClient([cutter.address], tls: certificates.client) }
        defer { clients.forEach { $0.close() } }
        // Each is cut off several times in this time.
        let early = clients.map { client in
            Task { try await client.call(sayMethod, Hint(), timeout: .seconds(2)) }
        }
        for call in early { await #expect(throws: RPCError.self) { try await call.value } }
        try await cutter.process.kill()
        try await serving(cutter.address, tls: certificates.server) { _ async throws in
            for client in clients {
                #expect(try await client.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
            }
        }
    }
}

/// Tests/Support/cutting-server with the certificate of an indexer.
private struct CuttingServer {
    let process: ServiceProcess
    let address: RPCAddress
    private let folder: TemporaryDirectory

    /// Handshakes done so far.
    var connections: Int { process.standardOutput.split(separator: "\n").count - 1 }

    init(cutting mode: String, _ site: SiteCertificates) async throws {
        let script = Executables.repository.appendingPathComponent("Tests/Support/cutting-server").path
        let folder = try TemporaryDirectory()
        let process = try ServiceProcess(
            "python3", [script, site.certificate(of: "indexer"), site.key(of: "indexer"), mode], logs: folder)
        let port = try await Harness.eventually("it listens") {
            process.standardOutput.hasSuffix("\n") ? process.standardOutput.dropLast().split(separator: " ").last : nil
        }
        address = try RPCAddress(parsing: "tls+tcp://localhost:\(port)")
        (self.process, self.folder) = (process, folder)
    }
}
