// A file that is ready to go up: known to be what was archived, and with the CRC-64 of each block, made in one reading of the file
// before anything is sent. A block goes with the checksum of that reading, so that the service refuses bytes that changed since, on
// the disk or on the way.
//
// The archiver told the file's CRC-64 beside its SHA-256, and those of the blocks make that of the whole: so a file costs no
// SHA-256 here, which takes longer than all the rest. Where nobody told it (a rebuilt catalogue), both are made in this reading.
import Claims
import Crypto
import Foundation
import NIOCore
import ServiceKit
import Synchronization
import Volume

struct PreparedFile: Sendable {
    /// Where its bytes are.
    enum Content: Sendable {
        case file(FileReader)
        /// Small files are read once.
        case memory(ByteBuffer)

        /// Opens a file. Blocks its thread.
        init(_ file: FileReader) throws {
            guard file.sizeBytes <= PieceMemory.pieceBytes else {
                self = .file(file)
                return
            }
            let size = Int(file.sizeBytes)
            var buffer = ByteBuffer()
            // Not of the shared memory: how long it is needed, nobody here knows.
            let got = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { room in
                try file.read(at: 0, into: UnsafeMutableRawBufferPointer(rebasing: room[..<size]))
            }
            guard got == size else {
                throw VolumeError(.corrupted, path: file.path, "it became shorter while it was read")
            }
            self = .memory(buffer)
        }

        var sizeBytes: Int64 {
            switch self {
            case .file(let file): file.sizeBytes
            case .memory(let buffer): Int64(buffer.readableBytes)
            }
        }

        /// A part of it, as a request's body.
        func body(offset: Int64, count: Int) -> BlobBody {
            switch self {
            case .file(let file): .file(file, offset: offset, count: count)
            case .memory(let buffer):
                .memory(buffer.getSlice(at: buffer.readerIndex + Int(offset), length: count) ?? buffer)
            }
        }
    }

    let path: RelativePath
    let content: Content
    let digest: Volume.Digest
    /// One for each block; one for the whole where the file goes in one request.
    let checksums: [CRC64]
    /// Of the whole, in base64, for the property Content-MD5; nil where none was wanted.
    let md5: String?
    let plan: UploadPlan
    let contentType: String
    let labels: BlobLabels
    /// Told of each byte that is there; nil for what nobody watches.
    var progress: ClaimProgress?

    /// Sizes at which files are cut.
    struct Cut: Sendable {
        let singlePutBytes: Int64
        let blockBytes: Int64
    }

    /// Throws where a file is too large for a blob.
    init(
        path: RelativePath, content: Content, digest: Volume.Digest, measured: Measured, cut: Cut, contentType: String,
        labels: BlobLabels
    ) throws(UploadProblem) {
        let plan = UploadPlan(
            sizeBytes: digest.sizeBytes, sha256: digest.sha256, singlePutBytes: cut.singlePutBytes,
            blockBytes: cut.blockBytes)
        guard let plan else { throw .tooLarge(digest.sizeBytes) }
        (self.path, self.content, self.digest, self.plan) = (path, content, digest, plan)
        (checksums, md5) = (measured.checksums, measured.md5)
        (self.contentType, self.labels) = (contentType, labels)
    }
}

extension UploadProblem {
    fileprivate static func tooLarge(_ sizeBytes: Int64) -> UploadProblem {
        UploadProblem(reason: "the file of \(sizeBytes) bytes is larger than a blob can be", isRetryable: false)
    }
}

/// What is wanted of a reading beside the CRC-64s.
struct WantedHashes: OptionSet, Sendable {
    let rawValue: Int
    static let sha256 = WantedHashes(rawValue: 1)
    static let md5 = WantedHashes(rawValue: 2)
}

/// What a reading gave.
struct Measured: Sendable, Equatable {
    let checksums: [CRC64]
    let sha256: [UInt8]?
    let md5: String?

    /// That of the whole.
    var crc64: CRC64 { checksums.reduce(into: CRC64()) { $0.append($1) } }
}

/// Checksums while a file is read, in the order of its bytes.
struct Measurement: Sendable {
    private let step: Int64
    private var checksums: [CRC64] = []
    private var block = CRC64()
    private var sha256: SHA256?
    private var md5: Insecure.MD5?
    private(set) var sizeBytes: Int64 = 0

    /// Throws where a file is too large for a blob.
    init(sizeBytes: Int64, _ cut: PreparedFile.Cut, _ wanted: WantedHashes) throws(UploadProblem) {
        let isWhole = sizeBytes <= cut.singlePutBytes
        guard let step = isWhole ? max(sizeBytes, 1) : UploadPlan.blockBytes(for: sizeBytes, wanted: cut.blockBytes)
        else { throw .tooLarge(sizeBytes) }
        self.step = step
        sha256 = wanted.contains(.sha256) ? SHA256() : nil
        md5 = wanted.contains(.md5) ? Insecure.MD5() : nil
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        sha256?.update(bufferPointer: bytes)
        md5?.update(bufferPointer: bytes)
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(Int(clamping: step - block.sizeBytes))
            block.update(UnsafeRawBufferPointer(rebasing: part))
            rest = rest.dropFirst(part.count)
            if block.sizeBytes == step { endBlock() }
        }
        sizeBytes += Int64(bytes.count)
    }

    private mutating func endBlock() {
        checksums.append(block)
        block = CRC64()
    }

    mutating func finished() -> Measured {
        if block.sizeBytes > 0 || checksums.isEmpty { endBlock() }
        return Measured(
            checksums: checksums, sha256: sha256.map { Array($0.finalize()) },
            md5: md5.map { Data($0.finalize()).base64EncodedString() })
    }
}

/// One reading of a file.
final class FileReading: Sendable {
    private let content: PreparedFile.Content
    private let measurement: Mutex<Measurement>

    /// What is read before a stop is looked for: a tenth of a second of a slow disk.
    private static let stepBytes: Int64 = 8 << 20

    init(_ content: PreparedFile.Content, _ cut: PreparedFile.Cut, _ wanted: WantedHashes) throws(UploadProblem) {
        self.content = content
        measurement = Mutex(try Measurement(sizeBytes: content.sizeBytes, cut, wanted))
    }

    private var isDone: Bool { measurement.withLock { $0.sizeBytes >= content.sizeBytes } }

    /// Reads what is left, in steps on threads of the lane.
    func finished(on lane: BlockingLane) async throws -> Measured {
        while !isDone { try await lane.runUnlessCancelled { try self.goOn() } }
        return measurement.withLock { $0.finished() }
    }

    /// Reads what is left at once. Blocks its thread.
    func read() throws -> Measured {
        while !isDone { try goOn() }
        return measurement.withLock { $0.finished() }
    }

    /// One step. Blocks its thread.
    func goOn() throws {
        try measurement.withLock { measurement in
            switch content {
            case .memory(let buffer):
                guard measurement.sizeBytes == 0 else { return }
                buffer.withUnsafeReadableBytes { measurement.update($0) }
            case .file(let file):
                let end = min(measurement.sizeBytes + Self.stepBytes, file.sizeBytes)
                while measurement.sizeBytes < end {
                    let count = Int(min(Int64(PieceMemory.pieceBytes), end - measurement.sizeBytes))
                    let piece = try PieceMemory.shared.read(file, at: measurement.sizeBytes, count: count)
                    piece.withUnsafeReadableBytes { measurement.update($0) }
                    PieceMemory.shared.give(piece)
                }
            }
        }
    }
}
