// footage: what was recorded. cameras: CamerasCommand.swift.

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

struct FootageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "footage", abstract: "What there is of a window, and what is missing and why.",
        discussion: "Exit status 1 where something of the window is missing.")

    @OptionGroup var connections: Connections
    @Argument(help: "Assets, or device/endpoint.") var cameras: [String]
    @OptionGroup var window: WindowArguments
    @Flag(help: "Draw with ASCII only, as where the terminal shows no UTF-8.") var ascii = false
    @Flag(help: "Print JSON: an object for one camera, an array for several.") var json = false

    func validate() throws {
        if cameras.isEmpty { throw ValidationError("Name at least one camera.") }
    }

    func run() async throws {
        try await reporting {
            let window = try window.read(nowUs: WindowArguments.nowUs())
            let indexer = try connections.client(.indexer)
            var answers: [(camera: String, coverage: CoverageReply)] = []
            for camera in cameras {
                let source = SourceName(path: camera)
                let coverage = try await indexer.call(
                    IndexerMethods.coverage,
                    CoverageRequest(asset: source == nil ? camera : nil, source: source, window: window))
                answers.append((camera, coverage))
            }
            if json {
                let values = answers.map { JSONValue.of($0.coverage, camera: answers.count > 1 ? $0.camera : nil) }
                print((values.count == 1 ? values[0] : .array(values)).text(.indented))
            } else {
                show(answers, window)
            }
            if answers.contains(where: { !$0.coverage.gaps.isEmpty || $0.coverage.covered.isEmpty }) {
                throw Status.notAsWished
            }
        }
    }

    private func show(_ answers: [(camera: String, coverage: CoverageReply)], _ window: Window) {
        let span = Self.range(window) ?? 0..<0
        let isUTF8 = Terminal.showsBlocks(isTerminal: Terminal.isOutput)
        let timeline = Timeline(
            window: span, width: Terminal.width(of: STDOUT_FILENO), signs: ascii || !isUTF8 ? .ascii : .blocks)
        print(
            "\(TimeText.show(window.startUs)) to \(TimeText.show(window.endUs)) (\(DurationText.show(us: Int64(span.count))))"
        )
        print(
            timeline.rendered(
                answers.map { .init(name: $0.camera, covered: $0.coverage.covered.compactMap(Self.range)) }))
        var table = Table(["CAMERA", "FROM", "TO", "LENGTH", "WHAT", "WHY"], whenEmpty: "")
        var gaps = 0
        for (camera, coverage) in answers {
            for gap in coverage.gaps {
                gaps += 1
                let length = (gap.window?.endUs ?? 0) - (gap.window?.startUs ?? 0)
                table.add([
                    camera, TimeText.show(gap.window?.startUs), TimeText.show(gap.window?.endUs),
                    DurationText.show(us: length), "missing",
                    [gap.cause, gap.reason].compactMap(\.self).joined(separator: ": "),
                ])
            }
        }
        if gaps > 0 { print("\n" + table.rendered) }
        print("")
        for (camera, coverage) in answers {
            let amount =
                coverage.covered.isEmpty
                ? "nothing of this window was recorded"
                : "\(counted(coverage.segments ?? 0, "segment")), \(sizeText(coverage.bytes))"
            print(Table.printable(answers.count == 1 ? amount : "\(camera): \(amount)"))
        }
    }

    private static func range(_ window: Window) -> Range<Int64>? {
        guard let start = window.startUs, let end = window.endUs, start <= end else { return nil }
        return start..<end
    }
}
