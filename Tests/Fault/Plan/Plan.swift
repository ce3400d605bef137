// What a campaign does, as values: faults, stimuli, and when to wait until everything has settled. Planner.swift draws a plan
// from a seed; Run/Campaign.swift carries it out.

/// The processes of a site that faults are done to, as `deploy/local/site` names them.
enum ProcessName: String, Sendable, Hashable, CaseIterable, Comparable {
    case broker, relay
    case cameraLine1 = "camera-line1"
    case cameraLine2 = "camera-line2"
    case cameraDock = "camera-dock"
    case cameraMore = "camera-more"
    case blobServer = "blob-server"
    case assetRegistry = "asset-registry"
    case indexer
    case captureController = "capture-controller"
    case archiver
    case secondArchiver = "archiver-2"
    case cloudUploader = "cloud-uploader"
    case mqttEdgeAdapter = "mqtt-edge-adapter"

    /// The product's own services, in the order in which a site starts them; without a second archiver.
    static let services: [ProcessName] = [
        .assetRegistry, .indexer, .captureController, .archiver, .cloudUploader, .mqttEdgeAdapter,
    ]

    var isService: Bool { role != nil }

    /// Which service it is an instance of; nil for what is not the product's own.
    var role: String? { self == .secondArchiver ? "archiver" : Self.services.contains(self) ? rawValue : nil }

    static func < (left: ProcessName, right: ProcessName) -> Bool { left.rawValue < right.rawValue }
}

/// The cameras of a site, in the order in which it has them. The raw value is the asset's name.
enum Camera: String, Sendable, Hashable, CaseIterable, Comparable {
    case line1, line2, dock, cam4, cam5, cam6, cam7, cam8

    /// The process that plays it.
    var process: ProcessName {
        switch self {
        case .line1: .cameraLine1
        case .line2: .cameraLine2
        case .dock: .cameraDock
        case .cam4, .cam5, .cam6, .cam7, .cam8: .cameraMore
        }
    }

    /// Pictures per second of the film that it plays (Tests/Support/cameras/make-media).
    var picturesPerSecond: Int64 { self == .dock ? 15 : 25 }

    /// Device of its only endpoint, "main".
    var device: String { "\(rawValue)-camera" }

    static func < (left: Camera, right: Camera) -> Bool { left.rawValue < right.rawValue }
}

/// One thing that goes wrong.
enum Fault: Sendable, Equatable {
    /// SIGKILL to all of them at once; each is started again after `downMs`.
    case kill([ProcessName], downMs: Int)
    /// SIGTERM; started again `downMs` after its end.
    case restart(ProcessName, downMs: Int)
    /// SIGSTOP, and SIGCONT after `ms`.
    case pause(ProcessName, ms: Int)
    /// The Blob server does this to the next `count` uploads.
    case storage(StorageTrouble, count: Int)

    /// How many kills it counts for.
    var kills: Int { if case .kill(let names, _) = self { names.count } else { 0 } }
}

/// What the Blob server can be told to do to an upload. The raw value is its own word for it (BlobServer/Faults.swift).
enum StorageTrouble: String, Sendable, Equatable, CaseIterable {
    /// It is done, 0.7 s later: time to be killed in.
    case slow
    /// 503.
    case busy = "status"
    /// The connection ends in the middle of the body.
    case cut = "close"
    /// It is done, and nobody is told.
    case replyLost = "reply_lost"
    /// A bit of the body is wrong.
    case corrupt
}

/// A task that commands start and stop.
struct StreamTask: Sendable, Hashable {
    let camera: Camera
    let stream: String

    var name: String { "\(camera.rawValue)/\(stream)" }
    /// Whether it is the one that records the camera.
    var isRecording: Bool { stream == "clips" }
}

/// What the plant and its operators do meanwhile. Times are relative to the moment at which it is done.
enum Stimulus: Sendable, Equatable {
    /// An anomaly that happened `ageMs` ago. `copies` messages are sent at once, however soon the first is answered.
    case event(key: String, cameras: [Camera], ageMs: Int, preMs: Int, postMs: Int, copies: Int)
    /// A request for the footage from `ageMs` ago on; a negative age lies ahead.
    case archive(key: String, cameras: [Camera], ageMs: Int, durationMs: Int, manner: Manner = Manner())
    /// The message of `key` comes once more.
    case again(key: String)
    /// The request that `key` made is not wanted any more.
    case cancel(key: String)
    case task(StreamTask, isRunning: Bool)
}

/// What is made of the footage of a request, and where it is to arrive.
struct Manner: Sendable, Hashable {
    /// One file of each camera that holds exactly the window.
    var isClip = false
    /// Done when it is in the Blob server, not when it is on the archive volume.
    var inCloud = true
}

enum Step: Sendable, Equatable {
    case fault(Fault)
    case stimulus(Stimulus)
    /// Waits until all work is done, then everything is checked.
    case settle
}

struct PlannedStep: Sendable, Equatable {
    /// From the beginning of the step before.
    let waitMs: Int
    let step: Step
}
