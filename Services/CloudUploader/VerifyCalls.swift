// VerifyBlob: whether a blob is what was archived. BlobComparison.swift compares.
import RPC
import ServiceKit
import Volume
import Wire

struct VerifyCalls: Sendable {
    /// Nil where the target is a folder.
    let blobs: BlobTarget?
    let line: PacedLine

    func register(on server: RPCServer) {
        server.handle(CloudUploaderMethods.verifyBlob) { request, _ in try await verifyBlob(request) }
    }

    private func verifyBlob(_ request: VerifyBlobRequest) async throws -> VerifyBlobReply {
        let expected = try Self.expectation(request)
        guard let blobs else {
            throw RPCError(
                code: .failedPrecondition,
                message: "the target is a folder: its volume uploads by itself; ask there what came of it")
        }
        guard line.isOpen else {
            throw RPCError.unavailable(
                "nothing is sent now: the storage asked to wait, or bandwidth-by-time says so; ask later")
        }
        do {
            let found = try await blobs.compare(expected, readsBack: request.deep ?? false)
            return VerifyBlobReply(
                matches: found.problem == nil, reason: found.problem, readBytes: UInt64(clamping: found.readBytes))
        } catch let problem as UploadProblem {
            // Whoever asks again at once cannot help where an operator has to.
            let isUpToOperator = !problem.isRetryable || problem.retryAfter == RetryTable.operatorPause
            throw RPCError(code: isUpToOperator ? .failedPrecondition : .unavailable, message: problem.reason)
        }
    }

    private static func expectation(_ request: VerifyBlobRequest) throws(RPCError) -> BlobExpectation {
        guard request.sizeBytes != nil else { throw FieldCheck.wrong("size_bytes", "is missing") }
        let size = try FieldCheck.fileSize(request.sizeBytes, "size_bytes")
        guard let sha256 = try FieldCheck.digest(request.sha256, "sha256") else {
            throw FieldCheck.wrong("sha256", "is missing: give the 32 bytes that the file's catalogue entry has")
        }
        guard let path = request.archivePath else { throw FieldCheck.wrong("archive_path", "is missing") }
        do throws(VolumeError) {
            return BlobExpectation(
                path: try RelativePath(path), sha256: sha256, sizeBytes: size)
        } catch {
            throw FieldCheck.wrong("archive_path", "cannot be used: \(error.detail)")
        }
    }
}
