// export: what one camera showed in a window, as a file here.

import ArgumentParser
import Clips
import JSON
import RPC
import Volume
import Wire

struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write what a camera showed in a window to an MP4, to the picture.",
        discussion: """
            Nothing is coded anew. Where the camera's codec changes within the window, the time behind the change is a \
            file of its own: NAME-2.mp4 beside NAME.mp4. What is missing of the window is listed.

            Exit status 1 where something of the window is missing. Of a window without any footage no file is made.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "Asset, or device/endpoint.") var camera: String
    @OptionGroup var window: WindowArguments
    @Option(name: [.customShort("o"), .long], help: "File to write, which must not exist.") var output: String
    @Option(
        name: .customLong("volume"),
        help: ArgumentHelp(
            "Absolute folder of a recording volume that is mounted here; repeatable.",
            discussion: "Other volumes are read from their controllers.", valueName: "folder"))
    var volumes: [String] = []
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let window = try window.read(nowUs: WindowArguments.nowUs())
            // A folder that is no recording volume would be passed over in silence.
            for path in volumes { _ = try VolumeRoot.open(at: path, role: .recording, access: .reader) }
            let source = SourceName(path: camera)
            let indexer = try connections.client(.indexer)
            let coverage = try await indexer.call(
                IndexerMethods.coverage,
                CoverageRequest(asset: source == nil ? camera : nil, source: source, window: window))
            guard !coverage.covered.isEmpty else { throw Self.nothing(camera, coverage.gaps) }
            let calls = RPCFootageCalls(indexer: indexer.rpc, timeout: connections.answerWithin.duration) {
                [connections] address in
                do { return try connections.controller(at: address).rpc } catch let failure as Failure {
                    throw RPCError.unavailable(failure.message)
                }
            }
            defer { calls.close() }
            let files = try await ClipFiles(maker: ClipMaker(calls: calls, volumes: volumes), path: output).write(
                ClipWish(
                    source.map { .source($0) } ?? .asset(camera), startUs: window.startUs ?? 0,
                    endUs: window.endUs ?? 0))
            if json {
                print(
                    JSONValue.fields(["files": .array(files.map(Self.json)), "coverage": .of(coverage)])
                        .text(.indented))
            } else {
                Self.show(files, coverage.gaps)
            }
            if !coverage.gaps.isEmpty { throw Status.notAsWished }
        }
    }

    private static func nothing(_ camera: String, _ gaps: [Gap]) -> Failure {
        let why = gaps.compactMap { [$0.cause, $0.reason].compactMap(\.self).joined(separator: ": ") }.first ?? ""
        return Failure("\(camera): nothing of this window was recorded" + (why.isEmpty ? "" : " (\(why))"))
    }

    private static func json(_ file: ClipFiles.Written) -> JSONValue {
        .fields([
            "path": .string(file.path), "size_bytes": .integer(file.clip.sizeBytes),
            "start_us": .integer(file.clip.content.startUs), "end_us": .integer(file.clip.content.endUs),
            "frames": .integer(Int64(file.clip.content.frames)),
        ])
    }

    private static func show(_ files: [ClipFiles.Written], _ gaps: [Gap]) {
        for file in files {
            let content = file.clip.content
            print(
                "\(file.path): \(sizeText(UInt64(clamping: file.clip.sizeBytes))), "
                    + "\(DurationText.show(us: content.endUs - content.startUs)), \(content.frames) frames, "
                    + "\(TimeText.show(content.startUs)) to \(TimeText.show(content.endUs))")
        }
        guard !gaps.isEmpty else { return }
        var table = Table(["MISSING FROM", "TO", "LENGTH", "WHY"], whenEmpty: "")
        for gap in gaps {
            table.add([
                TimeText.show(gap.window?.startUs), TimeText.show(gap.window?.endUs),
                DurationText.show(us: (gap.window?.endUs ?? 0) - (gap.window?.startUs ?? 0)),
                [gap.cause, gap.reason].compactMap(\.self).joined(separator: ": "),
            ])
        }
        print(table.rendered)
    }
}
