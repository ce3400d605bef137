// A faked indexer: takes every record and request, gives out the work that the test queued.

import RPC
import Synchronization
import Wire

/// The indexer as its neighbours see it. Every method answers plausibly; a test changes the answers that it is about.
public final class FakeIndexer: Sendable {
    /// Its socket.
    public let server: FakeServer
    /// Its hints.
    public let hints: HintPublisher
    /// Takes all records.
    public let recordMedia: FakeMethod<RecordMediaRequest, RecordMediaReply>
    /// Takes all volumes.
    public let reportVolume: FakeMethod<ReportVolumeRequest, ReportVolumeReply>
    /// Knows no file.
    public let listFiles: FakeMethod<ListFilesRequest, ListFilesReply>
    /// Has heard of no volume.
    public let listVolumes: FakeMethod<ListVolumesRequest, ListVolumesReply>
    /// Accepts every event as request "request-{key}".
    public let submitEvent: FakeMethod<SubmitEventRequest, SubmitReply>
    /// Accepts every request.
    public let submitArchive: FakeMethod<SubmitArchiveRequest, SubmitReply>
    /// Gives what `show` was told.
    public let getRequest: FakeMethod<GetRequestRequest, ArchiveRequest>
    /// Lists what `show` was told.
    public let listRequests: FakeMethod<ListRequestsRequest, ListRequestsReply>
    /// Cancels what `show` was told.
    public let cancelRequest: FakeMethod<CancelRequestRequest, ArchiveRequest>
    /// Gives the items of `offer` once each.
    public let claimItems: FakeMethod<ClaimItemsRequest, ClaimItemsReply>
    /// Loses no claim.
    public let renewClaims: FakeMethod<RenewClaimsRequest, RenewClaimsReply>
    /// Takes every completion.
    public let completeItem: FakeMethod<CompleteItemRequest, CompleteItemReply>
    /// Takes every failure.
    public let failItem: FakeMethod<FailItemRequest, FailItemReply>
    /// Has nothing to upload.
    public let listUploads: FakeMethod<ListUploadsRequest, ListUploadsReply>
    /// Revives what is named.
    public let reviveItems: FakeMethod<ReviveItemsRequest, ReviveItemsReply>
    /// Grants nothing.
    public let getDeletionGrants: FakeMethod<GetDeletionGrantsRequest, GetDeletionGrantsReply>
    /// Takes every report.
    public let reportDeleted: FakeMethod<ReportDeletedRequest, ReportDeletedReply>
    /// Knows no file.
    public let queryMedia: FakeMethod<QueryMediaRequest, QueryMediaReply>
    /// Has footage of the whole window.
    public let coverage: FakeMethod<CoverageRequest, CoverageReply>
    /// Counts nothing.
    public let countDays: FakeMethod<CountDaysRequest, CountDaysReply>
    /// Refuses, until `holdBackup`.
    public let backupCatalogue: FakeMethod<BackupCatalogueRequest, BackupCatalogueReply>
    /// Gives pieces of what `holdBackup` was told.
    public let readBackup: FakeMethod<ReadBackupRequest, ReadBackupReply>
    /// Has nothing in its books.
    public let listAudit: FakeMethod<ListAuditRequest, ListAuditReply>
    /// Finds nothing wrong.
    public let checkCatalogue: FakeMethod<CheckCatalogueRequest, CheckCatalogueReply>
    /// One change for each `show`.
    public let changes: FakeMethod<IndexerChangesRequest, IndexerChangesReply>

    private struct State {
        var offered: [ClaimedItem] = []
        var requests: [ArchiveRequest] = []
        var backup: (reply: BackupCatalogueReply, bytes: [UInt8])?
    }

    private final class Held: Sendable {
        let state = Mutex(State())
    }

    private let held: Held

