// The event rules file (setting `event-rules`): YAML or JSON, a list of rules, or a mapping with the list under `rules`.
//
//   - name: anomaly                       # required, unique; events of one rule can extend one another
//     filter: "{namespace}/events/+/score"  # required; {namespace} stands for the adapter's namespace
//     mapping:                            # manual (default) | alert-dlqc | analytics-disabled | manual-trigger | paths:
//       time: detection.time              #   required
//       time-format: auto                 #   auto | rfc3339 | s | ms | us | ns
//       event-id: detection.id            #   without: SHA-256 of topic and payload
//       reason: detection.label
//     cameras: {topic-part: 2}            # [line1, cam2/main] | {path: detection.cameras} | {topic-part: N from 0}
//     condition: {path: score, at-least: 0.8}   # or equals: VALUE
//     start-offset-ms: -15000
//     end-offset-ms: 15000
//     feed-delay-ms: 0
//     maximum-ms: 600000
//     delivery: cloud                     # cloud | archive
//     mode: files                         # files | clip
//     kinds: [segment, snapshot]
//     priority: 100
//     due-after-ms: 600000                # when it should be delivered, from the event's time; of equal priority it goes first
//
// Anything unknown or wrong refuses the whole file, with the line: a rule that is silently not there loses evidence.

import JSON
import Wire
import Yams

/// Reads event rules.
struct EventRuleFile {
    /// What is wrong with the file.
    struct Flaw: Error, Sendable, Equatable, CustomStringConvertible {
        let line: Int?
        let problem: String

        var description: String { line.map { "line \($0): \(problem)" } ?? problem }
    }

    /// A file of rules is a few kilobytes.
    static let maximumBytes = 1 << 20

    private let topics: Topics

