// The calls of the contract: ListStatus, TakeSnapshot, EnsureFootage, ReadSegment. Each checks what it was sent and names the
// field that is wrong.
import MediaWork
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
    // Its threads only wait for media-workers: four, so that one picture that takes its full time holds up few others.
    private let decoding = BlockingLane("decoding pictures", threads: 4)

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
        let asset = try FieldCheck.nameIfAny(request.asset, "asset")
        let stream = try FieldCheck.nameIfAny(request.stream, "stream")
        let report = await status.whole()
        var tasks = report.tasks
        if let asset { tasks = tasks.filter { $0.stream?.asset == asset } }
        if let stream { tasks = tasks.filter { $0.stream?.stream == stream } }
        let isFiltered = asset != nil || stream != nil
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
        let style = try style(request)
        let (source, stream) = try await wanted(request)
        guard let session = engine.sessions[source] else {
            throw RPCError.notFound("this controller does not hold the camera \(source)")
        }
        guard let keyframe = session.newestKeyframe() else {
            throw RPCError.unavailable("no picture of \(source) has come yet; its status says why")
        }
        let picture: Picture
        do {
            picture = try await decoding.run { [pictures = equipment.pictures] in
                try pictures.picture(of: PictureRequest(keyframe.packet, style))
            }
        } catch let error as PictureError {
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

    private func style(_ request: TakeSnapshotRequest) throws -> PictureStyle {
        let sides = 16...Picture.maximumSidePx
        _ = try FieldCheck.bounded(
            request.jpegQuality, "jpeg_quality", default: PictureStyle.defaultQuality, 1...100)
        _ = try FieldCheck.bounded(request.maxWidthPx, "max_width_px", default: sides.upperBound, sides)
        _ = try FieldCheck.bounded(request.maxHeightPx, "max_height_px", default: sides.upperBound, sides)
        guard
            let style = PictureStyle(
                format: request.format, quality: request.jpegQuality, maximumWidthPx: request.maxWidthPx,
                maximumHeightPx: request.maxHeightPx)
        else { throw FieldCheck.wrong("format", "is unknown: jpeg, png, bmp and tiff are allowed") }
        return style
    }

    /// The source that is named, or that of the stream that is named.
    private func wanted(_ request: TakeSnapshotRequest) async throws -> (SourceKey, StreamKey?) {
        switch (request.source, request.stream) {
        case (let source?, nil): return (try SourceKey(checking: source, "source"), nil)
        case (nil, let named?):
            let (asset, name) = try FieldCheck.stream(named, "stream")
            let stream = StreamKey(asset: asset, stream: name)
            guard let source = await engine.source(of: stream) else {
                throw RPCError.notFound("no stream \(stream) is here: see the status of its controller")
            }
            return (source, stream)
        case (nil, nil): throw FieldCheck.wrong("stream", "is missing: name a stream or a source")
        case (_?, _?): throw FieldCheck.wrong("source", "is given beside a stream: name one of the two")
        }
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
        let length = try FieldCheck.bounded(request.length, "length", default: 262_144, 1...921_600)
        let volumeID = try FieldCheck.someText(request.volumeID, "volume_id")
        let path: RelativePath
        do { path = try RelativePath(request.path ?? "") } catch {
            throw FieldCheck.wrong("path", "cannot be used: \(error.detail)")
        }
        // What the volume keeps for itself is nobody else's business.
        guard !path.parts.contains(where: { $0.hasPrefix(".") }) else {
            throw FieldCheck.wrong("path", "names a hidden file, which cannot be read")
        }
        guard let volume = keeper.current else {
            throw RPCError.unavailable(keeper.error ?? "the recording volume is not open")
        }
        guard volumeID == volume.volumeID else {
            throw RPCError.notFound("this controller has volume \(volume.volumeID), not \(volumeID)")
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
                let data = try reader.read(at: offset, count: length)
                return ReadSegmentReply(data: data, sizeBytes: UInt64(reader.sizeBytes))
            }
        } catch let error as VolumeError {
            if error.kind == .missing { throw RPCError.notFound("no file \(path) on volume \(volume.volumeID)") }
            throw RPCError.unavailable("\(error)")
        }
    }
}
