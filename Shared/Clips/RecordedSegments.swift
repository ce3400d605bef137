// The segments of a window: which there are, says the indexer; each is opened on a volume that is mounted here, else at the controller
// that owns its volume.
import Media
import RPC
import ServiceKit
import Volume
import Wire

/// What a clip is to show.
public struct ClipWish: Sendable, Hashable {
    /// The camera, by its asset or its source.
    public enum Camera: Sendable, Hashable {
        /// A camera by its asset.
        case asset(String)
        /// A camera by device and endpoint.
        case source(SourceName)
    }

    /// Whose pictures.
    public let camera: Camera
    /// From here on, microseconds.
    public let startUs: Int64
    /// Up to here, exclusive.
    public let endUs: Int64

    /// A wish for a window.
    public init(_ camera: Camera, startUs: Int64, endUs: Int64) {
        (self.camera, self.startUs, self.endUs) = (camera, startUs, endUs)
    }

    /// As a person knows it.
    var name: String {
        switch camera {
        case .asset(let asset): "a clip of \(asset)"
        case .source(let source): "a clip of \(source.text)"
        }
    }
}

/// Finds and opens segments for one clip after the other.
struct RecordedSegments: Sendable {
    /// Of the indexer's reply.
    private static let pageFiles: UInt32 = 500
    /// So many files are held open, which keeps them readable when retention removes them meanwhile. A process has 1024 by default.
    static let mostOpen = 512

    let calls: any FootageCalls
    let volumePaths: [String]

    /// The segments that touch the window, in their order. Throws ClipProblem or CancellationError.
    func find(_ wish: ClipWish) async throws -> [MediaFile] {
        var request = QueryMediaRequest(
            window: Window(startUs: wish.startUs, endUs: wish.endUs), kind: .segment, limit: Self.pageFiles)
        switch wish.camera {
        case .asset(let asset): request.asset = asset
        case .source(let source): request.source = source
        }
        var files: [MediaFile] = []
        repeat {
            do {
                let reply = try await calls.queryMedia(request)
                files += reply.files
                request.pageToken = reply.nextPageToken
            } catch {
                throw try Self.problem(error, wish)
            }
        } while request.pageToken?.isEmpty == false
        guard !files.isEmpty else { throw ClipProblem(.nothing, "\(wish.name): nothing of the window is recorded") }
        let sources = Set(files.compactMap(\.source))
        guard sources.count <= 1 else {
            let names = sources.map(\.text).sorted().joined(separator: ", ")
            throw ClipProblem(
                .unusable, "\(wish.name): it has footage of several cameras in the window; ask for one of \(names)")
        }
        return files
    }

    /// Opens the segments, in their order. Throws ClipProblem or CancellationError.
    func open(_ files: [MediaFile], _ wish: ClipWish, on thread: BlockingLane) async throws -> [any Segment] {
        let wanted = Set(files.compactMap(\.volumeID))
        let paths = volumePaths
        let mounted = try await thread.runUnlessCancelled { Self.mounted(paths, wanted) }
        var owners: [String: String]?
        var opened: [any Segment] = []
        for file in files {
            guard let volumeID = file.volumeID, let path = try? RelativePath(file.path ?? "") else {
                throw ClipProblem(.unusable, "\(file.path ?? ""): the segment names no file")
            }
            let name = "\(path.string) on volume \(volumeID)"
            if let volume = mounted[volumeID] {
                let keepsOpen = opened.count < Self.mostOpen
                opened.append(
                    try await thread.runUnlessCancelled {
                        try MountedSegment(path, on: volume, name: name, keepsOpen: keepsOpen)
                    })
                continue
            }
            let known = if let owners { owners } else { try await self.owners(wish) }
            owners = known
            guard let address = known[volumeID] else {
                throw ClipProblem(
                    .unreachable,
                    "\(name): the volume is not mounted here, and no controller is known to have it; mount it and name "
                        + "it, or start its capture-controller", retryAfter: ClipProblem.volumePause)
            }
            opened.append(
                try await RemoteSegment.open(path.string, of: volumeID, at: address, name: name, calls))
        }
        return opened
    }

    /// The volumes that are wanted and mounted here, by identity.
    private static func mounted(_ paths: [String], _ wanted: Set<String>) -> [String: VolumeRoot] {
        var found: [String: VolumeRoot] = [:]
        for path in paths {
            // A folder that is no volume at present is passed over: another or a controller may serve.
            guard let volume = try? VolumeRoot.open(at: path, role: .recording, access: .reader) else { continue }
            if wanted.contains(volume.volumeID), found[volume.volumeID] == nil { found[volume.volumeID] = volume }
        }
        return found
    }

    /// Where the owner of each volume answers.
    private func owners(_ wish: ClipWish) async throws -> [String: String] {
        do {
            let volumes = try await calls.listVolumes().volumes
            let named = volumes.compactMap { known -> (String, String)? in
                guard let id = known.volume?.volumeID, let address = known.ownerAddress, !address.isEmpty else {
                    return nil
                }
                return (id, address)
            }
            return Dictionary(named) { first, _ in first }
        } catch {
            throw try Self.problem(error, wish)
        }
    }

    private static func problem(_ error: RPCError, _ wish: ClipWish) throws(CancellationError) -> ClipProblem {
        if error.code == .cancelled { throw CancellationError() }
        let reason = "\(wish.name): the indexer: \(error.message)"
        return ClipProblem([.notFound, .invalidArgument].contains(error.code) ? .unusable : .unreachable, reason)
    }
}
