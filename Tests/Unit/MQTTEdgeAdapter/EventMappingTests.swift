// Messages to events: each mapping, each way to be wrong.

import Testing
import Wire

@testable import MQTTEdgeAdapter

private func message(_ payload: String, topic: String = "n/media-sync/events") -> InboundMessage {
    InboundMessage(topic: topic, payload: Array(payload.utf8))
}

private func event(_ message: InboundMessage, _ rule: EventRule) throws -> MappedEvent {
    guard case .event(let event) = try EventMapping.map(message, by: [rule]) else { throw Missing() }
    return event
}

private struct Missing: Error {}

private func rule(
    _ mapping: EventRule.Mapping = .manual, _ cameras: EventRule.Cameras? = nil, filter: String = "#"
) throws -> EventRule {
    EventRule(name: "r", filter: try #require(TopicFilter(filter)), mapping: mapping, cameras: cameras)
}

@Suite struct ManualMappingTests {
    @Test func readsAllFields() throws {
        let text = #"""
            {"eventId": "e-1", "timestamp": "2025-11-23T04:05:06.789Z", "cameras": ["cam1", "cam2/main"],
             "preSeconds": 2.5, "postSeconds": 4, "reason": "leak", "due": "2025-11-23T05:05:06Z"}
            """#
        let event = try event(message(text), rule())
        #expect(event.key == "e-1")
        #expect(event.rule == "r")
        #expect(event.eventUs == 1_763_870_706_789_000)
        #expect(event.startOffsetMs == -2_500)
        #expect(event.endOffsetMs == 4_000)
        #expect(event.cameraNames == ["cam1", "cam2/main"])
        #expect(event.reason == "leak")
        #expect(event.dueUs == 1_763_874_306_000_000)
        #expect(event.window == Window(startUs: 1_763_870_704_289_000, endUs: 1_763_870_710_789_000))
    }

    @Test func theRuleSaysWhenItIsDueUnlessTheMessageDoes() throws {
        let timed = #"{"timestamp": 1763870706789, "camera": "cam1"}"#
        let own = #"{"timestamp": 1763870706789, "camera": "cam1", "due": 1763870706790}"#
        let late = #"{"timestamp": 4102444700000, "camera": "cam1"}"#
        let rows: [(text: String, afterMs: Int64?, dueUs: Int64?)] = [
            (timed, nil, nil), (timed, 60_000, 1_763_870_766_789_000), (own, nil, 1_763_870_706_790_000),
            (own, 60_000, 1_763_870_706_790_000),
            // What would be due after 2100 is due by then.
            (late, EventRule.dueRangeMs.upperBound, 4_102_444_800_000_000),
        ]
        for row in rows {
            var rule = try rule()
            rule.dueAfterMs = row.afterMs
            #expect(try event(message(row.text), rule).dueUs == row.dueUs, "\(row)")
        }
    }

    @Test func withoutOffsetsTheRuleCounts() throws {
        let event = try event(message(#"{"timestamp": 1763870706789, "camera": "cam1"}"#), rule())
        #expect(event.startOffsetMs == EventRule.defaultStartOffsetMs)
        #expect(event.endOffsetMs == EventRule.defaultEndOffsetMs)
    }

    @Test func withoutIdTheKeyIsTheDigestOfTopicAndPayload() throws {
        // printf %s%s n/media-sync/events '{"timestamp":1763870706789,"camera":"cam1"}' | sha256sum
        let event = try event(message(#"{"timestamp":1763870706789,"camera":"cam1"}"#), rule())
        #expect(event.key == "4b0854dc3b0a42e254c73f1753bc4aff3d56faa66c45cb780db8b82e3cf98bd2")
    }

    @Test(arguments: [("4711", "4711"), ("18446744073709551615", "18446744073709551615"), ("\"a b\"", "a b")])
    func anIdMayBeANumber(literal: String, key: String) throws {
        let text = "{\"eventId\": \(literal), \"timestamp\": 1763870706789, \"camera\": \"c\"}"
        #expect(try event(message(text), rule()).key == key)
    }

    @Test func anIdThatIsTooLongGoesByItsDigest() throws {
        let id = String(repeating: "x", count: 129)
        let text = "{\"eventId\": \"\(id)\", \"timestamp\": 1763870706789, \"camera\": \"c\"}"
        #expect(try event(message(text), rule()).key.count == 64)
    }

    /// What is wrong, the field that the receipt names, and a part of its reason.
    static let bad: [(text: String, field: String?, reason: String)] = [
        ("", nil, "empty"),
        ("{", nil, "column 2"),
        ("not json", nil, "JSON: line 1, column 2"),
        ("[]", nil, "an array"),
        ("\"text\"", nil, "a string"),
        ("17", nil, "a number"),
        ("null", nil, "null"),
        (#"{"camera": "c"}"#, "timestamp", "is missing"),
        (#"{"camera": "c", "timestamp": null}"#, "timestamp", "is missing"),
        (#"{"camera": "c", "timestamp": true}"#, "timestamp", "is true or false"),
        (#"{"camera": "c", "timestamp": {}}"#, "timestamp", "is an object"),
        (#"{"camera": "c", "timestamp": "yesterday"}"#, "timestamp", "RFC 3339"),
        (#"{"camera": "c", "timestamp": "2025-11-23T04:05:06"}"#, "timestamp", "offset"),
        (#"{"camera": "c", "timestamp": -5}"#, "timestamp", "1970"),
        (#"{"camera": "c", "timestamp": 0}"#, "timestamp", "1970"),
        (#"{"camera": "c", "timestamp": 1e300}"#, "timestamp", "2100"),
        (#"{"timestamp": 1763870706789}"#, "cameras", "is missing"),
        (#"{"timestamp": 1763870706789, "cameras": []}"#, "cameras", "no camera"),
        (#"{"timestamp": 1763870706789, "cameras": [""]}"#, "cameras", "no camera"),
        (#"{"timestamp": 1763870706789, "cameras": [1]}"#, "cameras", "no string"),
        (#"{"timestamp": 1763870706789, "cameras": {"a": 1}}"#, "cameras", "an object"),
        (#"{"timestamp": 1763870706789, "camera": 5}"#, "camera", "a number"),
        (#"{"timestamp": 1763870706789, "camera": ""}"#, "camera", "no camera"),
        (#"{"timestamp": 1763870706789, "camera": "c", "preSeconds": "5"}"#, "preSeconds", "0 to 86400"),
        (#"{"timestamp": 1763870706789, "camera": "c", "preSeconds": -1}"#, "preSeconds", "0 to 86400"),
        (#"{"timestamp": 1763870706789, "camera": "c", "due": "soon"}"#, "due", "RFC 3339"),
        (#"{"timestamp": 1763870706789, "camera": "c", "postSeconds": 86401}"#, "postSeconds", "0 to 86400"),
        (#"{"timestamp": 1763870706789, "camera": "c", "postSeconds": []}"#, "postSeconds", "0 to 86400"),
        (#"{"timestamp": 1763870706789, "camera": "c", "preSeconds": 0, "postSeconds": 0}"#, nil, "window"),
        (#"{"timestamp": 1763870706789, "camera": "c", "preSeconds": 86400, "postSeconds": 1}"#, nil, "24 h"),
        (#"{"timestamp": 4102444799, "camera": "c", "postSeconds": 60}"#, nil, "2100"),
        (#"{"eventId": "", "timestamp": 1763870706789, "camera": "c"}"#, "eventId", "is a string"),
        (#"{"eventId": [], "timestamp": 1763870706789, "camera": "c"}"#, "eventId", "is an array"),
        (#"{"eventId": true, "timestamp": 1763870706789, "camera": "c"}"#, "eventId", "is true or false"),
    ]

    @Test(arguments: bad)
    func refuses(text: String, field: String?, reason: String) throws {
        let rule = try rule()
        let rejection = try #require(throws: Rejection.self) { try EventMapping.map(message(text), by: [rule]) }
        #expect(rejection.field == field)
        #expect(rejection.description.contains(reason), "\(rejection)")
    }

    @Test func aRejectionKeepsTheId() throws {
        let rule = try rule()
        let rejection = try #require(throws: Rejection.self) {
            try EventMapping.map(message(#"{"eventId": "no-time", "camera": "c"}"#), by: [rule])
        }
        #expect(rejection.key == "no-time")
    }

    @Test func refusesAMessageThatIsTooLarge() throws {
        let rule = try rule()
        let large = InboundMessage(topic: "t", payload: Array(repeating: 0x20, count: EventMapping.maximumBytes + 1))
        let rejection = try #require(throws: Rejection.self) { try EventMapping.map(large, by: [rule]) }
        #expect(rejection.reason.contains("262144"))
    }

    @Test func refusesTooManyCameras() throws {
        let names = (1...65).map { "\"c\($0)\"" }.joined(separator: ",")
        let rule = try rule()
        #expect(throws: Rejection.self) {
            try EventMapping.map(message("{\"timestamp\": 1763870706789, \"cameras\": [\(names)]}"), by: [rule])
        }
    }
}

@Suite struct OtherMappingTests {
    private let alert = #"""
        {"attributes": {"devices": [
          {"device_data": [{"type": "TEMPERATURE", "value": 7}]},
          {"device_data": [{"type": "ALERT_DLQC", "timestamp": 1763870706789, "event_id": 18446744073709551615,
                            "value": false}]}]}}
        """#

    @Test func readsTheAlertOfEdgeAI() throws {
        let event = try event(message(alert), rule(.alertDLQC, .names(["cam1"])))
        #expect(event.key == "18446744073709551615")
        #expect(event.eventUs == 1_763_870_706_789_000)
        #expect(event.cameraNames == ["cam1"])
    }

    @Test func theAlertsDataMayBeOneEntry() throws {
        let text = #"""
            {"attributes": {"devices": [{"device_data": {"type": "ALERT_DLQC", "timestamp": 1763870706789, "event_id": 5}}]}}
            """#
        #expect(try event(message(text), rule(.alertDLQC, .names(["c"]))).key == "5")
    }

    /// The trigger by hand of edge-ai's media capture service, which its code never handled.
    @Test func aManualTriggerHasItsOwnWindow() throws {
        let text = #"{"start_time": "2025-11-23T04:05:06Z", "duration": 12.5, "event_initiated_by": "shift lead"}"#
        let made = try event(message(text), rule(.manualTrigger, .names(["cam1"])))
        #expect(made.window == Window(startUs: 1_763_870_706_000_000, endUs: 1_763_870_718_500_000))
        #expect(made.reason == "manual trigger by shift lead" && made.cameraNames == ["cam1"])
        let named = #"{"start_time": 1763870706000, "duration": 1, "event_id": 7}"#
        #expect(try event(message(named), rule(.manualTrigger, .names(["c"]))).key == "7")
    }

    @Test(arguments: [
        (#"{"duration": 1}"#, "start_time"), (#"{"start_time": "soon", "duration": 1}"#, "start_time"),
        (#"{"start_time": 1763870706000}"#, "duration"), (#"{"start_time": 1763870706000, "duration": 0}"#, "duration"),
        (#"{"start_time": 1763870706000, "duration": "1"}"#, "duration"),
        (#"{"start_time": 1763870706000, "duration": 90000}"#, "duration"),
    ])
    func aManualTriggerWithoutATimeOrLengthIsRefused(text: String, field: String) throws {
        let rule = try rule(.manualTrigger, .names(["c"]))
        #expect(try #require(throws: Rejection.self) { try event(message(text), rule) }.field == field)
    }

    @Test(arguments: [
        (#"{}"#, "attributes.devices"), (#"{"attributes": 5}"#, "attributes.devices"),
        (#"{"attributes": {"devices": {}}}"#, "attributes.devices"),
        (#"{"attributes": {"devices": []}}"#, "attributes.devices[].device_data"),
        (#"{"attributes": {"devices": [{"device_data": [{"type": "OTHER"}]}]}}"#, "attributes.devices[].device_data"),
        (#"{"attributes": {"devices": [{"device_data": [{"type": "ALERT_DLQC"}]}]}}"#, "timestamp"),
        (#"{"attributes": {"devices": [{"device_data": [{"type": "ALERT_DLQC", "timestamp": "x"}]}]}}"#, "timestamp"),
    ])
    func refusesOtherAlerts(text: String, field: String) throws {
        let rule = try rule(.alertDLQC, .names(["c"]))
        let rejection = try #require(throws: Rejection.self) { try EventMapping.map(message(text), by: [rule]) }
        #expect(rejection.field == field)
    }

    @Test(arguments: ["analytics_type", "analyticsType", "type"])
    func readsAnalyticsDisabled(field: String) throws {
        let text = "{\"timestamp\": 1763870706789, \"\(field)\": \"leak\"}"
        let event = try event(message(text), rule(.analyticsDisabled, .names(["c"])))
        #expect(event.key == "analytics_disabled-leak-1763870706789")
        #expect(event.reason == "analytics disabled: leak")
    }

    @Test func readsByPaths() throws {
        var fields = EventRule.Fields(time: try #require(JSONPath("d.at")))
        fields.timeFormat = .seconds
        fields.eventID = JSONPath("d.id")
        fields.reason = JSONPath("d.labels[0]")
        let rule = try rule(.fields(fields), .path(#require(JSONPath("d.cams"))))
        let event = try event(
            message(#"{"d": {"at": 1763870706, "id": "x", "cams": ["a", "b"], "labels": ["smoke"]}}"#), rule)
        #expect(event.key == "x")
        #expect(event.eventUs == 1_763_870_706_000_000)
        #expect(event.cameraNames == ["a", "b"])
        #expect(event.reason == "smoke")
    }

    @Test func theTopicNamesTheCamera() throws {
        let rule = try rule(.analyticsDisabled, .topicPart(1))
        let text = #"{"timestamp": 1763870706789, "type": "t"}"#
        #expect(try event(message(text, topic: "alerts/cam%2F1/x"), rule).cameraNames == ["cam/1"])
        #expect(throws: Rejection.self) { try EventMapping.map(message(text, topic: "alerts"), by: [rule]) }
    }

    @Test func theFeedDelayMovesTheStartBack() throws {
        var rule = try rule()
        rule.feedDelayMs = 5_000
        let event = try event(
            message(#"{"timestamp": 1763870706789, "camera": "c", "preSeconds": 5, "postSeconds": 5}"#), rule)
        #expect(event.startOffsetMs == -10_000)
        #expect(event.endOffsetMs == 5_000)
    }

    @Test func aWindowLongerThanTheMaximumRaisesIt() throws {
        var rule = try rule()
        rule.maximumMs = 1_000
        let event = try event(
            message(#"{"timestamp": 1763870706789, "camera": "c", "preSeconds": 5, "postSeconds": 5}"#), rule)
        #expect(event.maximumMs == 10_000)
    }

    @Test(arguments: [
        (#"{"s": 0.8}"#, true), (#"{"s": 0.79}"#, false), (#"{"s": "0.9"}"#, false), (#"{}"#, false),
    ])
    func aConditionPassesOver(text: String, isEvent: Bool) throws {
        var rule = try rule(.analyticsDisabled, .names(["c"]))
        rule.condition = .init(path: try #require(JSONPath("s")), test: .atLeast(0.8))
        let text = text.dropLast() + (text == "{}" ? "" : ", ") + #""timestamp": 1763870706789}"#
        let outcome = try EventMapping.map(message(String(text)), by: [rule])
        #expect((outcome != .passedOver) == isEvent)
    }

    @Test func equalsComparesNumbersByValue() throws {
        var rule = try rule(.analyticsDisabled, .names(["c"]))
        rule.condition = .init(path: try #require(JSONPath("s")), test: .equals(.number("1")))
        #expect(try EventMapping.map(message(#"{"s": 1.0, "timestamp": 1763870706789}"#), by: [rule]) != .passedOver)
        #expect(try EventMapping.map(message(#"{"s": "1", "timestamp": 1763870706789}"#), by: [rule]) == .passedOver)
    }

    @Test func theFirstRuleWhoseConditionHoldsTakesIt() throws {
        var first = try rule(.analyticsDisabled, .names(["a"]))
        first.condition = .init(path: try #require(JSONPath("x")), test: .equals(.bool(true)))
        let second = try rule(.analyticsDisabled, .names(["b"]))
        let outcome = try EventMapping.map(message(#"{"timestamp": 1763870706789}"#), by: [first, second])
        guard case .event(let event) = outcome else { throw Missing() }
        #expect(event.cameraNames == ["b"])
    }
}
