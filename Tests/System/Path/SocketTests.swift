// Malformed, deeply nested and oversized messages, unknown methods and wrong versions on the socket of every service: a
// clear error where an answer is possible, and the service goes on serving.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite struct SocketTests {
    private static let badMessages: [(name: String, bytes: [UInt8], code: Code)] = [
        ("nothing", [], .invalidArgument),
        ("no protobuf", Array("GET / HTTP/1.1\r\n\r\n".utf8), .invalidArgument),
        (
            "cut off", Array(RequestEnvelope(method: "sightglass.v1.Health/Check").encoded().dropLast(3)),
            .invalidArgument
        ),
        ("deeply nested", nested(depth: 200_000), .invalidArgument),
        ("no method", RequestEnvelope(version: 1000).encoded(), .invalidArgument),
        (
            "unknown method", RequestEnvelope(method: "sightglass.v1.Health/Explode", version: 1000).encoded(),
            .unimplemented
        ),
        (
            "wrong version", RequestEnvelope(method: HealthMethods.check.name, version: 9000).encoded(), .unimplemented
        ),
        (
            "a body that is none",
            RequestEnvelope(method: HealthMethods.check.name, version: 1000, body: [0xFF, 0xFF]).encoded(),
            .invalidArgument
        ),
    ]

    /// A field of bytes in a field of bytes and so on, which a recursive decoder would follow to the end of its stack.
    private static func nested(depth: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<depth { bytes.append(contentsOf: [0x43]) }
        return bytes
    }

    @Test func everySocketAnswersBadMessagesAndGoesOn() async throws {
        let site = try await Site.up()
        for service in serviceNames {
            let address = "ipc://\(site.path)/run/\(service).rpc"
            for bad in Self.badMessages {
                guard case .reply(let reply) = await sendRaw(bad.bytes, to: address) else {
                    Issue.record("\(service) gave no reply to \(bad.name)")
                    continue
                }
                #expect(reply.code == bad.code, "\(service), \(bad.name): \(reply)")
                #expect(reply.message?.isEmpty == false, "\(service), \(bad.name)")
            }
            let oversized = [UInt8](repeating: 0x0A, count: 40 << 20)
            if case .reply(let reply) = await sendRaw(oversized, to: address) {
                Issue.record("\(service) took 40 MiB: \(reply)")
            }
            let client = RPCClient(role: service, addresses: [try RPCAddress(parsing: address)], caller: "test")
            let health = try await client.call(HealthMethods.check, HealthRequest())
            #expect(health.live == true, "\(service) after bad messages")
            client.close()
        }
        try await site.down()
    }
}