    /// The rules in the text, in its order.
    static func rules(in text: String, topics: Topics) throws(Flaw) -> [EventRule] {
        guard text.utf8.count <= maximumBytes else { throw Flaw(line: nil, problem: "is larger than 1 MiB") }
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw Flaw(line: nil, problem: "is not valid YAML: \(oneLine("\(error)"))")
        }
        let list = root?["rules"]?.sequence ?? root?.sequence
        guard let list, !list.isEmpty else {
            throw Flaw(
                line: nil, problem: "holds no list of rules; leave the setting `event-rules` away for the default")
        }
        let reader = EventRuleFile(topics: topics)
        var rules: [EventRule] = []
        for node in list {
            let rule = try reader.rule(node)
            guard !rules.contains(where: { $0.name == rule.name }) else {
                throw reader.flaw(node, "a second rule is named \"\(rule.name)\"")
            }
            rules.append(rule)
        }
        return rules
    }

    private func flaw(_ node: Node?, _ problem: String) -> Flaw { Flaw(line: node?.mark?.line, problem: problem) }

    private func rule(_ node: Node) throws(Flaw) -> EventRule {
        let keys: Set = [
            "name", "filter", "mapping", "cameras", "condition", "start-offset-ms", "end-offset-ms", "feed-delay-ms",
            "maximum-ms", "delivery", "mode", "kinds", "priority", "due-after-ms",
        ]
        try check(node, keys, "a rule")
        guard let name = node["name"]?.scalar?.string, !name.isEmpty, name.utf8.count <= 128 else {
            throw flaw(node, "a rule needs a `name` of 1 to 128 bytes")
        }
        var rule = EventRule(name: name, filter: try filter(node), mapping: try mapping(node["mapping"]))
        rule.cameras = try node["cameras"].map { node throws(Flaw) in try cameras(node) }
        if rule.cameras == nil, rule.mapping != .manual {
            throw flaw(node, "rule \"\(name)\" needs `cameras`: its mapping does not find them in the message")
        }
        rule.condition = try node["condition"].map { node throws(Flaw) in try condition(node) }
        let offsets = EventRule.offsetRangeMs
        rule.startOffsetMs = try number(node, "start-offset-ms", offsets) ?? rule.startOffsetMs
        rule.endOffsetMs = try number(node, "end-offset-ms", offsets) ?? rule.endOffsetMs
        rule.feedDelayMs = try number(node, "feed-delay-ms", 0...3_600_000) ?? 0
        rule.maximumMs = UInt64(try number(node, "maximum-ms", 1...86_400_000) ?? Int64(rule.maximumMs))
        rule.priority = Int32(try number(node, "priority", -1_000...1_000) ?? Int64(rule.priority))
        rule.dueAfterMs = try number(node, "due-after-ms", EventRule.dueRangeMs)
        guard rule.startOffsetMs - rule.feedDelayMs < rule.endOffsetMs else {
            throw flaw(node, "rule \"\(name)\": start-offset-ms has to be below end-offset-ms")
        }
        rule.delivery = try choice(node, "delivery", ["cloud": .cloud, "archive": .archive]) ?? rule.delivery
        rule.mode = try choice(node, "mode", ["files": .files, "clip": .clip]) ?? rule.mode
        if let kinds = node["kinds"] {
            guard let list = kinds.sequence else { throw flaw(kinds, "`kinds` is not a list") }
            rule.kinds = try list.map { kind throws(Flaw) in
                switch kind.scalar?.string {
                case "segment": return MediaKind.segment
                case "snapshot": return MediaKind.snapshot
                default: throw flaw(kind, "`kinds` takes segment and snapshot")
                }
            }
        }
        return rule
    }

    private func filter(_ node: Node) throws(Flaw) -> TopicFilter {
        guard let text = node["filter"]?.scalar?.string else { throw flaw(node, "a rule needs a `filter`") }
        let expanded = text.split(separator: "{namespace}", omittingEmptySubsequences: false)
            .joined(separator: topics.namespace)
        guard let filter = TopicFilter(expanded) else {
            throw flaw(node["filter"], "\"\(text)\" is no topic filter that can be used")
        }
        if let own = topics.publishedFilters.first(where: filter.canMeet) {
            throw flaw(node["filter"], "\"\(text)\" reaches \(own), which the adapter itself publishes")
        }
        if let taken = topics.takenFilters.first(where: filter.canMeet) {
            throw flaw(node["filter"], "\"\(text)\" reaches \(taken), which holds commands, not events")
        }
        return filter
    }

    private func mapping(_ node: Node?) throws(Flaw) -> EventRule.Mapping {
        guard let node else { return .manual }
        switch node.scalar?.string {
        case "manual": return .manual
        case "alert-dlqc": return .alertDLQC
        case "analytics-disabled": return .analyticsDisabled
        case "manual-trigger": return .manualTrigger
        case let other?:
            throw flaw(
                node, "no mapping \"\(other)\": give manual, alert-dlqc, analytics-disabled, manual-trigger, or paths")
        case nil: break
        }
        try check(node, ["time", "time-format", "event-id", "reason"], "a mapping")
        guard let time = try path(node, "time") else { throw flaw(node, "a mapping needs `time`") }
        var fields = EventRule.Fields(time: time)
        fields.eventID = try path(node, "event-id")
        fields.reason = try path(node, "reason")
        if let text = node["time-format"]?.scalar?.string {
            guard let format = TimeFormat(rawValue: text) else {
                let known = TimeFormat.allCases.map(\.rawValue).joined(separator: ", ")
                throw flaw(node["time-format"], "no time format \"\(text)\": give one of \(known)")
            }
            fields.timeFormat = format
        }
        return .fields(fields)
    }

    private func cameras(_ node: Node) throws(Flaw) -> EventRule.Cameras {
        if let list = node.sequence {
            let names = list.compactMap { $0.scalar?.string }
            guard names.count == list.count, !names.isEmpty, !names.contains("") else {
                throw flaw(node, "`cameras` is not a list of names")
            }
            return .names(names)
        }
        try check(node, ["path", "topic-part"], "`cameras`")
        if let path = try path(node, "path") { return .path(path) }
        if let part = try number(node, "topic-part", 0...63) { return .topicPart(Int(part)) }
        throw flaw(node, "`cameras` takes a list of names, {path: …} or {topic-part: …}")
    }

    private func condition(_ node: Node) throws(Flaw) -> EventRule.Condition {
        try check(node, ["path", "equals", "at-least"], "a condition")
        guard let path = try path(node, "path") else { throw flaw(node, "a condition needs `path`") }
        switch (node["equals"], node["at-least"]) {
        case (let value?, nil):
            guard let scalar = value.scalar else { throw flaw(value, "`equals` takes a single value") }
            return EventRule.Condition(path: path, test: .equals(Self.json(value, scalar.string)))
        case (nil, let value?):
            guard let bound = value.float ?? value.int.map(Double.init), bound.isFinite else {
                throw flaw(value, "`at-least` takes a number")
            }
            return EventRule.Condition(path: path, test: .atLeast(bound))
        default: throw flaw(node, "a condition needs one of `equals` and `at-least`")
        }
    }

    /// A YAML scalar as the JSON value that a message would hold. Quoted text stays text.
    private static func json(_ node: Node, _ text: String) -> JSONValue {
        if node.tag.description == "tag:yaml.org,2002:str" { return .string(text) }
        if let bool = node.bool { return .bool(bool) }
        if node.int != nil || node.float != nil, Double(text)?.isFinite == true { return .number(text) }
        return .string(text)
    }

    private func check(_ node: Node, _ known: Set<String>, _ what: String) throws(Flaw) {
        guard let mapping = node.mapping else { throw flaw(node, "\(what) is not a mapping of keys to values") }
        for (key, _) in mapping {
            guard let name = key.scalar?.string, known.contains(name) else {
                throw flaw(
                    key,
                    "\(what) has no key \"\(key.scalar?.string ?? "?")\"; known are \(known.sorted().joined(separator: ", "))"
                )
            }
        }
    }

    private func path(_ node: Node, _ key: String) throws(Flaw) -> JSONPath? {
        guard let value = node[key] else { return nil }
        guard let text = value.scalar?.string, let path = JSONPath(text) else {
            throw flaw(value, "`\(key)` is no path like detection.cameras[0]")
        }
        return path
    }

    private func number(_ node: Node, _ key: String, _ range: ClosedRange<Int64>) throws(Flaw) -> Int64? {
        guard let value = node[key] else { return nil }
        guard let number = value.int.map(Int64.init), range.contains(number) else {
            throw flaw(value, "`\(key)` is not a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private func choice<T>(_ node: Node, _ key: String, _ choices: [String: T]) throws(Flaw) -> T? {
        guard let value = node[key] else { return nil }
        guard let text = value.scalar?.string, let choice = choices[text] else {
            throw flaw(value, "`\(key)` takes \(choices.keys.sorted().joined(separator: ", "))")
        }
        return choice
    }
}

/// The parser's message without the picture of the place, which takes lines of its own.
private func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).prefix(2).joined(separator: ", ")
}
