// Commands on streams over MQTT: what reaches the registry and the controller, and what the operator is answered.

import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct CommandTests {
    @Test func startCarriesTheOverrideAndIsAnsweredWithCorrelationData() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let answers = try await site.subscriber(["clients/me/answers"], format: "%D|%C|%P|%p")
        try await site.publish(
            "asset-operations/line1/live/start",
            #"{"mediaServerAddress": "127.0.0.1", "mediaServerPort": 8554, "timeLimitSeconds": 60}"#,
            [
                "-D", "publish", "response-topic", "\(AdapterSite.namespace)/clients/me/answers", "-D", "publish",
                "correlation-data", "0123456789abcdef", "-D", "publish", "message-expiry-interval", "30",
            ])
        let line = try await eventually("the answer is there") {
            answers.standardOutput.split(separator: "\n").first { $0.contains("accepted") }.map(String.init)
        }
        #expect(line.contains("|0123456789abcdef|application/json|"), "\(line)")
        #expect(
            line.contains("__stat:200") && line.contains("__apErr:false") && line.contains("__protVer:1.0"), "\(line)")
        #expect(line.contains("__srcId:sightglass"), "\(line)")
        #expect(line.contains("\"accepted\":true") && line.contains("\"runId\":\"run-1\""), "\(line)")
        let request = try #require(site.registry.setDesiredState.requests.first)
        #expect(request.stream == StreamName(asset: "line1", stream: "live"))
        #expect(request.running == true)
        #expect(request.overrideJSON == #"{"mediaServerAddress":"127.0.0.1","mediaServerPort":8554}"#)
        #expect(request.endsAfterMs == 60_000)
        try await adapter.terminate()
    }

    @Test func withoutResponseTopicTheAnswerIsBelowTheRequest() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let answers = try await site.subscriber(["asset-operations/+/+/+/response"], format: "%P|%p")
        func answer(_ topic: String, _ payload: String, _ part: String) async throws -> String {
            let before = answers.standardOutput.split(separator: "\n").count
            try await site.publish("asset-operations/\(topic)", payload)
            return try await eventually("\(topic) is answered", within: .seconds(15)) {
                let lines = answers.standardOutput.split(separator: "\n").dropFirst(before)
                return lines.first { $0.contains("\(topic)/response|") && $0.contains(part) }.map(String.init)
            }
        }
        #expect(try await answer("line1/clips/start", "{not json", "__stat:400").contains("line 1, column 2"))
        #expect(try await answer("line1/clips/start", "[1]", "__stat:400").contains("an array"))
        #expect(
            try await answer("line1/clips/start", #"{"timeLimitSeconds": 0}"#, "__stat:400").contains(
                "timeLimitSeconds"))
        #expect(site.registry.setDesiredState.requests.isEmpty)
        #expect(try await answer("nobody/clips/start", "{}", "__stat:500").contains("no stream nobody/clips"))
        #expect(try await answer("line1/clips/stop", "{}", "__stat:200").contains("\"desired\":\"stopped\""))
        // The same on purpose: both act.
        #expect(try await answer("line1/clips/stop", "{}", "__stat:200").contains("\"accepted\":true"))
        #expect(site.registry.setDesiredState.requests.filter { $0.running == false }.count == 2)
        site.registry.setDesiredState.answer { _ in
            throw RPCError.invalidArgument("override_json.duration", "duration is 0; give 1 to 3600")
        }
        let refused = try await answer("line1/clips/start", #"{"duration": 0}"#, "__stat:400")
        #expect(refused.contains("\"field\":\"override_json.duration\""))
        try await adapter.terminate()
    }

    @Test func stateAndCaptureAskTheControllerThatHoldsTheCamera() async throws {
        let site = try await AdapterSite()
        let stream = StreamName(asset: "line1", stream: "clips")
        site.controller.listStatus.answer { _ in
            ListStatusReply(
                controllerID: "cc-0", tasks: [TaskStatus(stream: stream, state: .running, runID: "r7", produced: 12)])
        }
        site.controller.takeSnapshot.answer { _ in
            TakeSnapshotReply(
                capturedUs: 1_763_870_706_789_000, file: MediaFile(path: "line1/clips/x.jpg", sizeBytes: 99),
                widthPx: 640)
        }
        let adapter = try await site.startReady()
        let answers = try await site.subscriber(["asset-operations/+/+/+/response"], format: "%P|%p")
        try await site.publish("asset-operations/line1/clips/state", "{}")
        try await eventually("state is answered") {
            let text = answers.standardOutput
            return text.contains("\"state\":\"running\"") && text.contains("\"produced\":12") ? true : nil
        }
        try await site.publish("asset-operations/line1/clips/capture", "{}")
        try await eventually("capture is answered") {
            let text = answers.standardOutput
            return text.contains("2025-11-23T04:05:06.789Z") && text.contains("line1/clips/x.jpg") ? true : nil
        }
        #expect(site.controller.takeSnapshot.requests.map(\.stream) == [stream])
        await site.controller.server.stop()
        try await site.publish("asset-operations/line1/clips/capture", "{}")
        try await eventually("an absent controller is 503 or 408", within: .seconds(20)) {
            answers.standardOutput.contains("__stat:503") || answers.standardOutput.contains("__stat:408") ? true : nil
        }
        try await adapter.terminate()
    }

    @Test func aRegistryThatIsAwayIsSaidAtOnceAndTheCommandIsNotKept() async throws {
        let site = try await AdapterSite(away: ["registry"])
        let adapter = try await site.startReady()
        let answers = try await site.subscriber(["asset-operations/+/+/+/response"], format: "%P|%p")
        try await site.publish("asset-operations/line1/clips/start", "{}")
        try await eventually("the command is refused", within: .seconds(15)) {
            answers.standardOutput.contains("\"accepted\":false") ? true : nil
        }
        site.registry.server.start()
        try await site.publish("asset-operations/line1/live/start", "{}")
        try await eventually("the next one is carried out", within: .seconds(15)) {
            answers.standardOutput.contains("__stat:200") ? true : nil
        }
        #expect(site.registry.setDesiredState.requests.map(\.stream?.stream) == ["live"])
        try await adapter.terminate()
    }
}
