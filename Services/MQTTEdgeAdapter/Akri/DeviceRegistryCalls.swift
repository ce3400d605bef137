// The calls to Azure Device Registry (its base service, by the operator of Akri), and its telemetry in both directions.
// Topics: akri/connector/resources/{client id}/{device}/{endpoint}/{command}; JSON.

import JSON
import Wire

/// A definition that changed.
enum DefinitionUpdate: Sendable, Equatable {
    case device(SourceName, JSONValue)
    case asset(SourceName, name: String, JSONValue)
}

/// What can be asked of it.
struct DeviceRegistryCalls: Sendable {
    /// The SDKs' default.
    private static let timeout = Duration.seconds(10)
    private static let root = "akri/connector/resources"

    let invoker: CallInvoker
    let outbound: OutboundSession
    let correspondence: Correspondence
    let clientID: String

    /// What has to be subscribed to.
    var filters: Set<String> {
        let telemetry = "\(Self.root)/telemetry/\(clientID)/+/+"
        return [
            invoker.responseFilter("\(Self.root)/\(clientID)"), "\(telemetry)/deviceUpdateEvent",
            "\(telemetry)/assetUpdateEvent",
        ]
    }

    /// The definition of the device, and word of its changes from now on.
    func device(_ source: SourceName) async throws(CallFailure) -> JSONValue {
        _ = try await call(
            source, "setNotificationPreferenceForDeviceUpdates",
            .fields(["notificationPreferenceRequest": .string("On")]))
        let reply = try await call(source, "getDevice", nil)
        guard let device = reply?[given: "device"], device.members != nil else {
            throw .refused(status: 200, message: "getDevice: the answer holds no device")
        }
        return device
    }

    /// The definition of an asset, and word of its changes from now on.
    func asset(_ source: SourceName, _ name: String) async throws(CallFailure) -> JSONValue {
        _ = try await call(
            source, "setNotificationPreferenceForAssetUpdates",
            .fields([
                "notificationPreferenceRequest": .fields([
                    "assetName": .string(name), "notificationPreference": .string("On"),
                ])
            ]))
        let reply = try await call(source, "getAsset", .fields(["assetName": .string(name)]))
        guard let asset = reply?[given: "asset"], asset.members != nil else {
            throw .refused(status: 200, message: "getAsset: the answer holds no asset")
        }
        return asset
    }

    /// No more word of a device.
    func forgetDevice(_ source: SourceName) async {
        _ = try? await call(
            source, "setNotificationPreferenceForDeviceUpdates",
            .fields(["notificationPreferenceRequest": .string("Off")]))
    }

    /// No more word of an asset.
    func forgetAsset(_ source: SourceName, _ name: String) async {
        _ = try? await call(
            source, "setNotificationPreferenceForAssetUpdates",
            .fields([
                "notificationPreferenceRequest": .fields([
                    "assetName": .string(name), "notificationPreference": .string("Off"),
                ])
            ]))
    }

    func updateDeviceStatus(_ source: SourceName, _ status: JSONValue) async throws(CallFailure) {
        _ = try await call(source, "updateDeviceStatus", .fields(["deviceStatusUpdate": status]))
    }

    func updateAssetStatus(_ source: SourceName, _ name: String, _ status: JSONValue) async throws(CallFailure) {
        _ = try await call(
            source, "updateAssetStatus",
            .fields(["assetStatusUpdate": .fields(["assetName": .string(name), "assetStatus": status])]))
    }

    /// Health of an endpoint.
    func tellHealth(_ source: SourceName, _ health: JSONValue) {
        tell(
            source, "deviceEndpointRuntimeHealthEvent",
            .fields(["deviceEndpointRuntimeHealthEvent": .fields(["runtimeHealth": health])]))
    }

    /// Health of streams of one asset.
    func tellHealth(_ source: SourceName, asset: String, _ streams: [(name: String, health: JSONValue)]) {
        tell(
            source, "streamRuntimeHealthEvent",
            .fields([
                "streamRuntimeHealthEvent": .fields([
                    "assetName": .string(asset),
                    "streams": .array(
                        streams.map { .fields(["streamName": .string($0.name), "runtimeHealth": $0.health]) }),
                ])
            ]))
    }

    /// The update that a message brings; nil where it is none. What it holds stands below the event's own name, as the SDKs
    /// write it; without that is taken too.
    func update(_ message: InboundMessage) -> DefinitionUpdate? {
        let levels = TopicName.levels(message.topic)
        guard levels.count == 8, levels[3] == "telemetry",
            let json = try? JSONReader.read(message.payload, .messages)
        else { return nil }
        let source = SourceName(device: levels[5], endpoint: levels[6])
        let event = json[given: levels[7]] ?? json
        switch levels[7] {
        case "deviceUpdateEvent": return event[given: "device"].map { .device(source, $0) }
        case "assetUpdateEvent":
            guard let name = event[given: "assetName"]?.string, let asset = event[given: "asset"] else { return nil }
            return .asset(source, name: name, asset)
        default: return nil
        }
    }

    /// An error of the service comes with status 200 too, in a member of its own: {"getDeviceError": {code, message}}.
    private func call(
        _ source: SourceName, _ command: String, _ payload: JSONValue?
    ) async throws(CallFailure) -> JSONValue? {
        let reply = try await invoker.call(
            "\(Self.root)/\(clientID)/\(source.device ?? "")/\(source.endpoint ?? "")/\(command)", payload,
            timeout: Self.timeout)
        if let error = reply?[given: "\(command)Error"] {
            let words = [error[given: "code"]?.string, error[given: "message"]?.string].compactMap { $0 }
            throw .refused(status: 200, message: "\(command): \(words.joined(separator: ": ").prefixed(1_024))")
        }
        return reply
    }

    private func tell(_ source: SourceName, _ event: String, _ payload: JSONValue) {
        var message = OutboundMessage(
            topic: "\(Self.root)/telemetry/\(clientID)/\(source.device ?? "")/\(source.endpoint ?? "")/\(event)",
            payload: payload.encoded())
        message.properties = .json
        message.properties.expiryS = 60
        message.properties.userProperties =
            [UserProperty(name: "$high_priority", value: "")] + correspondence.sender()
        outbound.post(message)
    }
}
