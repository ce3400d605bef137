// Where a stream's output goes: `destinations` of the stream before `defaultStreamsDestinations` of the asset, by target.

import JSON
import Wire

/// The destinations of one stream, checked.
struct Destinations: Sendable {
    /// A text, and where it stands.
    struct Placed: Sendable {
        let value: String
        let field: String
    }

    /// The contract's default: a picture older than ten seconds is no live picture.
    static let defaultTTLSeconds: UInt32 = 10

    private(set) var mqtt: MqttDestination?
    private(set) var storagePath: Placed?
    private(set) var issues = IssueList()
    private let stream: String

    static func none(stream: String) -> Destinations { Destinations(stream: stream) }

    private init(stream: String) { self.stream = stream }

    /// - Parameters:
    ///   - own: the stream's `destinations`.
    ///   - shared: the asset's `defaultStreamsDestinations`; a target counts where `own` does not name it.
    init(own: JSONValue?, ownField: String, shared: JSONValue?, stream: String) {
        self.stream = stream
        read(own, field: ownField)
        read(shared, field: "defaultStreamsDestinations")
    }

    private mutating func read(_ value: JSONValue?, field: String) {
        guard let value, !value.isNull else { return }
        guard let elements = value.elements else {
            fail(field, "must be a list of {target, configuration}")
            return
        }
        for (index, element) in elements.enumerated() {
            let place = "\(field)[\(index)]"
            guard element.members != nil else {
                fail(place, "must be an object with target and configuration")
                continue
            }
            warnUnknown(element, known: ["target", "configuration"], place)
            let configuration = element["configuration"]
            switch element["target"]?.string {
            case "Mqtt": if mqtt == nil { mqtt = readMqtt(configuration, place + ".configuration") }
            case "Storage": if storagePath == nil { storagePath = readStorage(configuration, place + ".configuration") }
            default: fail(place + ".target", "must be Mqtt or Storage")
            }
        }
    }

    private mutating func readMqtt(_ value: JSONValue?, _ field: String) -> MqttDestination {
        var result = MqttDestination(qos: 1, retain: false, ttlS: Self.defaultTTLSeconds)
        guard let value, !value.isNull else { return result }
        guard value.members != nil else {
            fail(field, "must be an object with topic, qos, retain and ttl")
            return result
        }
        warnUnknown(value, known: ["topic", "qos", "retain", "ttl"], field)
        if let topic = value["topic"], !topic.isNull, topic.string != "" {
            result.topic = topic.string
            let problem = topic.string.map(Names.topicProblem) ?? "must be a text"
            if let problem { fail(field + ".topic", problem) }
        }
        if let qos = value["qos"], !qos.isNull {
            switch qos.string {
            case "Qos0": result.qos = 0
            case "Qos1": result.qos = 1
            default: fail(field + ".qos", "must be Qos0 or Qos1")
            }
        }
        if let retain = value["retain"], !retain.isNull {
            switch retain.string {
            case "Keep": result.retain = true
            case "Never": result.retain = false
            default: fail(field + ".retain", "must be Keep or Never")
            }
        }
        if let ttl = value["ttl"], !ttl.isNull {
            if let seconds = ttl.integer, let ttlS = UInt32(exactly: seconds), ttlS > 0 {
                result.ttlS = ttlS
            } else {
                fail(field + ".ttl", "must be a whole number of seconds from 1 to 4294967295")
            }
        }
        return result
    }

    private mutating func readStorage(_ value: JSONValue?, _ field: String) -> Placed? {
        guard let value, !value.isNull else { return nil }
        guard value.members != nil else {
            fail(field, "must be an object with path")
            return nil
        }
        warnUnknown(value, known: ["path"], field)
        guard let path = value["path"], !path.isNull else { return nil }
        guard let text = path.string else {
            fail(field + ".path", "must be a text")
            return nil
        }
        return Placed(value: text, field: field + ".path")
    }

    private mutating func warnUnknown(_ value: JSONValue, known: Set<String>, _ field: String) {
        for member in value.members ?? [] where !known.contains(member.key) {
            let place = field + "." + member.key
            issues.warn(.unknownKey, place, "\(place) is not a known key and has no effect", stream: stream)
        }
    }

    private mutating func fail(_ field: String, _ rule: String) {
        issues.fail(.invalidValue, field, "\(field) \(rule)", stream: stream)
    }
}
