// What an event rule is: which messages it takes and how they become a request for footage. EventRuleFile.swift reads
// rules from YAML, EventMapping.swift applies them.

import JSON
import RPC
import Wire

/// One rule of the event rules file.
struct EventRule: Sendable, Equatable {
    /// Where the names of the cameras come from.
    enum Cameras: Sendable, Equatable {
        /// The same for all messages of the rule.
        case names([String])
        /// A string, or an array of strings, in the payload.
        case path(JSONPath)
        /// A level of the topic, counted from 0.
        case topicPart(Int)
    }

    /// What a message has to say for being an event of this rule. A message that does not is passed over in silence.
    struct Condition: Sendable, Equatable {
        enum Test: Sendable, Equatable {
            case equals(JSONValue)
            case atLeast(Double)
        }

        let path: JSONPath
        let test: Test
    }

    /// How the payload is read.
    enum Mapping: Sendable, Equatable {
        /// {"eventId", "timestamp", "cameras" or "camera", "preSeconds", "postSeconds", "reason", "due"}.
        case manual
        /// The alert of edge-ai's media capture service: `attributes.devices[].device_data` of type ALERT_DLQC.
        case alertDLQC
        /// The same service's "analytics disabled": `timestamp`, `analytics_type`.
        case analyticsDisabled
        /// The same service's trigger by hand: `start_time`, `duration` in seconds, `event_initiated_by`.
        case manualTrigger
        /// By paths.
        case fields(Fields)
    }

    struct Fields: Sendable, Equatable {
        let time: JSONPath
        var timeFormat = TimeFormat.auto
        var eventID: JSONPath?
        var reason: JSONPath?
    }

    let name: String
    let filter: TopicFilter
    var mapping: Mapping
    /// Nil only with the manual mapping, whose payload names them.
    var cameras: Cameras?
    var condition: Condition?
    /// From the event's time to the window's start, in milliseconds.
    var startOffsetMs = EventRule.defaultStartOffsetMs
    /// From the event's time to the window's end, in milliseconds.
    var endOffsetMs = EventRule.defaultEndOffsetMs
    /// How long footage takes from the camera to here; moves the window's start back. Milliseconds.
    var feedDelayMs: Int64 = 0
    /// Longest window that extensions may make, in milliseconds.
    var maximumMs = EventRule.defaultMaximumMs
    var delivery = Delivery.cloud
    var mode = ArchiveMode.files
    /// Empty: segments and snapshots.
    var kinds: [MediaKind] = []
    var priority = EventRule.defaultPriority
    /// From the event's time to when it should be delivered, in milliseconds; nil: at no time.
    var dueAfterMs: Int64?

    /// 15 s before: what led to it is usually seen by then, and it is half of the default ring.
    static let defaultStartOffsetMs: Int64 = -15_000
    /// 15 s after: the reaction to it.
    static let defaultEndOffsetMs: Int64 = 15_000
    /// 10 minutes, the contract's default.
    static let defaultMaximumMs: UInt64 = 600_000
    /// Events come before operators (50) and routine (0), as the contract says.
    static let defaultPriority: Int32 = 100
    /// A day in either direction, the contract's bound.
    static let offsetRangeMs: ClosedRange<Int64> = -86_400_000...86_400_000
    /// Up to thirty days: what may wait longer needs no time.
    static let dueRangeMs: ClosedRange<Int64> = 0...2_592_000_000

    /// The rule that is there when no file is given: the topic for events made by hand or by own logic.
    static func standard(_ topics: Topics) -> EventRule? {
        TopicFilter(topics.events).map { EventRule(name: "media-sync", filter: $0, mapping: .manual) }
    }
}

/// What a rule made of a message: all that the indexer needs but the sources of the cameras.
struct MappedEvent: Sendable, Equatable {
    let key: String
    let rule: String
    let eventUs: Int64
    let startOffsetMs: Int64
    let endOffsetMs: Int64
    let maximumMs: UInt64
    let cameraNames: [String]
    let reason: String?
    let delivery: Delivery
    let mode: ArchiveMode
    let kinds: [MediaKind]
    let priority: Int32
    var dueUs: Int64?

    /// The footage that it asks for.
    var window: Window {
        Window(startUs: max(1, eventUs + startOffsetMs * 1_000), endUs: eventUs + endOffsetMs * 1_000)
    }
}

/// Why a message was not taken. Goes into the receipt.
struct Rejection: Error, Sendable, Equatable, CustomStringConvertible {
    /// The field that is wrong: "timestamp"; nil where it is the message as a whole.
    var field: String?
    /// For a person.
    let reason: String
    /// Event key or request id, where it could be found; else the receipt goes by the digest.
    var key: String?
    /// What kind of fault it is.
    var code = Code.invalidArgument

    var description: String { field.map { "\($0) \(reason)" } ?? reason }
}
