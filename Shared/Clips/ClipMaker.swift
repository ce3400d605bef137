// Clips of what a camera showed in a window, to the picture: exact MP4s of segments that may lie on the volumes of several controllers.
// The indexer names the segments, ExactClip decides which of their bytes go into a clip; here they are read and handed out. The same
// segments always give the same bytes.
import Media
import ServiceKit
import Synchronization

/// A clip that can be written: its head, and where the rest is read.
public struct Clip: Sendable {
    /// What is in it.
    public let content: ExactClip
    /// Those that `content` names.
    let segments: [any Segment]

    /// Size of the whole clip.
    public var sizeBytes: Int64 { content.sizeBytes }
}

/// Makes clips from recorded segments.
public struct ClipMaker: Sendable {
    /// Read and handed on at once: what stays in a core's cache on its way.
    private static let blockBytes: Int64 = 256 << 10
    /// The same where an owner is asked for it: as much as one answer holds, in whole pages.
    private static let remoteBlockBytes = RemoteSegment.mostBytes / 4096 * 4096
    /// Blocks that are copied without a look at whether the task was cancelled: a few milliseconds.
    private static let blocksAtOnce = 16

    private let segments: RecordedSegments

    /// - Parameter volumes: folders of recording volumes that are mounted here; other volumes are read from their owners.
    public init(calls: any FootageCalls, volumes: [String]) {
        segments = RecordedSegments(calls: calls, volumePaths: volumes)
    }

    /// The clips of a window: one, or one for each time until the camera's codec changes. Throws ClipProblem or CancellationError.
    ///
    /// - Parameter thread: does what blocks.
    public func clips(_ wish: ClipWish, on thread: BlockingLane) async throws -> [Clip] {
        let files = try await segments.find(wish)
        let opened = try await segments.open(files, wish, on: thread)
        let read = try await withThrowingTaskGroup(of: (Int, ClipFile).self) { group in
            var read: [ClipFile?] = Array(repeating: nil, count: opened.count)
            for (number, segment) in opened.enumerated() {
                // As many as any lane has threads; others would only wait.
                if number >= Self.filesAtOnce, let (done, file) = try await group.next() { read[done] = file }
                group.addTask { (number, try await Self.read(segment, on: thread)) }
            }
            for try await (done, file) in group { read[done] = file }
            return read.compactMap(\.self)
        }
        return try await thread.runUnlessCancelled { try Self.clips(wish, read, opened) }
    }

    private static let filesAtOnce = 4

    private static func read(_ segment: any Segment, on thread: BlockingLane) async throws -> ClipFile {
        try await thread.runUnlessCancelled {
            let bytes = segment.boxes()
            do throws(MediaError) { return try ClipFile(bytes) } catch {
                throw bytes.problem ?? ClipProblem(.unusable, "\(segment.name): \(error.description)")
            }
        }
    }

    private static func clips(
        _ wish: ClipWish, _ files: [ClipFile], _ segments: [any Segment]
    ) throws(ClipProblem) -> [Clip] {
        var clips: [Clip] = []
        var problem: MediaError?
        var next = 0
        while next < files.count {
            let range = next..<(next + max(1, ExactClip.filesOfOneClip(files[next...])))
            next = range.upperBound
            do throws(MediaError) {
                // A fixed time of making, so that a repeated attempt gives the same file.
                let content = try ExactClip(
                    of: Array(files[range]),
                    fromUs: clips.isEmpty ? wish.startUs : files[range.lowerBound].info.startUs,
                    toUs: wish.endUs, createdUs: wish.endUs)
                clips.append(Clip(content: content, segments: Array(segments[range])))
            } catch {
                // Segments at the edge may have no picture of the window; that is an error only where none has.
                problem = error
            }
        }
        if clips.isEmpty { throw ClipProblem(.unusable, "\(wish.name): \(problem?.description ?? "no segment")") }
        return clips
    }

    /// Hands out a clip's bytes in their order, on a thread that may block. Throws ClipProblem, CancellationError, and what `append`
    /// throws; nothing is handed out any more then.
    ///
    /// - Parameter thread: does what blocks.
    public func write(
        _ clip: Clip, on thread: BlockingLane, to append: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let mounted = clip.segments.compactMap { $0 as? MountedSegment }
        if mounted.count == clip.segments.count {
            try await copy(clip, of: mounted, on: thread, to: append)
        } else {
            try await fetch(clip, on: thread, to: append)
        }
    }

