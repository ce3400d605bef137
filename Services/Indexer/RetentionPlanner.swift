// What of a volume may be deleted, without I/O: the volume's files go in, oldest first; grants come out.
// RetentionTable.swift reads the files and stores the grants. Nothing is deleted here: the volume's owner unlinks.
//
//   1. Held by a legal hold                           never
//   2. Older than the site's maximum age              now, "age"         (beats the holds of requests)
//   3. Held by an open request                        never
//   4. Older than the retention age                   now, "age"
//   5. Of a source beyond its quota                   now, "quota"       the source's oldest first
//   6. Beyond the volume's quota                      now, "quota"       oldest first
//   7. Less free space than the floor                 now, "free_space"  oldest first
//   8. The next six hours of writing                  ahead, "free_space": only when the volume needs room

import Wire

/// A hold as far as deletion is concerned.
struct PlannedHold: Sendable, Equatable {
    var sourceID: Int64
    var span: Span
    var isLegal: Bool
}

/// A file that could be deleted.
struct DeletionCandidate: Sendable, Equatable {
    var mediaID: Int64
    var path: String
    var sourceID: Int64
    var span: Span
    var sizeBytes: Int64
}

struct PlannedGrant: Sendable, Equatable {
    var candidate: DeletionCandidate
    var cause: String
    var isNow: Bool
}

/// How full a volume is.
struct VolumeRoom: Sendable, Equatable {
    var totalBytes: Int64 = 0
    var freeBytes: Int64 = 0
    /// Bytes that the catalogue believes it to hold.
    var usedBytes: Int64 = 0
    /// Bytes that six hours of writing take.
    var aheadBytes: Int64 = 0
    /// False where the owner has not reported the volume yet: then free space decides nothing.
    var isKnown = false
}

struct RetentionPlanner: Sendable {
    /// What became of a file that was looked at.
    enum Verdict: Sendable, Equatable {
        case granted
        /// It may not go, whatever the volume needs.
        case held
        /// Nothing asks for it to go.
        case kept
    }

    private let policy: Policy
    private let nowUs: Int64
    private let limit: Int
    private let holds: HoldMap
    private var sourceExcess: [Int64: Int64]
    private var quotaExcess: Int64
    private var floorExcess: Int64
    private var aheadLeft: Int64
    private var granted: Set<Int64> = []
    private(set) var grants: [PlannedGrant] = []

    /// `sourceBytes`: what each source has, on whichever volumes; it matters where a source has a quota.
    init(
        policy: Policy, room: VolumeRoom, holds: [PlannedHold], sourceBytes: [Int64: Int64] = [:], limit: Int,
        nowUs: Int64
    ) {
        self.policy = policy
        self.nowUs = nowUs
        self.limit = limit
        self.holds = HoldMap(holds)
        sourceExcess = sourceBytes.filter { policy.sourceQuotaBytes > 0 && $0.value > policy.sourceQuotaBytes }
            .mapValues { $0 - policy.sourceQuotaBytes }
        quotaExcess = policy.quotaBytes > 0 ? max(0, room.usedBytes - policy.quotaBytes) : 0
        floorExcess = room.isKnown ? max(0, Self.floorBytes(policy, room) - room.freeBytes) : 0
        aheadLeft = room.isKnown ? room.aheadBytes : 0
    }

    /// Free bytes that a volume should keep: the floor, but never more than a tenth of a small volume.
    static func floorBytes(_ policy: Policy, _ room: VolumeRoom) -> Int64 {
        min(policy.freeFloorBytes, room.totalBytes / 10)
    }

    /// Sources that have more than their quota. Their files are considered before the volume's, each source's oldest first.
    var sourcesBeyondQuota: [Int64] { sourceExcess.keys.sorted() }

    /// Whether a further file of a source could be granted for its quota.
    func wantsMore(ofSource sourceID: Int64) -> Bool { grants.count < limit && (sourceExcess[sourceID] ?? 0) > 0 }

    /// Whether a further file could be granted. Files come in the order of their start.
    func wantsMore(nextStartUs: Int64) -> Bool {
        guard grants.count < limit else { return false }
        let isOld = isBefore(nextStartUs, policy.retentionUs) || isBefore(nextStartUs, policy.maximumAgeUs)
        return isOld || quotaExcess > 0 || floorExcess > 0 || aheadLeft > 0
    }

    /// Looks at the next file, in the order of their start.
    @discardableResult mutating func consider(_ candidate: DeletionCandidate) -> Verdict {
        if granted.contains(candidate.mediaID) { return .granted }
        guard grants.count < limit else { return .kept }
        if isHeld(candidate) { return .held }
        let span = candidate.span
        if isBefore(span.endUs, policy.maximumAgeUs) || isBefore(span.endUs, policy.retentionUs) {
            return grant(candidate, "age")
        }
        if quotaExcess > 0 || (sourceExcess[candidate.sourceID] ?? 0) > 0 { return grant(candidate, "quota") }
        if floorExcess > 0 { return grant(candidate, "free_space") }
        guard aheadLeft > 0 else { return .kept }
        aheadLeft -= candidate.sizeBytes
        granted.insert(candidate.mediaID)
        grants.append(PlannedGrant(candidate: candidate, cause: "free_space", isNow: false))
        return .granted
    }

