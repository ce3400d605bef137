// A file's one reading before it is sent, and the pieces in which it is sent.
import Claims
import Crypto
import Foundation
import NIOCore
import ServiceKit
import Synchronization
import Testing
import Volume

@testable import CloudUploader

@Suite struct ReadingTests {
    private static let bytes = (0..<1_200_003).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }

    private static func withFile(_ bytes: [UInt8], _ body: (FileReader, String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "reading-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        try await body(try FileReader(opening: path), path)
    }

    /// How a file is cut, and the bytes of its parts.
    @Test(arguments: [(2_000_000, 1), (1_200_003, 64), (1000, 300_000), (0, 1_200_003), (0, 333_333), (0, 70_000)])
    func oneReadingGivesTheChecksumsOfTheBlocksThatThePlanHas(_ single: Int, _ block: Int) async throws {
        let cut = PreparedFile.Cut(singlePutBytes: Int64(single), blockBytes: Int64(block))
        let bytes = Self.bytes
        try await Self.withFile(bytes) { file, _ in
            let content = try PreparedFile.Content(file)
            let measured = try FileReading(content, cut, [.sha256, .md5]).read()
            let sha256 = Array(SHA256.hash(data: bytes))
            let plan = try #require(
                UploadPlan(
                    sizeBytes: Int64(bytes.count), sha256: sha256, singlePutBytes: cut.singlePutBytes,
                    blockBytes: cut.blockBytes))
            let parts =
                plan.blocks.isEmpty ? [bytes] : plan.blocks.map { Array(bytes[Int($0.offset)...].prefix($0.sizeBytes)) }
            #expect(measured.checksums == parts.map { CRC64($0) })
            #expect(measured.crc64 == CRC64(bytes))
            #expect(measured.sha256 == sha256)
            #expect(measured.md5 == Data(Insecure.MD5.hash(data: bytes)).base64EncodedString())
            let lane = BlockingLane("test")
            #expect(
                try await FileReading(content, cut, []).finished(on: lane)
                    == Measured(checksums: measured.checksums, sha256: nil, md5: nil))
        }
    }

    @Test func anEmptyFileHasTheChecksumOfNothing() async throws {
        try await Self.withFile([]) { file, _ in
            let cut = PreparedFile.Cut(singlePutBytes: 0, blockBytes: 10)
            let measured = try FileReading(try PreparedFile.Content(file), cut, .sha256).read()
            #expect(measured.checksums == [CRC64()] && measured.crc64 == CRC64())
            #expect(measured.sha256 == Array(SHA256.hash(data: [UInt8]())))
        }
    }

    @Test func aSmallFileIsReadOnce() async throws {
        try await Self.withFile(Array(Self.bytes.prefix(1000))) { file, path in
            let content = try PreparedFile.Content(file)
            try Data(count: 1000).write(to: URL(fileURLWithPath: path))
            guard case .memory(let buffer) = content.body(offset: 0, count: 1000) else {
                Issue.record("it is read again")
                return
            }
            #expect(Array(buffer.readableBytesView) == Array(Self.bytes.prefix(1000)))
        }
    }

    /// A line that notes what went through it.
    private final class NotedLine: Line {
        let paced = Mutex<[Int]>([])
        func begin() async throws -> LineTicket { LineTicket(number: 1, beganAt: .now) }
        func pace(bytes: Int) async throws { paced.withLock { $0.append(bytes) } }
        func end(_ ticket: LineTicket, _ outcome: LineOutcome) {}
    }

    @Test func aBodyIsReadPieceByPieceEachWithItsShareOfTheLine() async throws {
        try await Self.withFile(Self.bytes) { file, _ in
            let progress = ClaimProgress()
            let (line, watch) = (NotedLine(), AttemptWatch(progress: progress))
            let pieces = BodyPieces(file: file, offset: 3, count: 1_100_000, line: line, watch: watch)
            var sent: [UInt8] = []
            for try await piece in pieces {
                #expect(line.paced.withLock { $0.reduce(0, +) } == sent.count + piece.readableBytes)
                sent += piece.readableBytesView
                #expect(progress.doneBytes == sent.count)
            }
            #expect(sent == Array(Self.bytes[3...].prefix(1_100_000)))
            let whole = Array(repeating: PieceMemory.pieceBytes, count: 1_100_000 / PieceMemory.pieceBytes)
            #expect(line.paced.withLock { $0 } == whole + [1_100_000 % PieceMemory.pieceBytes])
            #expect(watch.sentBytes == 1_100_000)
            // What an attempt sent that failed is not there.
            watch.takeBack()
            #expect(progress.doneBytes == 0)
        }
    }

    /// Memory of pieces is used again, and never while somebody holds it.
    @Test func aPieceThatIsStillHeldIsNotWrittenOver() async throws {
        try await Self.withFile(Self.bytes) { file, _ in
            let pieces = BodyPieces(file: file, offset: 0, count: 1_200_003, line: FreeLine(), watch: AttemptWatch())
            var held: [ByteBuffer] = []
            for try await piece in pieces { held.append(piece) }
            for try await piece in pieces { held.append(piece) }
            let expected = Self.bytes + Self.bytes
            #expect(held.flatMap { Array($0.readableBytesView) } == expected)
        }
    }

    @Test func aFileThatBecameShorterEndsTheBodyWithAnError() async throws {
        try await Self.withFile(Self.bytes) { file, path in
            let watch = AttemptWatch()
            let pieces = BodyPieces(file: file, offset: 0, count: 1_200_003, line: FreeLine(), watch: watch)
            try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: 600_000)
            var sent = 0
            let error = await #expect(throws: VolumeError.self) {
                for try await piece in pieces { sent += piece.readableBytes }
            }
            #expect(error?.kind == .corrupted && sent == 600_000 / PieceMemory.pieceBytes * PieceMemory.pieceBytes)
            #expect((watch.bodyError as? VolumeError)?.kind == .corrupted)
        }
    }

    @Test(
        arguments: [
            (.noAnswer("cut"), .broken),
            (.refused(.init(status: 503, code: "ServerBusy")), .throttled(retryAfter: nil)),
            (.refused(.init(status: 429, code: "", retryAfterSeconds: 7)), .throttled(retryAfter: .seconds(7))),
            (.refused(.init(status: 500, code: "", retryAfterSeconds: 1)), .throttled(retryAfter: .seconds(1))),
            (.refused(.init(status: 500, code: "InternalError")), .answered(sentBytes: 9)),
            (.refused(.init(status: 409, code: "BlobAlreadyExists")), .answered(sentBytes: 9)),
        ] as [(CallFailure, LineOutcome)])
    func theLineLearnsWhatAnAttemptSaysOfIt(_ failure: CallFailure, _ expected: LineOutcome) {
        #expect(LineOutcome(failure, sentBytes: 9) == expected)
    }
}

/// A line without bounds.
private struct FreeLine: Line {
    func begin() async throws -> LineTicket { LineTicket(number: 0, beganAt: .now) }
    func pace(bytes: Int) async throws {}
    func end(_ ticket: LineTicket, _ outcome: LineOutcome) {}
}
