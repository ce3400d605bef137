// What an operator can set. Where the values come from: ServiceKit.
import ServiceKit

/// Settings of the archiver.
enum ArchiverKeys {
    static let archiveVolume = Setting<String>(
        required: "archive-volume", help: "Folder of the archive volume, adopted with role archive.",
        reason: "Only the operator knows where the volume that goes to the cloud is mounted.")
    static let recordingVolumes = Setting<[String]>(
        "recording-volumes", default: [],
        help: "Folders of recording volumes that are mounted here; others are read over RPC.",
        reason: "Reading over RPC always works; a mount saves the copy through two processes.")
    static let parallel = Setting<Int>(
        "parallel", default: 2, range: 1...64, help: "Items copied at the same time.",
        reason: "Two keep a disk busy while one of them waits for its sync; more only divides its speed.")
    static let leaseMs = Setting<Int>(
        "lease-ms", default: 30_000, unit: "ms", range: 1_000...600_000,
        help: "Time until a claim falls back to the indexer when this archiver is gone.",
        reason:
            "Claims are renewed at a third of it, so it need not outlast a copy; another archiver takes over in 30 s.")
    static let waitMs = Setting<Int>(
        "wait-ms", default: 10_000, unit: "ms", range: 0...20_000,
        help: "How long the indexer holds a request for work while there is none.",
        reason: "Work starts at once, and an idle archiver asks six times a minute.")
    static let all: [any AnySetting] = [archiveVolume, recordingVolumes, parallel, leaseMs, waitMs]
}
