// TLS to a real server (openssl s_server): whom we talk to, and whom we do not.

import Foundation
import Testing

@testable import RTSP

/// A server that shows a certificate of its own and answers each line reversed.
private final class TLSServer {
    let port: UInt16
    let certificate: TestCertificate
    private let process = Process()

    init(names: String) throws {
        certificate = try TestCertificate(names: names)
        port = try Listener.freePort()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "openssl", "s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate.path, "-key",
            certificate.keyPath, "-rev",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// Waits until it takes connections.
    func listens() async throws {
        while true {
            let loop = try SocketLoop(name: "probe")
            let (seen, tell) = AsyncStream.makeStream(of: Seen.self)
            loop.connect(host: "127.0.0.1", port: port, connectNs: 1_000_000_000, maximumMessageBytes: 1) {
                Teller(tell)
            }
            let first = await seen.first { _ in true }
            loop.stop()
            if first == .connected { return }
            try #require(process.isRunning)
            await Task.yield()
        }
    }

    deinit {
        // Not SIGTERM: a child inherits the signals that the test runner's threads block.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

@Suite(.serialized) struct TLSTests {
    /// What came of saying "hello" to a server.
    private func hello(port: UInt16, trust: TLSTrust) async throws -> Seen? {
        let loop = try SocketLoop(name: "test")
        defer { loop.stop() }
        let (seen, tell) = AsyncStream.makeStream(of: Seen.self)
        loop.connect(
            host: "127.0.0.1", port: port, tls: trust, connectNs: 5_000_000_000, maximumMessageBytes: 64 << 10
        ) {
            Teller(tell, messageBytes: 6, lowWaterBytes: 1_024, greeting: Array("hello\n".utf8))
        }
        for await event in seen where event != .connected { return event }
        return nil
    }

    private func reason(_ seen: Seen?) -> String? {
        if case .ended(.distrusted(let reason)) = seen { reason } else { nil }
    }

    private let answer = Seen.bytes(Array("olleh\n".utf8))

    @Test func aServerOfTheTrustListIsSpokenWith() async throws {
        let server = try TLSServer(names: "IP:127.0.0.1")
        try await server.listens()
        let trust = TLSTrust(trustedPEM: server.certificate.pem)
        #expect(try await hello(port: server.port, trust: trust) == answer)
    }

    @Test func aServerThatNobodyVouchesForHearsNothing() async throws {
        let server = try TLSServer(names: "IP:127.0.0.1")
        try await server.listens()
        let other = try TLSServer(names: "IP:127.0.0.1")
        try await other.listens()
        for trust in [TLSTrust(), TLSTrust(trustedPEM: other.certificate.pem)] {
            let seen = try await hello(port: server.port, trust: trust)
            #expect(
                reason(seen)?.hasPrefix("the server's certificate is not trusted: ") == true,
                "\(String(describing: seen))")
        }
    }

    @Test func aCertificateForAnotherHostIsRefusedUnlessASettingSaysSo() async throws {
        let server = try TLSServer(names: "DNS:camera.test")
        try await server.listens()
        var trust = TLSTrust(trustedPEM: server.certificate.pem)
        #expect(
            reason(try await hello(port: server.port, trust: trust)) == "the server's certificate is not for 127.0.0.1")
        trust.checksHostName = false
        #expect(try await hello(port: server.port, trust: trust) == answer)
    }

    @Test func theNameIsCheckedThoughTheChainIsNot() async throws {
        let named = try TLSServer(names: "IP:127.0.0.1")
        try await named.listens()
        let other = try TLSServer(names: "DNS:camera.test")
        try await other.listens()
        let trust = TLSTrust(checksChain: false)
        #expect(try await hello(port: named.port, trust: trust) == answer)
        #expect(
            reason(try await hello(port: other.port, trust: trust)) == "the server's certificate is not for 127.0.0.1")
    }

    @Test func aServerThatSpeaksPlainTextIsNoTLSServer() async throws {
        let listener = try Listener()
        defer { close(listener.descriptor) }
        async let seen = hello(port: listener.port, trust: TLSTrust())
        let peer = listener.accepted()
        write(Array("RTSP/1.0 400 Bad Request\r\n\r\n".utf8), to: peer)
        #expect(reason(try await seen)?.hasPrefix("the TLS handshake failed") == true)
        close(peer)
    }

    @Test func aTrustListWithoutCertificatesIsRefused() async throws {
        let seen = try await hello(port: 9, trust: TLSTrust(trustedPEM: Array("nothing".utf8)))
        #expect(reason(seen) == "the trust list holds no PEM certificate")
    }
}
