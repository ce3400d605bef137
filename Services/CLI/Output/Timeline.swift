// Footage of a window as a picture for the terminal: a scale of times, and a line per camera. Pure: spans in, text out.
//
//   UTC    |05:00:00      |05:00:10      |05:00:20
//   line1  ████████████████████▒··········██████████   75.2 %
//
// A cell shows its share of the window: full, nothing, or something of both; so a gap of one frame shows in a day.

import CivilTime

struct Timeline {
    struct Camera {
        let name: String
        /// With footage, half-open, in microseconds since 1970; in any order.
        let covered: [Range<Int64>]
    }

    let window: Range<Int64>
    /// Columns of the terminal.
    let width: Int
    let signs: BarSigns

    /// The scale and the cameras, one line each. Never wider than `width` unless that is less than 40.
    func rendered(_ cameras: [Camera]) -> String {
        guard !window.isEmpty else { return "" }
        // A name takes a third at most; its end tells cameras apart better than its start.
        let widest = cameras.map { Table.printable($0.name).count }.max() ?? 0
        let nameWidth = max(3, min(widest, width / 3))
        let cells = max(10, width - nameWidth - 2 - Self.percentWidth)
        func line(_ name: String, _ rest: String) -> String {
            var name = Table.printable(name)
            if name.count > nameWidth { name = "~" + name.suffix(nameWidth - 1) }
            return name + String(repeating: " ", count: nameWidth - name.count + 2) + rest
        }
        let scale = line("UTC", Self.scale(window, cells: cells))
        let bars = cameras.map { camera in
            let covered = Self.joined(camera.covered, within: window)
            return line(camera.name, bar(covered, cells: cells) + Self.percent(covered, of: window))
        }
        return ([scale] + bars).joined(separator: "\n")
    }

    // MARK: - Bars

    /// "  100.0 %".
    private static let percentWidth = 9

    private func bar(_ covered: [Range<Int64>], cells: Int) -> String {
        var text = ""
        var next = 0
        for cell in 0..<cells {
            let from = Self.edge(cell, of: cells, window)
            let to = Self.edge(cell + 1, of: cells, window)
            while next < covered.count, covered[next].upperBound <= from { next += 1 }
            var coveredUs: Int64 = 0
            var index = next
            while index < covered.count, covered[index].lowerBound < to {
                coveredUs += Int64(covered[index].clamped(to: from..<to).count)
                index += 1
            }
            text.append(coveredUs == 0 ? signs.none : coveredUs == to - from ? signs.full : signs.part)
        }
        return text
    }

    /// Where a cell begins. A window of less than a microsecond per cell has cells of no length; they show nothing.
    private static func edge(_ cell: Int, of cells: Int, _ window: Range<Int64>) -> Int64 {
        window.lowerBound + Int64(window.count) * Int64(cell) / Int64(cells)
    }

    /// Cut, not rounded, so that only what is whole is 100.0 %; and what is there at all is not 0.0 %.
    private static func percent(_ covered: [Range<Int64>], of window: Range<Int64>) -> String {
        let coveredUs = covered.reduce(Int64(0)) { $0 + Int64($1.count) }
        var tenths = coveredUs * 1000 / Int64(window.count)
        if tenths == 0, coveredUs > 0 { tenths = 1 }
        let text = "\(tenths / 10).\(tenths % 10) %"
        return String(repeating: " ", count: max(1, percentWidth - text.count)) + text
    }

    /// In order, joined where they touch, cut to the window.
    static func joined(_ spans: [Range<Int64>], within window: Range<Int64>) -> [Range<Int64>] {
        var result: [Range<Int64>] = []
        let cut = spans.map { $0.clamped(to: window) }.filter { !$0.isEmpty }
        for span in cut.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, span.lowerBound <= last.upperBound {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, span.upperBound)
            } else {
                result.append(span)
            }
        }
        return result
    }

    // MARK: - Scale

    /// Steps that a clock's reader takes for round, in seconds.
    private static let stepsS: [Int64] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    ]

    /// Times, each with a mark in the cell that it lies in; as many as have room.
    static func scale(_ window: Range<Int64>, cells: Int) -> String {
        let second: Int64 = 1_000_000
        func length(_ stepS: Int64) -> Int { stepS < 60 ? 8 : 5 }
        let fitting = stepsS.first { stepS in
            Int64(cells) * stepS * second / Int64(window.count) >= Int64(length(stepS) + 2)
        }
        let stepS = fitting ?? 86_400
        let stepUs = stepS * second
        var text = [Character](repeating: " ", count: cells)
        var tick = (window.lowerBound + stepUs - 1) / stepUs * stepUs
        while tick < window.upperBound, let time = TimeStamp(us: tick) {
            let cell = Int((tick - window.lowerBound) * Int64(cells) / Int64(window.count))
            // "05:00:10" of "2026-11-23T05:00:10Z".
            let label = "|" + time.isoSeconds.dropFirst(11).prefix(length(stepS))
            if cell + label.count <= cells {
                for (offset, character) in label.enumerated() { text[cell + offset] = character }
            }
            tick += stepUs
        }
        return String(text)
    }
}
