// The settings of capture-controller, each with its unit and the reason for its default.
import MediaWork
import RPC
import RTSP
import ServiceKit

enum ControllerKeys {
    static let recordingVolume = Setting<String>(
        "recording-volume", default: "/var/lib/sightglass/recording",
        help:
            "Folder of the recording volume. It must carry a marker: sightglass volume adopt --role recording FOLDER.",
        reason: "The usual place of a service's data.")
    static let stateDirectory = Setting<String>(
        "state-directory", default: "/var/lib/sightglass/capture-controller",
        help: "Folder for the spool of records, the footage inventory and the last configuration seen.",
        reason: "Apart from the volume, so that a volume that is away does not take the spool with it.")
    static let capacity = Setting<Int>(
        "capacity", default: 64, unit: "sources", range: 1...1000, help: "Sources that this controller takes at most.",
        reason: "A ring each: 64 cameras of 4 Mbit/s are 1 GiB of rings.")
    static let ringBytes = Setting<Int>(
        "ring-bytes", default: 64 << 20, unit: "bytes", range: (1 << 20)...(4 << 30),
        help: "Bound of one source's ring buffer; the oldest pictures go first.",
        reason: "30 s of 16 Mbit/s: what the best cameras of a site send.")
    static let segmentSeconds = Setting<Int>(
        "segment-seconds", default: 60, unit: "s", range: 1...3600,
        help: "Length of a segment where a stream does not say it, and for standby footage.",
        reason: "The connector's own default; long enough for few files, short enough to be archived soon.")
    static let syncIntervalMs = Setting<Int>(
        "sync-interval-ms", default: 500, unit: "ms", range: 50...10_000,
        help: "Time between two syncs of the growing files.",
        reason: "A sync must complete every 0.8 s; this leaves a slow disk 0.3 s for it.")
    static let diskQueueBytes = Setting<Int>(
        "disk-queue-bytes", default: 128 << 20, unit: "bytes", range: (1 << 20)...(4 << 30),
        help: "Bytes that may wait for the disk before whole groups of pictures are dropped.",
        reason: "16 cameras of 4 Mbit/s for 16 s: longer than a disk's own error recovery.")
    static let pushQueueBytes = Setting<Int>(
        "push-queue-bytes", default: 8 << 20, unit: "bytes", range: (1 << 16)...(1 << 30),
        help: "Bytes that may wait for one media server before whole groups of pictures are dropped.",
        reason: "A live view that is more than some seconds late is of no use.")
    static let spoolRecords = Setting<Int>(
        "spool-records", default: 1_000_000, unit: "records", range: 100...100_000_000,
        help: "Records that may wait for the indexer before it is an alarm and the oldest of them are dropped.",
        reason: "64 cameras with one-minute segments and no indexer for ten days; files rebuild their records.")
    static let deletionSeconds = Setting<Int>(
        "deletion-seconds", default: 30, unit: "s", range: 1...3600,
        help: "Time between two questions to the indexer what may be deleted.",
        reason: "Room is needed within minutes, not seconds.")
    static let reconcileSeconds = Setting<Int>(
        "reconcile-seconds", default: 3600, unit: "s", range: 5...86_400,
        help: "Time between two comparisons of the recording volume, file by file, with the indexer's catalogue.",
        reason:
            "Each reads every folder. A catalogue that lost rows differs in number or bytes: that is seen in a minute.")
    static let drainSeconds = Setting<Int>(
        "drain-seconds", default: 12, unit: "s", range: 0...600,
        help:
            "Time after SIGTERM in which other controllers take the cameras over while this one records on. It ends as soon "
            + "as they record, and at once where nobody can. Whoever stops this service must wait for 5 s more.",
        reason: "A camera that is recorded changes hands in two seconds; one of which only the ring is kept needs ten.")
    static let statusSeconds = Setting<Int>(
        "status-seconds", default: 30, unit: "s", range: 1...60,
        help: "Time between two full reports of status; changes are reported at once.",
        reason: "The contract asks for one a minute; one may be lost.")
    static let mediaWorker = Setting<String>(
        "media-worker", default: "", shownDefault: "beside this executable",
        help: "Path of the executable media-worker, which makes the pictures.",
        reason: "Both come from one build, and an installation puts them side by side.")

