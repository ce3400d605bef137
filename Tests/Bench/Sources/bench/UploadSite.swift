// UploadSite: a real cloud-uploader between a faked indexer and the sink, with an archive volume of its own.

import Fakes
import Foundation
import Wire

final class UploadSite {
    let site: ServiceSite
    let volume: ServiceSite.Volume
    let sink: BlobSink
    private let indexer: FakeIndexer
    private let reports = ItemReports("uploader")
    private let use: ProcessUse
    private var rounds = 0
    /// Blobs that were not as they should be after an upload.
    private(set) var faults: [String] = []
    /// Bytes that were sent beyond those of the files, negative where some were not.
    private(set) var bytesTooMany = 0
    /// Requests of the last upload.
    private(set) var requests = 0
    /// Calls of the indexer for the last upload.
    private(set) var calls = 0
    /// Largest resident set before the first upload, 10^6 bytes.
    let startMB: Double

    init(bin: String) throws {
        site = try ServiceSite(bin: bin)
        volume = try site.adopt("archive", role: "archive")
        sink = try BlobSink()
        indexer = try FakeIndexer(
            address: "ipc://\(site.runFolder)/indexer.rpc", hints: "ipc://\(site.runFolder)/indexer.hints")
        reports.listen(to: indexer)
        indexer.server.start()
        let key = "\(site.folder)/secrets/key"
        try Data(BlobSink.key.utf8).write(to: URL(fileURLWithPath: key))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
        let process = try site.start(
            "cloud-uploader",
            [
                "--archive-volume", volume.path, "--blob-endpoint", "\(sink.endpoint)/\(BlobSink.account)",
                "--account", BlobSink.account, "--container", BlobSink.container, "--key-file", key,
            ])
        use = ProcessUse(processes: [process])
        startMB = try use.peakMB()
    }

    func end() {
        site.end()
        sink.end()
    }

    /// From the moment at which there is work to the last completion. What the sink has then is compared with the files.
    func upload(_ files: UploadFiles) throws -> UploadTurn {
        rounds += 1
        try sink.forget()
        reports.forget()
        try use.forgetPeak()
        let callsBefore = countCalls()
        let before = try use.cpuSeconds()
        let items = files.items(round: rounds)
        let began = ContinuousClock.now
        indexer.offer(items, work: .upload)
        let (ended, done) = try reports.wait(items.count, seconds: 300)
        // What is done after the last report counts as well.
        Thread.sleep(forTimeInterval: 0.1)
        let turn = UploadTurn(
            seconds: began.duration(to: ended) / .seconds(1), cpuSeconds: try use.cpuSeconds() - before,
            peakMB: try use.peakMB())
        faults += files.faults(in: try sink.blobs())
        bytesTooMany += try sink.mediaBytes() - files.allBytes
        requests = try sink.requests()
        calls = countCalls() - callsBefore
        let hashes = Set(done.compactMap(\.sha256))
        faults += files.files.filter { !hashes.contains($0.digest.sha256) }.map {
            "\($0.path): reported with another SHA-256"
        }
        return turn
    }

    /// What the indexer was asked so far.
    private func countCalls() -> Int {
        indexer.claimItems.requests.count + indexer.renewClaims.requests.count + indexer.completeItem.requests.count
    }
}
