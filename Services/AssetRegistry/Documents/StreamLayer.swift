// One layer of a stream's configuration: the JSON object of `defaultStreamsConfiguration`, of a stream's own
// `streamConfiguration`, or of the override of a start. Layers are put on top of each other key by key; aliases are turned
// into the names of the table first, so that an alias in one layer meets the name in another. The table of keys stands
// here; what their values may be stands in StreamSettings.swift.

import JSON
import Wire

/// The keys of a stream's configuration, as the AIO media connector names them.
enum StreamKey: String, CaseIterable {
    case taskType, autostart, format, snapshotsPerSecond, duration, path, audioEnabled
    case quality, maxWidth, maxHeight, frame
    case preRoll, postRoll, transcode
    case mediaServerAddress, mediaServerPort, mediaServerPath
    case mediaServerUsernameRef, mediaServerPasswordRef, mediaServerCertificateRef

    /// The tasks that use the key.
    func isUsed(by type: TaskType) -> Bool {
        switch self {
        case .taskType, .autostart: true
        case .format: [.snapshotToMqtt, .snapshotToFs, .clipToFs].contains(type)
        case .snapshotsPerSecond, .quality, .maxWidth, .maxHeight, .frame:
            [.snapshotToMqtt, .snapshotToFs].contains(type)
        case .duration, .preRoll, .postRoll: type == .clipToFs
        case .transcode: [.streamToRtsp, .streamToRtsps].contains(type)
        case .path: [.snapshotToFs, .clipToFs].contains(type)
        case .audioEnabled: [.clipToFs, .streamToRtsp, .streamToRtsps].contains(type)
        case .mediaServerAddress, .mediaServerPort, .mediaServerPath, .mediaServerUsernameRef, .mediaServerPasswordRef:
            [.streamToRtsp, .streamToRtsps].contains(type)
        case .mediaServerCertificateRef: type == .streamToRtsps
        }
    }
}

/// The keys of one layer, under their present names.
struct StreamLayer: Sendable {
    /// A value, and where a message shall say that it stands.
    struct Entry: Sendable {
        let value: JSONValue
        let field: String
    }

    private(set) var entries: [String: Entry] = [:]
    /// Keys that no task knows, in the order of the text.
    private(set) var unknownKeys: [(key: String, field: String)] = []
    private(set) var warnings: [(code: IssueCode, field: String, message: String)] = []

    static let empty = StreamLayer()

    private init() {}

    /// Reads a layer from a value: a text that holds a JSON object (AIO's form), or the object itself. Absent, null and ""
    /// are an empty layer.
    init(_ value: JSONValue?, field: String) throws(LayerError) {
        self.init()
        guard let value, !value.isNull else { return }
        if let text = value.string {
            self = try StreamLayer(json: text, field: field)
        } else {
            self = try StreamLayer(object: value, field: field)
        }
    }

    /// Reads a layer from JSON text.
    init(json text: String, field: String) throws(LayerError) {
        self.init()
        if text.utf8.allSatisfy({ [0x20, 0x09, 0x0A, 0x0D].contains($0) }) { return }
        let value: JSONValue
        do {
            value = try JSONReader.read(text, .documents)
        } catch {
            throw LayerError(
                code: .malformedJSON, field: field, message: "\(field) is not JSON: \(error) of the JSON text")
        }
        self = try StreamLayer(object: value, field: field)
    }

    private init(object value: JSONValue, field: String) throws(LayerError) {
        guard let members = value.members else {
            throw LayerError(
                code: .malformedJSON, field: field,
                message: "\(field) is \(value.kindName): a JSON object such as {\"taskType\":\"clip-to-fs\"} is needed")
        }
        var aliases: [JSONValue.Member] = []
        for member in members {
            let memberField = field + "." + member.key
            if StreamKey(rawValue: member.key) != nil {
                entries[member.key] = Entry(value: member.value, field: memberField)
            } else if StreamAlias(rawValue: member.key) != nil {
                aliases.append(member)
            } else if member.key != "@schema" && member.key != "$schema" {
                unknownKeys.append((member.key, memberField))
            }
        }
        for member in aliases { take(alias: member, field: field + "." + member.key) }
    }

    private mutating func take(alias member: JSONValue.Member, field: String) {
        guard let alias = StreamAlias(rawValue: member.key) else { return }
        for (key, value) in alias.presentValues(member.value) {
            if entries[key.rawValue] != nil {
                warnings.append(
                    (.alias, field, "\(field) is another name of \(key.rawValue), which is given too and counts"))
            } else {
                entries[key.rawValue] = Entry(value: value, field: field)
                warnings.append((.alias, field, "\(field) is accepted; the present name is \(alias.presentName)"))
            }
        }
    }

    /// This layer with the keys of another on top.
    func overlaid(by upper: StreamLayer) -> StreamLayer {
        var result = self
        result.entries.merge(upper.entries) { $1 }
        return result
    }

    subscript(key: StreamKey) -> Entry? { entries[key.rawValue] }
}

/// A layer that cannot be read at all.
struct LayerError: Error, Sendable, Equatable {
    let code: IssueCode
    let field: String
    let message: String
}

/// Other names that are in use: of the older model, and of samples that contradict the connector's own schema.
enum StreamAlias: String {
    case durationSeconds, storagePath, intervalSeconds, mediaServerEndpoint, fps
    case mediaServerAddressSnake = "media_server_address"

    /// For the warning.
    var presentName: String {
        switch self {
        case .durationSeconds: "duration"
        case .storagePath: "path"
        case .intervalSeconds: "snapshotsPerSecond (1 divided by the interval)"
        case .mediaServerEndpoint: "mediaServerAddress, mediaServerPort and mediaServerPath"
        case .fps: "snapshotsPerSecond"
        case .mediaServerAddressSnake: "mediaServerAddress"
        }
    }

    /// The value under the present names. A value that cannot be converted is passed on, so that the check of the present
    /// key says what is wrong with it.
    func presentValues(_ value: JSONValue) -> [(StreamKey, JSONValue)] {
        func at(_ content: JSONValue.Content) -> JSONValue {
            JSONValue(content, at: value.place)
        }
        switch self {
        case .durationSeconds: return [(.duration, value)]
        case .storagePath: return [(.path, value)]
        case .fps: return [(.snapshotsPerSecond, value)]
        case .mediaServerAddressSnake: return [(.mediaServerAddress, value)]
        case .intervalSeconds:
            guard let interval = value.number, interval > 0 else {
                return [(.snapshotsPerSecond, at(.string("interval")))]
            }
            return [(.snapshotsPerSecond, at(.number("\(1 / interval)")))]
        case .mediaServerEndpoint:
            guard let text = value.string else { return [(.mediaServerAddress, value)] }
            let rest = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text[...]
            guard let url = try? StreamURL(scheme: "rtsp", afterScheme: rest) else {
                return [(.mediaServerAddress, value)]
            }
            var values: [(StreamKey, JSONValue)] = [(.mediaServerAddress, at(.string(url.host)))]
            if let port = url.port { values.append((.mediaServerPort, at(.number(String(port))))) }
            if !url.path.isEmpty { values.append((.mediaServerPath, at(.string(String(url.path.dropFirst()))))) }
            return values
        }
    }
}
