// A catalogue that is lost, damaged or an hour older than the footage (field lessons, test 29): whatever order the volume's records
// come back in, and however often, it gives the answers that it gave. The records are what a volume holds: segments of two lives
// and of two controllers that overlap, pictures, renditions, runs, anchors and gaps.

import Foundation
import GRDB
import Harness
import RPC
import ServiceKit
import Testing
import Wire

@testable import Indexer

@Suite struct RebuildTests {
    typealias T = TestCatalogue

    static let cameras = ["cam1", "cam2", "cam3"]

    /// An hour of three cameras, drawn from a seed, in the order in which it was recorded.
    static func history(_ random: inout SplitMix64) -> [MediaRecord] {
        var records: [MediaRecord] = []
        for camera in cameras {
            var at = Double(random.within(0...30))
            var life = 0
            while at < 3600 {
                life += 1
                let run = "\(camera)-run\(life)"
                records.append(T.run(run, camera: camera, from: at))
                records.append(
                    MediaRecord(
                        anchor: Anchor(runID: run, version: 1, mediaUs: 0, wallUs: T.us(at), ratePpm: 0, origin: "host")
                    ))
                let epoch = UInt64(random.within(1...3))
                for _ in 0..<random.within(1...20) {
                    let length = Double(random.within(2...30))
                    // The next file of a run begins up to a frame before the end of this one.
                    let end = at + length + (random.chance(20) ? 0.04 : 0)
                    let volume = random.chance(80) ? "vol1" : "vol2"
                    records.append(
                        T.segment(
                            at, end, camera: camera, run: run, epoch: epoch, volume: volume,
                            salvaged: random.chance(5)))
                    if random.chance(20) { records.append(T.snapshot(at + 1, camera: camera)) }
                    if random.chance(20) { records.append(T.rendition(at, end, camera: camera)) }
                    at += length
                }
                switch random.below(3) {
                case 0:
                    let dark = Double(random.within(1...60))
                    records.append(T.gap(at, at + dark, camera: camera))
                    at += dark
                // The clock was set back, or another controller had the camera too: time that is recorded twice.
                case 1: at -= Double(random.within(1...40))
                default: at += Double(random.below(20))
                }
            }
        }
        return records
    }

    /// All that can be asked of footage, as one text for each question.
    static func answers(_ test: T) async throws -> [String: [UInt8]] {
        var answers: [String: [UInt8]] = [:]
        answers["cameras"] = try await test.queries.listCameras().encoded()
        for volume in ["vol1", "vol2"] {
            answers["files of \(volume)"] = try await test.records.listFiles(
                ListFilesRequest(volumeID: volume, limit: 2000)
            ).bytes
        }
        for kind in [MediaKind.segment, .snapshot, .rendition] {
            answers["all \(kind)"] = try await test.queries.queryMedia(QueryMediaRequest(kind: kind, limit: 2000)).bytes
        }
        for camera in cameras {
            for (from, to) in [(-100.0, 4000.0), (0, 600), (1234, 1235), (3000, 3600)] {
                let window = T.window(from, to)
                let name = "\(camera) \(from)-\(to)"
                answers["coverage of \(name)"] = try await test.queries.coverage(
                    CoverageRequest(source: T.source(camera), window: window)
                ).encoded()
                answers["media of \(name)"] = try await test.queries.queryMedia(
                    QueryMediaRequest(source: T.source(camera), window: window, limit: 2000)
                ).bytes
            }
        }
        return answers
    }

    private func record(_ records: [MediaRecord], _ test: T, _ random: inout SplitMix64) async throws {
        var rest = records[...]
        while !rest.isEmpty {
            let batch = rest.prefix(random.within(1...200))
            rest = rest.dropFirst(batch.count)
            let reply = try await test.record(Array(batch))
            #expect(reply.rejected.isEmpty)
        }
    }

    private func shuffled(_ records: [MediaRecord], _ random: inout SplitMix64) -> [MediaRecord] {
        var records = records
        for index in records.indices.dropFirst().reversed() { records.swapAt(index, random.below(index + 1)) }
        return records
    }

    private func expectSame(_ one: [String: [UInt8]], _ other: [String: [UInt8]], _ what: String) {
        #expect(one.keys.sorted() == other.keys.sorted())
        #expect(one.filter { other[$0.key] != $0.value }.keys.sorted() == [], "\(what)")
    }

    @Test(arguments: [UInt64](1...8)) func anyOrderAndAnyRepetitionGivesTheSameAnswers(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let records = Self.history(&random)
        let original = try T()
        try await record(records, original, &random)
        let wanted = try await Self.answers(original)
        #expect(records.count > 100 && wanted["files of vol2"]?.isEmpty == false)

        let rebuilt = try T()
        let again = records + shuffled(records, &random).prefix(records.count / 3)
        try await record(shuffled(again, &random), rebuilt, &random)
        expectSame(wanted, try await Self.answers(rebuilt), "rebuilt, seed \(seed)")

        // All of it once more changes nothing.
        try await record(shuffled(records, &random), rebuilt, &random)
        expectSame(wanted, try await Self.answers(rebuilt), "once more, seed \(seed)")
    }

    /// A backup of some time ago is put back; then the volumes tell all that they hold.
    @Test(arguments: [UInt64](1...4)) func anOlderCatalogueCatchesUp(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let records = Self.history(&random)
        let original = try T()
        try await record(records, original, &random)
        let wanted = try await Self.answers(original)

        let older = try T()
        let known = records.indices.filter { _ in random.chance(60) }
        try await record(known.map { records[$0] }, older, &random)
        #expect(try await Self.answers(older) != wanted)
        try await record(shuffled(records, &random), older, &random)
        expectSame(wanted, try await Self.answers(older), "seed \(seed)")
    }

    /// Requests that were made meanwhile find the footage, too: the ones that wait go on with what comes back.
    @Test func aRequestThatWaitsGoesOnWithWhatComesBack() async throws {
        let test = try T()
        var records = (0..<12).map { T.segment(Double($0) * 10 - 120, Double($0) * 10 - 110) }
        records.append(T.gap(-40, -35, cause: "dark"))
        let request = try #require(try await test.archive("r", -100, -20).request)
        #expect(request.state == .waiting)
        var random = SplitMix64(seed: 3)
        try await record(shuffled(records, &random), test, &random)
        test.now(60)
        try await test.tick()
        #expect(try await test.work(.archive).filter { $0.contains("segment_") }.count == 8)
        #expect(try await test.request("r").state == .done)
    }
}
