// Whether a blob is what was archived: by its properties, or by reading it back. Piece by piece, so that memory does not depend on
// its size; each piece is checked on its way, so that what a bad network does is not held against the blob.
import Crypto
import Foundation
import Volume

/// What a blob must be.
struct BlobExpectation: Sendable, Equatable {
    /// The blob's name.
    let path: RelativePath
    /// 32 bytes.
    let sha256: [UInt8]
    let sizeBytes: Int64

    /// Of the SHA-256: enough to tell two apart.
    var shown: String { Self.shown(Volume.Digest.hexadecimal(sha256)) }
    static func shown(_ hexadecimal: String) -> String { "\(hexadecimal.prefix(16))…" }
}

/// What came of a comparison.
struct BlobFinding: Sendable, Equatable {
    /// What is wrong, for a person; nil where the blob is as it must be.
    let problem: String?
    /// Bytes that were read back.
    var readBytes: Int64 = 0
}

/// What the service says of a blob.
struct BlobProperties: Sendable, Equatable {
    let sizeBytes: Int64?
    /// Of its metadata, in hexadecimal.
    let sha256: String?
    let etag: String?

    /// Why a blob with these properties is not what it must be; nil where nothing speaks against it. With `readsBack` its content
    /// decides, so that only a size that differs matters.
    func problem(_ expected: BlobExpectation, readsBack: Bool) -> String? {
        guard sizeBytes == expected.sizeBytes else {
            return
                "the blob has \(sizeBytes.map { "\($0)" } ?? "an unknown number of") bytes, not \(expected.sizeBytes)"
        }
        guard !readsBack else { return nil }
        guard let sha256 else {
            return "the blob has no SHA-256 in its metadata; only reading it back tells whether it is the file"
        }
        guard sha256 == Volume.Digest.hexadecimal(expected.sha256) else {
            return "the blob's metadata names the SHA-256 \(BlobExpectation.shown(sha256)), not \(expected.shown)"
        }
        return nil
    }
}

extension BlobTarget {
    /// Of what is read back at a time: few requests, and little memory for each of those who ask at the same time. The service
    /// gives the MD5 of up to 4 MiB.
    private static let pieceBytes: Int64 = 2 << 20
    /// How often a piece is read that arrives damaged.
    private static let readings = 3

    /// Compares a blob with what it must be. Throws UploadProblem or CancellationError.
    func compare(_ expected: BlobExpectation, readsBack: Bool) async throws -> BlobFinding {
        let name = expected.path.string
        do {
            let head = try await call(BlobCall(method: .HEAD, blob: name))
            let properties = BlobProperties(
                sizeBytes: head.headers.first(name: "content-length").flatMap { Int64($0) },
                sha256: head.headers.first(name: "x-ms-meta-\(UploadMetadata.mediaName)"),
                etag: head.headers.first(name: "etag"))
            if let problem = properties.problem(expected, readsBack: readsBack) { return BlobFinding(problem: problem) }
            return readsBack ? try await readBack(expected, etag: properties.etag) : BlobFinding(problem: nil)
        } catch let error as BlobCallError where error.status == 404 {
            return BlobFinding(problem: "there is no blob of this name")
        } catch let error as BlobCallError where error.status == 412 {
            return BlobFinding(problem: "the blob was replaced while it was read")
        } catch let error as BlobCallError {
            throw unexpected(error, expected.path)
        }
    }

    private func readBack(_ expected: BlobExpectation, etag: String?) async throws -> BlobFinding {
        var sha = SHA256()
        var offset: Int64 = 0
        while offset < expected.sizeBytes {
            let end = min(offset + Self.pieceBytes, expected.sizeBytes)
            sha.update(data: try await piece(expected.path, offset..<end, etag: etag))
            offset = end
        }
        let found = Array(sha.finalize())
        let shown = BlobExpectation.shown(Volume.Digest.hexadecimal(found))
        return BlobFinding(
            problem: found == expected.sha256
                ? nil : "what was read back has the SHA-256 \(shown), not \(expected.shown)", readBytes: offset)
    }

    private func piece(_ path: RelativePath, _ range: Range<Int64>, etag: String?) async throws -> [UInt8] {
        var headers = [
            ("x-ms-range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"), ("x-ms-range-get-content-md5", "true"),
        ]
        if let etag { headers.append(("if-match", etag)) }
        for _ in 0..<Self.readings {
            // It is read and not sent, but whoever else uses the line does not care.
            try await line.pace(bytes: range.count)
            let answer = try await call(BlobCall(method: .GET, blob: path.string, headers: headers))
            let md5 = Data(Insecure.MD5.hash(data: answer.body)).base64EncodedString()
            if answer.body.count == range.count, answer.headers.first(name: "content-md5") ?? md5 == md5 {
                return answer.body
            }
        }
        throw UploadProblem(
            reason:
                "\(path): what is read back arrives damaged, \(Self.readings) times of \(Self.readings); check the network",
            isRetryable: true)
    }
}
