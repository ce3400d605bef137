// Bad input on each socket: a clear error for whoever sent it, and nothing for anybody else.

import CNNGRepair
import Foundation
import Glibc
import Testing
import Wire

@testable import RPC

struct HostileTests {
    /// The code, field and message of the answer to raw bytes; afterwards another client is served as before.
    private func answer(to bytes: [UInt8]) async throws -> ReplyEnvelope {
        let folder = try TemporaryFolder()
        return try await serving(try folder.address()) { server async throws in
            let other = makeClient(server.listeningAddresses)
            #expect(try await other.call(sayMethod, Hint(cursor: 1)).cursor == 1)
            let reply = try await RawCaller(server.listeningAddresses[0]).exchange(bytes).get()
            #expect(try await other.call(sayMethod, Hint(cursor: 2)).cursor == 2)
            return reply
        }
    }

    @Test func anEmptyMessageNamesNoMethod() async throws {
        let reply = try await answer(to: [])
        #expect(reply.code == .invalidArgument)
        #expect(reply.field == "method")
    }

    @Test func bytesThatAreNoEnvelopeAreRefused() async throws {
        let reply = try await answer(to: [UInt8](repeating: 0xff, count: 1_000))
        #expect(reply.code == .invalidArgument)
        #expect(reply.message?.contains("1000 bytes") == true)
    }

    @Test func deepNestingIsRefusedNotFollowed() async throws {
        // A length-delimited field in a length-delimited field, ten thousand deep, and groups that never end.
        var nested: [UInt8] = []
        for _ in 0..<10_000 { nested = [0x42] + varint(nested.count) + nested }
        let reply = try await answer(
            to: RequestEnvelope(method: sayMethod.name, version: WireVersion.current, body: nested).encoded())
        #expect(reply.code == nil || reply.code == .invalidArgument)
        #expect(try await answer(to: [UInt8](repeating: 0x0b, count: 100_000)).code == .invalidArgument)
    }

    @Test func anUnknownMethodIsUnimplemented() async throws {
        let envelope = RequestEnvelope(
            method: "sightglass.v1.Indexer/DropEverything", version: WireVersion.current, requestID: "r1")
        let reply = try await answer(to: envelope.encoded())
        #expect(reply.code == .unimplemented)
        #expect(reply.requestID == "r1")
        #expect(reply.message?.contains("DropEverything") == true)
    }

    @Test func anotherMajorVersionIsUnimplemented() async throws {
        let reply = try await answer(
            to: RequestEnvelope(method: sayMethod.name, version: 2_000).encoded())
        #expect(reply.code == .unimplemented)
        #expect(reply.message?.contains("version") == true)
    }

    @Test func aBodyThatDoesNotDecodeIsRefused() async throws {
        let reply = try await answer(
            to: RequestEnvelope(method: sayMethod.name, version: WireVersion.current, body: [0xff, 0xff]).encoded())
        #expect(reply.code == .invalidArgument)
        #expect(reply.field == "body")
    }

    @Test func aMessageALittleOverTheBoundIsAnswered() async throws {
        let body = [UInt8](repeating: 0, count: RPCContractLimits.messageBytes)
        let reply = try await answer(
            to: RequestEnvelope(method: sayMethod.name, version: WireVersion.current, body: body).encoded())
        #expect(reply.code == .invalidArgument)
        #expect(reply.message?.contains("1048576") == true)
    }

    @Test func aMessageFarOverTheBoundEndsItsConnectionOnly() async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address()) { server async throws in
            let other = makeClient(server.listeningAddresses)
            _ = try await other.call(sayMethod, Hint())
            // The greeting of a REQ socket, then the head of a message of 2^40 bytes, of which nothing ever comes.
            let greeting: [UInt8] = [0, 0x53, 0x50, 0, 0, 0x30, 0, 0]
            let head: [UInt8] = [1, 0, 0, 1, 0, 0, 0, 0, 0]
            #expect(try await bytesUntilClosed(afterSending: greeting + head, toUnix: "\(folder.path)/s") == 8)
            #expect(try await other.call(sayMethod, Hint(cursor: 2)).cursor == 2)
        }
    }

    @Test(arguments: [
        [], Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0xff, count: 100),
        [0, 0x53, 0x50, 0, 0, 0x30, 0, 0],
        [0, 0x53, 0x50, 0, 0, 0x30, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ])
    func garbageOnASocketFileIsNobodyElsesTrouble(bytes: [UInt8]) async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address()) { server async throws in
            for _ in 0..<10 { try sendRaw(bytes, toUnix: "\(folder.path)/s") }
            let client = makeClient(server.listeningAddresses)
            #expect(try await client.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
        }
    }

    @Test(arguments: [[], Array("GET / HTTP/1.1\r\n\r\n".utf8), [0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0], [0x16, 3, 1]])
    func garbageOnATlsSocketIsNobodyElsesTrouble(bytes: [UInt8]) async throws {
        let certificates = try await Certificates.shared()
        let address = try RPCAddress(parsing: "tls+tcp://localhost:0")
        try await serving(address, tls: certificates.server) { server async throws in
            guard case .tls(_, let port) = server.listeningAddresses[0].transport else { return }
            for _ in 0..<10 { try sendRaw(bytes, toPort: port) }
            let client = makeClient(server.listeningAddresses, tls: certificates.client)
            #expect(try await client.call(sayMethod, Hint(cursor: 1), timeout: .seconds(30)).cursor == 1)
        }
    }

    @Test func nngCallsTheRepairedSendmsg() { #expect(cnngrepair_is_in_force()) }

    private func varint(_ value: Int) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}

/// Connects, sends, and reads until the other side closes; how many bytes came.
func bytesUntilClosed(afterSending bytes: [UInt8], toUnix path: String) async throws -> Int {
    let received = await onOwnThread { () -> Int? in
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0, send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            return nil
        }
        var total = 0
        var buffer = [UInt8](repeating: 0, count: 256)
        while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 { total += count }
        return total
    }
    return try #require(received)
}

/// Connects, sends and closes, without any protocol.
func sendRaw(_ bytes: [UInt8], toUnix path: String) throws {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    try sendRaw(bytes, to: &address, AF_UNIX)
}

func sendRaw(_ bytes: [UInt8], toPort port: UInt16) throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    try sendRaw(bytes, to: &address, AF_INET)
}

private func sendRaw<Address>(_ bytes: [UInt8], to address: inout Address, _ family: Int32) throws {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
        }
    }
    try #require(connected == 0)
    _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
}
