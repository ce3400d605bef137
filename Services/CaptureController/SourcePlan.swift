// What every source is to do now: made from the configuration, the leases and the time, as one value that can be compared.
// Pure. Engine makes it at each change and once a second, and applies only what differs; a changed stream must not cost
// the camera's connection, so the connection's settings stand apart.
import Media
import MediaWork
import Wire

/// How the camera is opened. A change of it, and nothing else, makes a new connection.
struct CameraConnection: Sendable, Hashable {
    let address: String
    /// References below the secrets folder; both nil for an anonymous camera.
    let usernameReference: String?
    let passwordReference: String?
    let trustList: String?

    /// Its packets' times are those of their arrival: pictures that are fetched, or that appear in a folder.
    var hasArrivalTimes: Bool {
        let address = address.lowercased()
        return ["http:", "https:"].contains(where: address.hasPrefix) || (mayBeQuiet && address.hasSuffix("/"))
    }
    /// Pictures may be as far apart as they like: a folder that somebody puts files into.
    var mayBeQuiet: Bool { address.lowercased().hasPrefix("file:") }
}

/// A running clip-to-fs task.
struct ClipPlan: Sendable, Equatable {
    let stream: StreamKey
    let taskRunID: String
    let segmentUs: Int64
    /// Relative to the volume's root; empty for the root itself.
    let folder: String
}

/// Segments of a source in another format, for a clip-to-fs task that wants one: the one that records, or another of the source.
struct RenditionPlan: Sendable, Equatable {
    let stream: StreamKey
    let taskRunID: String
    let format: RenditionFormat
    let wantsAudio: Bool
    /// Relative to the volume's root; empty for the root itself.
    let folder: String
}

/// A clip-to-fs task whose clips begin before its run, or go on after it: exact clips of the source's footage, from a moment to another.
struct RollPlan: Sendable, Equatable {
    let stream: StreamKey
    let taskRunID: String
    let startUs: Int64
    /// Nil while the run has no end that is known.
    let endUs: Int64?
    /// Where the run is not heard of any more it ended then, and this comes on top.
    let postRollUs: Int64
    /// Length of a clip; the last one may be shorter.
    let pieceUs: Int64
    let wantsAudio: Bool
    /// Relative to the volume's root; empty for the root itself.
    let folder: String
}

/// A running snapshot task.
struct SnapshotPlan: Sendable, Equatable {
    enum Target: Sendable, Equatable {
        case files(folder: String)
        case mqtt(MqttDestination)
    }
    let stream: StreamKey
    let taskRunID: String
    let style: PictureStyle
    let perSecond: Double
    let target: Target
    /// Of the frame at each tick, not of the newest keyframe.
    var wantsExactFrames = false

    /// Whether a picture of this packet needs those before it: one of Motion JPEG never does.
    func isExact(of packet: MediaPacket) -> Bool { wantsExactFrames && packet.configuration.codec != .mjpeg }
}

/// A running stream-to-rtsp task.
struct PushPlan: Sendable, Equatable {
    let stream: StreamKey
    let taskRunID: String
    let url: String
    let usernameReference: String?
    let passwordReference: String?
    /// The certificates that the server may be known by, for rtsps; nil: those of the system.
    let certificateReference: String?
    let audioEnabled: Bool
    /// Pictures are coded anew; nil: they are sent as they come.
    var coding: StreamCoding?
}

/// A stream that has a state but no work: stopped, failed, or recorded by another stream's task.
struct QuietStream: Sendable, Equatable {
    let stream: StreamKey
    let type: TaskType
    let state: TaskState
    let error: String?
    let taskRunID: String?
}

/// All that one source does.
struct SourcePlan: Sendable, Equatable {
    let source: SourceKey
    var leaseEpoch: UInt64
    let connection: CameraConnection
    let standby: Standby
    var ringSeconds: Int
    var clip: ClipPlan?
    var renditions: [RenditionPlan] = []
    var rolls: [RollPlan] = []
    var snapshots: [SnapshotPlan] = []
    var pushes: [PushPlan] = []
    var quiet: [QuietStream] = []
    /// Another controller is the holder until this one is ready.
    var isTaking = false

    /// A live view gets each packet when it comes; files can wait for some of them together.
    var needsEachPacket: Bool { !pushes.isEmpty }

