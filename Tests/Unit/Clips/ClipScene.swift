// What the tests of clips share: volumes in a folder, a faked indexer and faked controllers that are asked without a socket, and what
// a clip must be, made of the segments in memory.
import Foundation
import Media
import RPC
import ServiceKit
import Synchronization
import TestFootage
import Volume
import Wire

@testable import Clips

/// Answers from memory, and remembers what it was asked.
final class FakeCalls: FootageCalls {
    struct State {
        /// What the catalogue has, in its order.
        var files: [MediaFile] = []
        var pageFiles = 500
        var owners: [String: String] = [:]
        /// Files by "address path".
        var remote: [String: [UInt8]] = [:]
        var indexerError: RPCError?
        var readError: RPCError?
        var queries: [QueryMediaRequest] = []
        var reads: [(address: String, request: ReadSegmentRequest)] = []
        var volumeQuestions = 0
    }

    let state = Mutex(State())

    func queryMedia(_ request: QueryMediaRequest) async throws(RPCError) -> QueryMediaReply {
        let (error, reply) = state.withLock { state -> (RPCError?, QueryMediaReply) in
            state.queries.append(request)
            let first = request.pageToken.flatMap { Int($0) } ?? 0
            let next = min(state.files.count, first + state.pageFiles)
            return (
                state.indexerError,
                QueryMediaReply(
                    files: Array(state.files[first..<next]), nextPageToken: next < state.files.count ? "\(next)" : nil)
            )
        }
        if let error { throw error }
        return reply
    }

    func listVolumes() async throws(RPCError) -> ListVolumesReply {
        state.withLock { state in
            state.volumeQuestions += 1
            return ListVolumesReply(
                volumes: state.owners.map { id, address in
                    KnownVolume(volume: VolumeStatus(volumeID: id), ownerAddress: address)
                })
        }
    }

    func readSegment(_ request: ReadSegmentRequest, at address: String) async throws(RPCError) -> ReadSegmentReply {
        let (error, bytes) = state.withLock { state -> (RPCError?, [UInt8]?) in
            state.reads.append((address, request))
            return (state.readError, state.remote["\(address) \(request.path ?? "")"])
        }
        if let error { throw error }
        guard let bytes else { throw .notFound("no file \(request.path ?? "")") }
        let from = min(Int(request.offset ?? 0), bytes.count)
        let to = min(bytes.count, from + Int(request.length ?? 0))
        return ReadSegmentReply(data: Array(bytes[from..<to]), sizeBytes: UInt64(bytes.count))
    }
}

/// Segments on volumes, mounted or elsewhere, and a clip maker over them.
final class ClipScene {
    static let away = "ipc:///away.rpc"

    let folder: URL
    let calls = FakeCalls()
    let thread = BlockingLane("clips")
    private(set) var mounted: [String] = []
    /// In the order of the catalogue.
    private(set) var segments: [[UInt8]] = []

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("clips-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit {
        thread.close()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Makes a volume that is mounted here; gives its identity.
    func mount(_ name: String) throws -> String {
        let path = folder.appendingPathComponent(name).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        mounted.append(path)
        return try VolumeRoot.adopt(at: path, role: .recording, nowUs: RecordedCamera.startUs).volumeID
    }

    /// Catalogues a segment; where it lies is said by `place` or `placeAway`.
    @discardableResult func record(
        _ bytes: [UInt8], _ frames: Range<Int>, on volumeID: String, endpoint: String = "main"
    ) -> String {
        let path = "line1/clips/\(frames.lowerBound)-\(endpoint).mp4"
        segments.append(bytes)
        calls.state.withLock {
            $0.files.append(
                MediaFile(
                    kind: .segment, volumeID: volumeID, path: path,
                    source: SourceName(device: "cam1", endpoint: endpoint),
                    startUs: RecordedCamera.timeUs(frames.lowerBound), endUs: RecordedCamera.timeUs(frames.upperBound),
                    sizeBytes: UInt64(bytes.count)))
        }
        return path
    }

    /// Writes a segment on the mounted volume `name`.
    func place(_ bytes: [UInt8], _ path: String, on name: String) throws {
        let file = folder.appendingPathComponent("\(name)/\(path)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: file)
    }

    /// Lets the controller at `away` have a segment.
    func placeAway(_ bytes: [UInt8], _ path: String) {
        calls.state.withLock { $0.remote["\(Self.away) \(path)"] = bytes }
    }

    var maker: ClipMaker { ClipMaker(calls: calls, volumes: mounted) }

    static func wish(_ fromUs: Int64, _ toUs: Int64) -> ClipWish {
        ClipWish(
            .source(SourceName(device: "cam1", endpoint: "main")), startUs: RecordedCamera.startUs + fromUs,
            endUs: RecordedCamera.startUs + toUs)
    }

    func bytes(_ clip: Clip) async throws -> [UInt8] {
        let written = Written()
        try await maker.write(clip, on: thread) { written.take($0) }
        return written.bytes
    }

    /// What a clip of some segments must be.
    static func expected(_ segments: [[UInt8]], _ wish: ClipWish, fromUs: Int64? = nil) throws -> [UInt8] {
        let clip = try ExactClip(
            of: segments.map { try ClipFile(MemoryBytes($0)) }, fromUs: fromUs ?? wish.startUs, toUs: wish.endUs,
            createdUs: wish.endUs)
        return clip.pieces.reduce(into: clip.head) { bytes, piece in
            bytes += segments[piece.file][Int(piece.offset)..<Int(piece.offset + piece.sizeBytes)]
        }
    }
}

private final class Written: Sendable {
    private let held = Mutex<[UInt8]>([])
    var bytes: [UInt8] { held.withLock { $0 } }
    func take(_ more: UnsafeRawBufferPointer) { held.withLock { $0.append(contentsOf: more) } }
}