    static let forbiddenNetworks = Setting<[String]>(
        "forbidden-networks", default: [],
        help:
            "Networks that no camera and no media server may be in, separated by commas: 127.0.0.0/8,169.254.0.0/16,::1.",
        reason:
            "Cameras and simulators stand on the same host at many sites; whoever writes configurations is trusted there."
    )

    static let mediaRoots = Setting<[String]>(
        "media-roots", default: [],
        help: "Folders that sources of the scheme file:// may be in, absolute, separated by commas.",
        reason: "Whoever writes configurations must not read the host's files where nobody said so.")

    static let videoDevices = Setting<[String]>(
        "video-devices", default: [],
        help:
            "Cameras of this host that sources may be, separated by commas: /dev/video0,/dev/v4l/by-id/usb-cam-index0.",
        reason: "Whoever writes configurations must not look through a host's camera where nobody said so.")

    static let all: [any AnySetting] = [
        recordingVolume, stateDirectory, capacity, ringBytes, segmentSeconds, syncIntervalMs, diskQueueBytes,
        pushQueueBytes, spoolRecords, deletionSeconds, reconcileSeconds, drainSeconds, statusSeconds, mediaWorker,
        forbiddenNetworks,
        mediaRoots, videoDevices,
    ]
}

/// The settings as values, read once at the start.
struct ControllerConfiguration: Sendable {
    let instance: String
    let recordingVolume: String
    let stateDirectory: String
    let capacity: Int
    let ringBytes: Int
    let segmentSeconds: Int
    let syncIntervalUs: Int64
    let diskQueueBytes: Int
    let pushQueueBytes: Int
    let spoolRecords: Int
    let deletionSeconds: Int
    let reconcileSeconds: Int
    let drainSeconds: Int
    let statusSeconds: Int
    let mediaWorker: String
    let forbiddenNetworks: [NetworkRange]
    let mediaRoots: [String]
    let videoDevices: [String]

    /// - Throws: what is wrong with a setting that only this service can read.
    init(_ runtime: ServiceRuntime) throws(SettingsError) {
        let settings = runtime.settings
        instance = runtime.instance
        recordingVolume = settings[ControllerKeys.recordingVolume]
        stateDirectory = settings[ControllerKeys.stateDirectory]
        capacity = settings[ControllerKeys.capacity]
        ringBytes = settings[ControllerKeys.ringBytes]
        segmentSeconds = settings[ControllerKeys.segmentSeconds]
        syncIntervalUs = Int64(settings[ControllerKeys.syncIntervalMs]) * 1000
        diskQueueBytes = settings[ControllerKeys.diskQueueBytes]
        pushQueueBytes = settings[ControllerKeys.pushQueueBytes]
        spoolRecords = settings[ControllerKeys.spoolRecords]
        deletionSeconds = settings[ControllerKeys.deletionSeconds]
        reconcileSeconds = settings[ControllerKeys.reconcileSeconds]
        drainSeconds = settings[ControllerKeys.drainSeconds]
        statusSeconds = settings[ControllerKeys.statusSeconds]
        mediaRoots = settings[ControllerKeys.mediaRoots]
        if let wrong = mediaRoots.first(where: { !$0.hasPrefix("/") }) {
            throw SettingsError("setting 'media-roots': \"\(wrong)\" is no absolute path: write it from / on")
        }
        videoDevices = settings[ControllerKeys.videoDevices]
        if let wrong = videoDevices.first(where: { !$0.hasPrefix("/dev/") }) {
            throw SettingsError("setting 'video-devices': \"\(wrong)\" is no device: write it from /dev/ on")
        }
        let worker = settings[ControllerKeys.mediaWorker]
        forbiddenNetworks = try settings[ControllerKeys.forbiddenNetworks].map { (text) throws(SettingsError) in
            guard let range = NetworkRange(text) else {
                throw SettingsError(
                    "setting 'forbidden-networks': \"\(text)\" is no network: write an address, or one with the length of "
                        + "its prefix, as 10.0.0.0/8")
            }
            return range
        }
        mediaWorker = worker.isEmpty ? MediaWorkerClient.besideThisProgram() : worker
    }
}
