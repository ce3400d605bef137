// How far a request is, in one line: a bar, the share of its last step, files and bytes. Pure.
//
//   uploading  ████████▒▒▒▒▒▒▒▒····  40.0 %  8 of 20 files, uploaded 21.2 MiB of 53.0 MiB
//
// Full is what is delivered; shaded is what is on the archive volume and still has to go to the cloud.

import Wire

struct RequestBar {
    /// Columns of the terminal.
    let width: Int
    let signs: BarSigns

    func line(_ request: ArchiveRequest) -> String {
        let total = request.bytesTotal ?? 0
        let isForCloud = request.delivery == .cloud
        let archived = min(request.bytesArchived ?? 0, total)
        let delivered = isForCloud ? min(request.bytesUploaded ?? 0, total) : archived
        let state = request.state?.name ?? ""
        let percent = BarSigns.percent(of: delivered, total)
        let amount = Self.amount(request, archived, delivered, total)
        let head = state + String(repeating: " ", count: max(0, 9 - state.count))
        let tail = String(repeating: " ", count: max(0, 7 - percent.count)) + percent + "  " + amount
        // Two blanks around the bar. Where the rest leaves no room for one, the line is cut instead.
        let cells = min(40, max(10, width - 1 - head.count - tail.count - 3))
        let bar = signs.bar(cells: cells, done: delivered, half: archived, of: total)
        return String((head + "  " + bar + " " + tail).prefix(width - 1))
    }

    private static func amount(
        _ request: ArchiveRequest, _ archived: UInt64, _ delivered: UInt64, _ total: UInt64
    ) -> String {
        guard total > 0 || !request.files.isEmpty else { return "no files yet" }
        let count = request.files.count
        let done = request.files.count { isDelivered($0.state, delivery: request.delivery) }
        let files = "\(done) of \(counted(count, "file"))"
        if request.delivery != .cloud { return "\(files), \(sizeText(archived)) of \(sizeText(total))" }
        let isUploading = request.state == .uploading || RequestText.isFinal(request.state)
        let amount = isUploading ? "uploaded \(sizeText(delivered))" : "archived \(sizeText(archived))"
        return "\(files), \(amount) of \(sizeText(total))"
    }

    private static func isDelivered(_ state: ItemState?, delivery: Delivery?) -> Bool {
        switch state {
        case .handedOver, .uploaded, .evicted: true
        case .archived: delivery != .cloud
        default: false
        }
    }
}
