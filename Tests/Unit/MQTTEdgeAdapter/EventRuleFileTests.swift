// The event rules file: a rule that is silently not there loses evidence, so everything odd is refused with its line.

import JSON
import Testing
import Wire

@testable import MQTTEdgeAdapter

private func rules(_ text: String) throws -> [EventRule] {
    let topics = try #require(Topics(namespace: "n"))
    return try EventRuleFile.rules(in: text, topics: topics)
}

@Suite struct EventRuleFileTests {
    @Test func readsAWholeRule() throws {
        let read = try rules(
            """
            - name: anomaly
              filter: "{namespace}/events/+/score"
              mapping:
                time: detection.time
                time-format: ms
                event-id: detection.id
                reason: detection.label
              cameras: {topic-part: 2}
              condition: {path: score, at-least: 0.8}
              start-offset-ms: -20000
              end-offset-ms: 10000
              feed-delay-ms: 500
              maximum-ms: 90000
              delivery: archive
              mode: clip
              kinds: [segment]
              priority: 7
              due-after-ms: 600000
            """)
        let rule = try #require(read.first)
        #expect(rule.name == "anomaly")
        #expect(rule.filter == TopicFilter("n/events/+/score"))
        #expect(rule.cameras == .topicPart(2))
        #expect(rule.condition?.test == .atLeast(0.8))
        #expect([rule.startOffsetMs, rule.endOffsetMs, rule.feedDelayMs] == [-20_000, 10_000, 500])
        #expect(rule.maximumMs == 90_000)
        #expect(rule.delivery == .archive)
        #expect(rule.mode == .clip)
        #expect(rule.kinds == [.segment])
        #expect(rule.priority == 7)
        #expect(rule.dueAfterMs == 600_000)
        guard case .fields(let fields) = rule.mapping else { throw NoFields() }
        #expect(fields.timeFormat == .milliseconds)
        #expect(fields.eventID?.text == "detection.id")
    }

    private struct NoFields: Error {}

    @Test func aListBelowRulesIsTakenToo() throws {
        let read = try rules(
            "rules:\n  - {name: a, filter: x/y}\n  - {name: b, filter: x/z, mapping: alert-dlqc, cameras: [c]}\n")
        #expect(read.map(\.mapping) == [.manual, .alertDLQC])
    }

    @Test func jsonIsTakenToo() throws {
        let text = #"[{"name": "a", "filter": "x", "mapping": "analytics-disabled", "cameras": ["c1", "c2"]}]"#
        #expect(try rules(text).first?.cameras == .names(["c1", "c2"]))
    }

    @Test(arguments: [
        ("1", JSONValue.number("1")), ("true", .bool(true)), ("\"1\"", .string("1")), ("leak", .string("leak")),
    ])
    func equalsTakesTheTypeThatIsWritten(text: String, value: JSONValue) throws {
        let read = try rules("- {name: a, filter: x, condition: {path: p, equals: \(text)}}")
        #expect(read.first?.condition?.test == .equals(value))
    }

    /// Files that are wrong, and a part of what the operator reads.
    static let bad: [(text: String, part: String)] = [
        ("", "no list"), ("[]", "no list"), ("a: b", "no list"), ("rules: 5", "no list"), ("- [", "YAML"),
        ("\t- x", "YAML"),
        ("- 5", "line 1: a rule is not a mapping"),
        ("- {filter: x}", "`name`"), ("- {name: a}", "`filter`"), ("- {name: '', filter: x}", "`name`"),
        ("- {name: a, filter: x, topic: y}", "no key \"topic\""),
        ("- {name: a, filter: 'x/#/y'}", "no topic filter"),
        ("- {name: a, filter: '$share/g/x'}", "no topic filter"),
        ("- {name: a, filter: '#'}", "itself publishes"),
        ("- {name: a, filter: 'n/media-sync/+/+'}", "itself publishes"),
        ("- {name: a, filter: 'n/media-sync/+'}", "holds commands"),
        ("- {name: a, filter: 'n/asset-operations/#'}", "holds commands"),
        ("- {name: a, filter: x}\n- {name: a, filter: y}", "line 2: a second rule"),
        ("- {name: a, filter: x, mapping: magic}", "no mapping \"magic\""),
        ("- {name: a, filter: x, mapping: {}}", "needs `time`"),
        ("- {name: a, filter: x, mapping: {time: 'a..b'}, cameras: [c]}", "`time` is no path"),
        ("- {name: a, filter: x, mapping: {time: t, when: u}, cameras: [c]}", "no key \"when\""),
        ("- {name: a, filter: x, mapping: {time: t, time-format: h}, cameras: [c]}", "no time format"),
        ("- {name: a, filter: x, mapping: {time: t}}", "needs `cameras`"),
        ("- {name: a, filter: x, mapping: alert-dlqc}", "needs `cameras`"),
        ("- {name: a, filter: x, cameras: []}", "not a list of names"),
        ("- {name: a, filter: x, cameras: [{a: b}]}", "not a list of names"),
        ("- {name: a, filter: x, due-after-ms: -1}", "`due-after-ms` is not a whole number from 0 to 2592000000"),
        ("- {name: a, filter: x, due-after-ms: soon}", "`due-after-ms`"),
        ("- {name: a, filter: x, cameras: {}}", "`cameras` takes"),
        ("- {name: a, filter: x, cameras: {topic-part: -1}}", "0 to 63"),
        ("- {name: a, filter: x, condition: {path: p}}", "one of"),
        ("- {name: a, filter: x, condition: {path: p, equals: 1, at-least: 2}}", "one of"),
        ("- {name: a, filter: x, condition: {equals: 1}}", "needs `path`"),
        ("- {name: a, filter: x, condition: {path: p, at-least: high}}", "takes a number"),
        ("- {name: a, filter: x, start-offset-ms: 1.5}", "whole number"),
        ("- {name: a, filter: x, start-offset-ms: -86400001}", "whole number"),
        ("- {name: a, filter: x, start-offset-ms: 5000, end-offset-ms: 5000}", "has to be below"),
        ("- {name: a, filter: x, maximum-ms: 0}", "whole number"),
        ("- {name: a, filter: x, delivery: moon}", "archive, cloud"),
        ("- {name: a, filter: x, mode: gif}", "clip, files"),
        ("- {name: a, filter: x, kinds: segment}", "not a list"),
        ("- {name: a, filter: x, kinds: [audio]}", "segment and snapshot"),
        ("- {name: a, filter: x, priority: urgent}", "whole number"),
    ]

    @Test(arguments: bad)
    func refuses(text: String, part: String) throws {
        let flaw = try #require(throws: EventRuleFile.Flaw.self) { try rules(text) }
        #expect("\(flaw)".contains(part), "\(flaw)")
        #expect(!"\(flaw)".contains("\n"))
    }

    @Test func theStandardRuleTakesTheStandardTopic() throws {
        let topics = try #require(Topics(namespace: "n"))
        let rule = try #require(EventRule.standard(topics))
        #expect(rule.filter.matches("n/media-sync/events"))
        #expect(!topics.publishedFilters.contains { $0.canMeet(rule.filter) })
        #expect(!topics.takenFilters.contains { $0.canMeet(rule.filter) })
    }
}
