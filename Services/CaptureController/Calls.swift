// The calls of the contract: ListStatus, TakeSnapshot, EnsureFootage, ReadSegment. Each checks what it was sent and names the
// field that is wrong.
import LibAV
import RPC
import ServiceKit
import Volume
import Wire

struct Calls: Sendable {
    let engine: CaptureEngine
    let footage: FootageCalls
    let status: StatusReporter
    let keeper: VolumeKeeper
    let equipment: Equipment
    private let reading = BlockingLane("reading segments")
    private let decoding = BlockingLane("decoding pictures")

    init(
        engine: CaptureEngine, footage: FootageCalls, status: StatusReporter, keeper: VolumeKeeper, equipment: Equipment
    ) {
        self.engine = engine
        self.footage = footage
        self.status = status
        self.keeper = keeper
        self.equipment = equipment
    }

    func register(on server: RPCServer) {
        server.handle(CaptureControllerMethods.listStatus) { request, _ in try await listStatus(request) }
        server.handle(CaptureControllerMethods.takeSnapshot) { request, _ in try await takeSnapshot(request) }
        server.handle(CaptureControllerMethods.ensureFootage) { request, _ in try await footage.ensure(request) }
        server.handle(CaptureControllerMethods.readSegment) { request, _ in try await readSegment(request) }
    }

    private func listStatus(_ request: ListStatusRequest) async throws -> ListStatusReply {
        let report = await status.whole()
        var tasks = report.tasks
        if let asset = request.asset { tasks = tasks.filter { $0.stream?.asset == asset } }
        if let stream = request.stream { tasks = tasks.filter { $0.stream?.stream == stream } }
        let isFiltered = request.asset != nil || request.stream != nil
        let named = Set(tasks.compactMap { SourceKey($0.source) })
        let sources = report.sources.filter { source in
            !isFiltered || SourceKey(source.source).map { named.contains($0) } ?? false
        }
        return ListStatusReply(
            controllerID: report.controllerID, sources: sources, tasks: tasks, volumes: report.volumes)
    }

    /// Pictures beyond this go to the volume only: an answer has at most 1 MiB.
    static let largestInAnswer = 900 << 10

    private func takeSnapshot(_ request: TakeSnapshotRequest) async throws -> TakeSnapshotReply {
        guard let name = Planner.pictureFormat(request.format), let format = PictureFormat(rawValue: name) else {
            throw RPCError.invalidArgument("format", "use jpeg, png, bmp or tiff")
        }
        let stream = StreamKey(request.stream)
        let source: SourceKey
        if let named = SourceKey(request.source) {
            source = named
        } else if let stream {
            guard let found = await engine.source(of: stream) else { throw RPCError.notFound("no stream \(stream)") }
            source = found
        } else {
            throw RPCError.invalidArgument("stream", "name a stream or a source")
        }
        guard let session = engine.sessions[source] else {
            throw RPCError.notFound("this controller does not hold the camera \(source)")
        }
        guard let keyframe = session.newestKeyframe() else {
            throw RPCError.unavailable("no picture of \(source) has come yet; its status says why")
        }
        let picture: Picture
        do {
            picture = try await decoding.run { try PictureMaker.picture(of: keyframe.packet, format: format) }
        } catch let error as LibAVError {
            throw RPCError.unavailable("no picture could be made of \(source): \(error.description)")
        }
        let file = SnapshotFiles.record(
            picture, source: source, stream: stream, timeUs: keyframe.timeUs, runID: keyframe.run.runID,
            leaseEpoch: keyframe.plan.leaseEpoch)
        let stored = try await store(picture, file, leaseEpoch: keyframe.plan.leaseEpoch)
        return TakeSnapshotReply(
            capturedUs: keyframe.timeUs, picture: picture.bytes.count <= Self.largestInAnswer ? picture.bytes : nil,
            file: stored, widthPx: UInt32(clamping: picture.widthPx), heightPx: UInt32(clamping: picture.heightPx))
    }

    private func store(_ picture: Picture, _ file: MediaFile, leaseEpoch: UInt64) async throws -> MediaFile {
        try await withCheckedThrowingContinuation { continuation in
            let work = PictureFile(
                bytes: picture.bytes, file: file, folder: "", owner: equipment.instance, leaseEpoch: leaseEpoch
            ) { result in
                switch result {
                case .success(let stored): continuation.resume(returning: stored)
                case .failure(let error): continuation.resume(throwing: RPCError.unavailable("\(error)"))
                }
            }
            if !equipment.disk.put(.picture(work)) {
                continuation.resume(
                    throwing: RPCError.resourceExhausted("more waits for the disk than may wait; try again"))
            }
        }
    }

    private func readSegment(_ request: ReadSegmentRequest) async throws -> ReadSegmentReply {
        let length = request.length ?? 262_144
        guard (1...921_600).contains(length) else {
            throw RPCError.invalidArgument("length", "1 to 921600 bytes can be read at once")
        }
        guard let volume = keeper.current else {
            throw RPCError.unavailable(keeper.error ?? "the recording volume is not open")
        }
        guard request.volumeID == volume.volumeID else {
            throw RPCError.notFound("this controller has volume \(volume.volumeID), not \(request.volumeID ?? "none")")
        }
        let path: RelativePath
        do { path = try RelativePath(request.path ?? "") } catch {
            throw RPCError.invalidArgument("path", error.detail)
        }
        // What the volume keeps for itself is nobody else's business.
        guard !path.parts.contains(where: { $0.hasPrefix(".") }) else {
            throw RPCError.invalidArgument("path", "hidden files cannot be read")
        }
        guard let offset = Int64(exactly: request.offset ?? 0) else {
            throw RPCError.outOfRange("the offset lies beyond the end of \(path)")
        }
        do {
            return try await reading.run {
                let reader = try volume.reader(path)
                guard offset <= reader.sizeBytes else {
                    throw RPCError.outOfRange("the offset lies beyond the \(reader.sizeBytes) bytes of \(path)")
                }
                let data = try reader.read(at: offset, count: Int(length))
                return ReadSegmentReply(data: data, sizeBytes: UInt64(reader.sizeBytes))
            }
        } catch let error as VolumeError {
            if error.kind == .missing { throw RPCError.notFound("no file \(path) on volume \(volume.volumeID)") }
            throw RPCError.unavailable("\(error)")
        }
    }
}