    /// Whether a file may not go, whatever the volume needs.
    func isHeld(_ file: DeletionCandidate) -> Bool {
        if holds.hasLegal(file.span, of: file.sourceID) { return true }
        return !isBefore(file.span.endUs, policy.maximumAgeUs) && holds.hasRequest(file.span, of: file.sourceID)
    }

    /// Where a hold has this moment, its end: all files of the source that begin before that are held. So a walk over what
    /// months of holds keep need not look at each file.
    func heldUntil(_ startUs: Int64, of sourceID: Int64) -> Int64? {
        let legal = holds.legalEnd(at: startUs, of: sourceID)
        let request = isBefore(startUs, policy.maximumAgeUs) ? nil : holds.requestEnd(at: startUs, of: sourceID)
        return [legal, request].compactMap { $0 }.max()
    }

    private mutating func grant(_ candidate: DeletionCandidate, _ cause: String) -> Verdict {
        sourceExcess[candidate.sourceID]? -= candidate.sizeBytes
        quotaExcess -= candidate.sizeBytes
        floorExcess -= candidate.sizeBytes
        granted.insert(candidate.mediaID)
        grants.append(PlannedGrant(candidate: candidate, cause: cause, isNow: true))
        return .granted
    }

    private func isBefore(_ timeUs: Int64, _ ageUs: Int64) -> Bool { ageUs > 0 && timeUs < nowUs - ageUs }
}

/// The holds of each source, joined and in order, so that a file finds the one that keeps it among thousands.
private struct HoldMap: Sendable {
    private let legal: [Int64: [Span]]
    private let requests: [Int64: [Span]]

    init(_ holds: [PlannedHold]) {
        func joined(_ holds: [PlannedHold]) -> [Int64: [Span]] {
            Dictionary(grouping: holds, by: \.sourceID).mapValues { CoverageMap.joined($0.map(\.span)) }
        }
        legal = joined(holds.filter(\.isLegal))
        requests = joined(holds.filter { !$0.isLegal })
    }

    func hasLegal(_ file: Span, of sourceID: Int64) -> Bool { Self.has(legal[sourceID], file) }
    func hasRequest(_ file: Span, of sourceID: Int64) -> Bool { Self.has(requests[sourceID], file) }
    func legalEnd(at us: Int64, of sourceID: Int64) -> Int64? { Self.end(legal[sourceID], us) }
    func requestEnd(at us: Int64, of sourceID: Int64) -> Int64? { Self.end(requests[sourceID], us) }

    /// A snapshot has no length: it is held by a window that has its moment.
    private static func has(_ spans: [Span]?, _ file: Span) -> Bool {
        guard let span = firstEnding(after: file.startUs, spans) else { return false }
        return file.isEmpty ? span.startUs <= file.startUs : span.startUs < file.endUs
    }

    private static func end(_ spans: [Span]?, _ us: Int64) -> Int64? {
        guard let span = firstEnding(after: us, spans), span.startUs <= us else { return nil }
        return span.endUs
    }

    private static func firstEnding(after us: Int64, _ spans: [Span]?) -> Span? {
        guard let spans else { return nil }
        var (low, high) = (0, spans.count)
        while low < high {
            let middle = (low + high) / 2
            if spans[middle].endUs > us { high = middle } else { low = middle + 1 }
        }
        return low < spans.count ? spans[low] : nil
    }
}

/// Which open requests give way when holds take more of a volume than they may.
struct HoldShare: Sendable {
    /// An open request and the bytes that only its holds and those of others keep on the volume.
    struct Holder: Sendable, Equatable {
        var requestID: String
        var priority: Int64
        var acceptedUs: Int64
        var heldBytes: Int64
    }

    /// Holds may take at most so much of a volume, in percent; beyond that capture of the newest would stop.
    static let percent: Int64 = 70

    /// What holds may take of a volume of so many bytes.
    static func bound(_ totalBytes: Int64) -> Int64 {
        totalBytes / 100 * percent + totalBytes % 100 * percent / 100
    }

    /// The requests that end as `partial`, reason `evicted`: lowest priority first, of one priority the newest first,
    /// because what was asked for first was promised first.
    static func evicted(_ holders: [Holder], totalBytes: Int64) -> [String] {
        guard totalBytes > 0 else { return [] }
        var excess = holders.reduce(0) { $0 + $1.heldBytes } - bound(totalBytes)
        var result: [String] = []
        for holder in holders.sorted(by: { ($0.priority, $1.acceptedUs) < ($1.priority, $0.acceptedUs) }) {
            guard excess > 0 else { break }
            guard holder.heldBytes > 0 else { continue }
            excess -= holder.heldBytes
            result.append(holder.requestID)
        }
        return result
    }
}
