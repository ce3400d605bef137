// The words of the catalogue: spans of time, names of sources, and the rows that the pure parts work on.
// Checks.swift makes them from messages; the …Table.swift files make them from rows.

import Wire

/// Microseconds per unit, for reading code.
enum Micro {
    static let millisecond: Int64 = 1000
    static let second: Int64 = 1_000_000
    static let hour: Int64 = 3600 * second
    static let day: Int64 = 24 * hour
}

/// A half-open span of time, in microseconds since 1970, UTC. `endUs` is never before `startUs`.
struct Span: Sendable, Hashable, Comparable {
    var startUs: Int64
    var endUs: Int64

    init(_ startUs: Int64, _ endUs: Int64) {
        self.startUs = startUs
        self.endUs = max(startUs, endUs)
    }

    var durationUs: Int64 { endUs - startUs }
    var isEmpty: Bool { endUs <= startUs }
    var window: Window { Window(startUs: startUs, endUs: endUs) }

    static func < (left: Span, right: Span) -> Bool {
        (left.startUs, left.endUs) < (right.startUs, right.endUs)
    }

    /// Whether they share a moment.
    func overlaps(_ other: Span) -> Bool { startUs < other.endUs && other.startUs < endUs }

    /// Whether they share a moment or one begins where the other ends.
    func touches(_ other: Span) -> Bool { startUs <= other.endUs && other.startUs <= endUs }

    /// The part inside `bounds`; nil where there is none.
    func clipped(to bounds: Span) -> Span? {
        let start = max(startUs, bounds.startUs)
        let end = min(endUs, bounds.endUs)
        return start < end ? Span(start, end) : nil
    }

    /// The smallest span that has both.
    func joined(with other: Span) -> Span { Span(min(startUs, other.startUs), max(endUs, other.endUs)) }
}

/// A source by name, both parts checked.
struct SourceID: Sendable, Hashable {
    let device: String
    let endpoint: String

    /// "device/endpoint".
    var text: String { "\(device)/\(endpoint)" }
    var name: SourceName { SourceName(device: device, endpoint: endpoint) }
}

/// What deliveries may be asked for, as the bits of `requests.kinds`.
struct WantedKinds: OptionSet, Sendable, Hashable {
    let rawValue: Int
    static let segments = WantedKinds(rawValue: 1)
    static let snapshots = WantedKinds(rawValue: 2)
    static let both: WantedKinds = [.segments, .snapshots]

    /// In the order of the contract; empty for both.
    var wire: [MediaKind] {
        self == .both ? [] : (contains(.segments) ? [.segment] : []) + (contains(.snapshots) ? [.snapshot] : [])
    }
}

/// A row of `media`, without what only the encoded record knows.
struct MediaRow: Sendable, Hashable {
    var mediaID: Int64
    var volumeID: String
    var path: String
    var sourceID: Int64
    var kind: MediaKind
    var span: Span
    var isPrimary: Bool
    var sizeBytes: Int64
    var leaseEpoch: Int64
    var runID: String
}

/// A gap as the catalogue knows it.
struct KnownGap: Sendable, Hashable {
    var span: Span
    var cause: String
    var reason: String
    var runID: String = ""
    var framesLost: Int64 = 0

    func wire(_ source: SourceID) -> Gap {
        Gap(
            source: source.name, window: span.window, cause: cause, reason: reason.isEmpty ? nil : reason,
            runID: runID.isEmpty ? nil : runID, framesLost: framesLost > 0 ? UInt32(clamping: framesLost) : nil)
    }
}

/// How the settings bound and time the catalogue's decisions. Their defaults, with reasons, stand in Configuration.swift.
struct Policy: Sendable, Equatable {
    /// An event may lie so far in the future.
    var futureBoundUs: Int64
    /// A window waits so long for footage that does not come.
    var footageWaitUs: Int64
    /// While a backlog of the source comes in, a window waits at most so long.
    var catchUpUs: Int64
    /// Uncovered time shorter than this, which no controller reported, is a seam between two files and no gap.
    var seamUs: Int64
    /// An item is poisoned after so many attempts to archive it.
    var archiveAttempts: Int64
    /// The same for uploads, failures for a cause outside the item left out; 0: never.
    var uploadAttempts: Int64
    /// Footage older than this is deleted; 0: age deletes nothing.
    var retentionUs: Int64
    /// Footage older than this is deleted whatever request holds it (a legal hold still keeps it); 0: off.
    var maximumAgeUs: Int64
    /// Most bytes that a recording volume may hold; 0: off.
    var quotaBytes: Int64
    /// Most bytes that one source may have on all recording volumes together; 0: off.
    var sourceQuotaBytes: Int64
    /// Least free bytes of a volume; 0: off.
    var freeFloorBytes: Int64
    /// An uploaded file is kept on the archive volume so long, unless the volume needs room.
    var archiveRetentionUs: Int64
    /// What can wait is committed at most so long after the commit before it.
    var commitDelayUs: Int64
    /// Kept rows of Changes: a reader that is away longer asks for everything once. A hundred a minute for most of a day.
    var keptChanges: Int64 = 100_000
}
