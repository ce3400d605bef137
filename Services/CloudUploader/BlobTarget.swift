// Puts files into Azure Blob Storage. Nothing is replaced: every commit says If-None-Match, and a blob that is there
// already counts as ours only when its metadata names the same content, its size is the same, and its blocks are those of
// this file. Each body goes with its CRC-64, which the service has to confirm. A blob of blocks counts as uploaded when the
// committed list that the service gives back is the one that was planned.
import Foundation
import Logging
import NIOCore
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
    private let tagging: Mutex<Tagging>

    /// Time between two looks at a storage that refused us. They ask for nothing but the container's properties.
    private static let probeInterval = Duration.seconds(5)
    /// How often an upload starts over because blocks went away under it.
    private static let rounds = 3

    /// - Parameter wantsTags: index tags are sent as long as the account takes them.
    init(
        client: BlobClient, mayCreateContainer: Bool, blocksInFlight: Int, wantsTags: Bool, logger: Logger,
        report: @escaping Report
    ) {
        self.client = client
        self.blocksInFlight = blocksInFlight
        tagging = Mutex(Tagging(isWanted: wantsTags))
        self.report = report
        self.logger = logger
        table = RetryTable(
            endpoint: client.location.endpoint, container: client.location.container,
            mayCreateContainer: mayCreateContainer, credential: client.credential)
    }

    /// What everything sent and read goes over.
    var line: any Line { client.line }

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

    /// Whether a refusal to show the container's properties leaves hope for an upload: all but the account's key may lack that
    /// right, and a container may be made.
    private func mayUpload(in error: BlobCallError) -> Bool {
        switch error.status {
        case 403: client.credential != .key && !error.refusesCredential
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
        let crc64 = (file.checksums.first ?? CRC64()).base64
        let call = BlobCall(
            method: .PUT, blob: file.path.string,
            headers: commitHeaders(file) + [("x-ms-blob-type", "BlockBlob"), ("x-ms-content-crc64", crc64)],
            body: file.content.body(offset: 0, count: Int(file.digest.sizeBytes)), progress: file.progress)
        do {
            let answer = try await commit(call, file)
            try confirm(crc64, in: answer, file)
        } catch let error as BlobCallError {
            try await acceptIfThere(file, after: error)
        }
    }

    /// A service that does not say which CRC-64 it found has not looked.
    private func confirm(_ crc64: String, in answer: BlobAnswer, _ file: PreparedFile) throws {
        let confirmed = answer.headers.first(name: "x-ms-content-crc64")
        guard confirmed != crc64 else { return }
        throw UploadProblem(
            reason: confirmed == nil
                ? "\(table.endpoint) does not confirm x-ms-content-crc64; is it a Blob service of version 2019-02-02 or later?"
                : "\(file.path): the service confirmed another CRC-64 than was sent",
            isRetryable: true, retryAfter: confirmed == nil ? RetryTable.operatorPause : nil,
            concernsStorage: confirmed == nil)
    }

    // MARK: Blocks

    private func putBlocks(_ file: PreparedFile) async throws {
        if try await isThere(file) { return }
        for round in 1...Self.rounds {
            let left = try await listing(file).uncommitted
            guard let plan = file.plan.besides(left, sha256: file.digest.sha256) else {
                throw UploadProblem(
                    reason:
                        "another program left blocks of this blob at \(table.endpoint), with ids too short for ours; "
                        + "delete the blob, or wait a week until they expire",
                    isRetryable: true, retryAfter: .seconds(3600))
            }
            let missing = plan.missing(uncommitted: left)
            if missing.count < plan.blocks.count {
                logger.info(
                    "going on where an earlier upload ended",
                    metadata: [
                        "path": "\(file.path)", "blocks": "\(plan.blocks.count)", "missing": "\(missing.count)",
                    ])
            }
            if let progress = file.progress {
                // A further round finds again what an earlier one sent.
                let missingBytes = missing.reduce(0) { $0 + Int64($1.sizeBytes) }
                progress.add(file.digest.sizeBytes - missingBytes - progress.doneBytes)
            }
            do {
                try await send(missing, of: file)
                try await commit(plan, of: file)
            } catch let error as BlobCallError {
                // Blocks went away (they expired, or another commit took them), or came from another program meanwhile. What is
                // there now decides.
                if ["InvalidBlockList", "InvalidBlobOrBlock"].contains(error.code), round < Self.rounds {
                    if try await isThere(file) { return }
                    continue
                }
                return try await acceptIfThere(file, after: error)
            }
            guard plan.matches(committed: try await listing(file).committed) else {
                throw UploadProblem(
                    reason: "\(file.path): the service lists other blocks than were committed; the local copy is kept",
                    isRetryable: true)
            }
            return
        }
    }

    private func commit(_ plan: UploadPlan, of file: PreparedFile) async throws {
        let list = plan.blockList
        _ = try await commit(
            BlobCall(
                method: .PUT, blob: file.path.string, query: [("comp", "blocklist")],
                headers: commitHeaders(file) + [("x-ms-content-crc64", CRC64(list).base64)],
                body: .memory(ByteBuffer(bytes: list))), file)
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
        let crc64 = file.checksums[block.index].base64
        let answer = try await call(
            BlobCall(
                method: .PUT, blob: file.path.string, query: [("blockid", block.id), ("comp", "block")],
                headers: [("x-ms-content-crc64", crc64)],
                body: file.content.body(offset: block.offset, count: block.sizeBytes), progress: file.progress))
        try confirm(crc64, in: answer, file)
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
            throw unexpected(error, file.path)
        }
    }

    // MARK: What is there already

    /// After a refused commit: fine where the blob has our content, from an earlier attempt whose answer was lost.
    private func acceptIfThere(_ file: PreparedFile, after error: BlobCallError) async throws {
        guard error.code == "BlobAlreadyExists" || error.status == 412 || error.code == "InvalidBlockList" else {
            throw unexpected(error, file.path)
        }
        guard try await isThere(file) else { throw unexpected(error, file.path) }
    }

    /// Whether the blob is there with our content; throws where it is there with other content.
    private func isThere(_ file: PreparedFile) async throws -> Bool {
        let answer: BlobAnswer
        do {
            answer = try await call(BlobCall(method: .HEAD, blob: file.path.string))
        } catch let error as BlobCallError {
            // A HEAD has no body, and some services give no code with it either.
            if error.status == 404, error.code != "ContainerNotFound" { return false }
            throw unexpected(error, file.path)
        }
        guard answer.headers.first(name: "x-ms-meta-\(file.labels.identity.name)") == file.labels.identity.value,
            try await hasContent(of: file, answer)
        else {
            throw UploadProblem(
                reason: "\(client.url(of: file.path.string)): a blob with other content has this name; nothing was "
                    + "replaced. Compare the two and remove one",
                isRetryable: false)
        }
        return true
    }

    /// Whether a blob whose metadata names our content has it, as far as the service tells without reading it: its size, and its
    /// blocks, whose ids name the content too. A blob that was put whole has no list; the service had checked its bytes.
    private func hasContent(of file: PreparedFile, _ answer: BlobAnswer) async throws -> Bool {
        guard file.labels.identity.name == UploadMetadata.mediaName else { return true }
        let size = file.digest.sizeBytes
        if let told = answer.headers.first(name: "content-length"), told != String(size) { return false }
        let committed = try await listing(file).committed
        return committed.isEmpty || UploadPlan.isList(committed, ofFile: file.digest.sha256, sizeBytes: size)
    }

    // MARK: Calls

    private func commitHeaders(_ file: PreparedFile) -> [(name: String, value: String)] {
        [("if-none-match", "*"), ("x-ms-blob-content-type", file.contentType)]
            + (file.md5.map { [("x-ms-blob-content-md5", $0)] } ?? [])
            + file.labels.metadata.map { ("x-ms-meta-\($0.name)", $0.value) }
    }

    /// A call that makes the blob, with its tags where the account takes them.
    private func commit(_ bare: BlobCall, _ file: PreparedFile) async throws -> BlobAnswer {
        guard !file.labels.tags.isEmpty, tagging.withLock({ $0.maySend(at: .now) }) else { return try await call(bare) }
        var tagged = bare
        tagged.headers.append((Tagging.header, UploadTags.encoded(file.labels.tags)))
        do {
            return try await call(tagged)
        } catch let error as BlobCallError where Tagging.mayBeRefusal(status: error.status, code: error.code) {
            let answer = try await call(bare)
            // It is taken without them: so they were the reason.
            if tagging.withLock({ $0.refused(at: .now) }) {
                logger.warning(
                    """
                    the storage account does not take index tags: files go up without them, their metadata says the same. \
                    Give the right for tags, or set index-tags to false
                    """,
                    metadata: ["status": "\(error.status ?? 0)", "code": "\(error.code ?? "")"])
            }
            return answer
        }
    }

    /// A call with the attempts of the retry table. Throws BlobCallError only for codes that the callers here know.
    func call(_ call: BlobCall) async throws -> BlobAnswer {
        var attempt = 1
        while true {
            do {
                if attempt > 1 { LineMetrics.count(resent: call.body.count) }
                return try await client.send(call)
            } catch let error as BlobCallError {
                let isAboutTags =
                    call.hasHeader(Tagging.header) && Tagging.mayBeRefusal(status: error.status, code: error.code)
                if isAboutTags || isKnown(error) { throw error }
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
        case 400: error.code == "InvalidBlockList" || error.code == "InvalidBlobOrBlock"
        default: false
        }
    }

    /// What a refusal means that no caller knows what to do with.
    func unexpected(_ error: BlobCallError, _ path: RelativePath) -> UploadProblem {
        // One attempt less than the table allows, so that it never says "again".
        guard case .giveUp(let problem) = table.next(error.failure, attempt: .max) else {
            return UploadProblem(reason: "\(path): \(error.failure)", isRetryable: true)
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
}
