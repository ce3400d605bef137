// A message from the broker as a value, and the key under which it is known.

import Crypto
import RPC

/// One received PUBLISH.
struct InboundMessage: Sendable, Equatable {
    let topic: String
    let payload: [UInt8]
    /// 0 or 1. What came with 0 is not delivered again.
    var qos: Int32 = 1
    /// True where the broker had kept it: it may be old.
    var isRetained = false
    var contentType: String?
    var responseTopic: String?
    var correlationData: [UInt8]?
    var userProperties: [UserProperty] = []
    /// What is left of its time in the broker, in seconds.
    var expiryS: UInt32?
    /// 1 for UTF-8 text.
    var formatIndicator: UInt8?
    var receivedAt = ContinuousClock.now

    /// The first user property of that name.
    func first(_ name: String) -> String? { userProperties.first { $0.name == name }?.value }

    /// SHA-256 of the topic's bytes followed by the payload's, in lower-case hex. `printf %s%s TOPIC PAYLOAD | sha256sum`
    /// gives the same.
    var digest: String { hex(SHA256.hash(data: Array(topic.utf8) + payload)) }

    /// As `digest`, with correlation data and response topic behind, so that two requests that differ only in these are two.
    var requestDigest: String {
        hex(
            SHA256.hash(
                data: Array(topic.utf8) + payload + (correlationData ?? []) + Array((responseTopic ?? "").utf8)))
    }

    /// For a log: a topic may have 64 KiB.
    var shortTopic: String { topic.prefixed(300) }

    /// Who sent it, as far as it says: mRPC's invoker id, else the topic. At most the 128 bytes that `started_by` may have: the
    /// topic of a stream with long names has more.
    var origin: String {
        let source = first("__srcId") ?? ""
        return "mqtt:\(source.isEmpty ? topic : source)".prefixed(128)
    }
}

/// A name and a value of MQTT 5.
struct UserProperty: Sendable, Equatable {
    let name: String
    let value: String
}

/// Bytes in lower-case hexadecimal.
func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
