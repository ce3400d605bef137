// An asset document: the device endpoint it looks through, and its streams. A stream with an error is kept, disabled, with
// its issue; its siblings run.
//
// The model of 2024 is taken too, with warnings that name the present form:
//
//   assetEndpointProfileRef                                      deviceRef: device of that name, endpoint "default"
//   datasets[].dataPoints[] {name, dataPointConfiguration}       streams[] {name, streamConfiguration}
//   datasets[] {name, datasetConfiguration, destinations}        the same: what the samples of edge-ai write

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

struct AssetReader {
    var issues = IssueList()

    static let knownKeys: Set<String> = [
        "enabled", "displayName", "display_name", "description", "deviceRef", "device_ref", "streams",
        "defaultStreamsConfiguration", "default_streams_configuration", "defaultStreamsDestinations",
        "default_streams_destinations", "version", "uuid", "externalAssetId", "attributes", "manufacturer",
        "manufacturerUri", "model", "productCode", "hardwareRevision", "softwareRevision", "serialNumber",
        "documentationUri", "assetTypeRefs", "datasets", "assetEndpointProfileRef", "discoveredAssetRefs",
        "lastTransitionTime", "provisioningState",
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
        if body["deviceRef"] == nil, body["device_ref"] == nil, let profile = body["assetEndpointProfileRef"]?.string,
            !profile.isEmpty
        {
            issues.warn(
                .alias, "assetEndpointProfileRef",
                "assetEndpointProfileRef is accepted; the present form is deviceRef with deviceName and endpointName")
            return SourceName(device: profile, endpoint: DeviceDocument.profileEndpoint)
        }
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
        if body["streams"] == nil, body["datasets"] == nil {
            issues.warn(.invalidValue, "streams", "streams is missing: the asset has no task")
        }
        let sharedDestinations = value(
            body, "defaultStreamsDestinations", alias: "default_streams_destinations")
        let found = elements(body, "streams").map { (element: $0, form: StreamForm.stream) } + readDatasets(body)
        var streams: [AssetDocument.Stream] = []
        var names = Set<String>()
        for (element, form) in found {
            let field = element.field
            guard let name = element.value["name"]?.string else {
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
            streams.append(readStream(element.value, form, name: name, field: field, shared: sharedDestinations))
        }
        return streams.sorted { $0.name < $1.name }
    }

    /// How a stream is written.
    enum StreamForm {
        case stream, dataPoint, dataset

        /// The key of its configuration, and another spelling of it.
        var configurationKeys: (String, alias: String) {
            switch self {
            case .stream: ("streamConfiguration", "stream_configuration")
            case .dataPoint: ("dataPointConfiguration", "data_point_configuration")
            case .dataset: ("datasetConfiguration", "dataset_configuration")
            }
        }

        /// Other keys that mean something, or that the service writes.
        var knownKeys: Set<String> {
            switch self {
            case .stream: ["name", "typeRef", "type_ref", "destinations", "lastUpdatedOn"]
            case .dataPoint: ["name", "dataSource", "data_source", "observabilityMode", "typeRef", "type_ref"]
            case .dataset: ["name", "destinations", "dataSource", "data_source", "topic", "typeRef", "type_ref"]
            }
        }
    }

    /// A value of a list, and where it stands.
    typealias Element = (value: JSONValue, field: String)

    private mutating func elements(_ value: JSONValue, _ key: String, alias: String = "", _ prefix: String = "")
        -> [Element]
    {
        guard let list = value[key] ?? value[alias], !list.isNull else { return [] }
        guard let elements = list.elements else {
            issues.fail(.invalidValue, prefix + key, "\(prefix)\(key) must be a list")
            return []
        }
        return elements.enumerated().map { ($1, "\(prefix)\(key)[\($0)]") }
    }

    /// What stands for streams in the older model.
    private mutating func readDatasets(_ body: JSONValue) -> [(element: Element, form: StreamForm)] {
        var found: [(element: Element, form: StreamForm)] = []
        for dataset in elements(body, "datasets") {
            let points = elements(dataset.value, "dataPoints", alias: "data_points", dataset.field + ".")
            found += points.map { ($0, .dataPoint) }
            let keys = StreamForm.dataset.configurationKeys
            if dataset.value[keys.0] ?? dataset.value[keys.alias] != nil { found.append((dataset, .dataset)) }
        }
        for (element, _) in found {
            issues.warn(
                .alias, element.field,
                "\(element.field) is accepted; the present form is an entry of streams with streamConfiguration")
        }
        return found
    }

    private mutating func readStream(
        _ value: JSONValue, _ form: StreamForm, name: String, field: String, shared: JSONValue?
    ) -> AssetDocument.Stream {
        let destinations = Destinations(
            own: value["destinations"], ownField: field + ".destinations", shared: shared, stream: name)
        let (key, alias) = form.configurationKeys
        // The data points of a dataset with a task of its own are streams of their own.
        let known = form.knownKeys.union([key, alias] + (form == .dataset ? ["dataPoints", "data_points"] : []))
        for member in value.members ?? [] where !known.contains(member.key) {
            let place = field + "." + member.key
            issues.warn(.unknownKey, place, "\(place) is not a known key and has no effect", stream: name)
        }
        let configuration = self.value(value, key, alias: alias, prefix: field + ".")
        do throws(LayerError) {
            let own = try StreamLayer(configuration, field: "\(field).\(key)")
            return AssetDocument.Stream(name: name, own: own, destinations: destinations, unreadable: nil)
        } catch {
            return AssetDocument.Stream(name: name, own: .empty, destinations: destinations, unreadable: error)
        }
    }

    /// Aliases and unknown keys of the defaults, once for the asset.
    mutating func note(_ defaults: StreamLayer) {
        for warning in defaults.warnings { issues.warn(warning.code, warning.field, warning.message) }
        for unknown in defaults.unknownKeys {
            issues.warn(.unknownKey, unknown.field, "\(unknown.field) is not a known key and has no effect")
        }
    }

    mutating func warnUnknown(_ body: JSONValue) {
        for member in body.members ?? [] where !Self.knownKeys.contains(member.key) {
            issues.warn(.unknownKey, member.key, "\(member.key) is not a known key and has no effect")
        }
    }
}
