// Archive requests, cancellations and stream commands: payloads, good and bad, and the answers.

import JSON
import RPC
import Testing
import Wire

@testable import MQTTEdgeAdapter

private func message(_ payload: String, correlation: [UInt8]? = nil) -> InboundMessage {
    var message = InboundMessage(topic: "n/media-sync/archive", payload: Array(payload.utf8))
    message.correlationData = correlation
    return message
}

@Suite struct OriginTests {
    @Test func whoAskedHasAtMostTheBytesThatItsFieldTakes() {
        let name = String(repeating: "ä", count: 64)
        let topic = "n/asset-operations/\(name)/\(name)/start"
        #expect(InboundMessage(topic: topic, payload: []).origin == "mqtt:" + topic.prefixed(123))
        var named = InboundMessage(topic: topic, payload: [])
        named.userProperties = [UserProperty(name: "__srcId", value: "shift-lead")]
        #expect(named.origin == "mqtt:shift-lead")
        named.userProperties = [UserProperty(name: "__srcId", value: name + name)]
        #expect(named.origin.utf8.count <= 128)
    }
}

@Suite struct ArchiveCommandTests {
    @Test func readsAllFields() throws {
        let command = try ArchiveCommand(
            message(
                #"""
                {"requestId": "shift-3.1", "cameras": ["a", "b/c"], "start": "2025-11-23T04:05:06Z", "durationSeconds": 7.5,
                 "kinds": ["segment", "snapshot", "segment"], "delivery": "archive", "mode": "clip", "reason": "look",
                 "due": 1763874306}
                """#))
        #expect(command.requestID == "shift-3.1")
        #expect(command.window == Window(startUs: 1_763_870_706_000_000, endUs: 1_763_870_713_500_000))
        #expect(command.cameraNames == ["a", "b/c"])
        #expect(command.kinds == [.segment, .snapshot])
        #expect(command.delivery == .archive)
        #expect(command.mode == .clip)
        #expect(command.reason == "look")
        #expect(command.dueUs == 1_763_874_306_000_000)
    }

    @Test(arguments: [#""cameras": ["a"]"#, #""assets": ["a"]"#, #""camera": "a""#, #""asset": "a""#])
    func takesTheNamesUnderSeveralKeys(field: String) throws {
        let command = try ArchiveCommand(message("{\(field), \"start\": 1763870706789, \"end\": 1763870706790}"))
        #expect(command.cameraNames == ["a"])
        #expect(command.delivery == .cloud)
        #expect(command.dueUs == nil)
    }

    @Test func theSameMessageIsTheSameRequest() throws {
        let text = #"{"camera": "a", "start": 1763870706789, "durationSeconds": 1}"#
        let one = try ArchiveCommand(message(text)).requestID
        #expect(try ArchiveCommand(message(text)).requestID == one)
        #expect(try ArchiveCommand(message(text + " ")).requestID != one)
        #expect(try ArchiveCommand(message(text, correlation: [1])).requestID != one)
        #expect(one.utf8.count <= 64)
    }

    static let bad: [(text: String, field: String?)] = [
        ("", nil), ("x", nil), ("[]", nil), ("{}", "start"),
        (#"{"start": 1763870706789}"#, "durationSeconds"),
        (#"{"start": 1763870706789, "durationSeconds": 0, "camera": "a"}"#, "durationSeconds"),
        (#"{"start": 1763870706789, "durationSeconds": -5, "camera": "a"}"#, "durationSeconds"),
        (#"{"start": 1763870706789, "durationSeconds": 86401, "camera": "a"}"#, "durationSeconds"),
        (#"{"start": 1763870706789, "durationSeconds": "5", "camera": "a"}"#, "durationSeconds"),
        (#"{"start": 1763870706789, "durationSeconds": 1e999, "camera": "a"}"#, "durationSeconds"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "end": 1763870806789, "camera": "a"}"#, "end"),
        (#"{"start": 1763870706789, "end": 1763870706789, "camera": "a"}"#, "end"),
        (#"{"start": 1763870706789, "end": 1763000000000, "camera": "a"}"#, "end"),
        (#"{"start": "soon", "durationSeconds": 5, "camera": "a"}"#, "start"),
        (#"{"start": [], "durationSeconds": 5, "camera": "a"}"#, "start"),
        (#"{"start": 1763870706789, "durationSeconds": 5}"#, "cameras"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "cameras": []}"#, "cameras"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "cameras": ["a"], "asset": "b"}"#, "asset"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "camera": "a", "kinds": "segment"}"#, "kinds"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "camera": "a", "kinds": ["sound"]}"#, "kinds"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "camera": "a", "delivery": "moon"}"#, "delivery"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "camera": "a", "delivery": 1}"#, "delivery"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "camera": "a", "mode": "gif"}"#, "mode"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "camera": "a", "due": "soon"}"#, "due"),
        (#"{"start": 1763870706789, "durationSeconds": 5, "camera": "a", "due": -1}"#, "due"),
        (#"{"requestId": "a/b", "start": 1763870706789, "durationSeconds": 5, "camera": "a"}"#, "requestId"),
        (#"{"requestId": "", "start": 1763870706789, "durationSeconds": 5, "camera": "a"}"#, "requestId"),
        (#"{"requestId": 5, "start": 1763870706789, "durationSeconds": 5, "camera": "a"}"#, "requestId"),
    ]

    @Test(arguments: bad)
    func refuses(text: String, field: String?) throws {
        let rejection = try #require(throws: Rejection.self) { try ArchiveCommand(message(text)) }
        #expect(rejection.field == field, "\(rejection)")
        #expect(!rejection.reason.isEmpty)
    }

    @Test func aRejectionKeepsTheRequestId() throws {
        let rejection = try #require(throws: Rejection.self) { try ArchiveCommand(message(#"{"requestId": "r1"}"#)) }
        #expect(rejection.key == "r1")
    }

    @Test func readsACancellation() throws {
        #expect(try ArchiveCommand.cancelledID(message(#"{"requestId": "r1"}"#)) == "r1")
        for bad in ["", "{}", #"{"requestId": ""}"#, #"{"requestId": "a b"}"#, "[]"] {
            #expect(throws: Rejection.self) { try ArchiveCommand.cancelledID(message(bad)) }
        }
    }
}

@Suite struct StreamCommandTests {
    @Test func noBodyMeansAsConfigured() throws {
        #expect(try StreamCommandBody(message(""), verb: .start).overrideJSON == nil)
        #expect(try StreamCommandBody(message("{}"), verb: .start).overrideJSON == nil)
    }

    @Test func theBodyIsTheOverrideWithoutTheTimeLimit() throws {
        let body = try StreamCommandBody(
            message(#"{"mediaServerAddress": "h", "timeLimitSeconds": 1.5, "mediaServerPort": 8554}"#), verb: .start)
        #expect(body.overrideJSON == #"{"mediaServerAddress":"h","mediaServerPort":8554}"#)
        #expect(body.endsAfterMs == 1_500)
    }

    @Test(
        arguments: [
            (Verb.start, "{", nil), (.start, "[]", nil), (.start, "start", nil), (.stop, "}", nil),
            (.state, "null", nil),
            (.start, #"{"timeLimitSeconds": 0}"#, "timeLimitSeconds"),
            (.start, #"{"timeLimitSeconds": "1"}"#, "timeLimitSeconds"),
            (.start, #"{"timeLimitSeconds": 604801}"#, "timeLimitSeconds"),
        ] as [(Verb, String, String?)])
    func refuses(verb: Verb, text: String, field: String?) throws {
        let rejection = try #require(throws: Rejection.self) { try StreamCommandBody(message(text), verb: verb) }
        #expect(rejection.field == field)
    }

    @Test func refusesABodyThatIsTooLarge() throws {
        let text = "{\"a\": \"\(String(repeating: "x", count: 17_000))\"}"
        #expect(throws: Rejection.self) { try StreamCommandBody(message(text), verb: .start) }
    }

    @Test func aRefusalNamesCodeMessageAndField() {
        let json = CommandJSON.refused(
            StreamName(asset: "a", stream: "s"), .invalidArgument("duration", "duration is 0; give 1 to 3600"))
        #expect(json["accepted"] == .bool(false))
        #expect(json["error"]?["code"]?.string == "invalid_argument")
        #expect(json["error"]?["field"]?.string == "duration")
    }
}

@Suite struct CaptureBodyTests {
    @Test func aPictureNeedsNothing() throws {
        let body = try CaptureBody(message(""))
        #expect(body.kind == .snapshot && body.format == nil)
        let small = try CaptureBody(message(#"{"format": "png", "quality": 60, "maxWidth": 640, "maxHeight": 360}"#))
        #expect(small.format == "png" && small.quality == 60 && small.maxWidthPx == 640 && small.maxHeightPx == 360)
    }

    @Test func aClipLiesAroundNow() throws {
        let body = try CaptureBody(
            message(
                #"{"kind": "clip", "preSeconds": 2.5, "postSeconds": 0, "delivery": "archive", "requestId": "c-1"}"#))
        #expect(body.kind == .clip && body.preMs == 2_500 && body.postMs == 0)
        #expect(body.delivery == .archive && body.requestID == "c-1")
        #expect(try CaptureBody(message(#"{"kind": "clip"}"#)).preMs == 15_000)
    }

    @Test(arguments: [
        (#"{"kind": "film"}"#, "kind"), (#"{"format": 1}"#, "format"), (#"{"format": ""}"#, "format"),
        (#"{"quality": 0}"#, "quality"), (#"{"quality": 1.5}"#, "quality"), (#"{"maxWidth": 15}"#, "maxWidth"),
        (#"{"kind": "clip", "preSeconds": -1}"#, "preSeconds"),
        (#"{"kind": "clip", "preSeconds": 601}"#, "preSeconds"),
        (#"{"kind": "clip", "postSeconds": "1"}"#, "postSeconds"),
        (#"{"kind": "clip", "preSeconds": 0, "postSeconds": 0}"#, "postSeconds"),
        (#"{"kind": "clip", "requestId": "a b"}"#, "requestId"), (#"{"kind": "clip", "delivery": 1}"#, "delivery"),
    ])
    func refuses(text: String, field: String) throws {
        let rejection = try #require(throws: Rejection.self) { try CaptureBody(message(text)) }
        #expect(rejection.field == field)
    }
}

@Suite struct ReadVerbTests {
    @Test func theDatapointIsTheStream() throws {
        #expect(try StreamCommandBody.datapoint(message(#"{"datapoint": "clips"}"#)) == "clips")
        #expect(try StreamCommandBody.datapoint(message(#"{"stream": "clips"}"#)) == "clips")
        for bad in ["", "{}", "[]", #"{"datapoint": 1}"#, #"{"datapoint": ""}"#] {
            #expect(throws: Rejection.self) { try StreamCommandBody.datapoint(message(bad)) }
        }
    }

    @Test func aListIsOfAllUnlessItSaysOtherwise() throws {
        #expect(try ListCommand(message("")).openOnly == false)
        #expect(try ListCommand(message(#"{"open": true, "limit": 3}"#)).limit == 3)
        for (bad, field) in [(#"{"open": 1}"#, "open"), (#"{"limit": 0}"#, "limit"), (#"{"limit": 2.5}"#, "limit")] {
            #expect(try #require(throws: Rejection.self) { try ListCommand(message(bad)) }.field == field)
        }
    }
}
