// The archiver's executable against a faked indexer and a faked controller: what it does with an item, with neighbours
// that are away, with a disk that is not there, and when it is stopped or killed half-way.
import Crypto
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Volume
import Wire

@Suite(.serialized) struct ArchiverTests {
    /// One archiver with its volumes and neighbours, in a folder of its own.
    struct Site {
        let folder: TemporaryDirectory
        let indexer: FakeIndexer
        let controller: FakeController
        let archive: String
        let recording: String
        let recordingID: String

        init(adopted: Bool = true, indexerRuns: Bool = true) throws {
            folder = try TemporaryDirectory()
            try folder.makeFolder("run")
            archive = try folder.makeFolder("archive")
            recording = try folder.makeFolder("recording")
            if adopted { try VolumeRoot.adopt(at: archive, role: .archive, nowUs: 1_700_000_000_000_000) }
            recordingID =
                try VolumeRoot.adopt(at: recording, role: .recording, nowUs: 1_700_000_000_000_000).volumeID
            indexer = try FakeIndexer(
                address: "ipc://\(folder.path("run/indexer.rpc"))", hints: "ipc://\(folder.path("run/indexer.hints"))")
            controller = try FakeController(address: "ipc://\(folder.path("run/capture-controller.rpc"))")
            if indexerRuns { indexer.server.start() }
        }

        func start(mounted: Bool = true, _ more: [String] = []) throws -> ServiceProcess {
            try ServiceProcess(
                "archiver",
                ["--run-directory", folder.path("run"), "--archive-volume", archive, "--wait-ms", "500"]
                    + (mounted ? ["--recording-volumes", recording] : []) + more, logs: folder)
        }

        /// Writes a recorded file and makes the item that asks for it.
        func record(_ bytes: [UInt8], _ name: String, id: UInt64, epoch: UInt64 = 1) throws -> ClaimedItem {
            let target = URL(fileURLWithPath: recording).appendingPathComponent("cam1/clips/\(name).mp4")
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: target)
            return ClaimedItem(
                itemID: id, epoch: epoch, kind: .segment,
                source: MediaFile(
                    kind: .segment, volumeID: recordingID, path: "cam1/clips/\(name).mp4",
                    sizeBytes: UInt64(bytes.count), sha256: sha256(bytes)),
                sourceAddress: "ipc://\(folder.path("run/capture-controller.rpc"))",
                archivePath: "cam1/2026/11/23/05/segment_\(name)_cam1.mp4",
                sidecar: Array(#"{"camera_id":"cam1"}"#.utf8), camera: "cam1", requestIDs: ["r1"])
        }

        func archived(_ path: String) -> [UInt8]? {
            FileManager.default.contents(atPath: archive + "/" + path).map { [UInt8]($0) }
        }

        var staged: [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: archive + "/.staging")) ?? []
        }

        func completed(_ count: Int = 1) async throws -> [CompleteItemRequest] {
            try await eventually("\(count) items complete", within: .seconds(20)) {
                indexer.completeItem.requests.count >= count ? indexer.completeItem.requests : nil
            }
        }

        func failed(_ count: Int = 1) async throws -> FailItemRequest {
            try await eventually("\(count) items fail", within: .seconds(20)) {
                indexer.failItem.requests.count >= count ? indexer.failItem.requests.last : nil
            }
        }

        /// The reasons in its health answer; nil while it does not answer.
        func health(_ file: String = "archiver.rpc") async throws -> HealthReply {
            let client = try client(file)
            defer { client.close() }
            return try await client.health()
        }

