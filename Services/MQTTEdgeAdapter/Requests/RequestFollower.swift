// Follows the requests in the indexer and keeps their retained status current: hints wake it, Changes tells what moved, a
// slow timer makes up for lost hints, and at start, or when the broker may have forgotten, all recent requests are
// published again. While files go up a timer of its own shows how far they are.

import Footage
import Logging
import RPC
import ServiceKit
import Wire

/// The retained topics N/media-sync/requests/{id}.
actor RequestFollower {
    /// Makes up for hints that were lost, and shows progress that no change was recorded for.
    static let slowInterval = Duration.seconds(10)
    /// How often a request whose files go up is shown: as often as a person sees a difference, and no load for a broker.
    static let progressInterval = Duration.seconds(2)
    /// Files on their way that are looked at, and requests that are shown for it at a time.
    private static let mostUploads: UInt32 = 64
    /// As many requests are published again at a start: what a person still asks about.
    private static let maximumListed = 500
    private static let pageSize: UInt32 = 100
    /// Finished requests whose newest status is remembered, so that it is not published twice.
    private static let maximumRemembered = 2_000
    private static let callTimeout = Duration.seconds(5)

    private let indexer: RPCClient
    private let outbound: OutboundSession
    private let topics: Topics
    private let reminder: FootageReminder
    private let gaps: GapTeller
    private let clock: any WallClock
    private let logger: Logger
    private var cursor: UInt64?
    private var needsList = true
    private var shown: [String: [UInt8]] = [:]
    private var order: [String] = []
    private var open: Set<String> = []
    /// Those of which files may be on their way to the cloud.
    private var moving: Set<String> = []
    private var uploads = UploadProgress()
    private var lastProblem: String?
    private let wakes: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    init(
        indexer: RPCClient, outbound: OutboundSession, topics: Topics, reminder: FootageReminder, gaps: GapTeller,
        clock: any WallClock, logger: Logger
    ) {
        self.indexer = indexer
        self.outbound = outbound
        self.topics = topics
        self.reminder = reminder
        self.gaps = gaps
        self.clock = clock
        self.logger = logger
        (wakes, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Looks for changes until cancelled.
    func run(hints: AsyncStream<HintEvent>) async throws {
        let waker = self.waker
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in hints { waker.yield() } }
            group.addTask {
                while true {
                    try await Task.sleep(for: Self.slowInterval)
                    await self.refreshOpen()
                    waker.yield()
                }
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: Self.progressInterval)
                    await self.showProgress()
                }
            }
            group.addTask { for await _ in self.wakes { await self.step() } }
            waker.yield()
            try await group.waitForAll()
        }
    }

    /// The broker is there (again): publish all.
    nonisolated func brokerConnected() {
        Task { await publishAll() }
    }

    private func publishAll() {
        needsList = true
        shown = [:]
        order = []
        waker.yield()
    }

    /// Publishes a request as it is now, where that is news.
    func show(_ request: ArchiveRequest) {
        guard let id = request.requestID, !id.isEmpty else { return }
        reminder.saw(request)
        let isFinal = RequestJSON.isFinal(request.state)
        if isFinal { open.remove(id) } else if open.count < Self.maximumRemembered { open.insert(id) }
        let isMoving = request.delivery == .cloud && [.copying, .uploading].contains(request.state)
        if isMoving, open.contains(id) { moving.insert(id) } else { moving.remove(id) }
        var expiryS: UInt32?
        if isFinal {
            let ageS = (clock.nowUs() - (request.finishedUs ?? clock.nowUs())) / 1_000_000
            guard ageS < Int64(retainedExpiryS) else { return }
            expiryS = retainedExpiryS - UInt32(max(0, ageS))
        }
        let payload = RequestJSON.encoded(
            request, bytesInFlight: isFinal ? nil : uploads.bytesInFlight[id], maximumBytes: outbound.maximumPacketBytes
        )
        guard shown[id] != payload else { return }
        var message = OutboundMessage(topic: topics.request(id), payload: payload, retain: true)
        message.properties = .json
        message.properties.expiryS = expiryS
        guard case .success = outbound.post(message) else { return }
        if shown.updateValue(payload, forKey: id) == nil { order.append(id) }
        if order.count > Self.maximumRemembered { shown[order.removeFirst()] = nil }
    }

    private func step() async {
        do throws(RPCError) {
            if needsList { try await list() }
            try await changes()
            lastProblem = nil
        } catch {
            if error.code == .outOfRange {
                cursor = nil
                needsList = true
            }
            if lastProblem != error.message, !Task.isCancelled {
                lastProblem = error.message
                logger.warning(
                    "the state of requests cannot be followed at present", metadata: ["reason": "\(error.message)"])
            }
        }
    }

    private func list() async throws(RPCError) {
        // What changes while the list is read comes again by Changes from this cursor on.
        let newest = try? await indexer.call(
            IndexerMethods.changes, IndexerChangesRequest(after: 0, limit: 1), timeout: Self.callTimeout
        ).newest
        var listed = 0
        var before: Int64?
        var highest: UInt64 = 0
        while listed < Self.maximumListed {
            let page = try await indexer.call(
                IndexerMethods.listRequests, ListRequestsRequest(limit: Self.pageSize, beforeUs: before),
                timeout: Self.callTimeout
            ).requests
            for request in page {
                highest = max(highest, request.cursor ?? 0)
                if let id = request.requestID { try await fetch(id) }
            }
            listed += page.count
            let oldest = page.compactMap(\.acceptedUs).min()
            guard page.count == Int(Self.pageSize), let oldest, oldest != before else { break }
            before = oldest
        }
        cursor = newest ?? highest
        needsList = false
    }

    private func changes() async throws(RPCError) {
        while true {
            let after = cursor ?? 0
            let reply = try await indexer.call(
                IndexerMethods.changes, IndexerChangesRequest(after: after, limit: 500), timeout: Self.callTimeout)
            var seen: Set<String> = []
            for change in reply.changes where change.what == "request" {
                if let id = change.name, seen.insert(id).inserted { try await fetch(id) }
            }
            for change in reply.changes where change.what == "gap" {
                if let source = change.name.flatMap(SourceName.init(path:)), seen.insert("gap \(source.text)").inserted
                {
                    do throws(RPCError) { try await gaps.tell(source, atUs: change.atUs ?? clock.nowUs()) } catch {
                        // One source that cannot be looked at must not hide what comes behind it.
                        if FailureKind(error.code) == .transient { throw error }
                    }
                }
            }
            guard let last = reply.changes.compactMap(\.cursor).max(), last > after else { return }
            cursor = last
        }
    }

    private func fetch(_ id: String) async throws(RPCError) {
        do throws(RPCError) {
            show(
                try await indexer.call(
                    IndexerMethods.getRequest, GetRequestRequest(requestID: id), timeout: Self.callTimeout))
        } catch {
            // One request that is gone, or too large for an answer, must not hide the others.
            switch FailureKind(error.code) {
            case .transient: throw error
            case .suspect, .final:
                open.remove(id)
                moving.remove(id)
                logger.warning("no state of a request", metadata: ["request": "\(id)", "reason": "\(error.message)"])
            }
        }
    }

    /// What is wrong where this fails the other turns say.
    private func showProgress() async {
        guard !moving.isEmpty else { return }
        do throws(RPCError) {
            let items = try await indexer.call(
                IndexerMethods.listUploads, ListUploadsRequest(limit: Self.mostUploads), timeout: Self.callTimeout
            ).items
            for id in uploads.take(items, moving: moving, most: Int(Self.mostUploads)) { try await fetch(id) }
        } catch {}
    }

    private func refreshOpen() async {
        for id in open.sorted() {
            do throws(RPCError) { try await fetch(id) } catch { return }
        }
    }
}
