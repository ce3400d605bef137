// The gaps of all sources in a journal on the recording volume (Shared/Volume/VolumeJournal.swift), beside the boxes of the
// files: a gap that no later file carries (the camera never came back, the disk was full) survives the loss of catalogue
// and state directory too. Each line's payload is one JSON object with the fields of `Line` by their CodingKeys; times in microseconds since 1970.
import Foundation
import Volume
import Wire

struct GapJournal: Sendable {
    private let journal: VolumeJournal
    /// Longer than the longest footage that anybody keeps; the indexer takes no gap that is longer.
    static let keptDays = 400

    init(_ volume: VolumeRoot) { journal = VolumeJournal("gaps", on: volume) }

    private struct Line: Codable {
        var device: String
        var endpoint: String
        var startUs: Int64
        var endUs: Int64
        var cause: String
        var reason: String
        var runID: String?
        var framesLost: UInt32?

        enum CodingKeys: String, CodingKey {
            case device, endpoint, cause, reason
            case startUs = "start_us"
            case endUs = "end_us"
            case runID = "run_id"
            case framesLost = "frames_lost"
        }
    }

    static func payload(_ gap: Gap) -> [UInt8]? {
        guard let source = SourceKey(gap.source), let startUs = gap.window?.startUs, let endUs = gap.window?.endUs
        else {
            return nil
        }
        let line = Line(
            device: source.device, endpoint: source.endpoint, startUs: startUs, endUs: endUs, cause: gap.cause ?? "",
            reason: gap.reason ?? "", runID: gap.runID, framesLost: gap.framesLost)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(line)).map { [UInt8]($0) }
    }

    static func gap(_ payload: [UInt8]) -> Gap? {
        guard let line = try? JSONDecoder().decode(Line.self, from: payload.data) else { return nil }
        return Gap(
            source: SourceName(device: line.device, endpoint: line.endpoint),
            window: Window(startUs: line.startUs, endUs: line.endUs), cause: line.cause, reason: line.reason,
            runID: line.runID, framesLost: line.framesLost)
    }

    /// Writes and syncs.
    func append(_ gaps: [Gap], nowUs: Int64) throws(VolumeError) {
        try journal.append(gaps.compactMap(Self.payload), nowUs: nowUs)
    }

    /// All gaps that are kept, each once, and how many lines were damaged.
    func read(nowUs: Int64) throws(VolumeError) -> (gaps: [Gap], damaged: Int) {
        try journal.removeMonths(olderThanDays: Self.keptDays, nowUs: nowUs)
        var seen: Set<Gap> = []
        var gaps: [Gap] = []
        let damaged = try journal.forEach { payload in
            if let gap = Self.gap(payload), seen.insert(gap).inserted { gaps.append(gap) }
        }
        return (gaps, damaged)
    }
}
