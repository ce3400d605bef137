// cameras, footage, snapshot: what was recorded.

import ArgumentParser
import Footage
import Foundation
import JSON
import Wire

/// A moment and a length on the command line.
struct WindowArguments: ParsableArguments {
    @Option(parsing: .unconditional, help: "Begin: 2026-11-23T05:11:02Z, now, -90s, \"10m ago\".") var start: String
    @Option(help: "Length: 30s, 5m, 1h30m.") var duration: DurationArgument?
    @Option(parsing: .unconditional, help: "End, instead of a length; written like --start.") var end: String?

    func validate() throws {
        if (duration == nil) == (end == nil) { throw ValidationError("Give --duration or --end.") }
        _ = try read(nowUs: WindowArguments.nowUs())
    }

    func read(nowUs: Int64) throws -> Window {
        guard var startUs = TimeText.parse(start, nowUs: nowUs) else { throw Self.badTime("--start", start) }
        var endUs = startUs + (duration?.us ?? 0)
        if let end {
            guard let parsed = TimeText.parse(end, nowUs: nowUs) else { throw Self.badTime("--end", end) }
            endUs = parsed
        }
        // Whole milliseconds, so that a printed window is the same window when it is typed again.
        startUs -= startUs % 1000
        endUs -= endUs % 1000
        guard endUs > startUs else { throw ValidationError("The window ends before it begins.") }
        guard endUs - startUs <= 24 * 3_600_000_000 else {
            throw ValidationError("The window is longer than 24 hours.")
        }
        guard startUs > 0 else { throw ValidationError("The window begins before 1970.") }
        return Window(startUs: startUs, endUs: endUs)
    }

    private static func badTime(_ flag: String, _ text: String) -> ValidationError {
        ValidationError("\(flag) \(text): write 2026-11-23T05:11:02Z (with zone), now, -90s or \"10m ago\".")
    }

    static func nowUs() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }
}

struct CamerasCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cameras", abstract: "Cameras with recorded footage, and from when to when.")

    @OptionGroup var connections: Connections
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let cameras = try await connections.client(.indexer).call(IndexerMethods.listCameras, ListCamerasRequest())
                .cameras
            if json {
                print(JSONValue.array(cameras.map { .of($0) }).text(.indented))
                return
            }
            var table = Table(
                ["CAMERA", "SOURCE", "OLDEST", "NEWEST", "SEGMENTS", "SNAPSHOTS", "SIZE"],
                whenEmpty: "nothing was recorded yet")
            for camera in cameras {
                table.add([
                    camera.camera ?? "", camera.source?.text ?? "", TimeText.show(camera.oldestUs),
                    TimeText.show(camera.newestUs), "\(camera.segments ?? 0)", "\(camera.snapshots ?? 0)",
                    sizeText(camera.bytes),
                ])
            }
            print(table.rendered)
        }
    }
}

struct FootageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "footage", abstract: "What there is of a window, and what is missing and why.",
        discussion: "Exit status 1 where something of the window is missing.")

    @OptionGroup var connections: Connections
    @Argument(help: "Asset, or device/endpoint.") var camera: String
    @OptionGroup var window: WindowArguments
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let window = try window.read(nowUs: WindowArguments.nowUs())
            let source = SourceName(path: camera)
            let coverage = try await connections.client(.indexer).call(
                IndexerMethods.coverage,
                CoverageRequest(asset: source == nil ? camera : nil, source: source, window: window))
            if json {
                print(JSONValue.of(coverage).text(.indented))
            } else {
                show(coverage)
            }
            if !coverage.gaps.isEmpty || coverage.covered.isEmpty { throw Status.notAsWished }
        }
    }

    private func show(_ coverage: CoverageReply) {
        struct Row {
            let window: Window
            let what: String
            let note: String
        }
        let rows =
            (coverage.covered.map { Row(window: $0, what: "footage", note: "") }
            + coverage.gaps.compactMap { gap in
                gap.window.map {
                    Row(
                        window: $0, what: "missing",
                        note: [gap.cause, gap.reason].compactMap(\.self).joined(separator: ": "))
                }
            }).sorted { ($0.window.startUs ?? 0) < ($1.window.startUs ?? 0) }
        var table = Table(["FROM", "TO", "LENGTH", "WHAT", "WHY"], whenEmpty: "nothing of this window was recorded")
        for row in rows {
            let length = (row.window.endUs ?? 0) - (row.window.startUs ?? 0)
            table.add([
                TimeText.show(row.window.startUs), TimeText.show(row.window.endUs), DurationText.show(us: length),
                row.what,
                row.note,
            ])
        }
        print(table.rendered)
        print("\(coverage.segments ?? 0) segments, \(sizeText(coverage.bytes))")
    }
}

struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Take a picture now; it is kept on the volume too.")

    @OptionGroup var connections: Connections
    @Argument(help: "ASSET/STREAM or DEVICE/ENDPOINT") var stream: StreamArgument
    @Option(name: [.customShort("o"), .long], help: "File to write, which must not exist.") var output: String
    @Option(help: "jpeg, png, bmp or tiff.") var format = "jpeg"
    @Option(help: "Of a JPEG, 1 to 100; 75 where it is not given.") var quality: UInt32?
    @Option(help: "Pixels, 16 to 16384: a wider picture is scaled down.") var maxWidth: UInt32?
    @Option(help: "Pixels, 16 to 16384: a higher picture is scaled down.") var maxHeight: UInt32?

    func run() async throws {
        try await reporting {
            let registry = try connections.client(.assetRegistry)
            let all = try await registry.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
            let asSource = SourceName(device: stream.name.asset, endpoint: stream.name.stream)
            let definition = all.streams.first { $0.name == stream.name }
            guard let source = definition?.source ?? all.endpoints.first(where: { $0.source == asSource })?.source
            else {
                throw Failure("there is no stream or source \(stream.name.text): see `sightglass get streams`")
            }
            let leases = try await registry.call(AssetRegistryMethods.listLeases, ListLeasesRequest()).leases
            guard let address = leases.first(where: { $0.source == source })?.holderAddress else {
                throw Failure(
                    "no capture-controller holds \(source.text): is one running, and is the device enabled?",
                    Status.serviceAway)
            }
            let reply = try await connections.controller(at: address).call(
                CaptureControllerMethods.takeSnapshot,
                TakeSnapshotRequest(
                    stream: definition == nil ? nil : stream.name, source: definition == nil ? source : nil,
                    format: format, jpegQuality: quality, maxWidthPx: maxWidth, maxHeightPx: maxHeight))
            guard let picture = reply.picture else {
                throw Failure(
                    "the picture is too large to be sent; it is \(reply.file?.path ?? "a file") on volume "
                        + (reply.file?.volumeID ?? ""))
            }
            do {
                try Data(picture).write(to: URL(fileURLWithPath: output), options: .withoutOverwriting)
            } catch {
                throw Failure("\(output): cannot be written; does it exist already?")
            }
            let size = reply.widthPx.map { ", \($0)x\(reply.heightPx ?? 0)" } ?? ""
            print("\(output): \(sizeText(UInt64(picture.count)))\(size), taken \(TimeText.show(reply.capturedUs))")
        }
    }
}
