// N/sightglass/adapter, retained: whether anybody listens, and who. Tells an adapter too that a later one has its client id.

import Foundation
import JSON

/// What an adapter says of itself.
struct Presence: Sendable {
    let topic: String
    let clientID: String
    /// Of this process.
    let instance: String
    /// When this process started, in milliseconds since 1970.
    let startedMs: Int64

    init(topic: String, clientID: String, startedUs: Int64, instance: String = UUID().uuidString.lowercased()) {
        (self.topic, self.clientID, self.instance) = (topic, clientID, instance)
        startedMs = startedUs / 1_000
    }

    /// The first message of a connection.
    var online: OutboundMessage { message("online") }
    /// The last one of a planned end, and the last will.
    var offline: OutboundMessage { message("offline") }

    private func message(_ state: String) -> OutboundMessage {
        let json = JSONValue.fields([
            "state": .string(state), "clientId": .string(clientID), "instance": .string(instance),
            "startedAt": .time(startedMs * 1_000), "startedMs": .integer(startedMs),
        ])
        var message = OutboundMessage(topic: topic, payload: json.encoded(), retain: true)
        message.properties = .json
        return message
    }

    /// Whether a presence is that of another process with our client id that started later. Its "offline" counts too: our own
    /// reconnection may just have ended its connection.
    func isSucceeded(by message: InboundMessage) -> Bool {
        guard let json = try? JSONReader.read(message.payload, .messages),
            json[given: "clientId"]?.string == clientID, let other = json[given: "instance"]?.string,
            let started = json[given: "startedMs"]?.integer
        else { return false }
        return other != instance && Int64(started) > startedMs
    }
}
