// The campaign as a text picture: one row for the faults of each process that was hit, one for the footage of each camera that was
// seen, time from left to right. Pure.
//
//   process   K killed   T ended and started   P paused
//   camera    # footage   . a gap that is named   ! time that neither has   (space) before the first and after the last footage

struct Picture {
    let history: FaultHistory
    let snapshot: Snapshot
    let span: Span
    static let columns = 100

    /// Rows for at most `columns` columns each; a long campaign has several blocks.
    func lines(columnUs: Int64 = 2 * secondUs) -> [String] {
        var lines: [String] = []
        var fromUs = span.startUs
        while fromUs < span.endUs {
            let block = Span(fromUs, min(fromUs + columnUs * Int64(Self.columns), span.endUs))
            lines.append("from \(seconds(block.startUs - span.startUs)), one column is \(seconds(columnUs))")
            lines += rows(block, columnUs: columnUs).map { "  \($0)" }
            lines.append("")
            fromUs = block.endUs
        }
        return lines
    }

    private func rows(_ block: Span, columnUs: Int64) -> [String] {
        let columns = stride(from: block.startUs, to: block.endUs, by: Int64.Stride(columnUs)).map {
            Span($0, min($0 + columnUs, block.endUs))
        }
        let hit = Set(history.faults.map(\.process))
        let processes = ProcessName.allCases.filter(hit.contains).map { name in
            row(name.rawValue, columns.map { faultMark(name, $0) })
        }
        let cameras = Camera.allCases.filter { !history.sightings(of: $0).isEmpty }
        return processes + cameras.map { camera in row(camera.rawValue, columns.map { mark(camera, $0) }) }
    }

    private func row(_ name: String, _ marks: [Character]) -> String {
        name + String(repeating: " ", count: max(1, 20 - name.count)) + String(marks)
    }

    private func faultMark(_ name: ProcessName, _ column: Span) -> Character {
        let here = history.faults.filter {
            $0.process == name && column.startUs <= $0.fromUs && $0.fromUs < column.endUs
        }
        if here.contains(where: { $0.kind == .kill }) { return "K" }
        if here.contains(where: { $0.kind == .restart }) { return "T" }
        if here.contains(where: { $0.kind == .pause }) { return "P" }
        let isDown = history.faults.contains {
            $0.process == name && Span($0.fromUs, $0.toUs ?? .max).overlaps(column)
        }
        return isDown ? "-" : " "
    }

    private func mark(_ camera: Camera, _ column: Span) -> Character {
        let footage = snapshot.shown.filter { $0.camera == camera && $0.isSegment }.map(\.span)
        let whole = Span(footage.map(\.startUs).min() ?? 0, footage.map(\.endUs).max() ?? 0)
        guard whole.overlaps(column) else { return " " }
        let without = column.clipped(to: whole)?.without(footage) ?? []
        let missingUs = without.reduce(0) { $0 + $1.durationUs }
        if missingUs <= RequestCheck.seamUs { return "#" }
        let gaps = snapshot.missing.filter { $0.camera == camera && $0.cause != "not_recorded" }.map(\.span)
        let isNamed = without.flatMap { $0.without(gaps) }.allSatisfy { $0.durationUs <= RequestCheck.seamUs }
        return isNamed ? "." : "!"
    }
}
