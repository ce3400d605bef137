// Where an item's bytes are read: from a recording volume that is mounted here, else from the service that owns it, by
// ReadSegment.
import Claims
import RPC
import ServiceKit
import Synchronization
import Volume
import Wire

/// An open source. Reads follow one another; an empty piece is the end.
protocol SourceReader: Sendable {
    func read(at offset: Int64) async throws -> [UInt8]
}

/// Finds and opens sources.
final class SourceFiles: Sendable {
    /// Makes a client for an address that an item names.
    typealias Connect = @Sendable (String) throws -> RPCClient

    private let paths: [String]
    private let connect: Connect
    private let clients = Mutex<[String: RPCClient]>([:])

    init(paths: [String], connect: @escaping Connect) {
        self.paths = paths
        self.connect = connect
    }

    /// Opens the source of a plan. `thread` does the blocking calls.
    func open(_ plan: ArchivePlan, on thread: BlockingLane) async throws -> any SourceReader {
        guard case .recorded(let volumeID, let path, let address) = plan.origin else {
            throw ArchiveProblem(reason: "\(plan.path): it has no source", isRetryable: false)
        }
        switch (try await mounted(volumeID, path, on: thread), address) {
        case (.success(let file), _): return MountedSource(file: file, plan: plan, thread: thread)
        case (_, let address?):
            return RemoteSource(
                client: try client(address, plan), address: address, volumeID: volumeID, path: path, plan: plan)
        case (.failure(let error), nil): throw ArchiveProblem.onSource(error, plan.sourceName)
        case (nil, nil):
            throw ArchiveProblem(
                reason: "\(plan.sourceName): the volume is not mounted here and nobody is named who has it; mount it "
                    + "and add it to recording-volumes, or start its capture-controller",
                isRetryable: true, retryAfter: ArchiveProblem.volumePause)
        }
    }

    /// Opens a segment for a clip.
    func open(_ segment: MediaFile, on thread: BlockingLane) async throws -> ClipSource {
        guard let volumeID = segment.volumeID, let path = try? RelativePath(segment.path ?? "") else {
            throw ArchiveProblem(reason: "\(segment.path ?? ""): the segment names no file", isRetryable: false)
        }
        let name = ArchivePlan.sourceName(path, volumeID)
        switch try await mounted(volumeID, path, on: thread) {
        case .success(let file): return ClipSource(file, name: name)
        case .failure(let error): throw ArchiveProblem.onSource(error, name)
        case nil:
            throw ArchiveProblem(
                reason:
                    "\(name): the volume is not mounted here, and clips are made from mounted volumes only; mount it "
                    + "and add it to recording-volumes", isRetryable: true, retryAfter: ArchiveProblem.volumePause)
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

    private func client(_ address: String, _ plan: ArchivePlan) throws -> RPCClient {
        do {
            return try clients.withLock { clients in
                if let known = clients[address] { return known }
                let made = try connect(address)
                clients[address] = made
                return made
            }
        } catch {
            throw ArchiveProblem(reason: "\(plan.sourceName): \(address): \(error)", isRetryable: true)
        }
    }

    /// Closes all connections.
    func close() {
        for client in clients.withLock({ $0 }).values { client.close() }
    }
}

/// A file of a mounted volume.
private struct MountedSource: SourceReader {
    let file: FileReader
    let plan: ArchivePlan
    let thread: BlockingLane
    private static let pieceBytes = 1 << 20

    func read(at offset: Int64) async throws -> [UInt8] {
        do {
            return try await thread.runUnlessCancelled { try file.read(at: offset, count: Self.pieceBytes) }
        } catch let error as VolumeError {
            throw ArchiveProblem.onSource(error, plan.sourceName)
        }
    }
}

/// A file that its owner reads for us.
private struct RemoteSource: SourceReader {
    let client: RPCClient
    let address: String
    let volumeID: String
    let path: RelativePath
    let plan: ArchivePlan
    /// The most that ReadSegment gives at once, so that the reply fits into one message.
    private static let pieceBytes: UInt32 = 921_600
    private static let timeout = Duration.seconds(15)

    func read(at offset: Int64) async throws -> [UInt8] {
        do {
            let reply = try await client.call(
                CaptureControllerMethods.readSegment,
                ReadSegmentRequest(
                    volumeID: volumeID, path: path.string, offset: UInt64(offset), length: Self.pieceBytes),
                timeout: Self.timeout)
            return reply.data ?? []
        } catch {
            // An offset at the very end may be answered like this too.
            if error.code == .outOfRange, offset > 0 { return [] }
            if error.code == .cancelled { throw CancellationError() }
            throw ArchiveProblem.onSource(error, plan, address: address)
        }
    }
}
