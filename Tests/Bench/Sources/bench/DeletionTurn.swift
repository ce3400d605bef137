// DeletionTurn: what deletion does to recording. Cameras are recorded by a real controller beside a real indexer. On the same volume
// lie small files of cameras that are no more, older than the retention age; a legal hold keeps those of each round. In a round there
// is first a window without deletion; then the hold is released, and a window as long as deletion takes. All rounds' appends count
// together.

import Foundation
import RPC
import Wire

struct DeletionTurn {
    let bin: String
    let cameras: Int
    let files: Int
    let rounds: Int

    /// 22 hours of 10,000 segments fit into one hold, which is 24 hours at most.
    private static let oldSegmentUs: Int64 = 8_000_000
    /// Deletion of real footage frees more blocks at a time; what a journal of the file system is loaded with is the number of files.
    private static let oldFileBytes = 16 << 10
    private static let quietSeconds = 30.0
    private static let longestSeconds = 300.0

    func run(_ report: inout Report) throws {
        let load = try LoadCameras(cameras)
        defer { load.end() }
        let site = try ServiceSite(bin: bin)
        defer { site.end() }
        let volume = try site.adopt("volume", role: "recording")
        try site.startIndexer()
        let old = old(volume)
        for round in 0..<rounds { try prepare(round, old, volume, site) }
        _ = try bench.run(["/usr/bin/env", "sync"])
        let capture = try CaptureSite(beside: site, on: volume, ["--deletion-seconds", "1"])
        defer { capture.end() }
        capture.record(cameras, of: load)
        try load.wait("every camera plays", seconds: 60) { $0.playing(atLeast: cameras) ? () : nil }
        // Rings fill, and the controller compares its volume with the catalogue.
        Thread.sleep(forTimeInterval: 20)
        _ = try load.report()

        let controller = try site.client("capture-controller")
        var (quiet, deleting) = (AppendTimes(), AppendTimes())
        var deletionSeconds = 0.0
        for round in 0..<rounds {
            guard remaining(round, old, volume) == files else { throw BenchError("held files were deleted") }
            let start = try AppendTimes.now(controller)
            Thread.sleep(forTimeInterval: Self.quietSeconds)
            let begin = try AppendTimes.now(controller)
            quiet.add(begin.since(start))
            let began = ContinuousClock.now
            try release(round, site)
            try waitUntilGone(round, old, volume, site)
            deletionSeconds += began.duration(to: .now) / .seconds(1)
            deleting.add(try AppendTimes.now(controller).since(begin))
        }
        let sent = try load.report()
        guard capture.isRunning else { throw BenchError("the controller ended: \(capture.log.suffix(1000))") }
        for (name, bar, path) in [
            ("append", Bar.ratioAtMost(1.5), \AppendTimes.appends), ("sync", Bar.none, \AppendTimes.syncs),
        ] {
            report.figures.append(
                Figure(
                    name: "catalogue.deletion.\(name).p99.9", value: deleting[keyPath: path].quantileUs(0.999),
                    unit: "us", peer: quiet[keyPath: path].quantileUs(0.999), peerName: "without deletion", bar: bar))
        }
        report.figures += [
            Figure(
                name: "catalogue.deletion.append.p50", value: deleting.appends.quantileUs(0.5), unit: "us",
                peer: quiet.appends.quantileUs(0.5), peerName: "without deletion", bar: .none),
            Figure(
                name: "catalogue.deletion.rate", value: Double(files * rounds) / deletionSeconds, unit: "files/s",
                bar: .none),
            Figure(
                name: "catalogue.deletion.frames-sent-late", value: Double(sent.late), unit: "frames", bar: .atMost(0)),
        ]
        report.notes.append(
            "deletion: \(rounds) times \(files) files of \(Self.oldFileBytes >> 10) KiB on \(site.fileSystem), "
                + "\(deleting.appends.count) appends during it and \(quiet.appends.count) without; an append is one "
                + "fragment put together, hashed and written; its times are told in steps of a tenth")
    }

    private func old(_ volume: ServiceSite.Volume) -> MadeFootage {
        let nowUs = Int64(Date().timeIntervalSince1970) * 1_000_000
        return MadeFootage(
            volumeID: volume.id, prefix: "old", cameras: rounds, zeroUs: nowUs - 120 * 3_600_000_000,
            segmentUs: Self.oldSegmentUs, sizeBytes: UInt64(Self.oldFileBytes))
    }