    /// How often a camera that gives still pictures is asked for one: as often as its fastest picture task wants one, and once a
    /// second at least, because what is recorded of it are these pictures. Such a camera has no rate of its own, so "every
    /// picture" (0) is once a second too.
    var pollNs: Int64 { Int64(1_000_000_000 / min(max(snapshots.map(\.perSecond).max() ?? 1, 1), 60)) }

    /// True where the camera is to be open even when no footage window asks for it.
    var wantsSession: Bool { standby != .off || clip != nil || !snapshots.isEmpty || !pushes.isEmpty }
}

/// Makes the plans.
struct Planner: Sendable {
    /// Absolute path of the recording volume, without a '/' at its end.
    let volumePath: String
    let defaultSegmentSeconds: UInt32

    /// Plans of the sources that this controller holds. `isFresh` says whether a lease is still within its time (L3).
    func plans(
        _ configuration: Configuration, leases: [SourceKey: HeldLease], nowUs: Int64, isFresh: (SourceKey) -> Bool
    ) -> [SourceKey: SourcePlan] {
        var plans: [SourceKey: SourcePlan] = [:]
        var streams: [SourceKey: [StreamDefinition]] = [:]
        for stream in configuration.streams {
            if let source = SourceKey(stream.source) { streams[source, default: []].append(stream) }
        }
        for endpoint in configuration.endpoints {
            guard let source = SourceKey(endpoint.source), let lease = leases[source] else { continue }
            plans[source] = plan(
                endpoint, source: source, lease: lease, streams: streams[source] ?? [], nowUs: nowUs,
                fresh: isFresh(source))
        }
        return plans
    }

    private func plan(
        _ endpoint: InboundEndpoint, source: SourceKey, lease: HeldLease, streams: [StreamDefinition], nowUs: Int64,
        fresh: Bool
    ) -> SourcePlan {
        let deviceEnabled = endpoint.enabled ?? true
        let named = streams.compactMap { definition in StreamKey(definition.name).map { ($0, definition) } }
            .sorted { $0.0 < $1.0 }
        let anyEnabled = deviceEnabled && named.contains { $0.1.enabled ?? false }
        let standby: Standby
        switch endpoint.standby {
        case .some(.off) where deviceEnabled: standby = .off
        case .some(.ring) where deviceEnabled: standby = .ring
        case .some(.record) where deviceEnabled: standby = .record
        default: standby = anyEnabled ? .ring : .off
        }
        var plan = SourcePlan(
            source: source, leaseEpoch: lease.epoch,
            connection: CameraConnection(
                address: endpoint.address ?? "",
                usernameReference: endpoint.authentication == .usernamePassword ? endpoint.username?.path : nil,
                passwordReference: endpoint.authentication == .usernamePassword ? endpoint.password?.path : nil,
                trustList: endpoint.trustList),
            standby: standby, ringSeconds: Int(min(max(endpoint.ringSeconds ?? 30, 1), 600)), isTaking: lease.isTaking)
        for (stream, definition) in named {
            add(definition, stream: stream, to: &plan, nowUs: nowUs, deviceEnabled: deviceEnabled, fresh: fresh)
        }
        return plan
    }

