// The whole site on one screen: first whether footage lands, then who is away, then each camera, task and volume. Pure.

import CivilTime
import Wire

struct StatusScreen {
    let status: SiteStatus

    /// All lines.
    var lines: [String] {
        var parts = [headline, services, cameras]
        if !status.tasks.isEmpty { parts.append(tasks) }
        if !status.volumes.isEmpty { parts.append(volumes) }
        return parts.joined(separator: [""]).map { $0 }
    }

    /// Cut to a terminal of so many columns and lines; the last line says what is missing.
    func lines(width: Int, height: Int) -> [String] {
        let cut = lines.map { String($0.prefix(max(1, width))) }
        guard cut.count > height, height > 1 else { return Array(cut.prefix(max(1, height))) }
        return cut.prefix(height - 1) + ["… \(cut.count - height + 1) more lines; make the window larger"]
    }

    /// What a person wants to know in the first second.
    private var headline: [String] {
        let cameras = status.cameras
        let wanted = cameras.filter { $0.landing != .idle && $0.landing != .memory }
        let landing = wanted.count { $0.landing == .lands }
        var lines = ["\(TimeText.show(status.atUs))  \(status.isWell ? "all is well" : "needs attention")"]
        if cameras.isEmpty {
            lines.append("footage: no camera is configured; `sightglass apply -f FILE` does")
        } else {
            let memory = cameras.count { $0.landing == .memory }
            let bad = cameras.filter { !$0.landing.isWell }.map { "\($0.source.text) \($0.landing.rawValue)" }
            lines.append(
                "footage: lands of \(landing) of \(counted(wanted.count, "camera"))"
                    + (memory > 0 ? ", \(memory) only in memory" : "")
                    + (bad.isEmpty ? "" : "; \(bad.prefix(4).joined(separator: ", "))")
                    + (bad.count > 4 ? " and \(bad.count - 4) more" : ""))
        }
        guard let uploads = status.uploads else {
            lines.append("requests, uploads: not known, the indexer does not answer")
            return lines.map(Table.printable)
        }
        let open = status.openRequests.map { counted($0.count, "open request") } ?? "requests not known"
        lines.append("requests: \(open); uploads: \(UploadReport(uploads: uploads, nowUs: status.atUs).line)")
        return lines.map(Table.printable)
    }

    private var services: [String] {
        var table = Table(["SERVICE", "STATE", "UP", "VERSION", "NOTE"], whenEmpty: "")
        for service in status.services {
            let state = service.reply.map { $0.ready == true ? "ready" : "not ready" } ?? "away"
            let away = service.reply?.neighbours.filter { $0.reachable != true }.compactMap(\.role) ?? []
            let note = service.reply.map { reply in
                (reply.reasons + (away.isEmpty ? [] : ["waits for \(away.joined(separator: ", "))"])).joined(
                    separator: "; ")
            }
            let up = service.reply?.uptimeMs.map { DurationText.show(us: Int64(clamping: $0) &* 1000) } ?? "-"
            table.add([service.name, state, up, service.reply?.build ?? "-", note ?? service.error ?? ""])
        }
        return split(table)
    }

    private var cameras: [String] {
        var table = Table(
            ["CAMERA", "FOOTAGE", "VIDEO", "LAST PACKET", "SAFE TO", "NOTE"], whenEmpty: "no camera is known")
        for camera in status.cameras {
            let status = camera.status
            let video = status?.videoCodec.map { "\($0) \(status?.widthPx ?? 0)x\(status?.heightPx ?? 0)" } ?? "-"
            let attempts = (status?.attempts ?? 0) > 1 ? " (\(status?.attempts ?? 0) attempts)" : ""
            let note =
                status == nil
                ? "no capture-controller says anything of it" : status?.reason.map { $0 + attempts } ?? ""
            table.add([
                camera.source.text, camera.landing.rawValue, video, age(status?.lastPacketUs), age(status?.syncedToUs),
                note,
            ])
        }
        return split(table)
    }

    private var tasks: [String] {
        var table = Table(["TASK", "TYPE", "STATE", "MADE", "DROPPED", "LAST", "NOTE"], whenEmpty: "")
        for task in status.tasks {
            table.add([
                task.stream?.text ?? "", task.type?.name ?? "", task.state?.name ?? "", "\(task.produced ?? 0)",
                "\(task.dropped ?? 0)", age(task.lastOutputUs), task.error ?? task.lastOutput ?? "",
            ])
        }
        return split(table)
    }

    private var volumes: [String] {
        var table = Table(["VOLUME", "ROLE", "FREE", "OF", "SPOOLED", "NOTE"], whenEmpty: "")
        for volume in status.volumes {
            table.add([
                volume.mountPath ?? "", volume.role ?? "", sizeText(volume.freeBytes), sizeText(volume.totalBytes),
                "\(volume.spooledRecords ?? 0)", volume.error ?? (volume.writable == false ? "not writable" : ""),
            ])
        }
        return split(table)
    }

    private func split(_ table: Table) -> [String] {
        table.rendered.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// "0.8s ago"; hosts' clocks may differ a little from ours.
    private func age(_ us: Int64?) -> String {
        guard let us, us > 0 else { return "-" }
        let past = max(0, status.atUs - us)
        return past < 60_000_000 ? "\(tenths(Double(past) / 1e6))s ago" : "\(DurationText.show(us: past)) ago"
    }
}