        func client(_ file: String = "archiver.rpc") throws -> ServiceClient {
            try ServiceClient("archiver", at: "ipc://\(folder.path("run/" + file))")
        }
    }

    @Test func copiesAMountedFileWithItsSidecarAndReportsWhatItReadBack() async throws {
        let site = try Site()
        let bytes = randomBytes(2_500_000)
        let item = try site.record(bytes, "a", id: 1)
        site.indexer.offer([item], work: .archive)
        let archiver = try site.start()
        let done = try await site.completed()
        #expect(done[0].claim == ItemClaim(itemID: 1, epoch: 1))
        #expect(done[0].sizeBytes == 2_500_000 && done[0].sha256 == sha256(bytes))
        #expect(done[0].archiveVolumeID == (try VolumeRoot.open(at: site.archive, role: .archive).volumeID))
        #expect(site.archived("cam1/2026/11/23/05/segment_a_cam1.mp4") == bytes)
        let sidecar = try #require(site.archived("cam1/2026/11/23/05/segment_a_cam1.json"))
        let text = String(decoding: sidecar, as: UTF8.self)
        #expect(text.contains(#""camera_id": "cam1""#) && text.contains(#""size_bytes": 2500000"#))
        #expect(site.staged.isEmpty)
        let kinds = site.indexer.claimItems.requests.first?.kinds ?? []
        #expect(Set(kinds) == [.segment, .snapshot, .clip, .manifest])
        #expect(try await archiver.terminate() == 0)
    }

    @Test func readsOverRPCWhatIsNotMounted() async throws {
        let site = try Site()
        let bytes = randomBytes(2_000_001)
        let item = try site.record(bytes, "b", id: 2)
        site.controller.readSegment.answer { request in
            let offset = Int(request.offset ?? 0)
            guard offset <= bytes.count else { throw RPCError.outOfRange("beyond the end") }
            return ReadSegmentReply(
                data: Array(bytes[offset..<min(bytes.count, offset + Int(request.length ?? 0))]),
                sizeBytes: UInt64(bytes.count))
        }
        site.controller.server.start()
        let archiver = try site.start(mounted: false)
        site.indexer.offer([item], work: .archive)
        #expect(try await site.completed()[0].sha256 == sha256(bytes))
        #expect(site.archived("cam1/2026/11/23/05/segment_b_cam1.mp4") == bytes)
        try await archiver.terminate()
    }

    @Test func writesAManifestAsItCame() async throws {
        let site = try Site()
        let content = Array(#"{"request_id":"r1"}"#.utf8)
        let manifest = ClaimedItem(
            itemID: 3, epoch: 1, kind: .manifest, archivePath: "sightglass.requests/2026/11/23/r1.json",
            content: content)
        site.indexer.offer([manifest, manifest], work: .archive)
        // One after the other: an indexer gives the same claim to nobody twice at once, and here both would want one staging name.
        let archiver = try site.start(["--parallel", "1"])
        _ = try await site.completed(2)
        #expect(site.archived("sightglass.requests/2026/11/23/r1.json") == content)
        #expect(site.indexer.completeItem.requests.allSatisfy { $0.crc64 == CRC64(content).value })
        try await archiver.terminate()
    }

    @Test func aRepeatedItemGivesTheSameFileOnce() async throws {
        let site = try Site()
        let bytes = randomBytes(300_000)
        var item = try site.record(bytes, "c", id: 4)
        site.indexer.offer([item], work: .archive)
        let archiver = try site.start()
        _ = try await site.completed()
        // Another request joined meanwhile: the sidecar that comes now is not the one that is there.
        item.epoch = 2
        item.sidecar = Array(#"{"camera_id":"cam1","request_ids":["r1","r2"]}"#.utf8)
        site.indexer.offer([item], work: .archive)
        let done = try await site.completed(2)
        #expect(done[1].sha256 == sha256(bytes) && done[1].claim?.epoch == 2)
        #expect(site.indexer.failItem.requests.isEmpty)
        // The same without a known hash: copied again, found equal.
        item.epoch = 3
        item.source?.sha256 = nil
        site.indexer.offer([item], work: .archive)
        #expect(try await site.completed(3)[2].sha256 == sha256(bytes))
        // Of what was copied as of what was found.
        #expect(site.indexer.completeItem.requests.map(\.crc64) == Array(repeating: CRC64(bytes).value, count: 3))
        #expect(site.staged.isEmpty)
        try await archiver.terminate()
    }

    @Test func neverReplacesOtherContent() async throws {
        let site = try Site()
        let item = try site.record(randomBytes(1000), "d", id: 5)
        let path = site.archive + "/cam1/2026/11/23/05/segment_d_cam1.mp4"
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: path))
        site.indexer.offer([item], work: .archive)
        let archiver = try site.start()
        let failure = try await site.failed()
        #expect(failure.retryable == false && failure.reason?.contains("other content") == true)
        #expect(site.archived("cam1/2026/11/23/05/segment_d_cam1.mp4") == [1, 2, 3])
        #expect(site.staged.isEmpty)
        try await archiver.terminate()
    }

    @Test func tellsAMissingAndADamagedSource() async throws {
        let site = try Site()
        var missing = try site.record([1], "e", id: 6)
        missing.source?.path = "cam1/clips/none.mp4"
        missing.sourceAddress = nil
        var damaged = try site.record(randomBytes(5000), "f", id: 7)
        damaged.source?.sha256 = [UInt8](repeating: 0, count: 32)
        site.indexer.offer([missing], work: .archive)
        let archiver = try site.start()
        let gone = try await site.failed()
        #expect(gone.retryable == false && gone.reason?.contains("cam1/clips/none.mp4") == true)
        site.indexer.offer([damaged], work: .archive)
        let bad = try await site.failed(2)
        #expect(bad.retryable == true && bad.reason?.contains("SHA-256") == true)
        #expect(site.archived("cam1/2026/11/23/05/segment_f_cam1.mp4") == nil)
        #expect(site.staged.isEmpty)
        try await archiver.terminate()
    }

    @Test func waitsForTheIndexerAndForTheVolume() async throws {
        let site = try Site(adopted: false, indexerRuns: false)
        let item = try site.record(randomBytes(1000), "g", id: 8)
        let archiver = try site.start()
        let reasons = try await eventually("it answers and is not ready") {
            let health = try await site.health()
            return health.ready == false && health.live == true ? health.reasons : nil
        }
        #expect(reasons.contains { $0.contains("volume adopt") })
        site.indexer.offer([item], work: .archive)
        site.indexer.server.start()
        try VolumeRoot.adopt(at: site.archive, role: .archive, nowUs: 1_700_000_000_000_000)
        _ = try await site.completed()
        #expect(try await site.health().ready == true)
        #expect(site.indexer.failItem.requests.isEmpty)
        // Away when the report is due: it is delivered when the indexer is back.
        site.indexer.completeItem.answer { _ in throw RPCError.unavailable("the indexer stops") }
        site.indexer.offer([try site.record(randomBytes(1000), "h", id: 9)], work: .archive)
        try await archiver.waitForLog("the indexer does not take the report yet")
        await site.indexer.server.stop()
        let refused = site.indexer.completeItem.requests.count
        site.indexer.completeItem.answer { _ in CompleteItemReply(state: .archived) }
        site.indexer.server.start()
        #expect(try await site.completed(refused + 1).last?.claim?.itemID == 9)
        #expect(try await archiver.terminate() == 0)
    }

    @Test func stopsWithinFiveSecondsHalfWayAndLeavesNothing() async throws {
        let site = try Site()
        let item = try site.record(randomBytes(1000), "i", id: 10)
        site.controller.readSegment.answer { request in
            // The second piece never comes.
            if request.offset == 0 { return ReadSegmentReply(data: [1, 2, 3], sizeBytes: 1000) }
            try await Task.sleep(for: .seconds(600))
            return ReadSegmentReply()
        }
        site.controller.server.start()
        let archiver = try site.start(mounted: false)
        site.indexer.offer([item], work: .archive)
        try await eventually("half of the file is there") { site.staged.isEmpty ? nil : true }
        try await eventually("it waits for the rest") { site.controller.readSegment.requests.count == 2 ? true : nil }
        #expect(try await archiver.terminate(within: .seconds(5)) == 0)
        #expect(site.staged.isEmpty)
        let handedBack = try #require(site.indexer.failItem.requests.first)
        #expect(handedBack.retryable == true && handedBack.claim?.itemID == 10)
    }

    @Test func aKilledCopyIsDoneOnceByTheNextLife() async throws {
        let site = try Site()
        let bytes = randomBytes(2_000_000)
        var item = try site.record(bytes, "j", id: 11)
        site.controller.readSegment.answer { request in
            if request.offset == 0 { return ReadSegmentReply(data: Array(bytes[..<900_000]), sizeBytes: 2_000_000) }
            try await Task.sleep(for: .seconds(600))
            return ReadSegmentReply()
        }
        site.controller.server.start()
        let first = try site.start(mounted: false)
        site.indexer.offer([item], work: .archive)
        try await eventually("it waits for the rest") { site.controller.readSegment.requests.count == 2 ? true : nil }
        try await first.kill()
        #expect(site.staged.count == 1)
        item.epoch = 2
        site.indexer.offer([item], work: .archive)
        let second = try site.start()
        let done = try await site.completed()
        #expect(done[0].claim?.epoch == 2 && done[0].sha256 == sha256(bytes))
        #expect(site.archived("cam1/2026/11/23/05/segment_j_cam1.mp4") == bytes)
        #expect(site.staged.isEmpty)
        try await second.terminate()
    }

    @Test func stopsTheWorkOfALostClaimAndRenewsTheOthers() async throws {
        let site = try Site()
        site.indexer.renewClaims.answer { request in
            RenewClaimsReply(lost: request.claims.filter { $0.itemID == 12 })
        }
        site.controller.readSegment.answer { _ in
            try await Task.sleep(for: .seconds(600))
            return ReadSegmentReply()
        }
        site.controller.server.start()
        let archiver = try site.start(mounted: false, ["--lease-ms", "1000"])
        site.indexer.offer(
            [try site.record([1], "k", id: 12), try site.record([2], "l", id: 13)], work: .archive)
        try await archiver.waitForLog("claim is lost")
        try await eventually("the other claim is renewed alone") {
            site.indexer.renewClaims.requests.last?.claims == [ItemClaim(itemID: 13, epoch: 1)] ? true : nil
        }
        #expect(site.indexer.failItem.requests.isEmpty && site.indexer.completeItem.requests.isEmpty)
        try await archiver.terminate()
    }

    @Test func aFullVolumeFailsTheItemAndRoomBringsItBack() async throws {
        let site = try Site(adopted: false)
        let mounted = try await runTool("mount", ["-t", "tmpfs", "-o", "size=2m", "none", site.archive])
        // Only root may mount; elsewhere the pure decisions are what is tested.
        guard mounted.exitCode == 0 else { return }
        do {
            try VolumeRoot.adopt(at: site.archive, role: .archive, nowUs: 1_700_000_000_000_000)
            let filler = URL(fileURLWithPath: site.archive + "/filler")
            try Data(count: 1_500_000).write(to: filler)
            let item = try site.record(randomBytes(900_000), "m", id: 14)
            let archiver = try site.start()
            site.indexer.offer([item], work: .archive)
            let failure = try await site.failed()
            #expect(failure.retryable == true && failure.reason?.contains("free space") == true)
            #expect(try await site.health().ready == false)
            #expect(site.staged.isEmpty)
            try FileManager.default.removeItem(at: filler)
            site.indexer.offer([item], work: .archive)
            _ = try await site.completed()
            #expect(try await site.health().ready == true)
            try await archiver.terminate()
        } catch {
            _ = try await runTool("umount", ["-l", site.archive])
            throw error
        }
        _ = try await runTool("umount", ["-l", site.archive])
    }

    @Test(arguments: [
        ([], "archive-volume"), (["--archive-volume", "/a", "--lease-ms", "5"], "lease-ms"),
        (["--archive-volume", "/a", "--colour", "red"], "colour"),
    ])
    func saysInOneLineWhatIsWrongWithItsSettings(_ arguments: [String], _ expected: String) async throws {
        let folder = try TemporaryDirectory()
        let archiver = try ServiceProcess("archiver", arguments, logs: folder)
        #expect(try await archiver.exitCode(within: .seconds(5)) == 64)
        let lines = archiver.standardError.split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.contains(expected) == true, "\(archiver.standardError)")
    }
}

private func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count / 8 + 1).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }.prefix(count).map {
        $0
    }
}

private func sha256(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }
