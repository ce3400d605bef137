// CatalogueBench: what the catalogue costs when it is large: questions, bulk insertion, recording, deletion.
//
//   insert      the first million segments, in the order of time, by RecordMedia in batches of 500: four controllers send what waited
//               in their spools, each with four of the cameras and one batch under way. What is left to ten million comes the same
//               way, or is written into the database where insertion is slow (CatalogueFill)
//   query       QueryMedia and Coverage of ten minutes of one camera at a random place, one call after the other, in turn with an
//               empty call (ListHolds, and there are none) and with the same questions to an indexer of ten thousand segments
//   recording   commits while cameras are recorded by a real controller
//   deletion    the controller's appends while it deletes what the indexer grants, beside the same without deletion
//
// Commits are counted by SQLite (CommitCounter), appends by the controller (sightglass_controller_appends_total).

import ArgumentParser
import Foundation
import RPC
import Wire

struct CatalogueBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalogue", abstract: "Questions, insertion, recording and deletion with ten million segments.",
        discussion: "Ten million segments take about 7 GB below /tmp, and some minutes to fill in.")

    enum Part: String, ExpressibleByArgument, CaseIterable { case query, recording, deletion }

    @Option(help: "Segments of the large catalogue.") var segments = 10_000_000
    @Option(help: "Segments whose insertion is measured: the first ones.") var inserted = 1_000_000
    @Option(help: "Segments of the small catalogue.") var smallSegments = 10_000
    @Option(help: "Calls of each kind.") var calls = 5_000
    @Option(help: "Cameras.") var cameras = 16
    @Option(help: "Seconds of recording whose commits are counted.") var seconds = 60.0
    @Option(help: "Segments that are deleted in a round.") var deletions = 10_000
    @Option(help: "Rounds of deletion.") var rounds = 3
    @Option(help: "Only these parts: query (with insertion), recording, deletion.") var only: [Part] = []
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    /// Slower than this, ten million by RPC take too long for a bench.
    private static let leastRateForAll = 30_000.0

    func run() throws {
        let machine = Machine.current()
        let parts = only.isEmpty ? Part.allCases : only
        if parts.contains(.recording) || parts.contains(.deletion) { try LoadCameras.prepare() }
        var report = Report(bench: "catalogue", machine: machine, rounds: 1)
        if parts.contains(.query) { try large(&report) }
        if parts.contains(.recording) { try recording(&report) }
        if parts.contains(.deletion) {
            try DeletionTurn(bin: bin, cameras: cameras, files: deletions, rounds: rounds).run(&report)
        }
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    // MARK: Insertion and questions

    private func large(_ report: inout Report) throws {
        let largeSite = try ServiceSite(bin: bin)
        defer { largeSite.end() }
        let smallSite = try ServiceSite(bin: bin)
        defer { smallSite.end() }
        let largeFill = try fill(largeSite, segments, inserted, &report)
        let smallFill = try fill(smallSite, smallSegments, nil, &report)
        let questions = CatalogueQuestions(
            large: .init(
                client: try largeSite.client("indexer"), footage: largeFill.footage, numbers: segments / cameras),
            small: .init(
                client: try smallSite.client("indexer"), footage: smallFill.footage, numbers: smallSegments / cameras))
        // The first ones read pages that the later ones find.
        _ = try waiting { [calls] in try await questions.ask(calls / 10) }
        let answers = try waiting { [calls] in try await questions.ask(calls) }
        report.figures += answers.figures
        report.notes.append(
            "\(calls) calls of each kind, one after the other; the empty call is ListHolds where there are none")
    }

    /// Fills a catalogue; where `measured` says how many, their insertion becomes a figure.
    private func fill(
        _ site: ServiceSite, _ segments: Int, _ measured: Int?, _ report: inout Report
    ) throws -> CatalogueFill {
        let numbers = segments / cameras
        let first = min(numbers, (measured ?? segments) / cameras)
        // Up to about now, on a whole second.
        let nowUs = Int64(Date().timeIntervalSince1970) * 1_000_000
        let fill = CatalogueFill(
            site: site,
            footage: MadeFootage(
                volumeID: UUID().uuidString.lowercased(), cameras: cameras,
                zeroUs: nowUs - Int64(numbers + 60) * 10_000_000))
        try site.startIndexer()
        try fill.recordRuns()
        let took = try fill.record(0..<first)
        let rate = Double(first * cameras) / took
        var way = "by RPC"
        if first < numbers {
            if rate >= Self.leastRateForAll {
                _ = try fill.record(first..<numbers)
            } else {
                way = "into the database, because insertion is slower than \(Int(Self.leastRateForAll)) a second"
                try fill.write(first..<numbers - 1)
                // The last one by RPC, so that the catalogue knows how far each camera has reported.
                _ = try fill.record(numbers - 1..<numbers)
            }
        }
        if measured != nil {
            report.figures.append(
                Figure(name: "catalogue.insert", value: rate, unit: "segments/s", bar: .atLeast(50_000)))
            let bytes = try FileManager.default.attributesOfItem(atPath: site.database)[.size] as? Int ?? 0
            report.notes.append(
                "insertion: the first \(first * cameras) of \(numbers * cameras) segments, \(CatalogueFill.controllers) "
                    + "controllers, batches of 500; the rest came \(way); the database has \(bytes >> 20) MiB on "
                    + site.fileSystem)
        }
        return fill
    }

    // MARK: Recording

    private func recording(_ report: inout Report) throws {
        let load = try LoadCameras(cameras)
        defer { load.end() }
        let site = try ServiceSite(bin: bin)
        defer { site.end() }
        let volume = try site.adopt("volume", role: "recording")
        try site.startIndexer()
        let capture = try CaptureSite(beside: site, on: volume)
        defer { capture.end() }
        capture.record(cameras, of: load)
        try load.wait("every camera plays", seconds: 60) { $0.playing(atLeast: cameras) ? () : nil }
        // Until each camera has sealed a segment.
        Thread.sleep(forTimeInterval: Double(CaptureSite.segmentSeconds) + 2 * LoadCameras.keyframeSeconds + 2)
        _ = try load.report()
        let counter = CommitCounter(database: site.database)
        let before = (commits: try counter.count(), segments: try Self.segments(site), at: ContinuousClock.now)
        Thread.sleep(forTimeInterval: seconds)
        let commits = CommitCounter.between(before.commits, try counter.count())
        let took = before.at.duration(to: .now) / .seconds(1)
        let recorded = try Self.segments(site) - before.segments
        let sent = try load.report()
        report.figures += [
            Figure(
                name: "catalogue.recording.commits", value: Double(commits) / took, unit: "commits/s", bar: .atMost(1)),
            // A segment of each camera may fall out of the window at either end.
            Figure(
                name: "catalogue.recording.segments-missing",
                value: max(
                    0,
                    (took / Double(CaptureSite.segmentSeconds)).rounded(.down) * Double(cameras)
                        - Double(recorded + cameras)),
                unit: "segments", bar: .atMost(0)),
            Figure(
                name: "catalogue.recording.frames-sent-late", value: Double(sent.late), unit: "frames", bar: .atMost(0)),
        ]
        report.notes.append(
            "recording: \(cameras) cameras in segments of \(CaptureSite.segmentSeconds) s: \(recorded) segments and "
                + "\(commits) commits in \(Figure.text(took)) s")
    }

    /// Segments that the catalogue has, of all cameras.
    private static func segments(_ site: ServiceSite) throws -> Int {
        let client = try site.client("indexer")
        let reply = try waiting { try await client.call(IndexerMethods.listCameras, ListCamerasRequest()) }
        return reply.cameras.reduce(0) { $0 + Int(clamping: $1.segments ?? 0) }
    }
}
