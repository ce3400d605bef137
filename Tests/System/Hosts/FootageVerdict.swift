// What the catalogue must show of a camera, whatever happened to the controllers: no two primary segments that overlap, and gaps only
// where one that had the camera failed, and short ones.

import Foundation
import Wire

/// Something that was done to the controllers.
struct Event: Sendable {
    let name: String
    /// Cameras that may have a gap; none where the event was planned, or where everything goes on recording.
    let cameras: Set<SourceName>
    let fromUs: Int64
    /// Everything was in order again.
    let toUs: Int64
}

struct FootageVerdict: Sendable {
    /// The promise: 5 s, and the wait for a keyframe.
    static let longestGapUs: Int64 = 5_000_000 + ThreeControllers.keyframeUs
    /// Two pictures; the cameras give ten a second.
    static let seamUs: Int64 = 200_000

    private(set) var complaints: [String] = []
    /// The longest gap of each event.
    private(set) var gaps: [String: Int64] = [:]
    /// The longest gap that nothing allows, seams included.
    private(set) var longestSeamUs: Int64 = 0

    /// Looks at the primary segments of a camera, in order.
    mutating func look(at source: SourceName, _ files: [MediaFile], events: [Event], coverUs: Range<Int64>) {
        let name = source.device ?? ""
        if (files.first?.startUs ?? .max) > coverUs.lowerBound { complaints.append("\(name) begins too late") }
        if (files.last?.endUs ?? .min) < coverUs.upperBound { complaints.append("\(name) ends too early") }
        for (one, next) in zip(files, files.dropFirst()) {
            let (endUs, startUs) = (one.endUs ?? 0, next.startUs ?? 0)
            let gapUs = startUs - endUs
            if gapUs < 0 { complaints.append("\(name): two primary segments overlap by \(-gapUs) us: \(one) \(next)") }
            let event = events.first { $0.cameras.contains(source) && endUs < $0.toUs && startUs > $0.fromUs }
            if let event {
                gaps[event.name] = max(gaps[event.name] ?? 0, gapUs)
                if gapUs > Self.longestGapUs { complaints.append("\(name), \(event.name): a gap of \(gapUs) us") }
            } else {
                longestSeamUs = max(longestSeamUs, gapUs)
                guard gapUs > Self.seamUs else { continue }
                let during = events.last { $0.fromUs <= startUs }?.name ?? "the start"
                complaints.append("\(name): a gap of \(gapUs) us after \(during), where none may be")
            }
        }
    }
}
