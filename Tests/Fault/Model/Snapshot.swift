// What a site shows at one moment, as Run/Evidence.swift collects it: the catalogue's word, the volumes' files, the blobs.

/// Size and content of a file or blob.
struct FileFact: Sendable, Hashable, CustomStringConvertible {
    let sizeBytes: Int64
    /// Hexadecimal.
    let sha256: String

    var description: String { "\(sizeBytes) bytes \(sha256.prefix(12))" }
}

/// A row of the catalogue: a file on the recording volume.
struct MediaRow: Sendable, Hashable {
    let path: String
    let camera: Camera
    let isSegment: Bool
    let span: Span
    let fact: FileFact
    /// Video frames in it, as the recorder says.
    let frames: Int
    let isSalvaged: Bool
    let runID: String
}

/// A time without footage, with the cause that was told.
struct NamedGap: Sendable, Hashable {
    let camera: Camera
    let span: Span
    let cause: String
    let reason: String
}

/// A file that a request delivers.
struct DeliveredItem: Sendable, Hashable {
    let path: String
    let isManifest: Bool
    let isSegment: Bool
    /// Nil for a manifest.
    let camera: Camera?
    let state: String
    let span: Span
    let fact: FileFact?
    let sourcePath: String?
    let blobURL: String?
    let error: String?
    /// The item that brings it; 0: not told.
    var itemID: UInt64 = 0
    /// Exactly the window of its request, made of several segments.
    var isClip = false

    /// Whether its bytes are on the archive volume: what was evicted is in the cloud only.
    var isInArchive: Bool { ["archived", "handed_over", "uploaded"].contains(state) }
    var isInCloud: Bool { ["uploaded", "evicted"].contains(state) }
}

/// A request as the catalogue has it.
struct RequestFact: Sendable, Hashable {
    let id: String
    let state: String
    let reason: String
    let window: Span
    let cameras: Set<Camera>
    let eventKeys: Set<String>
    let acceptedUs: Int64
    let finishedUs: Int64?
    let files: [DeliveredItem]
    let gaps: [NamedGap]
    let manifestPath: String?
    /// What was asked for.
    var manner = Manner()

    var isFinal: Bool { ["done", "partial", "failed", "cancelled"].contains(state) }
}

/// What a manifest on the archive volume says.
struct ManifestFact: Sendable, Hashable {
    struct File: Sendable, Hashable {
        let path: String
        let fact: FileFact?
    }
    let requestID: String
    let window: Span
    let files: Set<File>
    let gaps: Set<Span>
    let isWhole: Bool
}

/// What the document beside an archived file says.
struct SidecarFact: Sendable, Hashable {
    let fileName: String
    let camera: String
    let span: Span
    let fact: FileFact?
    let requestIDs: Set<String>
}

/// What is in a clip: pictures that a player shows, or why it does not play.
enum ClipFact: Sendable, Hashable {
    case pictures(Int)
    case broken(String)
}

struct Snapshot: Sendable {
    var takenUs: Int64 = 0
    var requests: [RequestFact] = []
    /// State by request, as the retained topics say.
    var retainedStates: [String: String] = [:]
    /// By path, without what the volume keeps for itself.
    var archive: [String: FileFact] = [:]
    var blobs: [String: FileFact] = [:]
    /// By path, all parts.
    var manifests: [String: ManifestFact] = [:]
    /// By their own path.
    var sidecars: [String: SidecarFact] = [:]
    /// The clips that were played, by path.
    var clips: [String: ClipFact] = [:]
    /// Every row of the catalogue.
    var rows: [MediaRow] = []
    /// Those that it shows: one for each moment, ends trimmed.
    var shown: [MediaRow] = []
    var recorded: [String: FileFact] = [:]
    var recordingStaging: [String] = []
    var archiveStaging: [String] = []
    /// Runs that are being recorded at the moment.
    var liveRuns: Set<String> = []
    /// What is missing between the first and the last footage of each camera.
    var missing: [NamedGap] = []
    /// Work that the indexer still has, and records that the controller still has.
    var waitingItems = 0
    var spooledRecords = 0
    /// Holds of requests.
    var holds: [String] = []
    /// What ffprobe complained about, by path.
    var unplayable: [String: String] = [:]
}
