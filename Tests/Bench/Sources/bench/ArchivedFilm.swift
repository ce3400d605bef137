// ArchivedFilm: a real indexer and a real archiver, and two cameras that recorded the numbered film: what clips and events take.

import Foundation
import Media
import RPC
import Wire

final class ArchivedFilm {
    private static let cameras = 2
    /// A segment for each.
    static let mostEvents = cameras * NumberedFilm.segments
    private static let clipSeconds: Int64 = 600

    private let site: ServiceSite
    private let recording: ServiceSite.Volume
    private let archive: ServiceSite.Volume
    private let footage: MadeFootage
    private let indexer: RPCClient

    /// Records the film, as if it had ended five minutes ago, and starts the services.
    init(bin: String) throws {
        let film = try NumberedFilm()
        site = try ServiceSite(bin: bin)
        recording = try site.adopt("recording", role: "recording")
        archive = try site.adopt("archive", role: "archive")
        let nowUs = Int64(Date().timeIntervalSince1970) * 1_000_000
        footage = MadeFootage(
            volumeID: recording.id, prefix: "film", cameras: Self.cameras,
            zeroUs: nowUs - Int64(NumberedFilm.segments + 30) * 10_000_000)
        try site.startIndexer()
        indexer = try site.client("indexer")
        try record(film)
        try site.start("archiver", ["--archive-volume", archive.path, "--recording-volumes", recording.path])
    }

    func end() { site.end() }

    private func path(_ camera: Int, _ number: Int) -> String { recording.path + "/" + footage.path(camera, number) }

    private func record(_ film: NumberedFilm) throws {
        var records: [MediaRecord] = []
        for camera in 0..<Self.cameras {
            records.append(footage.run(camera, spoolID: UInt64(records.count)))
            for number in 0..<NumberedFilm.segments {
                let (bytes, info) = try film.segment(number, of: footage, camera: camera)
                let file = URL(fileURLWithPath: path(camera, number))
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(bytes).write(to: file)
                var record = footage.segment(camera, number, spoolID: UInt64(records.count))
                record.file?.sizeBytes = UInt64(bytes.count)
                record.file?.frames = info.frames
                record.file?.widthPx = info.widthPx
                record.file?.heightPx = info.heightPx
                records.append(record)
            }
        }
        let hashes = try SHA256Sums(of: records.compactMap { $0.file?.path }.map { recording.path + "/" + $0 })
        for index in records.indices {
            guard let path = records[index].file?.path else { continue }
            records[index].file?.sha256 = try hashes.hash(of: recording.path + "/" + path)
        }
        _ = try bench.run(["/usr/bin/env", "sync"])
        let (batch, client) = (records, indexer)
        try waiting { try await CatalogueFill.send(batch, client, "capture-controller-0") }
    }

    // MARK: Clips

    /// Where a clip's pictures differ from those that the window has.
    private struct Cut {
        var firstOff = 0
        var lastOff = 0
        var wrong = 0

        /// Pictures `first` to `last` are wanted.
        init(_ numbers: [Int], first: Int, last: Int) {
            firstOff = abs((numbers.first ?? -NumberedFilm.frames) - first)
            lastOff = abs((numbers.last ?? -NumberedFilm.frames) - last)
            let wanted = Array(first...last)
            wrong = zip(numbers, wanted).count { $0 != $1 } + abs(numbers.count - wanted.count)
        }
    }

    func clips(_ rounds: Int, _ report: inout Report) throws {
        var (concat, exported, job) = (Rounds(), Rounds(), Rounds())
        var cuts: [String: [Cut]] = [:]
        var shown: [String] = []
        for round in 0..<rounds {
            // In the middle of a group of pictures at both ends, and within a picture; another window in each round, because a clip
            // that is archived already is not made again.
            let cut = 125 + round
            let startUs = footage.zeroUs + Int64(cut) * NumberedFilm.frameUs + NumberedFilm.frameUs / 2
            let window = Window(startUs: startUs, endUs: startUs + Self.clipSeconds * 1_000_000)
            // A picture belongs to the window that it begins in.
            let first = cut + 1
            let last = cut + Int(Self.clipSeconds * 1_000_000 / NumberedFilm.frameUs)
            let turns: [() throws -> Void] = [
                { concat.add(try self.concatenated()) },
                {
                    let path = self.site.folder + "/export.mp4"
                    defer { try? FileManager.default.removeItem(atPath: path) }
                    exported.add(try self.exported(window, to: path))
                    cuts["export", default: []].append(
                        Cut(try NumberedFilm.numbers(in: path), first: first, last: last))
                },
                {
                    let (seconds, path) = try self.archived(window, "clip-\(round)")
                    job.add(seconds)
                    cuts["job", default: []].append(
                        Cut(try NumberedFilm.numbers(in: path), first: first, last: last))
                },
            ]
            shown.append("\(first) to \(last)")
            for offset in turns.indices {
                _ = try bench.run(["/usr/bin/env", "sync"])
                try turns[(round + offset) % turns.count]()
            }
        }
        for (name, own, bar) in [("export", exported, 0.25), ("job", job, 0.6)] {
            report.figures.append(
                Figure(
                    name: "archive.\(name)", value: own.median * 1000, unit: "ms", peer: concat.median * 1000,
                    peerName: "ffmpeg concat", bar: .ratioAtMost(bar),
                    spread: own.spread.map { $0.lowerBound * 1000...$0.upperBound * 1000 },
                    peerSpread: concat.spread.map { $0.lowerBound * 1000...$0.upperBound * 1000 }))
            let cuts = cuts[name] ?? []
            for (what, part) in [
                ("first-frame-off", \Cut.firstOff), ("last-frame-off", \Cut.lastOff), ("frames-wrong", \Cut.wrong),
            ] {
                report.figures.append(
                    Figure(
                        name: "archive.\(name).\(what)", value: Double(cuts.map { $0[keyPath: part] }.max() ?? -1),
                        unit: "frames", bar: .atMost(0)))
            }
        }
        report.notes.append(
            "clips: ten minutes of 4 Mbit/s in segments of 10 s on \(site.fileSystem), cut within a group of pictures at both "
                + "ends: pictures \(shown.joined(separator: ", ")); ffmpeg puts as many whole segments together")
    }

