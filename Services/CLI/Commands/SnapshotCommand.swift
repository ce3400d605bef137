// snapshot: a picture now, shown in terminals that can, else as a file.

import ArgumentParser
import CivilTime
import Foundation
import Wire

struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Take a picture now; it is kept on the volume too.",
        discussion: """
            Without -o the picture is shown where the terminal can show one (kitty, iTerm2, sixel), else written to a file of \
            this folder whose name is printed.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "ASSET/STREAM or DEVICE/ENDPOINT") var stream: StreamArgument
    @Option(name: [.customShort("o"), .long], help: "File to write, which must not exist.") var output: String?
    @Option(help: "Show it in this way, whatever the terminal says of itself: kitty, iterm, sixel.")
    var show: PictureProtocol?
    @Option(help: "jpeg, png, bmp or tiff; jpeg where it is not given.") var format: String?
    @Option(help: "Of a JPEG, 1 to 100; 75 where it is not given.") var quality: UInt32?
    @Option(help: "Pixels, 16 to 16384: a wider picture is scaled down.") var maxWidth: UInt32?
    @Option(help: "Pixels, 16 to 16384: a higher picture is scaled down.") var maxHeight: UInt32?

    func validate() throws {
        if show != nil, output != nil || format != nil {
            throw ValidationError("--show decides the format, and writes no file; leave out --output and --format.")
        }
    }

    func run() async throws {
        try await reporting {
            let shown = shownBy
            let reply = try await take(format: shown?.format ?? format ?? "jpeg", widthPx: maxWidth ?? shown?.widthPx)
            guard let picture = reply.picture else {
                throw Failure(
                    "the picture is too large to be sent; it is \(reply.file?.path ?? "a file") on volume "
                        + "\(reply.file?.volumeID ?? ""); --max-width makes it smaller")
            }
            if let shown {
                guard let sequence = shown.sequence(picture) else {
                    throw Failure("the picture cannot be shown; write it to a file with -o")
                }
                FileHandle.standardOutput.write(Data(sequence))
                printError("\(stream.name.text): taken \(TimeText.show(reply.capturedUs))")
                return
            }
            let path = output ?? name(reply.capturedUs)
            do {
                try Data(picture).write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
            } catch {
                throw Failure("\(path): cannot be written; does it exist already?")
            }
            let size = reply.widthPx.map { ", \($0)x\(reply.heightPx ?? 0)" } ?? ""
            print("\(path): \(sizeText(UInt64(picture.count)))\(size), taken \(TimeText.show(reply.capturedUs))")
        }
    }

    /// How it is shown; nil: it becomes a file.
    private var shownBy: PictureProtocol? {
        if let show { return show }
        guard output == nil, format == nil, Terminal.isOutput else { return nil }
        return PictureProtocol(ProcessInfo.processInfo.environment)
    }

    /// "line1-clips-2026-11-23T05-11-02.000Z.jpg": a colon is no letter for every disk.
    private func name(_ us: Int64?) -> String {
        let time = TimeText.show(us).replacing(":", with: "-")
        let format = format ?? "jpeg"
        let stem = "\(stream.name.text)-\(time)".map { "/\\ ".contains($0) ? "-" : $0 }
        return String(stem) + "." + (format == "jpeg" ? "jpg" : format)
    }

    private func take(format: String, widthPx: UInt32?) async throws -> TakeSnapshotReply {
        let registry = try connections.client(.assetRegistry)
        let all = try await registry.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
        let asSource = SourceName(device: stream.name.asset, endpoint: stream.name.stream)
        let definition = all.streams.first { $0.name == stream.name }
        guard let source = definition?.source ?? all.endpoints.first(where: { $0.source == asSource })?.source
        else {
            throw Failure("there is no stream or source \(stream.name.text): see `sightglass get streams`")
        }
        let controller = try await connections.controller(holding: source, registry)
        return try await controller.call(
            CaptureControllerMethods.takeSnapshot,
            TakeSnapshotRequest(
                stream: definition == nil ? nil : stream.name, source: definition == nil ? source : nil,
                format: format, jpegQuality: quality, maxWidthPx: widthPx, maxHeightPx: maxHeight))
    }
}

extension Connections {
    /// A client of the controller that holds a camera.
    func controller(holding source: SourceName, _ registry: Client) async throws -> Client {
        let leases = try await registry.call(AssetRegistryMethods.listLeases, ListLeasesRequest()).leases
        guard let address = leases.first(where: { $0.source == source })?.holderAddress else {
            throw Failure(
                "no capture-controller holds \(source.text): is one running, and is the device enabled? "
                    + "`sightglass probe \(source.text)` says more",
                Status.serviceAway)
        }
        return try controller(at: address)
    }
}
