// Whose uploads move: from what the indexer says of files on their way to the requests that are to be shown again. Pure.

import Wire

struct UploadProgress: Sendable, Equatable {
    /// Bytes on their way to the target, or there and not committed, by request.
    private(set) var bytesInFlight: [String: UInt64] = [:]
    /// How many were shown so far, and at which number each was last.
    private var shown = 0
    private var lastShown: [String: Int] = [:]

    /// Takes the files of a moment. Gives which of the `moving` requests are to be shown: those of which other bytes are on their
    /// way than before (none any more: a file may be there), at most `most`, those first that were shown longest ago.
    mutating func take(_ items: [UploadItem], moving: Set<String>, most: Int) -> [String] {
        var now: [String: UInt64] = [:]
        for item in items where item.worker != nil {
            for id in item.requestIDs where moving.contains(id) { now[id, default: 0] += item.sentBytes ?? 0 }
        }
        let changed = Set(now.keys).union(bytesInFlight.keys).filter {
            now[$0] != bytesInFlight[$0] && moving.contains($0)
        }
        let chosen = changed.sorted { (lastShown[$0] ?? 0, $0) < (lastShown[$1] ?? 0, $1) }.prefix(most)
        // Who has to wait for a turn keeps what was shown, so that it is changed then, too.
        for id in changed.subtracting(chosen) { now[id] = bytesInFlight[id] }
        bytesInFlight = now
        lastShown = lastShown.filter { moving.contains($0.key) }
        for id in chosen {
            shown += 1
            lastShown[id] = shown
        }
        return Array(chosen)
    }
}
