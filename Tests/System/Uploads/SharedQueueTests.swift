// Three uploaders on one queue: they share it; what one of them leaves in the middle is done by the others within the lease, once,
// and whatever the late one does afterwards changes nothing: the storage refuses its commit, the indexer its report.
import FaultProxy
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct SharedQueueTests {
    private static let victim = SharedQueue.names[1]
    /// For claiming and uploading, after the lease.
    private static let takeover = Duration.seconds(SharedQueue.leaseSeconds + 4)

    private func with(_ body: (SharedQueue, [String: ServiceProcess]) async throws -> Void) async throws {
        let queue = try await SharedQueue()
        var uploaders: [String: ServiceProcess] = [:]
        for name in SharedQueue.names { uploaders[name] = try queue.start(name) }
        for name in SharedQueue.names {
            let client = try ServiceClient("cloud-uploader", at: "ipc://\(queue.folder.path("run/\(name).rpc"))")
            defer { client.close() }
            try await eventually("\(name) is ready", within: .seconds(20)) {
                try await client.health().ready == true ? true : nil
            }
        }
        do {
            try await body(queue, uploaders)
        } catch {
            let logs = uploaders.map { "\($0):\n\($1.standardError.suffix(1500))" }
            Issue.record("\(error)\n\(logs.joined(separator: "\n"))")
        }
        for uploader in uploaders.values where uploader.isRunning {
            uploader.signal(SIGCONT)
            #expect(try await uploader.terminate() == 0)
        }
        try await queue.end()
    }

    @Test func theyShareTheWork() async throws {
        try await with { queue, _ in
            // A line that lets nobody take all of it before the others have asked.
            for proxy in queue.proxies.values {
                proxy.add([ProxyFault(.crawl(bytesPerSecond: 400_000), operation: "PUT block", count: 10_000)])
            }
            try await queue.submit("share", files: 48)
            let request = try await queue.done("share", within: .seconds(60))
            #expect(request.files.count == 49)
            #expect(queue.complaints(request) == [])
            let media = Set(request.files.compactMap(\.archivePath).filter { $0.hasSuffix(".mp4") })
            let shares = try SharedQueue.names.map { try queue.committed(by: $0).intersection(media).count }
            print("uploads shared: \(zip(SharedQueue.names, shares).map { "\($0) \($1)" }.joined(separator: ", "))")
            #expect(shares.reduce(0, +) == media.count)
            #expect(shares.allSatisfy { $0 * 5 >= media.count }, "\(shares)")
        }
    }

    /// Waits until the victim is at a request of this kind; gives the path of its blob.
    private func held(_ queue: SharedQueue, _ fault: ProxyFault, _ requestID: String) async throws -> String {
        let proxy = try queue.proxy(Self.victim)
        proxy.add([fault])
        try await queue.submit(requestID, files: 18)
        let request = try await eventually("\(Self.victim) is held", within: .seconds(20)) {
            proxy.requests.first { $0.isHeld }
        }
        proxy.clear()
        let path = try #require(request.path.removingPercentEncoding)
        return String(path.split(separator: "/cams/", maxSplits: 1).last ?? "")
    }

    /// That the others did all within the lease and what an upload needs.
    private func takenOver(_ queue: SharedQueue, _ requestID: String, since: ContinuousClock.Instant) async throws
        -> ArchiveRequest
    {
        let request = try await queue.done(requestID, within: .seconds(30))
        let took = ContinuousClock.now - since
        #expect(took <= Self.takeover, "\(requestID) was done after \(took)")
        #expect(queue.complaints(request) == [])
        return request
    }

    /// Says once more what the late one would say, had it not been told in time that its claim is lost.
    private func refusedAsLate(_ queue: SharedQueue, _ request: ArchiveRequest, _ path: String) async throws {
        let file = try #require(request.files.first { $0.archivePath == path })
        // The first claim was for archiving it, the second is the victim's.
        let late = CompleteItemRequest(
            claim: ItemClaim(itemID: file.itemID, epoch: 2), work: .upload, worker: "cloud-uploader/\(Self.victim)",
            sizeBytes: file.sizeBytes, sha256: file.sha256, blobURL: "https://elsewhere.example/cams/\(path)")
        let refusal = try await queue.client.refusal(of: IndexerMethods.completeItem, late)
        #expect(refusal.code == .failedPrecondition)
        #expect(try await queue.request(request.requestID ?? "") == request)
    }

    @Test func whatAKilledOneWasUploadingIsDoneByTheOthers() async throws {
        try await with { queue, uploaders in
            let path = try await held(
                queue, ProxyFault(.hold(afterBytes: 20_000), operation: "PUT block", skip: 3), "killed")
            let since = ContinuousClock.now
            try await uploaders[Self.victim]?.kill()
            try queue.proxy(Self.victim).release()
            let request = try await takenOver(queue, "killed", since: since)
            #expect(request.files.contains { $0.archivePath == path })
            // It comes back, and there is nothing left to do of what it had.
            let again = try queue.start(Self.victim)
            try await queue.submit("afterwards", files: 6)
            #expect(queue.complaints(try await queue.done("afterwards", within: .seconds(20))) == [])
            #expect(queue.complaints(request) == [])
            #expect(try await again.terminate() == 0)
        }
    }

    /// Where the pause comes, and whether what it had sent arrives only after the others are done.
    @Test(arguments: [
        ProxyFault(.hold(afterBytes: 20_000), operation: "PUT block", skip: 3),
        ProxyFault(.hold(afterBytes: 0), operation: "PUT blocklist"),
        ProxyFault(.holdReply, operation: "PUT blocklist"),
    ])
    func aPausedOneIsFencedOff(_ fault: ProxyFault) async throws {
        try await with { queue, uploaders in
            let path = try await held(queue, fault, "paused")
            let victim = try #require(uploaders[Self.victim])
            let proxy = try queue.proxy(Self.victim)
            victim.signal(SIGSTOP)
            let request = try await takenOver(queue, "paused", since: .now)
            let before = queue.blob.blob(path, in: "cams")?.etag
            // What it had sent reaches the storage when another has committed: refused, because it may only create.
            proxy.release()
            if fault.operation == "PUT blocklist", fault.action != .holdReply {
                try await eventually("the late commit is refused") {
                    proxy.requests.contains {
                        $0.operation == "PUT blocklist" && $0.path.removingPercentEncoding?.hasSuffix(path) == true
                            && [409, 412].contains($0.serverStatus)
                    } ? true : nil
                }
            }
            victim.signal(SIGCONT)
            try await eventually("it knows that its claims are lost") {
                ["the claim is lost", "refuses the report"].contains { victim.standardError.contains($0) } ? true : nil
            }
            #expect(queue.blob.blob(path, in: "cams")?.etag == before)
            try await refusedAsLate(queue, request, path)
            // It goes on with what comes next.
            try await queue.submit("afterwards", files: 6)
            #expect(queue.complaints(try await queue.done("afterwards", within: .seconds(20))) == [])
            #expect(queue.complaints(request) == [])
        }
    }
}
