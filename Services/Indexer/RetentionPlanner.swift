// What of a volume may be deleted, without I/O: the volume's files go in, oldest first; grants come out.
// RetentionTable.swift reads the files and stores the grants. Nothing is deleted here: the volume's owner unlinks.
//
//   1. Held by a legal hold                           never
//   2. Older than the site's maximum age              now, "age"         (beats the holds of requests)
//   3. Held by an open request                        never
//   4. Older than the retention age                   now, "age"
//   5. Beyond the volume's quota                      now, "quota"       oldest first
//   6. Less free space than the floor                 now, "free_space"  oldest first
//   7. The next six hours of writing                  ahead, "free_space": only when the volume needs room

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
    private let policy: Policy
    private let nowUs: Int64
    private let limit: Int
    private let holds: [Int64: [PlannedHold]]
    private var quotaExcess: Int64
    private var floorExcess: Int64
    private var aheadLeft: Int64
    private(set) var grants: [PlannedGrant] = []

    init(policy: Policy, room: VolumeRoom, holds: [PlannedHold], limit: Int, nowUs: Int64) {
        self.policy = policy
        self.nowUs = nowUs
        self.limit = limit
        self.holds = Dictionary(grouping: holds, by: \.sourceID)
        quotaExcess = policy.quotaBytes > 0 ? max(0, room.usedBytes - policy.quotaBytes) : 0
        floorExcess = room.isKnown ? max(0, Self.floorBytes(policy, room) - room.freeBytes) : 0
        aheadLeft = room.isKnown ? room.aheadBytes : 0
    }

    /// Free bytes that a volume should keep: the floor, but never more than a tenth of a small volume.
    static func floorBytes(_ policy: Policy, _ room: VolumeRoom) -> Int64 {
        min(policy.freeFloorBytes, room.totalBytes / 10)
    }

    /// Whether a further file could be granted. Files come in the order of their start.
    func wantsMore(nextStartUs: Int64) -> Bool {
        guard grants.count < limit else { return false }
        let isOld = isBefore(nextStartUs, policy.retentionUs) || isBefore(nextStartUs, policy.maximumAgeUs)
        return isOld || quotaExcess > 0 || floorExcess > 0 || aheadLeft > 0
    }

    /// Looks at the next file, in the order of their start.
    mutating func consider(_ candidate: DeletionCandidate) {
        guard grants.count < limit else { return }
        let holding = (holds[candidate.sourceID] ?? []).filter { Self.holds($0.span, candidate.span) }
        if holding.contains(where: \.isLegal) { return }
        if isBefore(candidate.span.endUs, policy.maximumAgeUs) { return grant(candidate, "age", isNow: true) }
        if !holding.isEmpty { return }
        if isBefore(candidate.span.endUs, policy.retentionUs) { return grant(candidate, "age", isNow: true) }
        if quotaExcess > 0 { return grant(candidate, "quota", isNow: true) }
        if floorExcess > 0 { return grant(candidate, "free_space", isNow: true) }
        if aheadLeft > 0 {
            aheadLeft -= candidate.sizeBytes
            grants.append(PlannedGrant(candidate: candidate, cause: "free_space", isNow: false))
        }
    }

    private mutating func grant(_ candidate: DeletionCandidate, _ cause: String, isNow: Bool) {
        quotaExcess -= candidate.sizeBytes
        floorExcess -= candidate.sizeBytes
        grants.append(PlannedGrant(candidate: candidate, cause: cause, isNow: isNow))
    }

    private func isBefore(_ timeUs: Int64, _ ageUs: Int64) -> Bool { ageUs > 0 && timeUs < nowUs - ageUs }

    /// A snapshot has no length: it is held by a window that has its moment.
    private static func holds(_ window: Span, _ file: Span) -> Bool {
        file.isEmpty ? window.startUs <= file.startUs && file.startUs < window.endUs : window.overlaps(file)
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
