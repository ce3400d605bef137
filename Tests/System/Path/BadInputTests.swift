// Bad input from outside: cameras, passwords, keys, documents, events. Each gives a clear error in the right place, and costs
// nobody else anything. Bad input on the services' own sockets is in SocketTests.swift.

import Foundation
import Harness
import Testing

@Suite(.serialized) struct BadInputTests {
    private func device(_ name: String, address: String, password: String = "camera/password") -> String {
        """
        kind: Device
        name: \(name)
        properties:
          enabled: true
          endpoints:
            inbound:
              main:
                endpointType: Microsoft.Media
                version: "1.0"
                address: \(address)
                authentication:
                  method: UsernamePassword
                  usernamePasswordCredentials: { usernameSecretName: camera/username, passwordSecretName: \(password) }
        ---
        kind: Asset
        name: \(name)-asset
        properties:
          enabled: true
          deviceRef: { deviceName: \(name), endpointName: main }
          streams:
            - name: clips
              streamConfiguration: '{"taskType": "clip-to-fs", "autostart": true, "format": "mp4"}'
        """
    }

    @Test func badInputGetsAClearErrorInTheRightPlace() async throws {
        let site = try await Site.up()
        try await cameraThatDoesNotExist(site)
        try await wrongCameraPassword(site)
        try await brokenDocuments(site)
        try await badEvents(site)
        try await wrongStorageKey(site)
        // None of it cost anybody else anything.
        try await site.publish("asset-operations/line2/clips/start", "{}")
        try await site.status("asset-status/line2/clips") { $0["state"]?.text == "running" }
        // It throws where any credential stands in what the site shows or wrote, the wrong ones among them.
        try await site.down()
    }

    private func cameraThatDoesNotExist(_ site: Site) async throws {
        let port = try freePort()
        let file = try site.folder.write(
            device("ghost", address: "rtsp://127.0.0.1:\(port)/cam0"), to: "ghost.yaml")
        #expect(try await site.sightglass(["apply", "-f", file]).exitCode == 0)
        let status = try await site.status("source-status/ghost/main") { $0["cause"]?.text == "refused" }
        #expect(status["reason"]?.text?.contains("refused") == true)
    }

    private func wrongCameraPassword(_ site: Site) async throws {
        let port = try #require(
            try String(contentsOfFile: site.path + "/site.env", encoding: .utf8).split(separator: "\n")
                .first { $0.hasPrefix("LINE1_PORT=") }?.split(separator: "=").last)
        try "canary-wrong-password\n".write(
            toFile: site.path + "/secrets/camera/wrong", atomically: true, encoding: .utf8)
        let text = device("locked", address: "rtsp://127.0.0.1:\(port)/cam0", password: "camera/wrong")
        let file = try site.folder.write(text, to: "locked.yaml")
        #expect(try await site.sightglass(["apply", "-f", file]).exitCode == 0)
        let status = try await site.status("source-status/locked/main") { $0["cause"]?.text == "unauthorized" }
        #expect(status["reason"]?.text?.contains("refuses") == true)
    }

    private func brokenDocuments(_ site: Site) async throws {
        let broken = try site.folder.write("kind: Asset\nname: a\nproperties: [\n", to: "broken.yaml")
        let result = try await site.sightglass(["apply", "-f", broken])
        #expect(result.exitCode != 0)
        #expect(result.error.contains("line"), "\(result.error)")
        let bad = try site.folder.write(
            """
            kind: Asset
            name: half
            properties:
              enabled: true
              deviceRef: { deviceName: line2-camera, endpointName: main }
              streams:
                - name: wrong
                  streamConfiguration: '{"taskType": "clip-to-fs", "duration": 0}'
                - name: right
                  streamConfiguration: '{"taskType": "clip-to-fs", "autostart": false, "format": "mp4"}'
            """, to: "half.yaml")
        let half = try await site.sightglass(["apply", "-f", bad])
        #expect((half.output + half.error).contains("duration"), "\(half.output)\(half.error)")
        try await site.publish("asset-operations/half/right/start", "{}")
        try await site.status("asset-status/half/right") { $0["state"]?.text == "running" }
    }

    private func badEvents(_ site: Site) async throws {
        try await site.publish("media-sync/events", "{\"eventId\": \"no-time\", \"cameras\": [\"line1\"]}")
        let receipt = try await site.status("media-sync/receipts/no-time") { $0["receipt"]?.text == "rejected" }
        #expect(receipt["error"]?["message"]?.text?.contains("time") == true, "\(receipt)")
        try await site.publish(
            "media-sync/events",
            "{\"eventId\": \"nobody\", \"timestamp\": \(Int64(Date().timeIntervalSince1970 * 1000)), \"cameras\": [\"nobody\"]}"
        )
        let unknown = try await site.status("media-sync/receipts/nobody") { $0["receipt"]?.text == "rejected" }
        #expect(unknown["error"]?["message"]?.text?.contains("nobody") == true, "\(unknown)")
        try await site.publish("asset-operations/nobody/clips/start", "{}")
        try await site.publish("asset-operations/line1/clips/start", "{not json")
    }

    private func wrongStorageKey(_ site: Site) async throws {
        let key = site.path + "/secrets/blob-key"
        let right = try String(contentsOfFile: key, encoding: .utf8)
        let wrong = Data("canary-wrong-key-canary-wrong-key".utf8).base64EncodedString()
        try wrong.write(toFile: key, atomically: false, encoding: .utf8)
        try await site.stop("cloud-uploader")
        try await site.start("cloud-uploader")
        try await site.publish("asset-operations/line1/clips/start", "{\"duration\": 2}")
        try await site.status("asset-status/line1/clips") { $0["state"]?.text == "running" }
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1000)
        try await site.publish(
            "media-sync/events",
            """
            {"eventId": "keyed", "timestamp": \(milliseconds), "cameras": ["line1"], "preSeconds": 1, "postSeconds": 1}
            """)
        let receipt = try await site.status("media-sync/receipts/keyed") { $0["requestId"] != nil }
        let id = try #require(receipt["requestId"]?.text)
        let stuck = try await site.status("media-sync/requests/\(id)") { status in
            status["files"]?.list.contains { $0["error"]?.text?.contains("key") == true } == true
        }
        #expect(stuck["state"]?.text == "uploading")
        try right.write(toFile: key, atomically: false, encoding: .utf8)
        // A storage that refuses the key is tried again after a minute.
        try await site.status("media-sync/requests/\(id)", within: .seconds(120)) { $0["state"]?.text == "done" }
    }
}
