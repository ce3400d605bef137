// UploadBench: what it takes to bring files from the archive volume into Azure Blob Storage, beside the official Python SDK.
//
//   small    files of 200 KB
//   large    files of 256 MB
//   huge     one file of 4 GB, for the memory alone
//   event    from the publication of an event by MQTT to its blob committed, in a whole site (EventTimelines)
//
// A real cloud-uploader with its default settings, whose indexer is faked, and azure-storage-blob with validate_content=True take turns
// within a round. Both upload the same blobs, each file before its sidecar, to the same server, which drops all bodies (Sources/blob-sink).
// The files are in the page cache. How many processes, files and blocks at a time the SDK is fastest with is tried first, for each size.
// What the server takes from the plainest client is measured in each round: below three times the SDK's rate, the rates say nothing.
//
// MB and GB are 10^6 and 10^9 bytes of the files; the bytes of sidecars are not counted, the work for them is.

import ArgumentParser
import Foundation

struct UploadBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upload", abstract: "Files into Blob Storage, beside azure-storage-blob.",
        discussion: "Takes about 6 GB below /tmp, and as much page cache.")

    enum Part: String, ExpressibleByArgument, CaseIterable { case small, large, huge, event }

    @Option(help: "Files of 200 KB.") var small = 2000
    @Option(help: "Files of 256 MB.") var large = 20
    @Option(name: .customLong("huge-gb"), help: "Size of the file for the memory.") var hugeGB = 4
    @Option(help: "Rounds; each measures everybody once.") var rounds = 3
    @Option(help: "Events, each for footage of its own.") var events = 100
    @Option(help: "Only these parts: small, large, huge, event.") var only: [Part] = []
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    /// What both do in all rounds with files of one size.
    private struct Size {
        let files: UploadFiles
        let setting: SDKPeer.Setting
        var own: [UploadTurn] = []
        var peer: [UploadTurn] = []
        var sink = Rounds()
        /// Processor seconds of the plainest client.
        var plain = Rounds()
        var requests = 0
        var calls = 0

        var gigabytes: Double { Double(files.mediaBytes) / 1e9 }
        func rates(_ turns: [UploadTurn]) -> Rounds { Rounds(turns.map { gigabytes * 1000 / $0.seconds }) }
        func cpu(_ turns: [UploadTurn]) -> Rounds { Rounds(turns.map { $0.cpuSeconds / gigabytes }) }
    }

    private static let peerName = "azure-storage-blob"
    private static let largestMB = 64.0

    func validate() throws {
        guard (1...9999).contains(small), (1...9999).contains(large) else {
            throw ValidationError("--small and --large are 1 to 9999.")
        }
    }

    func run() throws {
        var report = Report(bench: "upload", machine: .current(), rounds: rounds)
        let parts = Set(only.isEmpty ? Part.allCases : only)
        if !parts.isDisjoint(with: [.small, .large, .huge]) { try files(parts, &report) }
        if parts.contains(.event) {
            let ways = try EventTimelines(events: events, bin: bin)
            report.figures += ways.figures("upload.committed", .atMost(400), \.committed)
            ways.addLost("upload.events-lost", to: &report)
        }
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    private func files(_ parts: Set<Part>, _ report: inout Report) throws {
        let site = try UploadSite(bin: bin)
        defer { site.end() }
        var sizes: [Size] = []
        var peakMB = [site.startMB]
        if !parts.isDisjoint(with: [.small, .large]) {
            let peer = try SDKPeer(site.sink, folder: site.site.folder)
            defer { peer.end() }
            if parts.contains(.small) {
                let files = try UploadFiles.make("small", .snapshot, count: small, bytes: 200_000, on: site.volume)
                let setting = try peer.best(of: SDKPeer.smallSettings, with: files.first(400))
                sizes.append(Size(files: files, setting: setting))
            }
            if parts.contains(.large) {
                let files = try UploadFiles.make("large", .segment, count: large, bytes: 256_000_000, on: site.volume)
                let setting = try peer.best(of: SDKPeer.largeSettings, with: files.first(8))
                sizes.append(Size(files: files, setting: setting))
            }
            // What was written would be written out in the middle of a turn.
            _ = try bench.run(["/usr/bin/env", "sync"])
            for size in sizes { _ = try site.upload(size.files.first(size.files.files.count / 20 + 1)) }
            for round in 0..<rounds {
                for index in sizes.indices { try measure(&sizes[index], round, site, peer) }
            }
            for size in sizes {
                add(size, to: &report)
                peakMB += size.own.map(\.peakMB)
            }
            if sizes.count > 1 { addSum(sizes, to: &report) }
            report.notes.append(
                "\(Self.peerName) \(peer.version), validate_content=True; the uploader has its default settings; both put a "
                    + "sidecar after each file; the archive volume is on \(site.site.fileSystem), read from the page cache"
            )
        }
        report.figures.append(memory("upload.memory", peakMB, beside: sizes.flatMap(\.peer).map(\.peakMB)))
        if parts.contains(.huge) { try huge(site, &report) }
        report.figures += [
            Figure(name: "upload.blobs-wrong", value: Double(site.faults.count), unit: "blobs", bar: .atMost(0)),
            Figure(
                name: "upload.bytes-sent-twice", value: Double(site.bytesTooMany), unit: "bytes", bar: .atMost(0)),
        ]
        report.notes += site.faults.prefix(5).map { "wrong: \($0)" }
    }

    /// One round of one size.
    private func measure(_ size: inout Size, _ round: Int, _ site: UploadSite, _ peer: SDKPeer) throws {
        if round % 2 == 0 {
            size.own.append(try site.upload(size.files))
            (size.requests, size.calls) = (site.requests, site.calls)
            size.peer.append(try peer.upload(size.files, size.setting))
        } else {
            size.peer.append(try peer.upload(size.files, size.setting))
            size.own.append(try site.upload(size.files))
        }
        let bytes = size.files.files.first?.bytes ?? 0
        let connections = size.setting.connections
        size.plain.add(try site.sink.plainCPUSeconds(of: size.files, connections: 4))
        size.sink.add(
            size.files.kind == .snapshot
                ? try site.sink.capacity(
                    "put", bodies: 2 * size.files.files.count, bytes: bytes, connections: connections)
                : try site.sink.capacity(
                    "block", bodies: size.files.mediaBytes >> 22, bytes: 1 << 22, connections: connections))
    }

    private func add(_ size: Size, to report: inout Report) {
        let name = "upload.\(size.files.name)"
        let (own, peer) = (size.rates(size.own), size.rates(size.peer))
        let (ownCPU, peerCPU) = (size.cpu(size.own), size.cpu(size.peer))
        let sink = Figure(
            name: "\(name).sink-alone", value: size.sink.median, unit: "MB/s", peer: peer.median,
            peerName: Self.peerName,
            bar: .ratioAtLeast(3), spread: size.sink.spread, peerSpread: peer.spread)
        report.figures += [
            sink,
            Figure(
                name: "\(name).rate", value: own.median, unit: "MB/s", peer: peer.median, peerName: Self.peerName,
                bar: .ratioAtLeast(1.2), spread: own.spread, peerSpread: peer.spread),
            Figure(
                name: "\(name).cpu", value: ownCPU.median, unit: "s/GB", peer: peerCPU.median, peerName: Self.peerName,
                bar: .none, spread: ownCPU.spread, peerSpread: peerCPU.spread),
            besidePlain("\(name).cpu-beside-plain-c", ownCPU, Rounds(size.plain.values.map { $0 / size.gigabytes })),
        ]
        if !sink.isOK {
            report.notes.append("\(name).rate is void: the sink alone is not three times as fast as the SDK")
        }
        let count = size.files.files.count
        let cpuEach = Rounds(size.own.map { $0.cpuSeconds * 1e6 / Double(count) }).median
        report.notes.append(
            "\(size.files.name): \(count) files; the uploader takes \(Figure.text(cpuEach)) us of processor, "
                + "\(Figure.text(Double(size.requests) / Double(count))) requests and "
                + "\(Figure.text(Double(size.calls) / Double(count))) calls of the indexer a file; the SDK is fastest with "
                + "\(size.setting)")
    }

    /// All files together, which is what the bars are for.
    private func addSum(_ sizes: [Size], to report: inout Report) {
        let gigabytes = sizes.reduce(0) { $0 + $1.gigabytes }
        func over(_ turns: (Size) -> [UploadTurn], _ part: (UploadTurn) -> Double) -> Rounds {
            Rounds((0..<rounds).map { round in sizes.reduce(0) { $0 + part(turns($1)[round]) } })
        }
        let rate = { (turns: (Size) -> [UploadTurn]) in
            Rounds(over(turns, \.seconds).values.map { gigabytes * 1000 / $0 })
        }
        let cpu = { (turns: (Size) -> [UploadTurn]) in Rounds(over(turns, \.cpuSeconds).values.map { $0 / gigabytes }) }
        let (own, peer) = (rate { $0.own }, rate { $0.peer })
        let (ownCPU, peerCPU) = (cpu { $0.own }, cpu { $0.peer })
        report.figures += [
            Figure(
                name: "upload.rate", value: own.median, unit: "MB/s", peer: peer.median, peerName: Self.peerName,
                bar: .ratioAtLeast(1.2), spread: own.spread, peerSpread: peer.spread),
            Figure(
                name: "upload.cpu", value: ownCPU.median, unit: "s/GB", peer: peerCPU.median, peerName: Self.peerName,
                bar: .atMost(0.4), spread: ownCPU.spread, peerSpread: peerCPU.spread),
            besidePlain(
                "upload.cpu-beside-plain-c", ownCPU,
                Rounds((0..<rounds).map { round in sizes.reduce(0) { $0 + $1.plain.values[round] } / gigabytes })),
        ]
    }

    /// What remains to be gained: a client in C that reads the files once, sends them, and does nothing else.
    private func besidePlain(_ name: String, _ own: Rounds, _ plain: Rounds) -> Figure {
        Figure(
            name: name, value: own.median, unit: "s/GB", peer: plain.median, peerName: "plain C that reads and sends",
            bar: .none, spread: own.spread, peerSpread: plain.spread)
    }

    /// The largest of all turns.
    private func memory(_ name: String, _ peaks: [Double], beside peer: [Double]) -> Figure {
        Figure(
            name: name, value: peaks.max() ?? .nan, unit: "MB", peer: peer.max(), peerName: Self.peerName,
            bar: .atMost(Self.largestMB))
    }

    private func huge(_ site: UploadSite, _ report: inout Report) throws {
        let file = try UploadFiles.make(
            "huge", .segment, count: 1, bytes: hugeGB * 1_000_000_000, sparse: true, on: site.volume)
        let turn = try site.upload(file)
        report.figures.append(memory("upload.memory.huge", [turn.peakMB], beside: []))
        report.notes.append(
            "huge: one file of \(hugeGB) GB (a hole) in \(Figure.text(turn.seconds)) s, "
                + "\(Figure.text(turn.cpuSeconds / Double(hugeGB))) s of processor a GB")
    }
}
