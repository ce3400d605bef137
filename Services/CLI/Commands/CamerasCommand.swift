// cameras: what was recorded of each camera, as a whole or day by day.

import ArgumentParser
import CivilTime
import Foundation
import JSON
import Wire

struct CamerasCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cameras", abstract: "Cameras with recorded footage, and from when to when.",
        discussion: """
            With --days the files and bytes of each camera and day (UTC, by the starts of the files): of the last seven days, \
            or of those that --start and --duration touch.
            """)

    @OptionGroup var connections: Connections
    @Flag(help: "Count per day.") var days = false
    @Option(parsing: .unconditional, help: "With --days: begin, 2026-11-23T05:11:02Z, -30d, \"2d ago\".")
    var start: String?
    @Option(help: "With --days: length, 1d, 12h; absent: until now.") var duration: DurationArgument?
    @Flag(help: "Print JSON.") var json = false

    private static let dayUs: Int64 = 86_400_000_000
    /// The most that one question may touch.
    private static let mostDays: Int64 = 366

    func validate() throws {
        if !days, start != nil || duration != nil { throw ValidationError("--start and --duration go with --days.") }
        if duration != nil, start == nil { throw ValidationError("--duration goes with --start.") }
        if days { _ = try window(nowUs: WindowArguments.nowUs()) }
    }

    private func window(nowUs: Int64) throws -> Window {
        guard let start else { return Window(startUs: nowUs - 6 * Self.dayUs, endUs: nowUs) }
        guard let startUs = TimeText.parse(start, nowUs: nowUs) else {
            throw ValidationError("--start \(start): write 2026-11-23T05:11:02Z (with zone), -30d or \"2d ago\".")
        }
        let endUs = duration.map { startUs + $0.us } ?? nowUs
        guard startUs >= 0, endUs > startUs else { throw ValidationError("The time ends before it begins.") }
        guard (endUs - 1) / Self.dayUs - startUs / Self.dayUs < Self.mostDays else {
            throw ValidationError("The time touches more than \(Self.mostDays) days.")
        }
        return Window(startUs: startUs, endUs: endUs)
    }

    func run() async throws {
        try await reporting {
            let indexer = try connections.client(.indexer)
            if days {
                show(try await Self.count(window(nowUs: WindowArguments.nowUs()), indexer))
            } else {
                show(try await indexer.call(IndexerMethods.listCameras, ListCamerasRequest()).cameras)
            }
        }
    }

    /// What does not fit into one message is asked for day by day: the last day of a reply may be cut.
    private static func count(_ window: Window, _ indexer: Client) async throws -> [DayCount] {
        var all: [DayCount] = []
        var next = window
        while true {
            let reply = try await indexer.call(IndexerMethods.countDays, CountDaysRequest(window: next))
            guard reply.more == true else { return all + reply.days }
            guard let lastUs = reply.days.last?.dayUs, lastUs > (next.startUs ?? 0),
                lastUs < (window.endUs ?? 0)
            else { throw Failure("there are more cameras of one day than one answer of the indexer holds") }
            all += reply.days.filter { ($0.dayUs ?? 0) < lastUs }
            next.startUs = lastUs
        }
    }

    private func show(_ cameras: [CameraSummary]) {
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

    private func show(_ days: [DayCount]) {
        if json {
            print(JSONValue.array(days.map { .of($0) }).text(.indented))
            return
        }
        var table = Table(
            ["DAY", "CAMERA", "SOURCE", "SEGMENTS", "SNAPSHOTS", "SIZE"],
            whenEmpty: "nothing was recorded in this time")
        for day in days {
            let date = day.dayUs.flatMap { TimeStamp(us: $0) }?.isoSeconds.prefix(10)
            table.add([
                date.map(String.init) ?? "-", day.camera ?? "", day.source?.text ?? "", "\(day.segments ?? 0)",
                "\(day.snapshots ?? 0)", sizeText(day.bytes),
            ])
        }
        print(table.rendered)
        guard !days.isEmpty else { return }
        func sum(_ value: (DayCount) -> UInt64?) -> UInt64 { days.reduce(0) { $0 &+ (value($1) ?? 0) } }
        print(
            "\n\(counted(sum(\.segments), "segment")), \(counted(sum(\.snapshots), "snapshot")), \(sizeText(sum(\.bytes)))"
        )
    }
}
