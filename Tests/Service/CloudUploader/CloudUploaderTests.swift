// The uploader's executable against a faked indexer and the Blob server: files in one request and in blocks, what is there
// already, a storage that refuses, breaks or loses its answers, stop and kill half-way.
import BlobServer
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Volume
import Wire

@Suite(.serialized) struct CloudUploaderTests {
    @Test func putsASmallFileAndItsSidecarInOneRequestEach() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(90_000)
            let item = try site.archived(bytes, "a", id: 1)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            let done = try await site.completed()[0]
            let path = try #require(item.archivePath)
            #expect(done.claim == ItemClaim(itemID: 1, epoch: 1) && done.handedOver != true)
            #expect(done.sha256 == UploaderSite.sha256(bytes) && done.archiveVolumeID == site.volumeID)
            #expect(done.blobURL == "\(site.blob.endpoint)/cams/\(path)")
            #expect(site.blob.content(of: path, in: "cams") == bytes)
            let record = try #require(site.blob.blob(path, in: "cams"))
            #expect(record.properties["content-type"] == "video/mp4")
            #expect(record.metadataValue("camera") == "cam1" && record.metadataValue("requests") == "r1")
            #expect(record.metadataValue("start") == "2025-11-23T05:00:00.000000Z")
            #expect(record.metadataValue("sha256")?.count == 64)
            let sidecar = path.replacingOccurrences(of: ".mp4", with: ".json")
            #expect(site.blob.content(of: sidecar, in: "cams") == Array(#"{"camera_id":"cam1"}"#.utf8))
            #expect(site.accepted(.putBlob).count == 2 && site.accepted(.putBlock).isEmpty)
            #expect(try await uploader.terminate() == 0)
            #expect(!uploader.standardError.contains(BlobServer.developmentKey.prefix(16)))
        }
    }

    @Test func putsALargeFileInBlocksAndComparesTheCommittedList() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(1_234_567)
            let item = try site.archived(bytes, "b", id: 2)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed()
            let path = try #require(item.archivePath)
            #expect(site.blob.content(of: path, in: "cams") == bytes)
            #expect(site.blob.blob(path, in: "cams")?.blocks.count == 13)
            #expect(site.accepted(.putBlock).count == 13)
            #expect(site.blob.requests.contains { $0.operation == .getBlockList && $0.path.hasSuffix("b_cam1.mp4") })
            try await uploader.terminate()
        }
    }

    @Test func whatIsThereAlreadyIsDoneAndOtherContentIsNeverReplaced() async throws {
        try await UploaderSite.with { site in
            let small = try site.archived(UploaderSite.randomBytes(1000), "c", id: 3)
            let large = try site.archived(UploaderSite.randomBytes(250_000), "d", id: 4)
            site.indexer.offer([small, large], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed(2)
            let blocks = site.accepted(.putBlock).count
            var again = [small, large]
            for index in again.indices { again[index].epoch = 2 }
            // Meanwhile another request joined: the sidecar is another one, of the same media.
            try Data(#"{"request_ids":["r1","r2"]}"#.utf8).write(
                to: URL(fileURLWithPath: site.archive + "/cam1/2026/11/23/05/segment_c_cam1.json"))
            site.indexer.offer(again, work: .upload)
            _ = try await site.completed(4)
            #expect(site.accepted(.putBlock).count == blocks)
            #expect(site.indexer.failItem.requests.isEmpty)
            // Another file under the same name.
            for (id, name) in [(5, "c"), (6, "d")] as [(UInt64, String)] {
                let kept = site.blob.content(of: "cam1/2026/11/23/05/segment_\(name)_cam1.mp4", in: "cams")
                let size = name == "c" ? 1000 : 250_000
                site.indexer.offer(
                    [try site.archived(UploaderSite.randomBytes(size), name, id: id)], work: .upload)
                let failure = try await site.failed(Int(id) - 4)
                #expect(failure.retryable == false && failure.reason?.contains("other content") == true)
                #expect(site.blob.content(of: "cam1/2026/11/23/05/segment_\(name)_cam1.mp4", in: "cams") == kept)
            }
            try await uploader.terminate()
        }
    }

    @Test func aRefusedKeyIsToldAndTheRightOneIsTakenWithoutARestart() async throws {
        try await UploaderSite.with(key: UploaderSite.wrongKey) { site in
            let item = try site.archived(UploaderSite.randomBytes(1000), "e", id: 7)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            let failure = try await site.failed()
            #expect(failure.reason?.contains("the storage account refuses the key") == true)
            #expect(failure.retryable == true && (failure.retryAfterMs ?? 0) >= 10_000)
            let health = try await site.health()
            #expect(health.ready == false)
            #expect(health.reasons.contains { $0.contains("the storage account refuses the key") })
            try await uploader.waitForLog("the storage account refuses the key")
            #expect(!uploader.standardError.contains(UploaderSite.wrongKey))
            // Nothing is claimed while the storage refuses us, so no attempt of an item is spent on it.
            let claims = site.indexer.claimItems.requests.count
            try site.folder.write(BlobServer.developmentKey, to: "secrets/storage/key")
            #expect(site.indexer.claimItems.requests.count <= claims + 1)
            site.indexer.offer([item], work: .upload)
            _ = try await site.completed()
            #expect(try await site.health().ready == true)
            try await uploader.terminate()
        }
    }

    @Test func aMissingContainerIsMadeOnlyWhenASettingSaysSo() async throws {
        try await UploaderSite.with(container: false) { site in
            let item = try site.archived(UploaderSite.randomBytes(1000), "f", id: 8)
            site.indexer.offer([item], work: .upload)
            var uploader = try site.start()
            let failure = try await site.failed()
            #expect(failure.retryable == true && failure.reason?.contains("create-container") == true)
            try await uploader.terminate()
            site.indexer.offer([item], work: .upload)
            uploader = try site.start(switches: ["--create-container"])
            _ = try await site.completed()
            try await uploader.terminate()
        }
    }

    @Test func survivesAStorageThatIsBusyBreaksCorruptsAndLosesAnswers() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(550_000)
            let item = try site.archived(bytes, "g", id: 9)
            site.blob.addFaults([
                Fault(.status, operation: .putBlock, status: 503),
                Fault(.close, operation: .putBlock, skip: 1, afterBytes: 30_000),
                Fault(.corrupt, operation: .putBlock, skip: 2),
                Fault(.replyLost, operation: .putBlock, skip: 3),
                Fault(.replyLost, operation: .putBlockList),
                Fault(.status, operation: .getBlockList, skip: 1, status: 500, code: "InternalError"),
            ])
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed()
            #expect(site.blob.content(of: try #require(item.archivePath), in: "cams") == bytes)
            #expect(site.indexer.failItem.requests.isEmpty)
            try await uploader.terminate()
        }
    }

    @Test func aKilledUploadGoesOnWhereItWasAndSendsNoBlockTwice() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(1_000_000)
            var item = try site.archived(bytes, "h", id: 10)
            // The sixth block and those after it hang; the kill comes while they do.
            site.blob.addFaults([Fault(.slow, operation: .putBlock, skip: 5, count: 100, delayMs: 600_000)])
            site.indexer.offer([item], work: .upload)
            let first = try site.start(["blocks-in-flight": "2"])
            try await eventually("five blocks are there") { site.accepted(.putBlock).count == 5 ? true : nil }
            try await first.kill()
            site.blob.clearFaults()
            item.epoch = 2
            site.indexer.offer([item], work: .upload)
            let second = try site.start()
            _ = try await site.completed()
            #expect(site.accepted(.putBlock).count == 10)
            #expect(site.blob.content(of: try #require(item.archivePath), in: "cams") == bytes)
            try await second.waitForLog("going on where an earlier upload ended")
            try await second.terminate()
        }
    }

    @Test func stopsWithinFiveSecondsHalfWayAndHandsTheItemBack() async throws {
        try await UploaderSite.with { site in
            let item = try site.archived(UploaderSite.randomBytes(500_000), "i", id: 11)
            site.blob.addFaults([Fault(.slow, operation: .putBlock, skip: 1, count: 100, delayMs: 600_000)])
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            try await eventually("a block is there") { site.accepted(.putBlock).count == 1 ? true : nil }
            #expect(try await uploader.terminate(within: .seconds(5)) == 0)
            let handedBack = try #require(site.indexer.failItem.requests.first)
            #expect(handedBack.retryable == true && handedBack.claim?.itemID == 11)
            #expect(site.blob.blob(try #require(item.archivePath), in: "cams") == nil)
        }
    }

    @Test func aChangedAndAMissingFileAreNotUploaded() async throws {
        try await UploaderSite.with { site in
            var changed = try site.archived(UploaderSite.randomBytes(1000), "j", id: 12)
            changed.sha256 = [UInt8](repeating: 0, count: 32)
            site.indexer.offer([changed], work: .upload)
            let uploader = try site.start()
            let first = try await site.failed()
            #expect(first.retryable == false && first.reason?.contains("changed after it was archived") == true)
            #expect(site.blob.blob(try #require(changed.archivePath), in: "cams") == nil)
            var missing = changed
            missing.archivePath = "cam1/none.mp4"
            site.indexer.offer([missing], work: .upload)
            let second = try await site.failed(2)
            #expect(second.retryable == false && second.reason?.contains("no longer on the archive volume") == true)
            try await uploader.terminate()
        }
    }

    @Test func waitsForTheIndexerAndForTheStorage() async throws {
        try await UploaderSite.with(indexerRuns: false) { site in
            let item = try site.archived(UploaderSite.randomBytes(1000), "k", id: 13)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            try await eventually("it is ready without neighbours") { try await site.health().ready }
            site.indexer.server.start()
            _ = try await site.completed()
            try await uploader.terminate()
            // Nobody listens at the endpoint.
            let port = try freePort()
            site.indexer.offer([try site.archived([1], "l", id: 14)], work: .upload)
            let second = try site.start([
                "blob-endpoint": "http://127.0.0.1:\(port)/\(BlobServer.developmentAccount)"
            ])
            let failure = try await site.failed()
            #expect(failure.retryable == true && failure.reason?.contains("does not answer") == true)
            #expect(try await site.health().ready == false)
            #expect(try await second.terminate() == 0)
        }
    }

    @Test func handsOverToAVolumeThatUploadsByItself() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(300_000)
            site.indexer.offer([try site.archived(bytes, "m", id: 15)], work: .upload)
            let uploader = try ServiceProcess(
                "cloud-uploader",
                [
                    "--run-directory", site.folder.path("run"), "--archive-volume", site.archive, "--target", "folder",
                    "--wait-ms", "500",
                ], logs: site.folder)
            let done = try await site.completed()[0]
            #expect(done.handedOver == true && done.blobURL == nil && done.sha256 == UploaderSite.sha256(bytes))
            #expect(site.blob.requests.isEmpty)
            try await uploader.terminate()
        }
    }

    @Test func takesASignatureInsteadOfAKeyAndNeverShowsIt() async throws {
        try await UploaderSite.with { site in
            let signature = UploaderSite.containerSignature(rights: "rcw")
            try site.folder.write("?" + signature, to: "secrets/storage/sas")
            let bytes = UploaderSite.randomBytes(250_000)
            let item = try site.archived(bytes, "s", id: 17)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start([
                "key-file": nil, "sas-file": "storage/sas", "log-level": "debug",
            ])
            let done = try await site.completed()[0]
            #expect(site.blob.content(of: try #require(item.archivePath), in: "cams") == bytes)
            #expect(done.blobURL?.contains("?") == false)
            try await uploader.terminate()
            #expect(!uploader.standardError.contains("sig="))
            // A signature that may only read is refused, in words of its own.
            try site.folder.write(UploaderSite.containerSignature(rights: "r"), to: "secrets/storage/sas")
            site.indexer.offer([try site.archived(UploaderSite.randomBytes(10), "t", id: 18)], work: .upload)
            let second = try site.start(["key-file": nil, "sas-file": "storage/sas"])
            #expect(try await site.failed().reason?.contains("check the rights of the signature") == true)
            try await second.terminate()
        }
    }

    @Test func aLargeFileIsNeverInMemoryWhole() async throws {
        try await UploaderSite.with { site in
            let target = URL(fileURLWithPath: site.archive + "/cam1/large.mp4")
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            let piece = Data(UploaderSite.randomBytes(4 << 20))
            try Data().write(to: target)
            let file = try FileHandle(forWritingTo: target)
            for _ in 0..<64 { try file.write(contentsOf: piece) }
            try file.close()
            site.indexer.offer(
                [ClaimedItem(itemID: 19, epoch: 1, kind: .segment, archivePath: "cam1/large.mp4")], work: .upload)
            let uploader = try site.start(["block-bytes": "4194304"])
            _ = try await site.completed()
            #expect(site.blob.blob("cam1/large.mp4", in: "cams")?.sizeBytes == 256 << 20)
            let status = try String(contentsOfFile: "/proc/\(uploader.processID)/status", encoding: .utf8)
            let peak = try #require(
                status.split(separator: "\n").first { $0.hasPrefix("VmHWM") }?.split(separator: " ")[1])
            #expect(try #require(Int(peak)) < 64 << 10, "peak of \(peak) KiB")
            try await uploader.terminate()
        }
    }

    @Test func deletesWhatTheIndexerLetsGoNowAndNothingElse() async throws {
        try await UploaderSite.with { site in
            for name in ["now", "later"] { _ = try site.archived([1, 2, 3], name, id: 1) }
            let folder = "cam1/2026/11/23/05"
            let grants = [
                DeletionGrant(path: "\(folder)/segment_now_cam1.mp4", cause: "uploaded", now: true),
                DeletionGrant(path: "\(folder)/segment_now_cam1.json", cause: "uploaded", now: true),
                DeletionGrant(path: "../outside", cause: "uploaded", now: true),
                DeletionGrant(path: "\(folder)/segment_later_cam1.mp4", cause: "uploaded", now: false),
            ]
            site.indexer.getDeletionGrants.answer { _ in GetDeletionGrantsReply(grants: grants) }
            let outside = try site.folder.write("kept", to: "outside")
            let uploader = try site.start()
            let report = try await eventually("a deletion is reported") { site.indexer.reportDeleted.requests.first }
            #expect(report.paths == grants.prefix(2).map(\.path) && report.volumeID == site.volumeID)
            let left = try FileManager.default.contentsOfDirectory(atPath: "\(site.archive)/\(folder)").sorted()
            #expect(left == ["segment_later_cam1.json", "segment_later_cam1.mp4"])
            #expect(FileManager.default.fileExists(atPath: outside))
            try await uploader.terminate()
        }
    }

    @Test func uploadsAManifestWithoutSidecar() async throws {
        try await UploaderSite.with { site in
            let content = Array(#"{"request_id":"r1"}"#.utf8)
            let path = "sightglass.requests/2026/11/23/r1.json"
            let target = URL(fileURLWithPath: site.archive).appendingPathComponent(path)
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(content).write(to: target)
            let item = ClaimedItem(
                itemID: 16, epoch: 1, kind: .manifest, archivePath: path, sha256: UploaderSite.sha256(content))
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed()
            #expect(site.blob.content(of: path, in: "cams") == content)
            #expect(site.accepted(.putBlob).count == 1)
            try await uploader.terminate()
        }
    }

    @Test(arguments: [
        (["--archive-volume", "/a"], "authentication"),
        (["--archive-volume", "/a", "--container", "c", "--account", "a", "--key-file", "key"], "blob-endpoint"),
        (["--archive-volume", "/a", "--target", "tape"], "target"), ([], "archive-volume"),
    ])
    func saysInOneLineWhatIsWrongWithItsSettings(_ arguments: [String], _ expected: String) async throws {
        let folder = try TemporaryDirectory()
        let uploader = try ServiceProcess("cloud-uploader", arguments, logs: folder)
        #expect(try await uploader.exitCode(within: .seconds(5)) == 64)
        let lines = uploader.standardError.split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.contains(expected) == true, "\(uploader.standardError)")
    }
}
