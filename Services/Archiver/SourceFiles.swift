// Where an item's bytes are read: from a recording volume that is mounted here, else from the service that owns it, by
// ReadSegment.
import Claims
import Clips
import RPC
import ServiceKit
import Synchronization
import Volume
import Wire

/// An open source.
protocol SourceReader: Sendable {
    /// Appends all of it to an empty file; `thread` does the blocking calls. Throws CancellationError where the task is cancelled.
    /// `appended` is told how many bytes came.
    func copy(
        to staged: StagedFile, on thread: BlockingLane, _ appended: @escaping @Sendable (Int) -> Void
    ) async throws
}

/// Finds and opens sources.
struct SourceFiles: Sendable {
    let paths: [String]
    let calls: any FootageCalls

    /// Opens the source of a plan. `thread` does the blocking calls.
    func open(_ plan: ArchivePlan, on thread: BlockingLane) async throws -> any SourceReader {
        guard case .recorded(let volumeID, let path, let address) = plan.origin else {
            throw ArchiveProblem(reason: "\(plan.path): it has no source", isRetryable: false)
        }
        switch (try await mounted(volumeID, path, on: thread), address) {
        case (.success(let file), _): return MountedSource(file: file, plan: plan)
        case (_, let address?):
            return RemoteSource(calls: calls, address: address, volumeID: volumeID, path: path, plan: plan)
        case (.failure(let error), nil): throw ArchiveProblem.onSource(error, plan.sourceName)
        case (nil, nil):
            throw ArchiveProblem(
                reason: "\(plan.sourceName): the volume is not mounted here and nobody is named who has it; mount it "
                    + "and add it to recording-volumes, or start its capture-controller",
                isRetryable: true, retryAfter: ArchiveProblem.volumePause)
        }
    }

    /// The file on the volume that has this identity; nil where none of ours is that volume.
    private func mounted(
        _ volumeID: String, _ path: RelativePath, on thread: BlockingLane
    ) async throws -> Result<FileReader, VolumeError>? {
        let paths = paths
        return try await thread.runUnlessCancelled {
            for root in paths {
                // A folder that is not this volume, or no volume at present, is passed over: the next or RPC may serve.
                guard
                    let volume = try? VolumeRoot.open(at: root, role: .recording, access: .reader, volumeID: volumeID)
                else { continue }
                do throws(VolumeError) { return .success(try volume.reader(path)) } catch { return .failure(error) }
            }
            return nil
        }
    }

}

/// A file of a mounted volume.
private struct MountedSource: SourceReader {
    let file: FileReader
    let plan: ArchivePlan

    func copy(
        to staged: StagedFile, on thread: BlockingLane, _ appended: @escaping @Sendable (Int) -> Void
    ) async throws {
        let isStopped = Flag()
        do {
            let isWhole = try await withTaskCancellationHandler {
                try await thread.runUnlessCancelled {
                    try staged.append(allOf: file) { bytes in
                        appended(bytes)
                        return !isStopped.isSet
                    }
                }
            } onCancel: {
                isStopped.set()
            }
            if !isWhole { throw CancellationError() }
        } catch let error as VolumeError where error.path == file.path || error.path.hasSuffix("/" + file.path) {
            throw ArchiveProblem.onSource(error, plan.sourceName)
        }
    }
}

/// Set once, by another thread.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// A file that its owner reads for us.
private struct RemoteSource: SourceReader {
    let calls: any FootageCalls
    let address: String
    let volumeID: String
    let path: RelativePath
    let plan: ArchivePlan

    func copy(
        to staged: StagedFile, on thread: BlockingLane, _ appended: @escaping @Sendable (Int) -> Void
    ) async throws {
        while true {
            try Task.checkCancellation()
            let piece = try await read(at: staged.sizeBytes)
            if piece.isEmpty { return }
            try await thread.runUnlessCancelled { try staged.append(piece) }
            appended(piece.count)
        }
    }

    private func read(at offset: Int64) async throws -> [UInt8] {
        do {
            let reply = try await calls.readSegment(
                ReadSegmentRequest(
                    volumeID: volumeID, path: path.string, offset: UInt64(offset), length: RPCFootageCalls.mostBytes),
                at: address)
            return reply.data ?? []
        } catch {
            // An offset at the very end may be answered like this too.
            if error.code == .outOfRange, offset > 0 { return [] }
            if error.code == .cancelled { throw CancellationError() }
            throw ArchiveProblem.onSource(error, plan, address: address)
        }
    }
}
