// The indexer's settings, each default with its reason, and what they come to.

import ServiceKit

enum IndexerKeys {
    static let stateDirectory = Setting<String>(
        "state-directory", default: "/var/lib/sightglass/indexer",
        help:
            "Folder of catalogue.sqlite; on a local disk, because SQLite's locks do not hold on network file systems.",
        reason: "Where Debian puts what a service must not lose.")
    static let eventFutureSeconds = Setting<Int>(
        "event-future-seconds", default: 3600, unit: "s", range: 0...86_400,
        help: "How far in the future an event or window may lie.",
        reason: "An hour is a sender whose clock has the wrong time zone by one; more is a fault that should be seen.")
    static let footageWaitMs = Setting<Int>(
        "footage-wait-ms", default: 30_000, unit: "ms", range: 0...3_600_000,
        help: "How long after a window's end footage is waited for from a camera that is silent.",
        reason: "Longer than a segment and its way here; short enough that a dark camera does not hold up the others.")
    static let catchUpSeconds = Setting<Int>(
        "catch-up-seconds", default: 3600, unit: "s", range: 0...86_400,
        help: "How long a window is kept open while older records of its camera still come in.",
        reason:
            "A controller that was cut off sends its backlog in minutes; an hour is a day's backlog of a large site.")
    static let seamMs = Setting<Int>(
        "seam-ms", default: 250, unit: "ms", range: 0...10_000,
        help: "Time between two files that is a seam and not a gap, unless a controller reported it.",
        reason: "Longer than a frame at 5 per second, shorter than anything that a person would miss.")
    static let archiveAttempts = Setting<Int>(
        "archive-attempts", default: 8, range: 1...1000, help: "Attempts to archive a file until it is set aside.",
        reason: "With back-off a quarter of an hour: longer than a restart, short enough that somebody hears of it.")
    static let uploadAttempts = Setting<Int>(
        "upload-attempts", default: 50, range: 0...1_000_000,
        help:
            "Attempts to upload a file until it is set aside; 0: never. While the storage is away or refuses all, none is counted.",
        reason:
            "Four hours of trying: no hiccup lasts so long, and what fails for itself should be seen and not be tried for ever."
    )
    static let retentionHours = Setting<Int>(
        "retention-hours", default: 72, unit: "h", range: 0...87_600,
        help:
            "Age at which footage is deleted from recording volumes unless something holds it; 0: age deletes nothing.",
        reason: "A long weekend: who comes in on Monday still finds Friday.")
    static let maximumAgeHours = Setting<Int>(
        "maximum-age-hours", default: 0, unit: "h", range: 0...87_600,
        help: "Age at which footage is deleted even if a request holds it; a legal hold still keeps it; 0: off.",
        reason: "Only a site's own rules say that footage must not grow older.")
    static let quotaBytes = Setting<Int>(
        "quota-bytes", default: 0, unit: "bytes", range: 0...Int.max,
        help: "Most bytes of footage on each recording volume; 0: no bound but the volume itself.",
        reason: "The volume is usually ours alone.")
    static let quotaBytesPerSource = Setting<Int>(
        "quota-bytes-per-source", default: 0, unit: "bytes", range: 0...Int.max,
        help: "Most bytes of footage, pictures and renditions of each camera on all recording volumes; 0: no bound.",
        reason:
            "The oldest of all goes first, which serves most sites; a bound keeps one camera from crowding out others.")
    static let freeFloorBytes = Setting<Int>(
        "free-floor-bytes", default: 2 << 30, unit: "bytes", range: 0...Int.max,
        help: "Free space below which the oldest footage goes; never more than a tenth of the volume.",
        reason: "Minutes of writing of a dozen cameras: time for the owner to ask and delete.")
    static let archiveRetentionHours = Setting<Int>(
        "archive-retention-hours", default: 72, unit: "h", range: 0...87_600,
        help: "How long an uploaded file stays on the archive volume; 0: until the volume needs room.",
        reason: "Long enough to look at it on site, after it is safe in the cloud.")

    static let commitDelayMs = Setting<Int>(
        "commit-delay-ms", default: 1000, unit: "ms", range: 0...10_000,
        help: "How long records that nobody waits for may wait for the next commit.",
        reason:
            "One sync a second spares flash, whatever the number of cameras; the controllers keep what is not acknowledged."
    )

    static let all: [any AnySetting] = [
        commitDelayMs, stateDirectory, eventFutureSeconds, footageWaitMs, catchUpSeconds, seamMs, archiveAttempts,
        uploadAttempts, retentionHours, maximumAgeHours, quotaBytes, quotaBytesPerSource, freeFloorBytes,
        archiveRetentionHours,
    ]
}

extension Policy {
    /// What the settings come to; without any, their defaults.
    init(_ settings: Settings = Settings()) {
        futureBoundUs = Int64(settings[IndexerKeys.eventFutureSeconds]) * Micro.second
        footageWaitUs = Int64(settings[IndexerKeys.footageWaitMs]) * Micro.millisecond
        catchUpUs = Int64(settings[IndexerKeys.catchUpSeconds]) * Micro.second
        seamUs = Int64(settings[IndexerKeys.seamMs]) * Micro.millisecond
        archiveAttempts = Int64(settings[IndexerKeys.archiveAttempts])
        uploadAttempts = Int64(settings[IndexerKeys.uploadAttempts])
        commitDelayUs = Int64(settings[IndexerKeys.commitDelayMs]) * Micro.millisecond
        retentionUs = Int64(settings[IndexerKeys.retentionHours]) * Micro.hour
        maximumAgeUs = Int64(settings[IndexerKeys.maximumAgeHours]) * Micro.hour
        quotaBytes = Int64(settings[IndexerKeys.quotaBytes])
        sourceQuotaBytes = Int64(settings[IndexerKeys.quotaBytesPerSource])
        freeFloorBytes = Int64(settings[IndexerKeys.freeFloorBytes])
        archiveRetentionUs = Int64(settings[IndexerKeys.archiveRetentionHours]) * Micro.hour
    }
}
