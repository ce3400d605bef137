// How the uploads are, for people: totals, bars of what is on its way, what comes next, what was set aside and why. Pure.
//
//   ████████▒▒▒▒▒▒▒▒····  40.0 %  21.2 MiB of 53.0 MiB  line1/2026/11/23/05/segment_2026-11-23T05:00:00Z_line1.mp4

import Wire

/// How fast it goes, and how long the rest takes.
struct UploadPace: Sendable, Equatable {
    /// Nil where nothing went up in the last hour.
    let bytesPerSecond: UInt64?
    /// Nil where no rate is known.
    let secondsLeft: UInt64?

    /// So many files of a minute say how fast it goes; of fewer, large ones, the hour is the better measure.
    private static let telling: UInt64 = 10

    /// By what was completed in the last minute, or in the last hour. Of an upload that began a few minutes ago the hour is
    /// not over: then it goes faster than is said, never slower.
    init(_ uploads: ListUploadsReply) {
        let (minute, hour) = (uploads.minuteFiles ?? 0, uploads.hourFiles ?? 0)
        if minute >= Self.telling || (minute > 0 && minute == hour) {
            bytesPerSecond = (uploads.minuteBytes ?? 0) / 60
        } else {
            bytesPerSecond = hour > 0 ? (uploads.hourBytes ?? 0) / 3600 : nil
        }
        // What is on its way is partly there.
        let sent = uploads.items.reduce(UInt64(0)) { $0 &+ ($1.sentBytes ?? 0) }
        let left = (uploads.waitingBytes ?? 0) - min(sent, uploads.waitingBytes ?? 0)
        switch bytesPerSecond {
        case let rate? where rate > 0: secondsLeft = (left + rate - 1) / rate
        default: secondsLeft = left == 0 ? 0 : nil
        }
    }
}

struct UploadReport {
    let uploads: ListUploadsReply
    let nowUs: Int64

    /// In one line, where each change is a line.
    var line: String {
        var parts = ["\(counted(uploads.waitingFiles ?? 0, "file")) to upload, \(sizeText(uploads.waitingBytes ?? 0))"]
        if let active = uploads.activeFiles, active > 0 { parts.append("\(active) on their way") }
        if let pace { parts.append(pace) }
        if let aside = uploads.setAsideFiles, aside > 0 { parts.append("\(aside) set aside") }
        return parts.joined(separator: "; ")
    }

    /// A line for each total that says something.
    var totals: [String] {
        var lines = ["to upload: \(amount(uploads.waitingFiles, uploads.waitingBytes))"]
        if let oldestUs = uploads.oldestUs, (uploads.waitingFiles ?? 0) > 0 {
            lines[0] +=
                "; the oldest since \(TimeText.show(oldestUs)), \(DurationText.show(us: max(0, nowUs - oldestUs)))"
        }
        lines.append("on its way: \(amount(uploads.activeFiles, uploads.activeBytes))")
        lines.append("uploaded: " + (pace ?? "nothing in the last hour"))
        if let newestUs = uploads.newestUploadedUs { lines[2] += "; the last one at \(TimeText.show(newestUs))" }
        if let aside = uploads.setAsideFiles, aside > 0 {
            lines.append(
                "set aside: \(amount(aside, uploads.setAsideBytes)); `sightglass uploads --failed` says why, "
                    + "`sightglass uploads revive --all` tries again")
        }
        return lines
    }

    private func amount(_ files: UInt64?, _ bytes: UInt64?) -> String {
        files ?? 0 == 0 ? "nothing" : "\(counted(files ?? 0, "file")), \(sizeText(bytes ?? 0))"
    }

    /// "1.2 MiB/s, 40 files in the last hour, about 8m00s left"; nil where nothing went up in the last hour.
    private var pace: String? {
        let pace = UploadPace(uploads)
        guard let rate = pace.bytesPerSecond else { return nil }
        var text = "\(sizeText(rate))/s, \(counted(uploads.hourFiles ?? 0, "file")) in the last hour"
        if let seconds = pace.secondsLeft, seconds > 0 {
            text += ", about \(DurationText.show(us: Int64(clamping: seconds) &* 1_000_000)) left"
        }
        return text
    }

    /// A bar for each file that an uploader has.
    func bars(width: Int, signs: BarSigns) -> [String] {
        uploads.items.filter { $0.worker != nil }.map { item in
            let (sent, total) = (item.sentBytes ?? 0, item.sizeBytes ?? 0)
            let percent = BarSigns.percent(of: sent, total)
            let bar = signs.bar(cells: min(20, max(10, width / 5)), done: sent, of: total)
            let head = "\(bar) \(String(repeating: " ", count: max(0, 7 - percent.count)))\(percent)"
            return Table.printable("\(head)  \(sizeText(sent)) of \(sizeText(total))  \(item.archivePath ?? "")")
        }
    }

    /// What waits, in the order in which it goes up; nil where nothing of it is shown.
    var next: String? {
        let waiting = uploads.items.filter { $0.worker == nil && $0.state != .poisoned }
        if waiting.isEmpty { return nil }
        var table = Table(["NEXT", "SIZE", "PRIORITY", "DUE", "TRIED", "NOT BEFORE", "FILE", "NOTE"], whenEmpty: "")
        for item in waiting {
            table.add([
                "\(item.itemID ?? 0)", sizeText(item.sizeBytes), "\(item.priority ?? 0)", TimeText.show(item.dueUs),
                "\(item.attempts ?? 0)", TimeText.show(item.retryUs), item.archivePath ?? "", item.error ?? "",
            ])
        }
        return table.rendered
    }

    /// What was set aside, and why.
    var failed: String {
        var table = Table(["ITEM", "SIZE", "ARCHIVED", "REQUEST", "FILE", "WHY"], whenEmpty: "nothing is set aside")
        for item in uploads.items where item.state == .poisoned {
            table.add([
                "\(item.itemID ?? 0)", sizeText(item.sizeBytes), TimeText.show(item.archivedUs),
                item.requestIDs.joined(separator: ","), item.archivePath ?? "", item.error ?? "",
            ])
        }
        return table.rendered
    }
}
