// Archive requests over the real catalogue: from the event or the operator to done, partial or failed.

import Foundation
import RPC
import Testing
import Volume
import Wire

@testable import Indexer

@Suite struct RequestFlowTests {
    typealias T = TestCatalogue

    @Test func twoRequestsForTheSameClipShareIt() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("r1", -15, -5, mode: .clip)
        try await test.archive("r2", -15, -5, mode: .clip)
        try await test.archive("r3", -15, -4, mode: .clip)
        let clips = try await test.claim(.archive, limit: 64, kinds: [.clip])
        #expect(clips.map(\.requestIDs).contains(["r1", "r2"]) && clips.count == 2)
        // Footage of the window that came later makes another one.
        test.now(1)
        try await test.record([T.segment(-12, -11, run: "found", epoch: 2, salvaged: true)])
        try await test.archive("r4", -15, -5, mode: .clip)
        #expect(try await test.claim(.archive, limit: 64, kinds: [.clip]).map(\.requestIDs) == [["r4"]])
    }

    @Test func theSameEventTwiceIsOneRequest() async throws {
        let test = try T()
        let first = try await test.event("e1", at: 0)
        let second = try await test.event("e1", at: 0)
        #expect(first.receipt == .accepted)
        #expect(second.receipt == .duplicate)
        #expect(second.request?.requestID == first.request?.requestID)
        #expect(try await test.requests.listRequests(ListRequestsRequest()).requests.count == 1)
    }

    @Test func anotherEventWhileTheWindowIsOpenExtendsIt() async throws {
        let test = try T()
        let first = try await test.event("e1", at: 0)
        test.now(3)
        let second = try await test.event("e2", at: 3)
        #expect(second.receipt == .extended)
        #expect(second.request?.requestID == first.request?.requestID)
        #expect(second.request?.window == T.window(-15, 8))
        #expect(second.request?.eventKeys == ["e1", "e2"])
        #expect(try await test.event("e2", at: 3).receipt == .duplicate)
        // Another rule, or other cameras, is another request.
        #expect(try await test.event("e3", at: 3, rule: "other").receipt == .accepted)
        #expect(try await test.event("e4", at: 3, cameras: [T.camera("cam2")]).receipt == .accepted)
    }

    @Test func pastTheMaximumIsANewRequestThatSharesFiles() async throws {
        let test = try T()
        let first = try await test.event("e1", at: 0, maximum: 30_000)
        let second = try await test.event("e2", at: 14, maximum: 30_000)
        #expect(second.receipt == .accepted)
        try await test.recordFootage(-20, 30)
        let paths = try await test.work(.archive)
        #expect(paths.count == Set(paths).count)
        #expect(paths.filter { $0.contains("segment_") }.count == 4)
        let one = try await test.request(first.request?.requestID)
        let other = try await test.request(second.request?.requestID)
        let shared = Set(one.files.map(\.itemID)).intersection(other.files.map(\.itemID))
        #expect(shared.count == 2)
    }

    @Test func anEventWithoutATimeIsRefusedByName() async throws {
        let test = try T()
        await #expect {
            try await test.requests.submitEvent(
                SubmitEventRequest(eventKey: "e", endOffsetMs: 1, cameras: [T.camera("cam1")]))
        } throws: {
            ($0 as? RPCError)?.field == "event_us" && ($0 as? RPCError)?.code == .invalidArgument
        }
        await #expect {
            try await test.event("f", at: 3601)
        } throws: {
            ($0 as? RPCError)?.field == "event_us"
        }
        #expect(try await test.event("g", at: 3599).request?.state == .waiting)
    }

    @Test func aWindowWaitsForItsFootageAndIsDelivered() async throws {
        let test = try T()
        try await test.recordFootage(-30, 0)
        let request = try #require(try await test.event("e1", at: 0).request)
        #expect(request.state == .waiting)
        #expect(try await test.claim(.archive).isEmpty)
        test.now(6)
        try await test.record([T.segment(0, 6.5)])
        let items = try await test.claim(.archive)
        #expect(items.map { T.seconds($0.window?.startUs) } == [-20, -10, 0])
        #expect(items.first?.archivePath?.hasSuffix("Z_cam1.mp4") == true)
        #expect(items.first?.source?.path != nil)
        #expect(try await test.request(request.requestID).state == .copying)
        for item in items { #expect(try await test.complete(item, .archive) == .archived) }
        let manifest = try #require(try await test.claim(.archive).first)
        #expect(manifest.kind == .manifest)
        #expect(manifest.archivePath?.hasPrefix("sightglass.requests/") == true)
        let document = try JSONDecoder().decode(Manifest.self, from: Data(manifest.content ?? []))
        #expect(document.files.count == 3)
        #expect(document.files.allSatisfy { $0.sha256?.count == 64 && $0.sizeBytes == 1000 && $0.sourcePath != nil })
        #expect(document.cameras.first?.gaps.isEmpty == true)
        #expect(document.eventKeys == ["e1"])
        try await test.complete(manifest, .archive)
        #expect(try await test.request(request.requestID).state == .uploading)
        let uploads = try await test.claim(.upload)
        #expect(uploads.map(\.kind) == [.segment, .segment, .segment])
        #expect(uploads.allSatisfy { $0.sidecar != nil && $0.sha256?.count == 32 })
        for item in uploads { try await test.complete(item, .upload) }
        let last = try await test.claim(.upload)
        #expect(last.map(\.kind) == [.manifest])
        for item in last { try await test.complete(item, .upload) }
        let done = try await test.request(request.requestID)
        #expect(done.state == .done)
        #expect(done.reason == nil)
        #expect(done.files.allSatisfy { $0.state == .uploaded && $0.blobURL != nil })
        #expect(done.bytesUploaded == done.bytesTotal)
        #expect(try await test.catalogue.read { db in try db.holds() }.isEmpty)
    }

    @Test func threeCamerasOfWhichOneIsDarkArePartial() async throws {
        let test = try T()
        for camera in ["cam1", "cam2"] { try await test.recordFootage(-30, 10, camera: camera) }
        let cameras = [T.camera("cam1"), T.camera("cam2"), T.camera("cam3", .dark)]
        let request = try #require(try await test.event("e1", at: 0, cameras: cameras, delivery: .archive).request)
        // The two that have all do not wait for the dark one.
        #expect(try await test.work(.archive).count == 6)
        #expect(try await test.request(request.requestID).state == .copying)
        test.now(36)
        try await test.tick()
        #expect(try await test.work(.archive).count == 1)
        let partial = try await test.request(request.requestID)
        #expect(partial.state == .partial)
        #expect(partial.reason == "cam3: not recorded, nothing was recorded in this time")
        #expect(partial.gaps.map(\.source) == [T.source("cam3")])
        #expect(partial.gaps.first?.window == partial.window)
    }

    @Test func overlappingWindowsOnThreeCamerasCopyEachFileOnce() async throws {
        let test = try T()
        let names = ["cam1", "cam2", "cam3"]
        for camera in names { try await test.recordFootage(-60, 60, camera: camera) }
        let one = try await test.event("e1", at: 0, rule: "a", cameras: names.map { T.camera($0) }, delivery: .archive)
        let two = try await test.event("e2", at: 10, rule: "b", cameras: names.map { T.camera($0) }, delivery: .archive)
        let paths = try await test.work(.archive)
        #expect(paths.count == Set(paths).count)
        // [-15, 5) touches three files of each camera, [-5, 15) touches three, of which two are the same.
        #expect(paths.filter { !$0.hasPrefix("sightglass.requests") }.count == 12)
        for id in [one.request?.requestID, two.request?.requestID] {
            let request = try await test.request(id)
            #expect(request.state == .done)
            #expect(request.files.filter { $0.kind == .segment }.count == 9)
        }
    }

    @Test func aWindowOlderThanRetentionFailsWithTheReason() async throws {
        let test = try T()
        try await test.recordFootage(-100, 0)
        let request = try await test.event("late", at: -800_000).request
        #expect(request?.state == .failed)
        #expect(request?.reason == "cam1: not recorded, nothing was recorded in this time")
    }

    @Test func notRecordedFailsAtOnceWithTheControllersReason() async throws {
        let test = try T()
        let cameras = [T.camera("cam1", .notRecorded, "standby is off for this source")]
        let request = try await test.archive("r1", -20, -10, cameras: cameras).request
        #expect(request?.state == .failed)
        #expect(request?.reason == "cam1: not recorded, standby is off for this source")
        #expect(request?.gaps.first?.cause == "not_recorded")
    }

    @Test func aWindowThatSpansAGapAndARestartIsPartialAndNamesIt() async throws {
        let test = try T()
        try await test.recordFootage(-60, -40)
        try await test.record([T.gap(-40, -30, cause: "killed"), T.run("run2", from: -30)])
        try await test.recordFootage(-30, 0, run: "run2")
        let request = try await test.archive("r1", -60, 0).request
        #expect(request?.state == .copying)
        try await test.work(.archive)
        let partial = try await test.request("r1")
        #expect(partial.state == .partial)
        #expect(partial.reason == "cam1: 10.0 s are missing (killed), the camera is silent")
        #expect(partial.gaps.map(\.window) == [T.window(-40, -30)])
        #expect(partial.files.count == 6)
    }

    @Test func aClockThatWasSetBackDoesNotCloseWindowsEarly() async throws {
        let test = try T()
        try await test.recordFootage(3000, 3600)
        // The host's clock goes back by an hour; a new run says so before its first file.
        try await test.record([T.run("run2", from: 0)])
        #expect(try await test.event("e1", at: 0).request?.state == .waiting)
        test.now(6)
        try await test.record([T.segment(-16, 6, run: "run2")])
        #expect(
            try await test.request(test.requests.listRequests(ListRequestsRequest()).requests.first?.requestID).state
                == .copying)
    }

    @Test func footageThatIsSalvagedAfterNewerFilesIsStillDelivered() async throws {
        let test = try T()
        try await test.recordFootage(-60, -20)
        // The recorder was killed at -12; after the restart the new run's first file comes before the salvaged one.
        try await test.record([T.run("run2", from: -10), T.segment(-10, 6, run: "run2")])
        test.now(6)
        let request = try #require(try await test.event("e1", at: 0).request)
        #expect(request.window == T.window(-15, 5))
        #expect(request.state == .waiting)
        try await test.record([T.segment(-20, -12, run: "run1", salvaged: true), T.gap(-12, -10, cause: "killed")])
        #expect(try await test.request(request.requestID).state == .copying)
        let files = try await test.request(request.requestID).files
        #expect(files.map { T.seconds($0.window?.startUs) }.sorted() == [-20, -10])
        #expect(try await test.request(request.requestID).gaps.map(\.cause) == ["killed"])
    }

    @Test func anOperatorsIdAgainIsTheSameRequestOrAConflict() async throws {
        let test = try T()
        #expect(try await test.archive("r1", 0, 10).receipt == .accepted)
        #expect(try await test.archive("r1", 0, 10).receipt == .duplicate)
        await #expect {
            try await test.archive("r1", 0, 11)
        } throws: {
            ($0 as? RPCError)?.code == .alreadyExists
        }
        await #expect {
            try await test.archive("r1", 0, 10, cameras: [T.camera("cam2")])
        } throws: {
            ($0 as? RPCError)?.code == .alreadyExists
        }
    }

    @Test func aLaterCloudRequestUploadsWhatIsArchivedAlready() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("r1", -20, 0)
        try await test.work(.archive)
        #expect(try await test.request("r1").state == .done)
        #expect(try await test.claim(.upload).isEmpty)
        try await test.archive("r2", -20, 0, delivery: .cloud)
        #expect(try await test.work(.archive).count == 1)
        #expect(try await test.work(.upload).count == 3)
        #expect(try await test.request("r2").state == .done)
    }

    @Test func aVolumeThatUploadsByItselfEndsTheRequest() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("r1", -20, 0, delivery: .cloud)
        for _ in 0..<2 {
            for item in try await test.claim(.archive) {
                #expect(try await test.complete(item, .archive, handedOver: true) == .handedOver)
            }
        }
        #expect(try await test.request("r1").state == .done)
        #expect(try await test.claim(.upload).isEmpty)
    }

    @Test func snapshotsAndSegmentsAreChosenByKind() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.record([T.snapshot(-15), T.snapshot(-15), T.snapshot(-5), T.snapshot(0)])
        try await test.archive("both", -20, 0, kinds: [])
        try await test.archive("pictures", -20, 0, kinds: [.snapshot])
        try await test.archive("none", -14, -6, kinds: [.snapshot])
        #expect(try await test.request("both").files.count == 4)
        #expect(try await test.request("pictures").files.map(\.kind) == [.snapshot, .snapshot])
        #expect(try await test.request("none").state == .failed)
        #expect(try await test.request("none").gaps.first?.cause == "no_snapshot")
    }

    @Test func aPoisonedFileMakesThePartialRequestSayWhy() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("r1", -20, 0)
        let items = try await test.claim(.archive)
        _ = try await test.claims.failItem(
            FailItemRequest(
                claim: ItemClaim(itemID: items[0].itemID, epoch: items[0].epoch), work: .archive, worker: "w",
                reason: "the source is gone", retryable: false))
        try await test.complete(items[1], .archive)
        let manifest = try #require(try await test.claim(.archive).first)
        let document = try JSONDecoder().decode(Manifest.self, from: Data(manifest.content ?? []))
        #expect(document.files.map(\.error) == ["the source is gone", nil])
        #expect(document.files.first?.sha256 == nil)
        try await test.complete(manifest, .archive)
        let request = try await test.request("r1")
        #expect(request.state == .partial)
        #expect(request.reason == "1 file could not be archived: the source is gone")
        #expect(request.files.first?.state == .poisoned)
        #expect(request.bytesArchived.map { $0 < request.bytesTotal ?? 0 } == true)
        // Another request gives the file another chance.
        try await test.archive("r2", -20, 0)
        #expect(try await test.claim(.archive).contains { $0.itemID == items[0].itemID })
    }

    @Test func cancelDropsWhatNobodyElseNeeds() async throws {
        let test = try T()
        try await test.recordFootage(-40, 0)
        try await test.archive("r1", -40, 0)
        try await test.archive("r2", -20, 0)
        let held = try await test.claim(.archive, limit: 1)
        let cancelled = try await test.requests.cancelRequest(
            CancelRequestRequest(requestID: "r1", requestedBy: "ops"), caller: "cli")
        #expect(cancelled.state == .cancelled)
        #expect(cancelled.reason == "cancelled by ops")
        let lost = try await test.claims.renewClaims(
            RenewClaimsRequest(
                worker: "w", claims: held.map { ItemClaim(itemID: $0.itemID, epoch: $0.epoch) }, leaseMs: 30_000))
        #expect(lost.lost.map(\.itemID) == held.map(\.itemID))
        #expect(try await test.work(.archive).count == 3)
        #expect(try await test.request("r2").state == .done)
        let again = try await test.requests.cancelRequest(CancelRequestRequest(requestID: "r1"), caller: "cli")
        #expect(again.state == .cancelled)
        await #expect {
            try await test.requests.cancelRequest(CancelRequestRequest(requestID: "r2"), caller: "cli")
        } throws: {
            ($0 as? RPCError)?.code == .failedPrecondition
        }
    }

    @Test func aClipWaitsForAnArchiverThatCan() async throws {
        let test = try T()
        try await test.recordFootage(-40, 0)
        try await test.archive("r1", -25.5, -1, mode: .clip)
        #expect(try await test.claim(.archive).isEmpty)
        #expect(try await test.request("r1").state == .copying)
        let clip = try #require(try await test.claim(.archive, kinds: [.clip]).first)
        #expect(clip.kind == .clip)
        #expect(clip.window == T.window(-25.5, -1))
        #expect(clip.source?.source == T.source("cam1"))
        try await test.complete(clip, .archive)
        #expect(try await test.work(.archive).count == 1)
        #expect(try await test.request("r1").state == .done)
    }

    @Test func twoFilesThatWantOnePathGetTwo() async throws {
        let test = try T()
        try await test.record([T.segment(-20, -19.8), T.segment(-19.8, -19.5), T.segment(-19.5, 0)])
        try await test.archive("r1", -20, 0)
        let stems = try await test.request("r1").files.compactMap { $0.archivePath?.split(separator: "/").last }
        #expect(Set(stems).count == 3)
        #expect(stems.contains { $0.hasSuffix("_cam1.mp4") })
        #expect(stems.contains { $0.hasSuffix("_cam1_2.mp4") })
    }

    @Test func theSidecarHasWhatQueryToolsRead() async throws {
        let test = try T()
        try await test.record([T.segment(-20, -10.5), T.segment(-10.5, 0)])
        try await test.archive("r1", -20, 0)
        let item = try #require(try await test.claim(.archive).first)
        let object = try JSONSerialization.jsonObject(with: Data(item.sidecar ?? [])) as? [String: Any]
        let sidecar = try #require(object)
        #expect(sidecar["camera_id"] as? String == "cam1")
        #expect(sidecar["location"] as? String == "")
        #expect(sidecar["duration_seconds"] as? Double == 9.5)
        #expect(sidecar["segment_start"] as? String == documentTime(T.us(-20)))
        #expect(sidecar["segment_end"] as? String == documentTime(T.us(-10.5)))
        #expect(sidecar["file_name"] as? String == item.archivePath?.split(separator: "/").last.map(String.init))
        #expect(sidecar["source"] as? String == "dev-cam1/main")
        #expect(sidecar["request_ids"] as? [String] == ["r1"])
        #expect(sidecar["sha256"] == nil)
        try await test.complete(item, .archive)
        try await test.archive("r2", -20, 0, delivery: .cloud)
        let upload = try #require(try await test.claim(.upload).first)
        let later = try JSONDecoder().decode(Sidecar.self, from: Data(upload.sidecar ?? []))
        #expect(later.sha256 == Digest.hexadecimal(T.digest(item)))
        #expect(later.sizeBytes == 1000)
    }

    @Test func aLongWindowsManifestComesInPartsThatFitAMessage() throws {
        let file = Manifest.File(
            path: String(repeating: "p", count: 200), kind: "segment", camera: "cam1", start: "s", end: "e",
            sizeBytes: 1, sha256: String(repeating: "0", count: 64), sourceVolumeID: "v",
            sourcePath: String(repeating: "q", count: 200), error: nil)
        let manifest = Manifest(
            requestID: "r", window: .init(Span(1, 2)), requestedBy: "", reason: "", eventKeys: [], accepted: "",
            mode: "files", cameras: [], files: Array(repeating: file, count: 8640), part: 1, parts: 1)
        let parts = manifest.split()
        #expect(parts.reduce(0) { $0 + $1.files.count } == 8640)
        #expect(parts.map(\.part) == Array(1...parts.count))
        for part in parts { #expect(try documentBytes(part).count < 900_000) }
        #expect(try documentBytes(manifest.split()[0]) == documentBytes(parts[0]))
    }
}