    private func add(
        _ definition: StreamDefinition, stream: StreamKey, to plan: inout SourcePlan, nowUs: Int64, deviceEnabled: Bool,
        fresh: Bool
    ) {
        let settings = definition.settings ?? TaskSettings()
        let type = settings.type ?? .unspecified
        let runID = definition.desired?.runID
        func quiet(_ state: TaskState, _ error: String?) {
            plan.quiet.append(QuietStream(stream: stream, type: type, state: state, error: error, taskRunID: runID))
        }
        if let issue = definition.issues.first(where: { $0.severity == .error }) {
            return quiet(.failed, issue.message ?? "the stream's configuration has an error")
        }
        if type == .clipToFs, Self.isRolled(settings), deviceEnabled, definition.enabled ?? false {
            // The ring must have what comes before, from a keyframe on, whenever the run begins.
            plan.ringSeconds = max(plan.ringSeconds, Int(settings.preRollS ?? 0) + Self.keyframeAllowanceSeconds)
            return addRoll(settings, definition.desired, stream: stream, to: &plan, nowUs: nowUs)
        }
        let ended = definition.desired?.endsAtUs.map { $0 <= nowUs } ?? false
        guard deviceEnabled, definition.enabled ?? false, definition.desired?.running ?? false, !ended else {
            return quiet(.stopped, nil)
        }
        let run = runID ?? ""
        switch type {
        case .clipToFs:
            switch (folder(settings.path), Self.clipFormat(settings.format)) {
            case (.failure(let problem), _): quiet(.failed, problem.text)
            case (_, nil): quiet(.failed, "clip format \"\(settings.format ?? "")\" is not known; use mp4 or mkv")
            case (.success(let folder), .some(let format)):
                let first = plan.clip?.stream
                plan.clip =
                    plan.clip
                    ?? ClipPlan(
                        stream: stream, taskRunID: run,
                        segmentUs: Int64(min(max(settings.durationS ?? defaultSegmentSeconds, 1), 3600)) * 1_000_000,
                        folder: folder)
                if let format {
                    plan.renditions.append(
                        RenditionPlan(
                            stream: stream, taskRunID: run, format: format, wantsAudio: settings.audioEnabled ?? true,
                            folder: folder))
                } else if let first {
                    quiet(.running, "the source is recorded once: \(first) has the footage of \(plan.source)")
                }
            }
        case .snapshotToFs:
            guard fresh else { return quiet(.waiting, plan.isTaking ? Self.takenOver : Self.staleLease) }
            switch (folder(settings.path), Self.pictureStyle(settings)) {
            case (.failure(let problem), _): quiet(.failed, problem.text)
            case (_, nil): quiet(.failed, Self.unknownPicture(settings.format))
            case (.success(let folder), .some(let style)):
                plan.snapshots.append(
                    SnapshotPlan(
                        stream: stream, taskRunID: run, style: style, perSecond: settings.snapshotsPerSecond ?? 1,
                        target: .files(folder: folder), wantsExactFrames: settings.frame == .exact))
            }
        case .snapshotToMqtt:
            guard fresh else { return quiet(.waiting, plan.isTaking ? Self.takenOver : Self.staleLease) }
            guard let style = Self.pictureStyle(settings) else {
                return quiet(.failed, Self.unknownPicture(settings.format))
            }
            plan.snapshots.append(
                SnapshotPlan(
                    stream: stream, taskRunID: run, style: style, perSecond: settings.snapshotsPerSecond ?? 1,
                    target: .mqtt(settings.mqtt ?? MqttDestination()), wantsExactFrames: settings.frame == .exact))
        case .streamToRtsp, .streamToRtsps:
            guard fresh else { return quiet(.waiting, plan.isTaking ? Self.takenOver : Self.staleLease) }
            let url = settings.mediaServerURL ?? ""
            let scheme = settings.type == .streamToRtsps ? "rtsps://" : "rtsp://"
            guard url.hasPrefix(scheme) else {
                return quiet(.failed, "the media server's address is not an \(scheme) URL")
            }
            let coding = settings.transcode.map(Self.coding)
            if case .some(.none) = coding {
                return quiet(
                    .failed, "a stream cannot be coded to \(settings.transcode?.codec ?? ""); use h264 or h265")
            }
            plan.pushes.append(
                PushPlan(
                    stream: stream, taskRunID: run, url: url, usernameReference: settings.mediaServerUsername?.path,
                    passwordReference: settings.mediaServerPassword?.path,
                    certificateReference: settings.mediaServerCertificate?.path,
                    audioEnabled: settings.audioEnabled ?? true, coding: coding ?? nil))
        case .unspecified, .unrecognized: quiet(.failed, "the stream's task type is not known to this controller")
        }
    }

    /// Groups of pictures are rarely longer.
    private static let keyframeAllowanceSeconds = 10

    private static func isRolled(_ settings: TaskSettings) -> Bool {
        (settings.preRollS ?? 0) + (settings.postRollS ?? 0) > 0
    }