    /// ffmpeg's time for ten minutes, in seconds.
    private func concatenated() throws -> Double {
        let (list, output) = (site.folder + "/list.txt", site.folder + "/concat.mp4")
        defer { try? FileManager.default.removeItem(atPath: output) }
        let segments = Int(Self.clipSeconds * 1_000_000 / footage.segmentUs)
        try (0..<segments).map { "file '\(path(0, $0))'\n" }.joined().write(
            toFile: list, atomically: true, encoding: .utf8)
        return try Self.timed([
            "/usr/bin/env", "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-f", "concat", "-safe",
            "0", "-i", list, "-c", "copy", output,
        ])
    }

    private func exported(_ window: Window, to path: String) throws -> Double {
        try Self.timed([
            site.bin + "/sightglass", "export", footage.asset(0), "--start", CompactTime(us: window.startUs ?? 0).iso,
            "--end", CompactTime(us: window.endUs ?? 0).iso, "-o", path, "--volume", recording.path, "--run-directory",
            site.runFolder,
        ])
    }

    private static func timed(_ command: [String]) throws -> Double {
        let began = ContinuousClock.now
        return began.duration(to: try runToEnd(command).endedAt) / .seconds(1)
    }

    /// Has the window archived as a clip: the seconds until the request was done, and where the clip is.
    private func archived(_ window: Window, _ id: String) throws -> (Double, String) {
        let began = Date().timeIntervalSince1970
        let client = indexer
        let camera = camera(0)
        _ = try waiting {
            try await client.call(
                IndexerMethods.submitArchive,
                SubmitArchiveRequest(
                    requestID: id, window: window, cameras: [camera], requestedBy: "bench", reason: "bench",
                    delivery: .archive, mode: .clip, priority: 50, kinds: [.segment]))
        }
        let request = try ended(id, seconds: 120)
        guard let finishedUs = request.finishedUs,
            let path = request.files.first(where: { $0.kind == .clip })?.archivePath
        else { throw BenchError("request \(id) is done without a clip") }
        return (Double(finishedUs) / 1e6 - began, archive.path + "/" + path)
    }

    private func camera(_ number: Int) -> RequestedCamera {
        RequestedCamera(camera: footage.asset(number), source: footage.source(number), footage: .sealed)
    }

    /// The request when it is done.
    private func ended(_ id: String, seconds: Double) throws -> ArchiveRequest {
        let client = indexer
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            let request = try waiting {
                try await client.call(IndexerMethods.getRequest, GetRequestRequest(requestID: id))
            }
            switch request.state {
            case .done: return request
            case .partial, .failed, .cancelled:
                let errors = request.files.compactMap(\.error).filter { !$0.isEmpty }
                throw BenchError("request \(id) is not done: \(request.reason ?? "") \(errors.joined(separator: "; "))")
            default: Thread.sleep(forTimeInterval: 0.005)
            }
        }
        throw BenchError("request \(id) is not done within \(seconds) s")
    }

    // MARK: Events

    func events(_ count: Int, _ report: inout Report) throws {
        var latenciesMs: [Double] = []
        let client = indexer
        for number in 0..<count {
            // Like the times of real events, they meet no timer in the same phase.
            Thread.sleep(forTimeInterval: .random(in: 0.02...0.12))
            let (camera, segment) = (number % Self.cameras, number / Self.cameras)
            let began = Date().timeIntervalSince1970
            let reply = try waiting { [camera = self.camera(camera), startUs = footage.startUs(segment)] in
                try await client.call(
                    IndexerMethods.submitEvent,
                    SubmitEventRequest(
                        eventKey: "bench-\(number)", rule: "bench-\(number)", eventUs: startUs + 5_000_000,
                        startOffsetMs: -2_000, endOffsetMs: 2_000, cameras: [camera], requestedBy: "bench",
                        reason: "bench", delivery: .archive, mode: .files, priority: 100, kinds: [.segment]))
            }
            let request = try ended(reply.request?.requestID ?? "", seconds: 30)
            let paths = request.files.filter { $0.kind == .segment }.compactMap(\.archivePath)
            guard paths.count == 1, let path = paths.first else {
                throw BenchError("an event within one segment brought \(paths.count) files")
            }
            latenciesMs.append((try Self.changeTime(of: archive.path + "/" + path) - began) * 1000)
        }
        report.figures += [
            Figure(
                name: "archive.event.p50", value: quantile(0.5, of: latenciesMs), unit: "ms", bar: .atMost(150)),
            Figure(name: "archive.event.p99", value: quantile(0.99, of: latenciesMs), unit: "ms", bar: .none),
        ]
        report.notes.append("events: \(count), each for one sealed segment of 5 MB that no other one touches")
    }

    private static func changeTime(of path: String) throws -> Double {
        var status = stat()
        guard stat(path, &status) == 0 else { throw BenchError("\(path) is not there") }
        return Double(status.st_ctim.tv_sec) + Double(status.st_ctim.tv_nsec) / 1e9
    }
}
