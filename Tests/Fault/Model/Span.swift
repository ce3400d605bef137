// Spans of wall time and what is left of them. Microseconds since 1970, half-open.

import Foundation

struct Span: Sendable, Hashable, Comparable, CustomStringConvertible {
    var startUs: Int64
    var endUs: Int64

    init(_ startUs: Int64, _ endUs: Int64) {
        self.startUs = startUs
        self.endUs = endUs
    }

    var durationUs: Int64 { endUs - startUs }
    var isEmpty: Bool { endUs <= startUs }

    func overlaps(_ other: Span) -> Bool { startUs < other.endUs && other.startUs < endUs }

    func clipped(to other: Span) -> Span? {
        let part = Span(max(startUs, other.startUs), min(endUs, other.endUs))
        return part.isEmpty ? nil : part
    }

    /// The parts that none of `others` covers, in order.
    func without(_ others: [Span]) -> [Span] {
        var parts: [Span] = []
        var fromUs = startUs
        for other in others.sorted() where other.overlaps(self) {
            if other.startUs > fromUs { parts.append(Span(fromUs, other.startUs)) }
            fromUs = max(fromUs, other.endUs)
        }
        if fromUs < endUs { parts.append(Span(fromUs, endUs)) }
        return parts
    }

    /// "06:58:13.123 + 4.5 s", in UTC as logs have it.
    var description: String {
        let ms = startUs / 1000
        let clock = String(
            format: "%02d:%02d:%02d.%03d", Int(ms / 3_600_000 % 24), Int(ms / 60_000 % 60), Int(ms / 1000 % 60),
            Int(ms % 1000))
        return "\(clock) + \(seconds(durationUs))"
    }

    static func < (left: Span, right: Span) -> Bool { (left.startUs, left.endUs) < (right.startUs, right.endUs) }
}

/// One second in microseconds.
let secondUs: Int64 = 1_000_000
