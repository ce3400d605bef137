// An asset document: the device endpoint it looks through, and its streams. A stream with an error is kept, disabled, with
// its issue; its siblings run.

import JSON
import Wire

/// An asset as its document says.
struct AssetDocument: Sendable {
    /// A stream before it is put together with device and desired state.
    struct Stream: Sendable {
        let name: String
        let own: StreamLayer
        let destinations: Destinations
        /// Why its configuration cannot be read at all; nil where it can.
        let unreadable: LayerError?
    }

    let name: String
    let enabled: Bool
    let displayName: String?
    /// Nil where the document does not say it, which is an error of every stream.
    let source: SourceName?
    let defaults: StreamLayer
    /// By name, each once.
    let streams: [Stream]
    /// Issues of the asset as a whole and of streams that cannot be named. Those of a stream come from its settings.
    let issues: [Issue]
    /// An error in the defaults is an error of every stream.
    let defaultsError: LayerError?

    init(name: String, body: JSONValue) {
        var reader = AssetReader()
        self.name = name
        enabled = reader.readEnabled(body)
        displayName = body["displayName"]?.string ?? body["display_name"]?.string
        source = reader.readSource(body)
        var defaults = StreamLayer.empty
        var defaultsError: LayerError?
        do throws(LayerError) {
            defaults = try StreamLayer(
                reader.value(body, "defaultStreamsConfiguration", alias: "default_streams_configuration"),
                field: "defaultStreamsConfiguration")
        } catch {
            defaultsError = error
            reader.issues.fail(error.code, error.field, error.message)
        }
        self.defaults = defaults
        self.defaultsError = defaultsError
        reader.note(defaults)
        streams = reader.readStreams(body)
        reader.warnUnknown(body)
        issues = reader.issues.issues
    }

    /// The settings of a stream, with the override of a run on top.
    func settings(of stream: Stream, override: StreamLayer?, namespace: String) -> StreamSettings {
        StreamSettings(
            context: StreamSettings.Context(asset: name, stream: stream.name, namespace: namespace), shared: defaults,
            own: stream.own, override: override, destinations: stream.destinations)
    }
}

private struct AssetReader {
    var issues = IssueList()

    static let knownKeys: Set<String> = [
        "enabled", "displayName", "display_name", "description", "deviceRef", "device_ref", "streams",
        "defaultStreamsConfiguration", "default_streams_configuration", "defaultStreamsDestinations",
        "default_streams_destinations", "version", "uuid", "externalAssetId", "attributes", "manufacturer",
        "manufacturerUri", "model", "productCode", "hardwareRevision", "softwareRevision", "serialNumber",
        "documentationUri", "assetTypeRefs", "discoveredAssetRefs", "lastTransitionTime", "provisioningState",
    ]

    /// A key under its AIO name, or in the spelling of the Terraform and Bicep samples, with a warning.
    mutating func value(_ body: JSONValue, _ key: String, alias: String, prefix: String = "") -> JSONValue? {
        if let value = body[key] { return value }
        guard let value = body[alias] else { return nil }
        issues.warn(.alias, prefix + alias, "\(prefix)\(alias) is accepted; the present name is \(key)")
        return value
    }

    mutating func readEnabled(_ body: JSONValue) -> Bool {
        guard let value = body["enabled"], !value.isNull else { return true }
        guard let enabled = value.bool else {
            // Off, because whoever wrote something here most likely wanted to switch it.
            issues.fail(.invalidValue, "enabled", "enabled must be true or false; the asset is off until it is")
            return false
        }
        return enabled
    }

    mutating func readSource(_ body: JSONValue) -> SourceName? {
        let reference = value(body, "deviceRef", alias: "device_ref")
        let device = reference?["deviceName"]?.string ?? reference?["device_name"]?.string
        let endpoint = reference?["endpointName"]?.string ?? reference?["endpoint_name"]?.string
        guard let device, let endpoint, !device.isEmpty, !endpoint.isEmpty else {
            issues.fail(
                .invalidValue, "deviceRef",
                "deviceRef must hold deviceName and endpointName: they say which camera the asset looks through")
            return nil
        }
        return SourceName(device: device, endpoint: endpoint)
    }

    mutating func readStreams(_ body: JSONValue) -> [AssetDocument.Stream] {
        guard let list = body["streams"], !list.isNull else {
            if body["datasets"] == nil {
                issues.warn(.invalidValue, "streams", "streams is missing: the asset has no task")
            }
            return []
        }
        guard let elements = list.elements else {
            issues.fail(.invalidValue, "streams", "streams must be a list")
            return []
        }
        let sharedDestinations = value(
            body, "defaultStreamsDestinations", alias: "default_streams_destinations")
        var streams: [AssetDocument.Stream] = []
        var names = Set<String>()
        for (index, element) in elements.enumerated() {
            let field = "streams[\(index)]"
            guard let name = element["name"]?.string else {
                issues.fail(.invalidName, field + ".name", "\(field).name is missing: give the stream a name")
                continue
            }
            if let problem = Names.problem(name) {
                issues.fail(.invalidName, field + ".name", "\(field).name \(problem)")
                continue
            }
            guard names.insert(name).inserted else {
                issues.fail(
                    .duplicateName, field + ".name",
                    "\(field).name is \(name.quotedForMessage) like an earlier stream's: the first one counts")
                continue
            }
            streams.append(readStream(element, name: name, field: field, shared: sharedDestinations))
        }
        return streams.sorted { $0.name < $1.name }
    }

    private mutating func readStream(
        _ value: JSONValue, name: String, field: String, shared: JSONValue?
    ) -> AssetDocument.Stream {
        let destinations = Destinations(
            own: value["destinations"], ownField: field + ".destinations", shared: shared, stream: name)
        for member in value.members ?? [] where !Self.knownStreamKeys.contains(member.key) {
            let place = field + "." + member.key
            issues.warn(.unknownKey, place, "\(place) is not a known key and has no effect", stream: name)
        }
        let configuration = self.value(
            value, "streamConfiguration", alias: "stream_configuration", prefix: field + ".")
        do throws(LayerError) {
            let own = try StreamLayer(configuration, field: field + ".streamConfiguration")
            return AssetDocument.Stream(name: name, own: own, destinations: destinations, unreadable: nil)
        } catch {
            return AssetDocument.Stream(name: name, own: .empty, destinations: destinations, unreadable: error)
        }
    }

    private static let knownStreamKeys: Set<String> = [
        "name", "streamConfiguration", "stream_configuration", "typeRef", "type_ref", "destinations", "lastUpdatedOn",
    ]

    /// Aliases and unknown keys of the defaults, once for the asset.
    mutating func note(_ defaults: StreamLayer) {
        for warning in defaults.warnings { issues.warn(warning.code, warning.field, warning.message) }
        for unknown in defaults.unknownKeys {
            issues.warn(.unknownKey, unknown.field, "\(unknown.field) is not a known key and has no effect")
        }
    }

    mutating func warnUnknown(_ body: JSONValue) {
        for member in body.members ?? [] where !Self.knownKeys.contains(member.key) {
            let advice =
                member.key == "datasets"
                ? "datasets has no effect: cameras have streams, so move the task to streams[].streamConfiguration"
                : "\(member.key) is not a known key and has no effect"
            issues.warn(.unknownKey, member.key, advice)
        }
    }
}
