// Kill -9 of each service at four steps of the path, restarted: the path ends right all the same. Restarts in any order.

import Foundation
import Harness
import Testing

/// Where on its way an event is when a service dies.
enum Step: String, CaseIterable, Sendable {
    /// Footage is being recorded, the event has not happened yet.
    case recording
    /// The event was published a moment ago.
    case published
    /// The request waits for its window to end, or is being copied.
    case accepted
    /// Files are archived, and on their way to the Blob server.
    case uploading
}

@Suite(.serialized) struct KillTests {
    @Test func everyServiceMayBeKilledAtEveryStepOfThePath() async throws {
        let site = try await Site.up()
        try await record(site)
        for service in serviceNames {
            for step in Step.allCases {
                try await survive(site, service, step)
            }
        }
        try await eventually("nothing is left in the archive's staging folder") {
            site.staged("archive").isEmpty ? true : nil
        }
        try await site.down()
    }

    @Test func servicesMayBeRestartedInAnyOrder() async throws {
        let site = try await Site.up()
        try await record(site)
        var random = SystemRandomNumberGenerator()
        for round in 1...3 {
            let stopped = serviceNames.shuffled(using: &random)
            let started = serviceNames.shuffled(using: &random)
            let before = try await site.status("source-status/line1-camera/main") { $0["runId"] != nil }
            for name in stopped { try await site.stop(name) }
            for name in started { try await site.start(name) }
            // Another run: the retained status of before the restart says "streaming" too.
            try await site.status("source-status/line1-camera/main") {
                $0["state"]?.text == "streaming" && $0["runId"] != before["runId"]
            }
            let sealed = site.segments(of: "line1").count
            // The next may be what was salvaged of the run before, and one that an older window ended early; the third is
            // a whole clip of the new run, so that the event's window does not reach back into the time without a recorder.
            try await eventually("line1 seals whole clips again") {
                site.segments(of: "line1").count >= sealed + 3 ? true : nil
            }
            let key = "restart-\(round)"
            try await publishEvent(site, key)
            let request = try await finished(site, key)
            let order = "stopped \(stopped), started \(started)"
            #expect(request["state"]?.text == "done", "\(order): \(request)")
        }
        try await site.down()
    }

    private func record(_ site: Site) async throws {
        try await site.publish("asset-operations/line1/clips/start", "{\"duration\": 2}")
        try await site.status("asset-status/line1/clips") { $0["state"]?.text == "running" }
        // Longer than the windows of the events reach back.
        try await eventually("line1 seals clips") { site.segments(of: "line1").count >= 2 ? true : nil }
    }

    private func publishEvent(_ site: Site, _ key: String) async throws {
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1000)
        try await site.publish(
            "media-sync/events",
            """
            {"eventId": "\(key)", "timestamp": \(milliseconds), "cameras": ["line1"], "preSeconds": 2, "postSeconds": 1}
            """)
    }

    private func finished(_ site: Site, _ key: String) async throws -> [String: JSON] {
        let receipt = try await site.status("media-sync/receipts/\(key)") { $0["requestId"] != nil }
        let id = try #require(receipt["requestId"]?.text)
        let final: Set = ["done", "partial", "failed", "cancelled"]
        return try await site.status("media-sync/requests/\(id)", within: .seconds(60)) {
            final.contains($0["state"]?.text ?? "")
        }
    }

    private func survive(_ site: Site, _ service: String, _ step: Step) async throws {
        let key = "\(service)-\(step.rawValue)"
        if step == .recording { try await restart(site, service) }
        try await publishEvent(site, key)
        if step == .published { try await restart(site, service) }
        if step == .accepted || step == .uploading {
            let receipt = try await site.status("media-sync/receipts/\(key)") { $0["requestId"] != nil }
            let id = try #require(receipt["requestId"]?.text)
            if step == .uploading {
                let late: Set = ["copying", "uploading", "done", "partial"]
                try await site.status("media-sync/requests/\(id)") { late.contains($0["state"]?.text ?? "") }
            }
            try await restart(site, service)
        }
        let request = try await finished(site, key)
        // The footage that a killed recorder never saw is a gap that is named; everything else must be whole. The window
        // of the first event after the recorder's kills still touches the last of them.
        let gaps = request["gaps"]?.list ?? []
        let excused =
            request["state"]?.text == "partial" && (service == "capture-controller" || service == "archiver")
            && !gaps.isEmpty && gaps.allSatisfy { $0["cause"]?.text == "killed" }
        #expect(request["state"]?.text == "done" || excused, "\(key): \(request)")
        try await check(site, request, key)
    }

    private func restart(_ site: Site, _ service: String) async throws {
        try await site.kill(service)
        try await site.start(service)
    }

    /// Every delivered file is there, once, with the SHA-256 that was promised; so is the manifest.
    private func check(_ site: Site, _ request: [String: JSON], _ key: String) async throws {
        let files = request["files"]?.list ?? []
        #expect(!files.isEmpty, "\(key): \(request)")
        var paths: Set<String> = []
        for file in files {
            let path = try #require(file["archivePath"]?.text, "\(key)")
            #expect(paths.insert(path).inserted, "\(key): \(path) twice")
            #expect(try site.sha256(site.archived(path)) == file["sha256"]?.text, "\(key): \(path)")
            #expect(file["blobUrl"]?.text?.removingPercentEncoding?.hasSuffix(path) == true, "\(key): \(path)")
        }
        let manifest = try #require(request["manifestPath"]?.text, "\(key)")
        #expect(FileManager.default.fileExists(atPath: site.archived(manifest)), "\(key)")
    }
}
