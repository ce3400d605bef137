// What we publish, as a value: topic, payload and MQTT 5 properties; and pictures as CloudEvents. Pure.

import Wire

/// The MQTT 5 properties that we set.
struct MessageProperties: Sendable, Equatable {
    var contentType: String?
    /// Payload format indicator: true for UTF-8 text.
    var isText = false
    /// Seconds after which the broker drops it. Nil: never.
    var expiryS: UInt32?
    var correlationData: [UInt8]?
    /// Where the answer to a request of ours goes.
    var responseTopic: String?
    var userProperties: [UserProperty] = []

    static let json = MessageProperties(contentType: "application/json", isText: true)

    /// As an upper bound, for comparing with the broker's maximum packet size.
    var maximumEncodedBytes: Int {
        16 + (contentType?.utf8.count ?? 0) + 3 + (correlationData?.count ?? 0) + 3 + (responseTopic?.utf8.count ?? 0)
            + 3
            + userProperties.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 5 }
    }
}

/// One message to publish.
struct OutboundMessage: Sendable, Equatable {
    let topic: String
    let payload: [UInt8]
    var qos: Int32 = 1
    var retain = false
    var properties = MessageProperties()

    /// Upper bound of the PUBLISH packet's size in bytes.
    var maximumPacketBytes: Int { payload.count + topic.utf8.count + properties.maximumEncodedBytes + 16 }
}

/// Seven days: a retained receipt or finished request is looked at after a weekend, and does not fill the broker for ever.
let retainedExpiryS: UInt32 = 7 * 86_400

/// A picture as a message: raw bytes, with CloudEvents' attributes and reference data as user properties.
enum PictureMessage {
    /// Seconds that a picture stays valid where its destination says nothing; AIO's default.
    static let defaultExpiryS: UInt32 = 10
    /// AIO's form of a content type.
    private static let contentTypes: Set = ["image/jpeg", "image/png", "image/bmp", "image/tiff", "image/webp"]

    /// - Parameters:
    ///   - id: CloudEvents' id, a UUID. Consumers tell duplicates by it.
    ///   - timestamp: `__ts`.
    ///   - references: ids of device and asset in Azure Device Registry.
    static func make(
        _ request: PublishSnapshotRequest, stream: StreamName, topic: String, id: String, clientID: String,
        timestamp: String, references: RegistryReferences.Pair = .init()
    ) -> OutboundMessage {
        let source = request.source ?? SourceName()
        var message = OutboundMessage(topic: topic, payload: request.picture ?? [])
        message.qos = min(Int32(request.destination?.qos ?? 1), 1)
        message.retain = request.destination?.retain ?? false
        message.properties.contentType = contentType(request.contentType)
        message.properties.expiryS = request.destination?.ttlS ?? defaultExpiryS
        var properties: [(String, String?)] = [
            ("specversion", "1.0"),
            ("id", id),
            ("type", "Stream"),
            ("source", "ms-aio:\(uriPart(source.device ?? ""))/\(uriPart(source.endpoint ?? ""))"),
            ("subject", stream.text),
            ("time", request.capturedUs.map(TimeText.rfc3339)),
            ("aiodeviceref", references.device.map { "ms-aio:\($0)/\(uriPart(source.endpoint ?? ""))" }),
            ("aioassetref", references.asset.map { "ms-aio:\($0)" }),
            ("device", source.device),
            ("endpoint", source.endpoint),
            ("asset", stream.asset),
            ("stream", stream.stream),
            ("sequence", request.sequence.map(String.init)),
            ("width", request.widthPx.map(String.init)),
            ("height", request.heightPx.map(String.init)),
            ("run", request.runID),
        ]
        properties += [("__ts", timestamp), ("__protVer", "1.0"), ("__srcId", clientID)]
        message.properties.userProperties = properties.compactMap { name, value in
            value.map { UserProperty(name: name, value: $0) }
        }
        return message
    }

    private static func contentType(_ given: String?) -> String {
        guard let given, contentTypes.contains(given) else { return "application/octet-stream" }
        return given
    }

    /// A name inside a URI reference: everything but unreserved characters as %XX.
    private static func uriPart(_ name: String) -> String {
        var text = ""
        for byte in name.utf8 {
            let character = Character(Unicode.Scalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
                text.append(character)
            } else {
                text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }
}
