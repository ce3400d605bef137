// Puts files into Azure Blob Storage. Nothing is replaced: every commit says If-None-Match, and a blob that is there
// already counts as ours only when its metadata names the same content. A blob of blocks counts as uploaded when the
// committed list that the service gives back is the one that was planned.
import Foundation
import Logging
import NIOHTTP1
import ServiceKit
import Synchronization
import Volume

final class BlobTarget: UploadTarget {
    /// Told about every change of the storage: ready, or the reason why not.
    typealias Report = @Sendable (_ isReady: Bool, _ reason: String) -> Void

    private let client: BlobClient
    private let table: RetryTable
    private let blocksInFlight: Int
    private let report: Report
    private let logger: Logger
    /// When the storage may be tried again after a failure that concerns all files; nil while all is well.
    private let refusedAt = Mutex<ContinuousClock.Instant?>(nil)

    /// Time between two looks at a storage that refused us. They ask for nothing but the container's properties.
    private static let probeInterval = Duration.seconds(5)
    /// How often an upload starts over because blocks went away under it.
    private static let rounds = 3

    init(client: BlobClient, mayCreateContainer: Bool, blocksInFlight: Int, logger: Logger, report: @escaping Report) {
        self.client = client
        self.blocksInFlight = blocksInFlight
        self.report = report
        self.logger = logger
        table = RetryTable(
            endpoint: client.location.endpoint, container: client.location.container,
            mayCreateContainer: mayCreateContainer, isSignature: client.location.isSignature)
    }

    func close() async { await client.close() }

    func mayWork() async -> Bool {
        guard let since = refusedAt.withLock({ $0 }) else { return true }
        guard .now - since >= Self.probeInterval else { return false }
        do {
            _ = try await client.send(BlobCall(method: .HEAD, query: [("restype", "container")]))
        } catch let error as BlobCallError where mayUpload(in: error) {
        } catch {
            refusedAt.withLock { $0 = .now }
            return false
        }
        storageAnswers()
        return true
    }

    /// Whether a refusal to show the container's properties leaves hope for an upload: a signature may lack that right, and
    /// a container may be made.
    private func mayUpload(in error: BlobCallError) -> Bool {
        switch error.status {
        case 403: client.location.isSignature && error.code != "AuthenticationFailed"
        case 404: table.mayCreateContainer
        default: false
        }
    }

    func upload(_ file: PreparedFile) async throws -> UploadReceipt {
        do {
            if file.plan.blocks.isEmpty {
                try await putWhole(file)
            } else {
                try await putBlocks(file)
            }
        } catch let problem as UploadProblem {
            if problem.concernsStorage {
                refusedAt.withLock { $0 = .now }
                report(false, problem.reason)
            }
            throw problem
        }
        storageAnswers()
        return UploadReceipt(blobURL: client.url(of: file.path.string))
    }

    private func storageAnswers() {
        refusedAt.withLock { $0 = nil }
        report(true, "")
    }

    // MARK: One request

    private func putWhole(_ file: PreparedFile) async throws {
        let bytes = try await Self.read(file, at: 0, count: Int(file.digest.sizeBytes))
        var headers = commitHeaders(file)
        headers.append(("x-ms-blob-type", "BlockBlob"))
        headers.append(("content-md5", file.md5[0]))
        do {
            let answer = try await call(
                BlobCall(method: .PUT, blob: file.path.string, headers: headers, body: bytes))
            guard answer.headers.first(name: "content-md5") == file.md5[0] else {
                throw UploadProblem(
                    reason: "\(file.path): the service confirmed another MD5 than was sent", isRetryable: true)
            }
        } catch let error as BlobCallError {
            try await acceptIfThere(file, after: error)
        }
    }

    // MARK: Blocks

    private func putBlocks(_ file: PreparedFile) async throws {
        if try await isThere(file) { return }
        for round in 1...Self.rounds {
            let missing = file.plan.missing(uncommitted: try await listing(file).uncommitted)
            if missing.count < file.plan.blocks.count {
                logger.info(
                    "going on where an earlier upload ended",
                    metadata: [
                        "path": "\(file.path)", "blocks": "\(file.plan.blocks.count)", "missing": "\(missing.count)",
                    ])
            }
            try await send(missing, of: file)
            let list = file.plan.blockList
            do {
                _ = try await call(
                    BlobCall(
                        method: .PUT, blob: file.path.string, query: [("comp", "blocklist")],
                        headers: commitHeaders(file) + [("content-md5", list.md5)], body: list.bytes))
            } catch let error as BlobCallError {
                // Blocks went away: they expired, or another commit took them. What is there now decides.
                if error.code == "InvalidBlockList", round < Self.rounds, try await !isThere(file) { continue }
                try await acceptIfThere(file, after: error)
            }
            guard file.plan.matches(committed: try await listing(file).committed) else {
                throw UploadProblem(
                    reason: "\(file.path): the service lists other blocks than were committed; the local copy is kept",
                    isRetryable: true)
            }
            return
        }
    }