    /// Writes the files of a round, tells the catalogue of them, and has them held.
    private func prepare(_ round: Int, _ old: MadeFootage, _ volume: ServiceSite.Volume, _ site: ServiceSite) throws {
        let client = try site.client("indexer")
        let window = Window(startUs: old.startUs(0), endUs: old.startUs(files))
        _ = try waiting { [source = old.source(round), id = holdID(round)] in
            try await client.call(
                IndexerMethods.placeHold,
                PlaceHoldRequest(
                    hold: Hold(
                        holdID: id, kind: .legal, source: source, window: window, placedBy: "bench",
                        reason: "not before its round")))
        }
        let content = Data((0..<Self.oldFileBytes).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        var folder = ""
        for first in stride(from: 0, to: files, by: 500) {
            var records: [MediaRecord] = []
            for number in first..<min(first + 500, files) {
                let path = volume.path + "/" + old.path(round, number)
                let parent = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
                if parent != folder {
                    folder = parent
                    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                }
                guard FileManager.default.createFile(atPath: path, contents: content) else {
                    throw BenchError("\(path) cannot be written")
                }
                records.append(old.segment(round, number, spoolID: UInt64(number)))
            }
            let batch = records
            try waiting { try await CatalogueFill.send(batch, client, "capture-controller-0") }
        }
    }

    private func holdID(_ round: Int) -> String { "bench-\(round)" }

    private func release(_ round: Int, _ site: ServiceSite) throws {
        let client = try site.client("indexer")
        let reply = try waiting { [id = holdID(round)] in
            try await client.call(IndexerMethods.releaseHold, ReleaseHoldRequest(holdID: id))
        }
        guard reply.existed == true else { throw BenchError("a hold was not there any more") }
    }

    /// Files of a round that are still there.
    private func remaining(_ round: Int, _ old: MadeFootage, _ volume: ServiceSite.Volume) -> Int {
        let names = FileManager.default.enumerator(atPath: volume.path + "/" + old.asset(round))
        return names?.reduce(0) { $0 + (($1 as? String)?.hasSuffix(".mp4") == true ? 1 : 0) } ?? 0
    }

    /// Waits until the files are deleted and the catalogue has been told.
    private func waitUntilGone(
        _ round: Int, _ old: MadeFootage, _ volume: ServiceSite.Volume, _ site: ServiceSite
    ) throws {
        let client = try site.client("indexer")
        let end = ContinuousClock.now + .seconds(Self.longestSeconds)
        while ContinuousClock.now < end {
            Thread.sleep(forTimeInterval: 0.5)
            guard remaining(round, old, volume) == 0 else { continue }
            let reply = try waiting { try await client.call(IndexerMethods.listCameras, ListCamerasRequest()) }
            if !reply.cameras.contains(where: { $0.source == old.source(round) && ($0.segments ?? 0) > 0 }) { return }
        }
        throw BenchError("\(files) files were not deleted within \(Self.longestSeconds) s")
    }
}

/// How long the controller's appends and syncs took, from the counters in its health answer.
private struct AppendTimes {
    /// Counts by the longest time of their bucket, in microseconds.
    struct Buckets {
        var counts: [Int: Double] = [:]

        var count: Int { Int(counts.values.reduce(0, +)) }

        /// The end of the bucket that a share of all lies in or below; 0 of nothing.
        func quantileUs(_ share: Double) -> Double {
            let wanted = counts.values.reduce(0, +) * share
            var seen = 0.0
            for (endUs, count) in counts.sorted(by: { $0.key < $1.key }) {
                seen += count
                if seen >= wanted { return Double(endUs) }
            }
            return 0
        }

        mutating func add(_ other: Buckets) { counts.merge(other.counts) { $0 + $1 } }

        func since(_ earlier: Buckets) -> Buckets { Buckets(counts: counts.merging(earlier.counts) { $0 - $1 }) }
    }

    var appends = Buckets()
    var syncs = Buckets()

    static func now(_ controller: RPCClient) throws -> AppendTimes {
        let reply = try waiting { try await controller.call(HealthMethods.check, HealthRequest()) }
        var times = AppendTimes()
        for metric in reply.metrics {
            guard let labels = metric.labels, labels.hasPrefix("upto_us="), let value = metric.value,
                let endUs = Int(labels.filter(\.isNumber))
            else { continue }
            switch metric.name {
            case "sightglass_controller_appends_total": times.appends.counts[endUs] = value
            case "sightglass_controller_syncs_total": times.syncs.counts[endUs] = value
            default: break
            }
        }
        guard times.appends.count > 0 else { throw BenchError("the controller does not tell how long appends took") }
        return times
    }

    mutating func add(_ other: AppendTimes) {
        appends.add(other.appends)
        syncs.add(other.syncs)
    }

    func since(_ earlier: AppendTimes) -> AppendTimes {
        AppendTimes(appends: appends.since(earlier.appends), syncs: syncs.since(earlier.syncs))
    }
}
