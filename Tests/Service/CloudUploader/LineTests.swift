// The executable within its means: a service that wants less, a bandwidth, hours in which nothing is sent, and progress on the way.
import BlobServer
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct LineTests {
    private func withSite(_ body: (UploaderSite) async throws -> Void) async throws {
        let site = try await UploaderSite()
        do {
            try await body(site)
        } catch {
            try await site.blob.stop()
            throw error
        }
        try await site.blob.stop()
    }

    private func metric(_ name: String, _ labels: String = "", of site: UploaderSite) async throws -> Double {
        let metrics = try await site.health().metrics
        return metrics.first { $0.name == name && ($0.labels ?? "") == labels }?.value ?? 0
    }

    @Test(arguments: [nil, 1] as [Int?]) func aServiceThatWantsLessForAMomentGetsItAllOnce(retryAfter: Int?)
        async throws
    {
        try await withSite { site in
            let bytes = UploaderSite.randomBytes(1_000_000)
            let item = try site.archived(bytes, "a", id: 1)
            site.blob.addFaults([
                Fault(.status, operation: .putBlock, skip: 3, count: 2, retryAfterSeconds: retryAfter),
                Fault(.status, operation: .putBlock, skip: 2, status: 429, code: "TooManyRequests"),
            ])
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed()
            #expect(site.blob.content(of: try #require(item.archivePath), in: "cams") == bytes)
            #expect(site.indexer.failItem.requests.isEmpty && site.accepted(.putBlock).count == 10)
            #expect(try await metric("sightglass_uploader_requests_total", #"outcome="throttled""#, of: site) == 3)
            #expect(try await metric("sightglass_uploader_resent_bytes_total", of: site) == 300_000)
            let held = try await metric("sightglass_uploader_throttled_seconds_total", of: site)
            #expect(retryAfter == nil ? held == 0 : held > 0)
            try await uploader.terminate()
        }
    }

    @Test func nobodySendsBeforeRetryAfterIsOverAndTheReasonShows() async throws {
        try await withSite { site in
            let item = try site.archived(UploaderSite.randomBytes(500_000), "b", id: 2)
            site.blob.addFaults([Fault(.status, operation: .putBlock, retryAfterSeconds: 300)])
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start(["blocks-in-flight": "1", "parallel": "1"])
            let failure = try await site.failed()
            // With a pause of its own, which the indexer does not count against the item.
            #expect(failure.retryable == true && failure.retryAfterMs == 300_000)
            try await eventually("health says so") {
                try await site.health().reasons.contains { $0.contains("nothing is sent for") } ? true : nil
            }
            #expect(try await metric("sightglass_uploader_throttled_seconds_total", of: site) >= 299)
            let requests = site.blob.requests.count
            let claims = site.indexer.claimItems.requests.count
            site.indexer.offer([item], work: .upload)
            // Its other loops go on; each turn of the worker would have claimed.
            let grants = site.indexer.getDeletionGrants.requests.count
            try await eventually("ten seconds pass", within: .seconds(20)) {
                site.indexer.getDeletionGrants.requests.count > grants ? true : nil
            }
            #expect(site.blob.requests.count == requests)
            // A call that was on its way when the service said so may still have brought something.
            #expect(site.indexer.claimItems.requests.count <= claims + 1)
            #expect(try await uploader.terminate() == 0)
        }
    }

    @Test func aServiceThatAlwaysWantsLessCostsAnItemNothing() async throws {
        try await withSite { site in
            let item = try site.archived(UploaderSite.randomBytes(1000), "c", id: 3)
            site.blob.addFaults([Fault(.status, operation: .putBlob, count: 1000)])
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            let failure = try await site.failed()
            #expect(failure.retryable == true && failure.retryAfterMs == 15_000)
            #expect(failure.reason?.contains("wants fewer requests (503 ServerBusy)") == true)
            site.blob.clearFaults()
            site.indexer.offer([item], work: .upload)
            _ = try await site.completed()
            #expect(try await site.health().ready == true)
            try await uploader.terminate()
        }
    }

    @Test func aBandwidthHoldsAndProgressIsToldOnTheWay() async throws {
        try await withSite { site in
            let item = try site.archived(UploaderSite.randomBytes(1_500_000), "d", id: 4)
            site.indexer.offer([item], work: .upload)
            // 250 KB/s: six seconds. A third of the lease would be ten.
            let uploader = try site.start(["bandwidth": "2 Mbit/s"])
            try await eventually("a claim is asked for") { site.indexer.claimItems.requests.isEmpty ? nil : true }
            let began = ContinuousClock.now
            _ = try await site.completed()
            let took = ContinuousClock.now - began
            #expect(took > .seconds(5), "\(took) for 1.5 MB at 250 KB/s")
            let told = site.indexer.renewClaims.requests.flatMap(\.claims).compactMap(\.doneBytes)
            #expect(told.count >= 2 && told == told.sorted(), "\(told)")
            #expect(told.allSatisfy { (1...1_500_000).contains($0) }, "\(told)")
            #expect((told.first ?? 0) < 1_000_000)
            #expect(try await metric("sightglass_uploader_bandwidth_bytes_per_second", of: site) == 250_000)
            #expect(try await metric("sightglass_uploader_sent_bytes_total", of: site) >= 1_500_000)
            try await uploader.terminate()
        }
    }

    @Test func atHoursWithoutBandwidthNothingIsSentAndNothingClaimed() async throws {
        try await withSite { site in
            let item = try site.archived(UploaderSite.randomBytes(1000), "e", id: 5)
            site.indexer.offer([item], work: .upload)
            let settings = ["bandwidth-by-time": "mon-sun 00:00-24:00 0"]
            let uploader = try site.start(settings)
            try await eventually("its loops run") { site.indexer.getDeletionGrants.requests.isEmpty ? nil : true }
            #expect(try await site.health().ready == true)
            #expect(try await metric("sightglass_uploader_bandwidth_bytes_per_second", of: site) == 0)
            #expect(site.indexer.claimItems.requests.isEmpty && site.blob.requests.isEmpty)
            let client = try site.client()
            defer { client.close() }
            let once = RPCMethod<VerifyBlobRequest, VerifyBlobReply>(
                name: CloudUploaderMethods.verifyBlob.name, idempotency: .none)
            let refusal = try await client.refusal(
                of: once, VerifyBlobRequest(archivePath: "a", sizeBytes: 1, sha256: [UInt8](repeating: 1, count: 32)))
            #expect(refusal.code == .unavailable && refusal.message.contains("bandwidth-by-time"))
            #expect(try await uploader.terminate() == 0)
        }
    }

    @Test(arguments: [
        ("bandwidth", "fast"), ("bandwidth-by-time", "someday 08:00-09:00 0"), ("time-zone", "Mars/Olympus"),
    ]) func wrongSettingsOfTheLineAreOneLineEach(_ key: String, _ value: String) async throws {
        let folder = try TemporaryDirectory()
        let uploader = try ServiceProcess(
            "cloud-uploader", ["--archive-volume", "/a", "--target", "folder", "--\(key)", value], logs: folder)
        #expect(try await uploader.exitCode(within: .seconds(10)) == 64)
        let lines = uploader.standardError.split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.contains("setting '\(key)'") == true, "\(uploader.standardError)")
    }
}
