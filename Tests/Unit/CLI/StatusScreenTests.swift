// The screen of a whole site, and what becomes of a camera's pictures.

import Foundation
import Testing
import Wire

@testable import CLI

@Suite struct StatusScreenTests {
    private static let nowUs: Int64 = 1_795_410_000_000_000

    private func source(_ device: String, _ change: (inout SourceStatus) -> Void) -> SourceStatus {
        var status = SourceStatus(
            source: SourceName(device: device, endpoint: "main"), state: .streaming, videoCodec: "h264", widthPx: 1280,
            heightPx: 720, packets: 1000, lastPacketUs: Self.nowUs - 40_000, syncedToUs: Self.nowUs - 700_000)
        change(&status)
        return status
    }

    @Test func whatBecomesOfPictures() {
        func landing(_ change: (inout SourceStatus) -> Void) -> Landing {
            Landing(source("cam1", change), nowUs: Self.nowUs)
        }
        #expect(landing { _ in } == .lands)
        #expect(landing { $0.syncedToUs = nil } == .memory)
        #expect(landing { $0.syncedToUs = Self.nowUs - 5_000_000 } == .stuck)
        #expect(landing { $0.lastPacketUs = Self.nowUs - 5_000_000 } == .dark)
        #expect(
            landing { ($0.lastPacketUs, $0.syncedToUs) = (Self.nowUs + 60_000_000, Self.nowUs + 59_000_000) } == .lands)
        #expect(landing { ($0.state, $0.cause) = (.backingOff, "refused") } == .dark)
        #expect(landing { ($0.state, $0.cause) = (.connecting, "refused") } == .dark)
        #expect(landing { $0.state = .connecting } == .connecting)
        #expect(landing { $0.state = .idle } == .idle)
        #expect(Landing(nil, nowUs: Self.nowUs) == .unheld)
        #expect(Landing.allCases.filter { !$0.isWell } == [.stuck, .dark, .unheld])
    }

    /// A site with a bit of everything.
    private var site: SiteStatus {
        func health(_ role: Role, _ service: String, ready: Bool = true, reasons: [String] = []) -> ServiceHealth {
            ServiceHealth(
                role: role, address: "ipc:///run/sightglass/x.rpc",
                reply: HealthReply(
                    service: service, build: "1.4", live: true, ready: ready, reasons: reasons, uptimeMs: 3_723_000,
                    neighbours: [Neighbour(role: "indexer", reachable: role != .archiver)]), error: nil)
        }
        var site = SiteStatus(atUs: Self.nowUs)
        site.services = [
            health(.assetRegistry, "asset-registry"), health(.captureController, "capture-controller/cc-0"),
            health(.indexer, "indexer", ready: false, reasons: ["the disk is full: free some"]),
            health(.archiver, "archiver/archiver-0"),
            ServiceHealth(role: .cloudUploader, address: "ipc:///x", reply: nil, error: "connection refused"),
        ]
        let names = ["cam1", "cam2", "cam3", "cam4"].map { SourceName(device: $0, endpoint: "main") }
        site.configuration = Configuration(
            revision: 7,
            endpoints: names.map { InboundEndpoint(source: $0, enabled: true) } + [
                InboundEndpoint(source: SourceName(device: "spare", endpoint: "main"), enabled: false)
            ])
        site.controllers = [
            ListStatusReply(
                controllerID: "cc-0",
                sources: [
                    source("cam1") { _ in },
                    source("cam2") {
                        ($0.state, $0.cause, $0.reason, $0.attempts) = (
                            .backingOff, "unauthorized", "the camera refuses\u{1B}[2J the password", 12
                        )
                        ($0.videoCodec, $0.lastPacketUs, $0.syncedToUs) = (nil, Self.nowUs - 7_500_000_000, nil)
                    },
                    source("cam3") { $0.syncedToUs = nil },
                ],
                tasks: [
                    TaskStatus(
                        stream: StreamName(asset: "line1", stream: "clips"), type: .clipToFs, state: .running,
                        produced: 42, dropped: 0, lastOutputUs: Self.nowUs - 12_000_000, lastOutput: "line1/clips/a.mp4"
                    ),
                    TaskStatus(
                        stream: StreamName(asset: "line1", stream: "live"), type: .streamToRtsp, state: .failed,
                        error: "the media server refuses ANNOUNCE (403 Forbidden)"),
                ],
                volumes: [
                    VolumeStatus(
                        role: "recording", mountPath: "/mnt/recording", writable: true, totalBytes: 1 << 40,
                        freeBytes: 123 << 30, spooledRecords: 3)
                ])
        ]
        site.uploads = ListUploadsReply(
            waitingFiles: 12, waitingBytes: 1 << 30, activeFiles: 2, setAsideFiles: 1, minuteFiles: 10,
            minuteBytes: 600 << 20, hourFiles: 10, hourBytes: 600 << 20)
        site.openRequests = [ArchiveRequest(requestID: "r-1", state: .copying)]
        return site
    }

    /// SIGHTGLASS_WRITE_SCREENS writes it anew: look at what changed.
    private func recorded(_ name: String, _ text: String) throws -> String {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Support/screens/status")
        let file = folder.appendingPathComponent("\(name).txt")
        if ProcessInfo.processInfo.environment["SIGHTGLASS_WRITE_SCREENS"] != nil {
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        return try String(contentsOf: file, encoding: .utf8)
    }

    @Test func theWholeScreen() throws {
        let text = StatusScreen(status: site).lines.joined(separator: "\n") + "\n"
        #expect(try text == recorded("trouble", text))
        #expect(!text.contains("\u{1B}"), "what a camera says moves no cursor")
        #expect(!site.isWell && !site.isSilent)
    }

    @Test func aSiteThatIsWellSaysSo() throws {
        var well = site
        well.services.removeLast()
        well.services.remove(at: 2)
        well.configuration = nil
        well.controllers = [ListStatusReply(controllerID: "cc-0", sources: [source("cam1") { _ in }])]
        well.uploads = ListUploadsReply(waitingFiles: 0, waitingBytes: 0)
        well.openRequests = []
        #expect(well.isWell)
        let lines = StatusScreen(status: well).lines
        #expect(lines[0].hasSuffix("all is well"))
        #expect(lines[1] == "footage: lands of 1 of 1 camera")
        #expect(lines[2] == "requests: 0 open requests; uploads: 0 files to upload, 0 B")
    }

    @Test func eachThingThatNeedsAPersonIsNotWell() {
        var well = site
        well.services = []
        (well.configuration, well.controllers, well.uploads) = (nil, [], nil)
        #expect(well.isWell)
        var away = well
        away.services = [ServiceHealth(role: .indexer, address: "", reply: nil, error: "no")]
        #expect(!away.isWell && away.isSilent)
        var aside = well
        aside.uploads = ListUploadsReply(setAsideFiles: 1)
        #expect(!aside.isWell)
        var disk = well
        disk.controllers = [ListStatusReply(volumes: [VolumeStatus(writable: false)])]
        #expect(!disk.isWell)
        var unheld = well
        unheld.configuration = site.configuration
        #expect(!unheld.isWell)
    }

    @Test func itFitsIntoATerminal() {
        let lines = StatusScreen(status: site).lines(width: 60, height: 10)
        #expect(lines.count == 10 && lines.allSatisfy { $0.count <= 60 })
        #expect(lines.last == "… \(StatusScreen(status: site).lines.count - 9) more lines; make the window larger")
        #expect(StatusScreen(status: site).lines(width: .max, height: .max) == StatusScreen(status: site).lines)
    }

    @Test func aSourceThatMovesIsShownOnce() {
        var site = site
        site.controllers.append(
            ListStatusReply(controllerID: "cc-1", sources: [source("cam2") { $0.leaseEpoch = 2 }]))
        let camera = site.cameras.filter { $0.source.device == "cam2" }
        #expect(camera.map(\.landing) == [.lands], "the later lease counts")
    }
}