    private func send(_ blocks: [PlannedBlock], of file: PreparedFile) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var waiting = blocks[...]
            for _ in 0..<min(blocksInFlight, blocks.count) {
                guard let block = waiting.popFirst() else { break }
                group.addTask { try await self.send(block, of: file) }
            }
            while try await group.next() != nil {
                guard let block = waiting.popFirst() else { continue }
                group.addTask { try await self.send(block, of: file) }
            }
        }
    }

    private func send(_ block: PlannedBlock, of file: PreparedFile) async throws {
        let bytes = try await Self.read(file, at: block.offset, count: block.sizeBytes)
        do {
            _ = try await call(
                BlobCall(
                    method: .PUT, blob: file.path.string, query: [("blockid", block.id), ("comp", "block")],
                    headers: [("content-md5", file.md5[block.index])], body: bytes))
        } catch let error as BlobCallError {
            throw unexpected(error, file)
        }
    }

    private func listing(_ file: PreparedFile) async throws -> BlockListing {
        do {
            let answer = try await call(
                BlobCall(
                    method: .GET, blob: file.path.string, query: [("blocklisttype", "all"), ("comp", "blocklist")]))
            guard let listing = BlockListing(xml: answer.body) else {
                throw UploadProblem(
                    reason: "\(table.endpoint) answers something that is no list of blocks; is it a Blob service?",
                    isRetryable: true, retryAfter: RetryTable.operatorPause)
            }
            return listing
        } catch let error as BlobCallError where error.code == "BlobNotFound" {
            return BlockListing()
        } catch let error as BlobCallError {
            throw unexpected(error, file)
        }
    }

    // MARK: What is there already

    /// After a refused commit: fine where the blob has our content, from an earlier attempt whose answer was lost.
    private func acceptIfThere(_ file: PreparedFile, after error: BlobCallError) async throws {
        guard error.code == "BlobAlreadyExists" || error.status == 412 || error.code == "InvalidBlockList" else {
            throw unexpected(error, file)
        }
        guard try await isThere(file) else { throw unexpected(error, file) }
    }

    /// Whether the blob is there with our content; throws where it is there with other content.
    private func isThere(_ file: PreparedFile) async throws -> Bool {
        let answer: BlobAnswer
        do {
            answer = try await call(BlobCall(method: .HEAD, blob: file.path.string))
        } catch let error as BlobCallError {
            // A HEAD has no body, and some services give no code with it either.
            if error.status == 404, error.code != "ContainerNotFound" { return false }
            throw unexpected(error, file)
        }
        guard answer.headers.first(name: "x-ms-meta-\(file.identity.name)") == file.identity.value else {
            throw UploadProblem(
                reason: "\(client.url(of: file.path.string)): a blob with other content has this name; nothing was "
                    + "replaced. Compare the two and remove one",
                isRetryable: false)
        }
        return true
    }

    // MARK: Calls

    private func commitHeaders(_ file: PreparedFile) -> [(name: String, value: String)] {
        [("if-none-match", "*"), ("x-ms-blob-content-type", file.contentType)]
            + file.metadata.map { ("x-ms-meta-\($0.name)", $0.value) }
    }

    /// A call with the attempts of the retry table. Throws BlobCallError only for codes that the callers here know.
    private func call(_ call: BlobCall) async throws -> BlobAnswer {
        var attempt = 1
        while true {
            do {
                return try await client.send(call)
            } catch let error as BlobCallError {
                if isKnown(error) { throw error }
                switch table.next(error.failure, attempt: attempt) {
                case .giveUp(let problem): throw problem
                case .again(let pause):
                    logger.debug(
                        "asking again", metadata: ["call": "\(call.method) \(call.blob)", "why": "\(error.failure)"])
                    try await Task.sleep(for: pause)
                case .createContainer: try await createContainer()
                }
                attempt += 1
            }
        }
    }

    private func isKnown(_ error: BlobCallError) -> Bool {
        switch error.status {
        case 404: error.code != "ContainerNotFound"
        case 412: true
        case 409: error.code == "BlobAlreadyExists"
        case 400: error.code == "InvalidBlockList"
        default: false
        }
    }

    private func unexpected(_ error: BlobCallError, _ file: PreparedFile) -> UploadProblem {
        // One attempt less than the table allows, so that it never says "again".
        guard case .giveUp(let problem) = table.next(error.failure, attempt: .max) else {
            return UploadProblem(reason: "\(file.path): \(error.failure)", isRetryable: true)
        }
        return problem
    }

    private func createContainer() async throws {
        do {
            _ = try await client.send(BlobCall(method: .PUT, query: [("restype", "container")]))
            logger.notice("container made", metadata: ["container": "\(client.location.container)"])
        } catch let error as BlobCallError where error.code == "ContainerAlreadyExists" {
            return
        } catch let error as BlobCallError {
            guard case .giveUp(let problem) = table.next(error.failure, attempt: .max) else { return }
            throw problem
        }
    }

    /// Reading a block from disk takes a millisecond and may take seconds on a bad one.
    private static let disk = BlockingLane("read-blocks", threads: 4)

    private static func read(_ file: PreparedFile, at offset: Int64, count: Int) async throws -> [UInt8] {
        do {
            return try await disk.run { try file.read(at: offset, count: count) }
        } catch let error as VolumeError {
            throw UploadProblem(reason: "\(error)", isRetryable: true, retryAfter: RetryTable.operatorPause)
        }
    }
}