    /// A faked indexer on two addresses; call `server.start()`.
    public init(address: String, hints: String, log: (@Sendable (String) -> Void)? = nil) throws {
        server = try FakeServer(address: address, log: log)
        self.hints = try HintPublisher(addresses: [RPCAddress(parsing: hints)])
        let held = Held()
        self.held = held
        recordMedia = FakeMethod(IndexerMethods.recordMedia, on: server) { request, _ in
            RecordMediaReply(acknowledged: request.records.compactMap(\.spoolID))
        }
        reportVolume = FakeMethod(IndexerMethods.reportVolume, on: server) { _, _ in ReportVolumeReply() }
        listFiles = FakeMethod(IndexerMethods.listFiles, on: server) { _, _ in ListFilesReply(more: false) }
        listVolumes = FakeMethod(IndexerMethods.listVolumes, on: server) { _, _ in ListVolumesReply() }
        submitEvent = FakeMethod(IndexerMethods.submitEvent, on: server) { request, _ in
            let event = request.eventUs ?? 0
            let window = Window(
                startUs: event + Int64(request.startOffsetMs ?? 0) * 1000,
                endUs: event + Int64(request.endOffsetMs ?? 0) * 1000)
            let made = ArchiveRequest(
                requestID: "request-\(request.eventKey ?? "")", state: .accepted, window: window,
                cameras: request.cameras, delivery: request.delivery)
            return SubmitReply(receipt: .accepted, request: made)
        }
        submitArchive = FakeMethod(IndexerMethods.submitArchive, on: server) { request, _ in
            let made = ArchiveRequest(
                requestID: request.requestID ?? "request-1", state: .accepted, window: request.window,
                cameras: request.cameras, delivery: request.delivery)
            return SubmitReply(receipt: .accepted, request: made)
        }
        getRequest = FakeMethod(IndexerMethods.getRequest, on: server) { request, _ in
            let found = held.state.withLock { state in
                state.requests.last { $0.requestID == request.requestID }
            }
            guard let found else { throw RPCError.notFound("no request \(request.requestID ?? "")") }
            return found
        }
        listRequests = FakeMethod(IndexerMethods.listRequests, on: server) { _, _ in
            ListRequestsReply(requests: held.state.withLock { $0.requests })
        }
        cancelRequest = FakeMethod(IndexerMethods.cancelRequest, on: server) { request, _ in
            ArchiveRequest(requestID: request.requestID, state: .cancelled)
        }
        claimItems = FakeMethod(IndexerMethods.claimItems, on: server) { request, _ in
            let items = held.state.withLock { state in
                let taken = Array(state.offered.prefix(Int(request.limit ?? 4)))
                state.offered.removeFirst(taken.count)
                return taken
            }
            // A real indexer holds the call for wait_ms; a short wait keeps a worker from spinning.
            if items.isEmpty { try await Task.sleep(for: .milliseconds(min(Int(request.waitMs ?? 0), 50))) }
            return ClaimItemsReply(items: items)
        }
        renewClaims = FakeMethod(IndexerMethods.renewClaims, on: server) { _, _ in RenewClaimsReply() }
        completeItem = FakeMethod(IndexerMethods.completeItem, on: server) { request, _ in
            CompleteItemReply(state: request.work == .upload ? .uploaded : .archived)
        }
        failItem = FakeMethod(IndexerMethods.failItem, on: server) { _, _ in FailItemReply(state: .pending) }
        listUploads = FakeMethod(IndexerMethods.listUploads, on: server) { _, _ in
            ListUploadsReply(
                waitingFiles: 0, waitingBytes: 0, activeFiles: 0, activeBytes: 0, setAsideFiles: 0, setAsideBytes: 0)
        }
        reviveItems = FakeMethod(IndexerMethods.reviveItems, on: server) { request, _ in
            ReviveItemsReply(revived: UInt64(request.itemIDs.count))
        }
        getDeletionGrants = FakeMethod(IndexerMethods.getDeletionGrants, on: server) { _, _ in
            GetDeletionGrantsReply()
        }
        reportDeleted = FakeMethod(IndexerMethods.reportDeleted, on: server) { _, _ in ReportDeletedReply() }
        queryMedia = FakeMethod(IndexerMethods.queryMedia, on: server) { _, _ in QueryMediaReply() }
        coverage = FakeMethod(IndexerMethods.coverage, on: server) { request, _ in
            CoverageReply(covered: [request.window].compactMap(\.self), segments: 1, bytes: 1)
        }
        countDays = FakeMethod(IndexerMethods.countDays, on: server) { _, _ in CountDaysReply(more: false) }
        backupCatalogue = FakeMethod(IndexerMethods.backupCatalogue, on: server) { _, _ in
            guard let backup = held.state.withLock({ $0.backup }) else { throw RPCError.unavailable("no room") }
            return backup.reply
        }
        readBackup = FakeMethod(IndexerMethods.readBackup, on: server) { request, _ in
            guard let backup = held.state.withLock({ $0.backup }), backup.reply.name == request.name else {
                throw RPCError.notFound("no backup \(request.name ?? "")")
            }
            let start = min(Int(clamping: request.offset ?? 0), backup.bytes.count)
            let end = min(start + Int(request.length ?? 921_600), backup.bytes.count)
            return ReadBackupReply(data: Array(backup.bytes[start..<end]))
        }
        listAudit = FakeMethod(IndexerMethods.listAudit, on: server) { _, _ in ListAuditReply() }
        checkCatalogue = FakeMethod(IndexerMethods.checkCatalogue, on: server) { _, _ in
            CheckCatalogueReply(rows: 0)
        }
        changes = FakeMethod(IndexerMethods.changes, on: server) { request, _ in
            let requests = held.state.withLock { $0.requests }
            let after = request.after ?? 0
            let all = requests.enumerated().map { index, request in
                IndexerChange(cursor: UInt64(index + 1), what: "request", name: request.requestID, atUs: 1)
            }
            return IndexerChangesReply(
                changes: all.filter { ($0.cursor ?? 0) > after }, newest: UInt64(requests.count))
        }
    }

    /// Queues work; a hint says so.
    public func offer(_ items: [ClaimedItem], work: Work) {
        held.state.withLock { $0.offered += items }
        hints.publish(topic: work == .upload ? "claims/upload" : "claims/archive", name: "", cursor: 0)
    }

    /// Has a backup of the catalogue: what it says of it, and its bytes.
    public func holdBackup(_ reply: BackupCatalogueReply, bytes: [UInt8]) {
        held.state.withLock { $0.backup = (reply, bytes) }
    }

    /// Shows a request (again, in a newer state) by GetRequest, ListRequests and Changes; a hint says so.
    public func show(_ request: ArchiveRequest) {
        let count = held.state.withLock { state in
            state.requests.append(request)
            return state.requests.count
        }
        hints.publish(topic: "requests/", name: request.requestID ?? "", cursor: UInt64(count))
    }
}
