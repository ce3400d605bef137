// Events and archive requests from the broker: footage first, then the indexer, then the receipt, then PUBACK; and what
// happens when somebody is away or dies in between.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct EventTests {
    @Test func anEventAsksForFootageFirstAndIsRepeatedWithoutHarm() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let event = site.event("e-1")
        try await site.publish("media-sync/events", event)
        let receipt = try await site.retained("media-sync/receipts/e-1") { $0["receipt"]?.text == "accepted" }
        #expect(receipt["requestId"]?.text == "request-e-1")
        #expect(site.chronicle.all == ["ensure e-1", "submit e-1"])
        let submitted = try #require(site.indexer.submitEvent.requests.first)
        #expect(submitted.startOffsetMs == -5_000)
        #expect(submitted.endOffsetMs == 3_000)
        #expect(submitted.cameras.map(\.camera) == ["line1"])
        #expect(submitted.cameras.first?.footage == .recording)
        let window = try #require(site.controller.ensureFootage.requests.first?.window)
        #expect((window.endUs ?? 0) - (window.startUs ?? 0) == 8_000_000)
        try await site.publish("media-sync/events", event)
        let again = try await site.retained("media-sync/receipts/e-1") { $0["receipt"]?.text == "duplicate" }
        #expect(again["requestId"]?.text == "request-e-1")
        #expect(site.known.all == ["e-1"])
        try await adapter.terminate()
    }

    @Test func footageIsAskedForAgainUntilAControllerThatWasAwayAnswers() async throws {
        let site = try await AdapterSite(away: ["controller"])
        let adapter = try await site.startReady()
        let nowUs = Int64(Date().timeIntervalSince1970 * 1_000_000)
        site.indexer.show(
            ArchiveRequest(
                requestID: "r-1", state: .waiting, window: Window(startUs: nowUs, endUs: nowUs + 60_000_000),
                cameras: [
                    RequestedCamera(
                        camera: "line1", source: SourceName(device: "dev1", endpoint: "main"), footage: .unspecified)
                ]))
        try await site.retained("media-sync/requests/r-1")
        #expect(site.chronicle.all == [])
        site.controller.server.start()
        try await eventually("the controller is asked") { site.chronicle.all == ["ensure r-1"] ? true : nil }
        try await adapter.terminate()
    }

    @Test func anEventWithALongReasonIsNotRefusedForIt() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let words = String(repeating: "x", count: 5000)
        let event = site.event("e-15").dropLast() + ", \"reason\": \"\(words)\"}"
        try await site.publish("media-sync/events", String(event))
        try await site.retained("media-sync/receipts/e-15") { $0["receipt"]?.text == "accepted" }
        #expect(site.indexer.submitEvent.requests.first?.reason == String(words.prefix(1024)))
        try await adapter.terminate()
    }

    @Test func anIndexerThatIsAwayLeavesTheEventInTheBrokerEvenWhenTheAdapterIsKilled() async throws {
        let site = try await AdapterSite(away: ["indexer"])
        let first = try await site.startReady()
        try await site.publish("media-sync/events", site.event("e-2"))
        try await eventually("footage is asked for all the same") {
            site.chronicle.all.contains("ensure e-2") ? true : nil
        }
        try await first.kill()
        site.indexer.server.start()
        let second = try await site.startReady()
        try await site.retained("media-sync/receipts/e-2") { $0["requestId"]?.text == "request-e-2" }
        #expect(site.known.all == ["e-2"])
        #expect(site.indexer.submitEvent.requests.count == 1)
        try await second.terminate()
        // Acknowledged now: it does not come a third time.
        let third = try await site.startReady()
        try await site.publish("media-sync/events", site.event("e-3"))
        try await site.retained("media-sync/receipts/e-3")
        #expect(site.indexer.submitEvent.requests.map(\.eventKey) == ["e-2", "e-3"])
        try await third.terminate()
    }

    @Test func anEventThatIsAcceptedAndNotAcknowledgedComesAgainAndStaysOneRequest() async throws {
        let site = try await AdapterSite()
        // The indexer stores it and the adapter dies before it hears so.
        let (known, chronicle) = (site.known, site.chronicle)
        site.indexer.submitEvent.answer { request in
            _ = known.receipt(request.eventKey ?? "")
            chronicle.note("stored")
            try await Task.sleep(for: .seconds(60))
            throw RPCError.unavailable("too late")
        }
        let first = try await site.startReady()
        try await site.publish("media-sync/events", site.event("e-4"))
        try await eventually("it is stored") { chronicle.all.contains("stored") ? true : nil }
        try await first.kill()
        site.indexer.submitEvent.answer { request in
            let key = request.eventKey ?? ""
            return SubmitReply(receipt: known.receipt(key), request: ArchiveRequest(requestID: "request-\(key)"))
        }
        let second = try await site.startReady()
        let receipt = try await site.retained("media-sync/receipts/e-4")
        #expect(receipt["receipt"]?.text == "duplicate")
        #expect(receipt["requestId"]?.text == "request-e-4")
        #expect(known.all == ["e-4"])
        try await second.terminate()
    }

    @Test func anIndexerThatIsAwayForLongHoldsUpNoCommandAndLosesNoEvent() async throws {
        let site = try await AdapterSite(away: ["indexer"])
        let adapter = try await site.startReady()
        try await site.publish("media-sync/events", site.event("e-5"))
        try await adapter.waitForLog("waits in the broker", within: .seconds(15))
        let answers = try await site.subscriber(["asset-operations/line1/live/start/response"], format: "%p")
        try await site.publish("asset-operations/line1/live/start", "{}")
        try await eventually("the command is answered") {
            answers.standardOutput.contains("\"accepted\":true") ? true : nil
        }
        #expect(try await site.health().ready == true)
        site.indexer.server.start()
        try await site.retained("media-sync/receipts/e-5", within: .seconds(30))
        #expect(site.known.all == ["e-5"])
        try await adapter.terminate()
    }

    @Test func badMessagesGetReceiptsAndStopNothing() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let now = "1763870706789"
        let bad: [(key: String, payload: String, part: String)] = [
            ("no-time", #"{"eventId": "no-time", "cameras": ["line1"]}"#, "timestamp is missing"),
            ("nobody", "{\"eventId\": \"nobody\", \"timestamp\": \(now), \"cameras\": [\"nobody\"]}", "line1"),
            ("a/b+c", #"{"eventId": "a/b+c", "timestamp": "soon", "cameras": ["line1"]}"#, "RFC 3339"),
        ]
        for (key, payload, part) in bad {
            try await site.publish("media-sync/events", payload)
            let level = key == "a/b+c" ? "a%2Fb%2Bc" : key
            let receipt = try await site.retained("media-sync/receipts/\(level)")
            #expect(receipt["receipt"]?.text == "rejected")
            #expect(receipt["key"]?.text == key)
            #expect(receipt["error"]?["message"]?.text?.contains(part) == true, "\(receipt)")
        }
        // printf %s%s azure-iot-operations/media-sync/events '{broken' | sha256sum
        try await site.publish("media-sync/events", "{broken")
        let digest = "c5ad3daf11b10d91b20edf032f3daaaa308ffdf07de3d5a1018cbaf04222253f"
        let broken = try await site.retained("media-sync/receipts/\(digest)")
        #expect(broken["error"]?["message"]?.text?.contains("line 1, column 2") == true, "\(broken)")
        let watcher = try await site.subscriber(["media-sync/receipts/+"], format: "%p")
        try await site.publish("media-sync/events", String(repeating: "x", count: 256 * 1_024 + 1))
        try await eventually("the large one is refused") {
            watcher.standardOutput.contains("262145 bytes") ? true : nil
        }
        #expect(site.indexer.submitEvent.requests.isEmpty)
        try await site.publish("media-sync/events", site.event("good"))
        try await site.retained("media-sync/receipts/good") { $0["receipt"]?.text == "accepted" }
        try await adapter.terminate()
    }

    @Test func aMessageThatTheIndexerAlwaysFailsOnIsRefusedAndStopsNothing() async throws {
        let site = try await AdapterSite()
        site.indexer.submitEvent.answer { request in
            guard request.eventKey == "poison" else {
                return SubmitReply(receipt: .accepted, request: ArchiveRequest(requestID: "r"))
            }
            throw RPCError.internal("a defect")
        }
        let adapter = try await site.startReady()
        try await site.publish("media-sync/events", site.event("poison"))
        try await site.publish("media-sync/events", site.event("next"))
        let receipt = try await site.retained("media-sync/receipts/poison")
        #expect(receipt["receipt"]?.text == "rejected")
        #expect(receipt["error"]?["message"]?.text?.contains("a defect") == true)
        try await site.retained("media-sync/receipts/next") { $0["receipt"]?.text == "accepted" }
        try await adapter.terminate()
    }

    @Test func archiveRequestsAreTakenRepeatedAndCancelled() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let wanted =
            #"{"requestId": "shift-3", "cameras": ["line1"], "start": "2025-11-23T04:05:06Z", "durationSeconds": 8, "due": 1763870900}"#
        try await site.publish("media-sync/archive", wanted)
        try await site.retained("media-sync/receipts/shift-3") { $0["receipt"]?.text == "accepted" }
        #expect(site.chronicle.all == ["ensure shift-3", "submit shift-3"])
        let window = site.indexer.submitArchive.requests.first?.window
        #expect(window == Window(startUs: 1_763_870_706_000_000, endUs: 1_763_870_714_000_000))
        #expect(site.indexer.submitArchive.requests.first?.dueUs == 1_763_870_900_000_000)
        try await site.publish("media-sync/archive", wanted)
        try await site.retained("media-sync/receipts/shift-3") { $0["receipt"]?.text == "duplicate" }
        try await site.publish("media-sync/cancel", #"{"requestId": "shift-3"}"#)
        try await site.retained("media-sync/receipts/shift-3") { $0["receipt"]?.text == "cancelled" }
        try await site.retained("media-sync/requests/shift-3") { $0["state"]?.text == "cancelled" }
        #expect(site.indexer.cancelRequest.requests.map(\.requestID) == ["shift-3"])
        try await adapter.terminate()
    }

    @Test func ownRulesMapTheEventsOfEdgeAI() async throws {
        let site = try await AdapterSite()
        let rules = try site.folder.write(
            """
            - {name: leak, filter: alerts/+/dlqc, mapping: alert-dlqc, cameras: {topic-part: 1}, end-offset-ms: 1000}
            """, to: "rules.yaml")
        let adapter = try await site.startReady(["--event-rules", rules])
        try await site.broker.publish(
            "alerts/line1/dlqc",
            #"{"attributes": {"devices": [{"device_data": [{"type": "ALERT_DLQC", "timestamp": 1763870706789, "event_id": 77}]}]}}"#
        )
        try await site.retained("media-sync/receipts/77")
        let submitted = try #require(site.indexer.submitEvent.requests.first)
        #expect(submitted.rule == "leak")
        #expect(submitted.eventUs == 1_763_870_706_789_000)
        #expect(submitted.endOffsetMs == 1_000)
        try await adapter.terminate()
    }
}
