// A file that is ready to go up: its SHA-256, and the MD5 of each block made in the same pass. A block is sent with the MD5
// of that pass, so that the service refuses bytes that changed since, on the disk or on the way.
import Crypto
import Foundation
import ServiceKit
import Volume

struct PreparedFile: Sendable {
    /// Where its bytes are.
    enum Content: Sendable {
        case file(FileReader)
        case bytes([UInt8])
    }

    let path: RelativePath
    let content: Content
    let digest: Volume.Digest
    /// In base64, one for each block; one for the whole where the file goes in one request.
    let md5: [String]
    let plan: UploadPlan
    let contentType: String
    /// Names and values, in the order of names.
    let metadata: [(name: String, value: String)]
    /// Metadata by which a blob that is there already is known to be as good as this file.
    let identity: (name: String, value: String)

    /// Sizes at which files are cut.
    struct Cut: Sendable {
        let singlePutBytes: Int64
        let blockBytes: Int64
    }

    /// Reads the whole file once. Blocks its thread.
    static func measure(_ content: Content, _ cut: Cut) throws -> (
        digest: Volume.Digest, md5: [String], plan: UploadPlan
    ) {
        let size: Int64 =
            switch content {
            case .file(let file): file.sizeBytes
            case .bytes(let bytes): Int64(bytes.count)
            }
        let isWhole = size <= cut.singlePutBytes
        guard let step = isWhole ? max(size, 1) : UploadPlan.blockBytes(for: size, wanted: cut.blockBytes) else {
            throw UploadProblem(reason: "the file of \(size) bytes is larger than a blob can be", isRetryable: false)
        }
        var sha = SHA256()
        var md5: [String] = []
        var offset: Int64 = 0
        var blockHash = Insecure.MD5()
        var blockEnd = step
        while offset < size {
            let piece = try read(content, at: offset, count: Int(min(1 << 20, blockEnd - offset, size - offset)))
            guard !piece.isEmpty else { break }
            sha.update(data: piece)
            blockHash.update(data: piece)
            offset += Int64(piece.count)
            if offset == blockEnd || offset == size {
                md5.append(Data(blockHash.finalize()).base64EncodedString())
                blockHash = Insecure.MD5()
                blockEnd = offset + step
            }
        }
        if md5.isEmpty { md5.append(Data(blockHash.finalize()).base64EncodedString()) }
        let digest = Volume.Digest(sha256: Array(sha.finalize()), sizeBytes: offset)
        guard
            let plan = UploadPlan(
                sizeBytes: offset, sha256: digest.sha256, singlePutBytes: cut.singlePutBytes,
                blockBytes: cut.blockBytes), offset == size
        else {
            throw UploadProblem(reason: "the file became shorter while it was read", isRetryable: false)
        }
        return (digest, md5, plan)
    }

    /// Bytes of the file; fewer than asked for only at its end. Blocks its thread.
    func read(at offset: Int64, count: Int) throws -> [UInt8] {
        try Self.read(content, at: offset, count: count)
    }

    private static func read(_ content: Content, at offset: Int64, count: Int) throws -> [UInt8] {
        switch content {
        case .file(let file): return try file.read(at: offset, count: count)
        case .bytes(let bytes):
            let start = Int(clamping: offset)
            return start >= bytes.count ? [] : Array(bytes[start..<min(bytes.count, start + count)])
        }
    }
}
