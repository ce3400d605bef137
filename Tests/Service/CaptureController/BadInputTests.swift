// Every method of the contract with input that is wrong: an error that names the field, and the controller goes on.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct BadInputTests {
    @Test func everyMethodRefusesWhatTheContractForbids() async throws {
        let site = try CameraSite()
        site.startNeighbours()
        // A camera that is held and never answers: there is a source, and no keyframe of it.
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips()])
        let controller = try site.startController()
        try await eventually("the camera is held and the volume is open") { () -> Bool? in
            guard try await site.client.health().ready == true else { return nil }
            return try await site.sourceStatus() == nil ? nil : true
        }
        try site.folder.write("12345", to: "volume/given/file.bin")
        let complaints = await BadRequests.complaints(
            status + snapshots + footage(site) + segments(site),
            of: CaptureControllerMethods.all, to: site.client)
        #expect(complaints.isEmpty)
        #expect(try await controller.terminate() == 0)
    }

    private var status: [BadRequests] {
        [
            BadRequests(
                CaptureControllerMethods.listStatus, like: ListStatusRequest(asset: "press", stream: "clips"),
                [
                    "asset": Bad.each(Bad.namesIfAny) { $0.asset = $1 },
                    "stream": Bad.each(Bad.namesIfAny) { $0.stream = $1 },
                ], taken: [{ $0.asset = nil }, { $0.stream = Bad.text(128) }])
        ]
    }

    private var snapshots: [BadRequests] {
        let method = CaptureControllerMethods.takeSnapshot
        let ofSource = TakeSnapshotRequest(source: CameraSite.source)
        let ofStream = TakeSnapshotRequest(stream: StreamName(asset: "press", stream: "clips"))
        return [
            BadRequests(
                method, like: ofSource,
                [
                    "format": Bad.each(["gif", "mp4", "x"]) { $0.format = $1 },
                    "jpeg_quality": Bad.each([0, 101, .max]) { $0.jpegQuality = $1 },
                    "max_width_px": Bad.each([0, 15, 16_385, .max]) { $0.maxWidthPx = $1 },
                    "max_height_px": Bad.each([0, 15, 16_385, .max]) { $0.maxHeightPx = $1 },
                    "stream": [{ $0.source = nil }],
                    "source": [{ $0.stream = ofStream.stream }],
                    "source.device": Bad.each(Bad.names) { $0.source?.device = $1 },
                    "source.endpoint": Bad.each(Bad.names) { $0.source?.endpoint = $1 },
                ]),
            BadRequests(
                method, like: ofStream,
                [
                    "stream.asset": Bad.each(Bad.names) { $0.stream?.asset = $1 },
                    "stream.stream": Bad.each(Bad.names) { $0.stream?.stream = $1 },
                ]),
            BadRequests(method, like: ofSource, code: .notFound, ["": [{ $0.source?.device = "line9" }]]),
            BadRequests(method, like: ofStream, code: .notFound, ["": [{ $0.stream?.asset = "line9" }]]),
            BadRequests(method, like: ofSource, code: .unavailable, ["": [{ _ in }]]),
            BadRequests(method, like: ofStream, code: .unavailable, ["": [{ _ in }]]),
        ]
    }

    private func footage(_ site: CameraSite) -> [BadRequests] {
        let startUs = CameraSite.nowUs() - 600_000_000
        let dayUs: Int64 = 86_400_000_000
        let many = Array(repeating: SourceName(device: "line9", endpoint: "main"), count: 1001)
        return [
            BadRequests(
                CaptureControllerMethods.ensureFootage,
                like: EnsureFootageRequest(
                    key: "bad", sources: [CameraSite.source],
                    window: Window(startUs: startUs, endUs: startUs + 1_000_000)),
                [
                    "key": Bad.each(Bad.identities) { $0.key = $1 },
                    "sources": [{ $0.sources = [] }, { $0.sources = many }],
                    "sources[0].device": Bad.each(Bad.names) { $0.sources[0].device = $1 },
                    "sources[0].endpoint": Bad.each(Bad.names) { $0.sources[0].endpoint = $1 },
                    "window": [{ $0.window = nil }],
                    "window.start_us": Bad.each(Bad.times) { $0.window?.startUs = $1 },
                    "window.end_us": Bad.each(Bad.times + [startUs, startUs - 1, startUs + dayUs + 1]) {
                        $0.window?.endUs = $1
                    },
                    "hold_ms": Bad.each([0, 999, 86_400_001, .max]) { $0.holdMs = $1 },
                ],
                taken: [
                    { $0.holdMs = 1000 }, { $0.key = Bad.text(128) }, { $0.sources = Array(many.dropLast()) },
                    { $0.window?.endUs = startUs + dayUs },
                ])
        ]
    }

    private func segments(_ site: CameraSite) -> [BadRequests] {
        let method = CaptureControllerMethods.readSegment
        let good = ReadSegmentRequest(volumeID: site.volumeID, path: "given/file.bin")
        let paths = [
            nil, "", "../secrets/line1/password", "/etc/passwd", ".sightglass-volume.json", "a//b", "a/.hidden",
            "a\u{1}b", Bad.text(256), String(repeating: Bad.text(99) + "/", count: 10) + Bad.text(25),
        ]
        return [
            BadRequests(
                method, like: good,
                [
                    "volume_id": Bad.each(Bad.identities) { $0.volumeID = $1 },
                    "path": Bad.each(paths) { $0.path = $1 },
                    "length": Bad.each([0, 921_601, .max]) { $0.length = $1 },
                ], taken: [{ $0.length = 1 }, { $0.length = 921_600 }, { $0.offset = 5 }]),
            BadRequests(
                method, like: good, code: .notFound,
                ["": [{ $0.path = "given/none.bin" }, { $0.volumeID = "other" }]]),
            BadRequests(
                method, like: good, code: .outOfRange,
                ["": Bad.each([6, 1 << 40, .max]) { $0.offset = $1 }]),
        ]
    }
}
