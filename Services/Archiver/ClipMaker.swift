// An item of kind clip: what one camera showed in a window, to the picture, as one MP4. The indexer names the segments, ExactClip
// decides which of their bytes go into the clip; here they are read and written. The same segments always give the same bytes.
import Claims
import Media
import RPC
import ServiceKit
import Synchronization
import Volume
import Wire

/// Makes clips from recorded segments.
struct ClipMaker: Sendable {
    let sources: SourceFiles
    let indexer: RPCClient
    private static let pieceBytes = 1 << 20
    private static let pageFiles: UInt32 = 500
    private static let timeout = Duration.seconds(15)

    /// What goes into a clip: its head, and where the rest is read.
    struct Recipe: Sendable {
        let clip: ExactClip
        let files: [ClipSource]
    }

    /// Finds the segments and reads what they hold. Throws ArchiveProblem.
    func recipe(_ plan: ArchivePlan, on thread: BlockingLane) async throws -> Recipe {
        guard case .window(let source, let window) = plan.origin, let startUs = window.startUs,
            let endUs = window.endUs
        else { throw ArchiveProblem(reason: "\(plan.path): it has no window", isRetryable: false) }
        let segments = try await segments(of: source, in: window, plan)
        guard !segments.isEmpty else {
            throw ArchiveProblem(
                reason: "\(plan.sourceName): its segments are gone; nothing is left to archive", isRetryable: false)
        }
        var files: [ClipSource] = []
        for segment in segments {
            files.append(try await sources.open(segment, on: thread))
        }
        let opened = files
        let clip = try await thread.runUnlessCancelled {
            let read = try opened.enumerated().map { index, file in
                do throws(MediaError) { return try ClipFile(file) } catch {
                    throw file.problem
                        ?? ArchiveProblem(
                            reason: "\(segments[index].path ?? ""): \(error.description)", isRetryable: false)
                }
            }
            do throws(MediaError) {
                // A fixed time of making, so that a repeated attempt gives the same file.
                return try ExactClip(of: read, fromUs: startUs, toUs: endUs, createdUs: endUs)
            } catch { throw ArchiveProblem(reason: "\(plan.sourceName): \(error.description)", isRetryable: false) }
        }
        guard clip.filesTaken == segments.count else {
            let next = segments[clip.filesTaken].startUs ?? 0
            throw ArchiveProblem(
                reason:
                    "\(plan.sourceName): the camera's codec changes at \(next) us; ask for the time before and for the "
                    + "time behind it, or for files instead of a clip", isRetryable: false)
        }
        return Recipe(clip: clip, files: files)
    }

    /// Hands on the clip's bytes in their order.
    func write(
        _ recipe: Recipe, on thread: BlockingLane, to append: @escaping @Sendable ([UInt8]) throws -> Void
    ) async throws {
        try await thread.runUnlessCancelled { try append(recipe.clip.head) }
        for piece in recipe.clip.pieces {
            var offset = piece.offset
            let end = piece.offset + piece.sizeBytes
            while offset < end {
                try Task.checkCancellation()
                let (at, count) = (offset, Int(min(Int64(Self.pieceBytes), end - offset)))
                try await thread.runUnlessCancelled {
                    let file = recipe.files[piece.file]
                    let bytes: [UInt8]
                    do throws(MediaError) { bytes = try file.read(at: at, count: count) } catch {
                        throw file.problem ?? ArchiveProblem(reason: error.description, isRetryable: true)
                    }
                    guard bytes.count == count else {
                        throw ArchiveProblem(
                            reason: "a segment became shorter while it was read; it is tried again", isRetryable: true)
                    }
                    try append(bytes)
                }
                offset += Int64(count)
            }
        }
    }

    /// The segments of a source that touch the window, in their order.
    private func segments(of source: SourceName, in window: Window, _ plan: ArchivePlan) async throws -> [MediaFile] {
        var files: [MediaFile] = []
        var token: String?
        repeat {
            do {
                let reply = try await indexer.call(
                    IndexerMethods.queryMedia,
                    QueryMediaRequest(
                        source: source, window: window, kind: .segment, limit: Self.pageFiles, pageToken: token),
                    timeout: Self.timeout)
                files += reply.files
                token = reply.nextPageToken
            } catch {
                if error.code == .cancelled { throw CancellationError() }
                throw ArchiveProblem(reason: "\(plan.sourceName): the indexer: \(error.message)", isRetryable: true)
            }
        } while token?.isEmpty == false
        return files
    }
}

/// A segment that a clip is made of, on a mounted volume. Reads block, so they happen on a lane's thread.
final class ClipSource: ByteSource, Sendable {
    private let file: FileReader
    private let name: String
    private let found = Mutex<ArchiveProblem?>(nil)

    init(_ file: FileReader, name: String) { (self.file, self.name) = (file, name) }

    var size: Int64 { file.sizeBytes }
    /// Why a read failed, with what to do.
    var problem: ArchiveProblem? { found.withLock { $0 } }

    func read(at offset: Int64, count: Int) throws(MediaError) -> [UInt8] {
        do throws(VolumeError) { return try file.read(at: offset, count: count) } catch {
            let problem = ArchiveProblem.onSource(error, name)
            found.withLock { $0 = problem }
            throw MediaError(problem.reason)
        }
    }
}
