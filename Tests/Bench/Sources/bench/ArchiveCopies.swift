// ArchiveCopies: many files through a real archiver, beside cp, sync and sha256sum.

import Fakes
import Foundation
import Wire

struct ArchiveCopies {
    let bin: String
    let files: Int
    let fileBytes: Int
    let rounds: Int

    func run(_ report: inout Report) throws {
        let site = try ServiceSite(bin: bin)
        defer { site.end() }
        let recording = try site.adopt("recording", role: "recording")
        let archive = try site.adopt("archive", role: "archive")
        let sources = try makeSources(recording)
        let indexer = try FakeIndexer(
            address: "ipc://\(site.runFolder)/indexer.rpc", hints: "ipc://\(site.runFolder)/indexer.hints")
        let reports = ItemReports("archiver")
        reports.listen(to: indexer)
        indexer.server.start()
        try site.start("archiver", ["--archive-volume", archive.path, "--recording-volumes", recording.path])

        var (own, peer) = (Rounds(), Rounds())
        let megabytes = Double(files * fileBytes) / 1e6
        for round in 0..<rounds {
            let turns: [() throws -> Void] = [
                {
                    let seconds = try archived(round, sources, recording, archive, indexer, reports)
                    own.add(megabytes / seconds)
                }, { peer.add(megabytes / (try copied(recording, site.folder + "/copies"))) },
            ]
            for turn in round % 2 == 0 ? turns : turns.reversed() {
                _ = try bench.run(["/usr/bin/env", "sync"])
                try turn()
            }
        }
        report.figures.append(
            Figure(
                name: "archive.copy", value: own.median, unit: "MB/s", peer: peer.median,
                peerName: "cp, sync, sha256sum", bar: .ratioAtLeast(0.9), spread: own.spread, peerSpread: peer.spread))
        report.notes.append(
            "copy: \(files) files of \(fileBytes >> 20) MiB on \(site.fileSystem), read from the page cache; the peer is cp, "
                + "sync -f, and sha256sum of sources and copies, one after the other")
    }

    /// Files of noise, and their hashes.
    private func makeSources(_ recording: ServiceSite.Volume) throws -> [MediaFile] {
        let folder = recording.path + "/cam1/clips"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        _ = try bench.run([
            "/bin/sh", "-c",
            "i=0; while [ $i -lt \(files) ]; do head -c \(fileBytes) /dev/urandom > \(folder)/$i.mp4 || exit 1; i=$((i + 1)); done",
        ])
        let hashes = try SHA256Sums(of: (0..<files).map { "\(folder)/\($0).mp4" })
        return try (0..<files).map { number in
            let path = "cam1/clips/\(number).mp4"
            return MediaFile(
                kind: .segment, volumeID: recording.id, path: path, sizeBytes: UInt64(fileBytes),
                sha256: try hashes.hash(of: "\(recording.path)/\(path)"))
        }
    }

    /// One round of the archiver: from the moment at which there is work to the last completion, in seconds.
    private func archived(
        _ round: Int, _ sources: [MediaFile], _ recording: ServiceSite.Volume, _ archive: ServiceSite.Volume,
        _ indexer: FakeIndexer, _ reports: ItemReports
    ) throws -> Double {
        reports.forget()
        let items = sources.enumerated().map { number, source in
            ClaimedItem(
                itemID: UInt64(round * 100_000 + number + 1), epoch: 1, kind: .segment, source: source,
                archivePath: "cam1/2026/11/23/05/segment_\(round)-\(number)_cam1.mp4",
                sidecar: Array(#"{"camera_id":"cam1"}"#.utf8), camera: "cam1", requestIDs: ["bench"])
        }
        let began = ContinuousClock.now
        indexer.offer(items, work: .archive)
        let (ended, done) = try reports.wait(files, seconds: 600)
        for request in done {
            let number = Int(clamping: request.claim?.itemID ?? 0) - round * 100_000 - 1
            guard sources.indices.contains(number), request.sha256 == sources[number].sha256 else {
                throw BenchError("the archiver reported another hash than that of the source")
            }
        }
        for item in items {
            let path = archive.path + "/" + (item.archivePath ?? "")
            guard FileManager.default.fileExists(atPath: path) else { throw BenchError("\(path) is not there") }
            try FileManager.default.removeItem(atPath: path)
        }
        return began.duration(to: ended) / .seconds(1)
    }

    /// The same by the tools of a script, in seconds.
    private func copied(_ recording: ServiceSite.Volume, _ folder: String) throws -> Double {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let sources = recording.path + "/cam1/clips"
        let began = ContinuousClock.now
        _ = try bench.run([
            "/bin/sh", "-c",
            "mkdir \(folder) && cp \(sources)/*.mp4 \(folder)/ && sync -f \(folder) && "
                + "sha256sum \(sources)/*.mp4 \(folder)/*.mp4 > \(folder)/sums",
        ])
        return began.duration(to: .now) / .seconds(1)
    }
}

/// Hashes as sha256sum tells them.
struct SHA256Sums {
    private var hashes: [String: [UInt8]] = [:]

    init(of paths: [String]) throws {
        let text = try bench.run(["/usr/bin/env", "sha256sum"] + paths)
        for line in text.split(separator: "\n") {
            // The hash, two signs, the path.
            let digits = Array(line.utf8.prefix(64))
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { at in
                UInt8(String(decoding: digits[at..<at + 2], as: UTF8.self), radix: 16)
            }
            guard bytes.count == 32 else { throw BenchError("sha256sum wrote: \(line)") }
            hashes[String(line.dropFirst(66))] = bytes
        }
    }

    func hash(of path: String) throws -> [UInt8] {
        guard let hash = hashes[path] else { throw BenchError("sha256sum said nothing of \(path)") }
        return hash
    }
}
