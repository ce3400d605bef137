// The bad messages that every socket must answer: malformed, cut off, deeply nested, of another version, for a method that is
// not there, too large. One list for the suites of the services and for the whole site.

import Wire

/// One message that no client of ours would send, and the answer that it must get.
public struct BadMessage: Sendable {
    /// What is wrong with it.
    public let name: String
    /// What is sent as one nng request.
    public let bytes: [UInt8]
    /// The code of the answer.
    public let code: Code

    /// The list. `method` is one that the service has; its body and its version are spoiled.
    public static func all(method: String = HealthMethods.check.name) -> [BadMessage] {
        let current = WireVersion.current
        let service = method.split(separator: "/").first.map(String.init) ?? method
        let good = RequestEnvelope(method: method, version: current).encoded()
        return [
            BadMessage(name: "nothing", bytes: [], code: .invalidArgument),
            BadMessage(name: "no protobuf", bytes: Array("GET / HTTP/1.1\r\n\r\n".utf8), code: .invalidArgument),
            BadMessage(name: "only 0xFF", bytes: [UInt8](repeating: 0xFF, count: 100), code: .invalidArgument),
            BadMessage(name: "cut off", bytes: Array(good.dropLast(1)), code: .invalidArgument),
            // A field in a field and so on, which a recursive decoder would follow to the end of its stack.
            BadMessage(
                name: "deeply nested", bytes: [UInt8](repeating: 0x43, count: 200_000), code: .invalidArgument),
            BadMessage(
                name: "no method", bytes: RequestEnvelope(version: current).encoded(), code: .invalidArgument),
            BadMessage(
                name: "unknown method",
                bytes: RequestEnvelope(method: service + "/Explode", version: current).encoded(),
                code: .unimplemented),
            BadMessage(
                name: "unknown service",
                bytes: RequestEnvelope(method: "sightglass.v1.Nobody/Check", version: current).encoded(),
                code: .unimplemented),
            BadMessage(
                name: "wrong version", bytes: RequestEnvelope(method: method, version: 9000).encoded(),
                code: .unimplemented),
            BadMessage(
                name: "a body that is none",
                bytes: RequestEnvelope(method: method, version: current, body: [0xFF, 0xFF]).encoded(),
                code: .invalidArgument),
        ]
    }

    /// More than any service takes: pictures have up to 32 MiB.
    public static let oversizedBytes = 40 << 20

    /// Sends the whole list and an oversized message to a service, and asks for its health after it. Gives what was not as
    /// promised, one text each; nothing for a service that answers every message and goes on serving.
    public static func complaints(to address: String, method: String = HealthMethods.check.name) async -> [String] {
        var complaints: [String] = []
        for bad in all(method: method) {
            switch await sendRaw(bad.bytes, to: address) {
            case .reply(let reply) where reply.code == bad.code && reply.message?.isEmpty == false: break
            case .reply(let reply): complaints.append("\(bad.name): not \(bad.code) with a message but \(reply)")
            case .garbage(let bytes): complaints.append("\(bad.name): \(bytes.count) bytes that are no envelope")
            case .nothing(let why): complaints.append("\(bad.name): no answer, \(why)")
            }
        }
        // The connection may be closed, because there is no message whose request could be read. It may be refused as well.
        let oversized = [UInt8](repeating: 0x0A, count: oversizedBytes)
        if case .reply(let reply) = await sendRaw(oversized, to: address), reply.code ?? .ok == .ok {
            complaints.append("\(oversizedBytes) bytes were taken: \(reply)")
        }
        for version in neighbouringVersions {
            let check = RequestEnvelope(
                method: HealthMethods.check.name, version: version, remainingMs: 3000, body: fieldsOfALaterVersion)
            let reply = await sendRaw(check.encoded() + fieldsOfALaterVersion, to: address)
            if case .reply(let reply) = reply, reply.code ?? .ok == .ok,
                let health = try? HealthReply(wire: reply.body ?? []), health.live == true
            {
                continue
            }
            complaints.append("it does not tell its health to a caller of version \(version) after the bad messages")
        }
        return complaints
    }

    /// Versions whose callers must be answered: the minor before, this one, and one that is still to come.
    private static let neighbouringVersions = [WireVersion.current - 1, WireVersion.current, WireVersion.current + 1]
        .filter(WireVersion.answers)

    /// Fields that no message has yet: number 1000 as a varint, 1001 as a fixed64, 1002 as bytes, 1003 as a fixed32.
    private static let fieldsOfALaterVersion: [UInt8] =
        [0xC0, 0x3E, 0x2A] + [0xC9, 0x3E, 1, 2, 3, 4, 5, 6, 7, 8] + [0xD2, 0x3E, 2, 0xFF, 0]
        + [0xDD, 0x3E, 1, 2, 3, 4]
}