    private func addRoll(
        _ settings: TaskSettings, _ desired: DesiredState?, stream: StreamKey, to plan: inout SourcePlan, nowUs: Int64
    ) {
        func quiet(_ state: TaskState, _ error: String?) {
            plan.quiet.append(
                QuietStream(stream: stream, type: .clipToFs, state: state, error: error, taskRunID: desired?.runID))
        }
        guard let desired, let runID = desired.runID, !runID.isEmpty else { return quiet(.stopped, nil) }
        guard let startedUs = desired.startedUs else {
            return quiet(.failed, "the registry does not say when the run began: stop the task and start it again")
        }
        let folder: String
        switch self.folder(settings.path) {
        case .failure(let problem): return quiet(.failed, problem.text)
        case .success(let path): folder = path
        }
        let isRunning = desired.running ?? false
        let stopUs = isRunning ? desired.endsAtUs : min(desired.changedUs ?? nowUs, desired.endsAtUs ?? .max)
        let postRollUs = Int64(settings.postRollS ?? 0) * 1_000_000
        let endUs = stopUs.map { $0 + postRollUs }
        if let endUs, endUs <= nowUs { quiet(.stopped, nil) }
        if let endUs, endUs + RolledClips.rememberUs <= nowUs { return }
        plan.rolls.append(
            RollPlan(
                stream: stream, taskRunID: runID, startUs: startedUs - Int64(settings.preRollS ?? 0) * 1_000_000,
                endUs: endUs, postRollUs: postRollUs,
                pieceUs: Int64(min(max(settings.durationS ?? defaultSegmentSeconds, 1), 3600)) * 1_000_000,
                wantsAudio: settings.audioEnabled ?? true, folder: folder))
    }

    private struct Problem: Error {
        let text: String
    }

    /// A configured path as a folder relative to the volume's root.
    private func folder(_ path: String?) -> Result<String, Problem> {
        guard let path, !path.isEmpty else { return .success("") }
        let parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        let root = volumePath.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        guard path.hasPrefix("/"), parts.starts(with: root), !parts.contains(".."), !parts.contains("."),
            !parts.dropFirst(root.count).contains(where: { $0.hasPrefix(".") })
        else {
            return .failure(
                Problem(
                    text: "path \(path) does not lie below this controller's recording volume \(volumePath); "
                        + "leave it empty or choose a folder below the volume"))
        }
        return .success(parts.dropFirst(root.count).joined(separator: "/"))
    }

    /// The folder of a stream's path, or the root where the path is wrong.
    func folderName(_ path: String?) -> String { (try? folder(path).get()) ?? "" }

    static let staleLease =
        "the lease on the camera could not be renewed in time (is the asset-registry away?); another controller may have it"

    static let takenOver = "the camera is being taken over from another controller"

    private static func unknownPicture(_ format: String?) -> String {
        "picture format \"\(format ?? "")\" is not known; use jpeg, png, bmp or tiff"
    }

    /// Nil where the format is not known.
    private static func pictureStyle(_ settings: TaskSettings) -> PictureStyle? {
        PictureStyle(
            format: settings.format, quality: settings.jpegQuality, maximumWidthPx: settings.maxWidthPx,
            maximumHeightPx: settings.maxHeightPx)
    }

    /// Nil for a codec that is not known.
    private static func coding(_ transcode: Transcode) -> StreamCoding? {
        let codecs: [String: Codec] = ["": .h264, "h264": .h264, "h265": .hevc]
        return codecs[transcode.codec ?? ""].flatMap { codec in
            StreamCoding(
                codec, maximumWidthPx: Int(transcode.maxWidthPx ?? 0), maximumHeightPx: Int(transcode.maxHeightPx ?? 0),
                maximumMillihertz: UInt32((min(max(transcode.framesPerSecond ?? 0, 0), 60) * 1000).rounded()),
                bitRateBps: transcode.bitRateBps ?? 0)
        }
    }

    /// Footage is always MP4: `.some(nil)`. Nil for a format that is not known.
    private static func clipFormat(_ format: String?) -> RenditionFormat?? {
        guard let format, !format.isEmpty, format.lowercased() != "mp4" else { return .some(nil) }
        return RenditionFormat(named: format).map { .some($0) }
    }
}

extension PictureStyle {
    /// From the contract's fields, as settings and requests have them. No format is JPEG; nil for one that is not known.
    init?(format: String?, quality: UInt32?, maximumWidthPx: UInt32?, maximumHeightPx: UInt32?) {
        let name = format ?? ""
        guard let format = PictureFormat(named: name.isEmpty ? "jpeg" : name) else { return nil }
        self.init(
            format, quality: quality.map(Int.init) ?? Self.defaultQuality,
            maximumWidthPx: maximumWidthPx.map(Int.init) ?? 0, maximumHeightPx: maximumHeightPx.map(Int.init) ?? 0)
    }
}