    /// Where an owner is asked for some of it: one block is handed on while the next is on its way.
    private func fetch(
        _ clip: Clip, on thread: BlockingLane, to append: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let head = clip.content.head
        let blocks = CopyBlock.blocks(
            of: clip.content.pieces, behind: Int64(head.count), blockBytes: Self.remoteBlockBytes
        ) { file in clip.segments[file] is RemoteSegment ? RemoteSegment.mostBytes : Int64.max }
        let writing = BlockingLane("clip-write")
        defer { writing.close() }
        let rooms = [BlockRoom(bytes: Int(Self.remoteBlockBytes)), BlockRoom(bytes: Int(Self.remoteBlockBytes))]
        var handedOn = Task { try await writing.run { try head.withUnsafeBytes { try append($0) } } }
        do {
            for (number, block) in blocks.enumerated() {
                try Task.checkCancellation()
                let room = rooms[number % 2]
                try await fill(room, with: block, of: clip, on: thread)
                try await handedOn.value
                handedOn = Task { try await writing.run { try room.handOn(append) } }
            }
            try await handedOn.value
        } catch {
            _ = await handedOn.result
            throw error
        }
    }

    /// Where all of it is mounted: a block is handed on where it was read, because it is in that core's cache.
    private func copy(
        _ clip: Clip, of segments: [MountedSegment], on thread: BlockingLane,
        to append: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let head = clip.content.head
        let blocks = CopyBlock.blocks(
            of: clip.content.pieces, behind: Int64(head.count), blockBytes: Self.blockBytes
        ) { _ in Int64.max }
        let room = BlockRoom(bytes: Int(Self.blockBytes))
        try await thread.runUnlessCancelled { try head.withUnsafeBytes { try append($0) } }
        for start in stride(from: 0, to: blocks.count, by: Self.blocksAtOnce) {
            let some = blocks[start..<min(start + Self.blocksAtOnce, blocks.count)]
            try await thread.runUnlessCancelled {
                for block in some {
                    room.clear()
                    for portion in block.portions { try room.read(portion, of: segments[portion.file]) }
                    try room.handOn(append)
                }
            }
        }
    }

    private func fill(_ room: BlockRoom, with block: CopyBlock, of clip: Clip, on thread: BlockingLane) async throws {
        room.clear()
        for portion in block.portions {
            switch clip.segments[portion.file] {
            case let segment as MountedSegment:
                try await thread.runUnlessCancelled { try room.read(portion, of: segment) }
            case let segment as RemoteSegment:
                room.take(portion, from: try await segment.part(at: portion.offset, count: Int(portion.spanBytes)))
            default: throw ClipProblem(.unusable, "\(clip.segments[portion.file].name): it cannot be read")
            }
        }
    }
}

/// The bytes of one block. Whoever fills it and whoever hands it on take turns.
private final class BlockRoom: Sendable {
    private struct State {
        var bytes: [UInt8]
        var filled = 0
    }

    private let state: Mutex<State>

    init(bytes: Int) { state = Mutex(State(bytes: [UInt8](repeating: 0, count: bytes))) }

    func clear() { state.withLock { $0.filled = 0 } }

    /// Blocks.
    func read(_ portion: CopyPortion, of segment: MountedSegment) throws {
        let file = try segment.reader()
        try state.withLock { state in
            for piece in portion.pieces {
                try segment.read(
                    file, at: piece.offset, count: Int(piece.sizeBytes), into: &state.bytes, from: state.filled)
                state.filled += Int(piece.sizeBytes)
            }
        }
    }

    /// `span`: from the portion's first byte to its last.
    func take(_ portion: CopyPortion, from span: [UInt8]) {
        state.withLock { state in
            for piece in portion.pieces {
                let start = Int(piece.offset - portion.offset)
                let part = span[start..<start + Int(piece.sizeBytes)]
                state.bytes.replaceSubrange(state.filled..<state.filled + part.count, with: part)
                state.filled += part.count
            }
        }
    }

    func handOn(_ append: (UnsafeRawBufferPointer) throws -> Void) throws {
        try state.withLock { state in
            try state.bytes.withUnsafeBytes { try append(UnsafeRawBufferPointer(rebasing: $0[..<state.filled])) }
        }
    }
}
