// Bodies of requests. A file's bytes are read in pieces while they are sent, each when the line takes it, so that what a request
// holds in memory is two pieces, however large its block is.
import AsyncHTTPClient
import NIOCore
import ServiceKit
import Synchronization
import Volume

/// What a request carries.
enum BlobBody: Sendable {
    case none
    case memory(ByteBuffer)
    /// A part of a file, which must have all of these bytes.
    case file(FileReader, offset: Int64, count: Int)

    /// Bytes as they are announced.
    var count: Int {
        switch self {
        case .none: 0
        case .memory(let buffer): buffer.readableBytes
        case .file(_, _, let count): count
        }
    }
}

/// Memory for pieces, used again and again: the kernel takes longer to give fresh memory than to fill it from its cache.
final class PieceMemory: Sendable {
    /// A piece: few enough system calls and changes of thread for a gigabyte, little enough to be in the processor's cache still when
    /// it is sent.
    static let pieceBytes = 256 << 10
    /// 8 MiB that are kept; requests beyond that get memory of their own.
    private static let mostSpare = 32

    static let shared = PieceMemory()
    private let spare = Mutex<[ByteBuffer]>([])

    /// A buffer with nothing in it and room for a piece.
    func take() -> ByteBuffer {
        var buffer = spare.withLock { $0.popLast() } ?? ByteBuffer()
        // Allocates anew where somebody still holds the old content.
        buffer.clear(minimumCapacity: Self.pieceBytes)
        return buffer
    }

    func give(_ buffer: ByteBuffer) {
        spare.withLock { if $0.count < Self.mostSpare { $0.append(buffer) } }
    }

    /// A piece of a file; error `.corrupted` where the file ends before it. Blocks its thread.
    func read(_ file: FileReader, at offset: Int64, count: Int) throws -> ByteBuffer {
        var buffer = take()
        let got = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
            try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: room[..<count]))
        }
        guard got == count else {
            throw VolumeError(.corrupted, path: file.path, "it became shorter while it was read")
        }
        return buffer
    }
}

/// The body of one attempt, as AsyncHTTPClient takes it: a piece is read when the one before has gone.
struct BodyPieces: AsyncSequence, Sendable {
    let file: FileReader
    let offset: Int64
    let count: Int
    let line: any Line
    let watch: AttemptWatch

    /// Reading a piece takes a tenth of a millisecond and may take seconds on a bad disk.
    private static let disk = BlockingLane("read-blocks", threads: 4)

    func makeAsyncIterator() -> Iterator { Iterator(pieces: self) }

    struct Iterator: AsyncIteratorProtocol {
        let pieces: BodyPieces
        private var done = 0
        /// Those that the connection may still hold. When it asks for the next one, all but the last have gone.
        private var given: [ByteBuffer] = []

        init(pieces: BodyPieces) { self.pieces = pieces }

        mutating func next() async throws -> ByteBuffer? {
            if given.count > 1 { PieceMemory.shared.give(given.removeFirst()) }
            let left = pieces.count - done
            guard left > 0 else {
                given.forEach { PieceMemory.shared.give($0) }
                given = []
                pieces.watch.awaitAnswer()
                return nil
            }
            let (file, at, size) = (pieces.file, pieces.offset + Int64(done), Swift.min(left, PieceMemory.pieceBytes))
            // Neither bandwidth that is kept from us nor the disk is what the watch is for.
            pieces.watch.hold()
            try await pieces.line.pace(bytes: size)
            let piece: ByteBuffer
            do {
                piece = try await BodyPieces.disk.run { try PieceMemory.shared.read(file, at: at, count: size) }
            } catch {
                pieces.watch.bodyFailed(error)
                throw error
            }
            done += size
            given.append(piece)
            pieces.watch.expectProgress(bytes: size)
            return piece
        }
    }
}
