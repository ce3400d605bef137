// From what is known of a site to what needs a person, and what to do next. Pure. One function for each part of a site, in the order
// in which a person would look: who is away, then what the rest says.

import Wire

struct SiteDiagnosis {
    let facts: SiteFacts

    /// Hosts may differ by so much: leases and claims are given with remaining times, and clips are dated by the host.
    static let clockToleranceUs: Int64 = 2_000_000
    /// Half of what retention keeps free by default (`free-floor-bytes`): it does not keep up.
    static let recordingFreeAttention: UInt64 = 1 << 30
    static let recordingFreeWrong: UInt64 = 256 << 20
    static let archiveFreeWrong: UInt64 = 1 << 30
    /// A controller sends records within a second; so many wait only where the indexer is away or slow.
    static let spoolAttention: UInt64 = 1_000
    static let spoolWrong: UInt64 = 100_000
    static let hourUs: Int64 = 3_600_000_000
    static let dayUs: Int64 = 24 * hourUs
    static let certificateAttentionUs: Int64 = 30 * dayUs
    static let certificateWrongUs: Int64 = 7 * dayUs

    private var status: SiteStatus { facts.status }
    private var nowUs: Int64 { facts.status.atUs }

    var checks: CheckList {
        CheckList(
            checks: services + [versions] + clocks + cameras + leases + volumes + [spools, catalogue] + uploads
                + [requests] + counters + certificates)
    }

    // MARK: Services

    private var services: [Check] {
        status.services.flatMap { service -> [Check] in
            guard let reply = service.reply else { return [away(service)] }
            guard reply.ready == true else {
                let why = reply.reasons.isEmpty ? "it does not say why" : reply.reasons.joined(separator: "; ")
                return [
                    .wrong(
                        service.name, "not_ready", "is not ready: \(why)",
                        do: "see its log, and `sightglass health \(service.role.rawValue)`")
                ]
            }
            let missed = reply.neighbours.filter { $0.reachable != true }
            guard let first = missed.first else { return [.good(service.name, "ready")] }
            let others = missed.count > 1 ? ", and \(missed.count - 1) more" : ""
            return [
                .attention(
                    service.name, "neighbour_away",
                    "does not reach \(first.role ?? "a neighbour")\(others)" + (first.error.map { ": \($0)" } ?? ""),
                    do:
                        "where that service runs, compare its addresses with the settings of \(service.role.rawValue), and the "
                        + "certificates of both; its work waits meanwhile")
            ]
        }
    }

    private func away(_ service: ServiceHealth) -> Check {
        let seen = service.error ?? "does not answer at \(service.address)"
        let start =
            "start \(service.role.rawValue), or say where it is with --\(service.role.rawValue); its log says why it ended"
        // A site without a cloud or without a broker runs well without these.
        switch service.role {
        case .cloudUploader where (status.uploads?.waitingFiles ?? 0) == 0:
            return .attention(service.name, "away", seen, do: start + "; not needed where nothing is uploaded")
        case .mqttEdgeAdapter:
            return .attention(service.name, "away", seen, do: start + "; not needed where nobody uses MQTT")
        default: return .wrong(service.name, "away", seen, do: start)
        }
    }

    private var versions: Check {
        let builds = Dictionary(grouping: status.services.filter { $0.reply?.build != nil }) { $0.reply?.build ?? "" }
        guard builds.count > 1 else {
            return .good("versions", builds.keys.first.map { "all have \($0)" } ?? "not told")
        }
        let shown = builds.sorted { $0.key < $1.key }.map { build, services in
            "\(build): \(services.map(\.name).sorted().joined(separator: ", "))"
        }
        return .attention(
            "versions", "versions", shown.joined(separator: "; "),
            do: "neighbouring versions work together; finish the upgrade before the next one begins")
    }

    // MARK: Clocks

    /// A controller dates its packets by its host's clock. What it says of the future, or of a past that moves on, is a clock.
    private var clocks: [Check] {
        let wrong = status.controllers.compactMap { controller -> Check? in
            guard let off = aheadUs(controller), abs(off) > Self.clockToleranceUs else { return nil }
            let name = controller.controllerID ?? "a controller"
            return .wrong(
                "clock of \(name)", "clock",
                "\(DurationText.show(us: abs(off))) \(off > 0 ? "ahead of" : "behind") this machine's",
                do:
                    "keep both hosts' clocks by NTP (`chronyc tracking`, `timedatectl`); footage is dated by the controller's"
            )
        }
        if !wrong.isEmpty { return wrong }
        return status.controllers.isEmpty ? [] : [.good("clocks", "controllers agree with this machine")]
    }

    private func aheadUs(_ controller: ListStatusReply) -> Int64? {
        let last = controller.sources.filter { $0.state == .streaming }.compactMap(\.lastPacketUs).max()
        guard let last else { return nil }
        if last > nowUs { return last - nowUs }
        // Behind, or silent: the packets that came between two questions tell.
        let later = facts.later.first { $0.controllerID == controller.controllerID }
        let newest = later?.sources.filter { $0.state == .streaming }.compactMap(\.lastPacketUs).max()
        guard let newest, newest > last else { return nil }
        return last - nowUs
    }

    // MARK: Cameras

    private var cameras: [Check] {
        guard let configuration = status.configuration else { return [] }
        let enabled = configuration.endpoints.filter { $0.enabled == true }
        guard !enabled.isEmpty else {
            return [
                .attention(
                    "cameras", "no_cameras", "none is enabled",
                    do: "apply devices and assets: `sightglass apply -f FILE`")
            ]
        }
        var bad: [Check] = []
        for endpoint in enabled {
            guard let source = endpoint.source, let worst = worst(of: endpoint, configuration) else { continue }
            bad.append(
                Check(
                    subject: source.text, verdict: worst.verdict, code: worst.code, seen: worst.seen,
                    advice: worst.advice))
        }
        guard bad.count < enabled.count else { return bad }
        return [.good("cameras", "\(enabled.count - bad.count) of \(enabled.count) are as they should be")] + bad
    }

    /// What is worst of a camera; nil where it is well.
    private func worst(of endpoint: InboundEndpoint, _ configuration: Configuration) -> Check? {
        let camera = status.cameras.first { $0.source == endpoint.source }
        let diagnosis = SourceDiagnosis(
            endpoint: endpoint, streams: configuration.streams.filter { $0.source == endpoint.source },
            lease: status.leases.first { $0.source == endpoint.source }, status: camera?.status,
            tasks: status.tasks.filter { $0.source == endpoint.source }, nowUs: nowUs)
        let bad = diagnosis.checks.checks.filter { $0.verdict != .good }
        return bad.first { $0.verdict == .wrong } ?? bad.first
    }

    private var leases: [Check] {
        let known = Set(status.configuration?.endpoints.compactMap(\.source) ?? [])
        let strangers = status.leases.compactMap(\.source).filter { !known.contains($0) }
        guard status.configuration != nil else { return [] }
        guard strangers.isEmpty else {
            return [
                .attention(
                    "leases", "lease_of_nothing",
                    "held, and no device has them: \(strangers.map(\.text).sorted().prefix(5).joined(separator: ", "))",
                    do: "they end by themselves within seconds; where they stay, restart the controller that holds them"
                )
            ]
        }
        return [.good("leases", counted(status.leases.count, "source") + " held")]
    }

    // MARK: Volumes

    private var volumes: [Check] {
        // Controllers know their own now; the indexer also those of the archive, as they were reported.
        let reported = (facts.volumes ?? []).compactMap(\.volume)
        let own = Set(status.volumes.compactMap(\.volumeID))
        let all = status.volumes + reported.filter { !own.contains($0.volumeID ?? "") }
        return all.map(check(_:))
    }

    private func check(_ volume: VolumeStatus) -> Check {
        let role = volume.role ?? "recording"
        let name = "\(role) volume \(volume.mountPath ?? volume.volumeID ?? "")"
        guard volume.writable != false else {
            return .wrong(
                name, "volume", volume.error ?? "is not writable",
                do: "mount the right disk there, writable; `sightglass volume show` says which one it is")
        }
        guard let free = volume.freeBytes, let total = volume.totalBytes, total > 0 else {
            return .good(name, "writable")
        }
        let seen = "\(sizeText(free)) free of \(sizeText(total))"
        if role == "archive" {
            let advice =
                "see what waits for upload (`sightglass uploads`); the copies of what was uploaded go by themselves"
            if free < Self.archiveFreeWrong { return .wrong(name, "disk_full", seen, do: advice) }
            return free < total / 20 ? .attention(name, "disk_full", seen, do: advice) : .good(name, seen)
        }
        let advice =
            "see what is held (`sightglass holds`) and for how long footage is kept; the indexer's `free-floor-bytes` is what it "
            + "keeps free"
        if free < Self.recordingFreeWrong { return .wrong(name, "disk_full", seen, do: advice) }
        return free < Self.recordingFreeAttention ? .attention(name, "disk_full", seen, do: advice) : .good(name, seen)
    }

    private var spools: Check {
        let waiting = status.volumes.reduce(UInt64(0)) { $0 &+ ($1.spooledRecords ?? 0) }
        let seen = "\(counted(waiting, "record")) not acknowledged by the indexer"
        guard waiting >= Self.spoolAttention else { return .good("spools", seen) }
        let advice = "footage is safe, and not found until they are sent: see whether the indexer answers and keeps up"
        return waiting >= Self.spoolWrong
            ? .wrong("spools", "spool", seen, do: advice) : .attention("spools", "spool", seen, do: advice)
    }

    private var catalogue: Check {
        guard let reply = facts.catalogue else {
            return .attention(
                "catalogue", "catalogue_unknown", "was not checked: the indexer did not answer",
                do: "start the indexer and ask again")
        }
        guard let first = reply.problems.first else {
            return .good("catalogue", "\(counted(reply.rows ?? 0, "row")), whole")
        }
        let others = reply.problems.count > 1 ? ", and \(reply.problems.count - 1) more" : ""
        return .wrong(
            "catalogue", "catalogue", first + others,
            do:
                "stop the indexer and put a backup in its place (`sightglass backup` makes them), or let it rebuild the "
                + "catalogue from the volumes")
    }

    // MARK: Requests and uploads

    private var uploads: [Check] {
        guard let uploads = status.uploads else { return [] }
        var checks: [Check] = []
        let waiting = uploads.waitingFiles ?? 0
        let ageUs = uploads.oldestUs.map { nowUs - $0 } ?? 0
        let seen = UploadReport(uploads: uploads, nowUs: nowUs).line
        if waiting > 0, ageUs > Self.hourUs {
            let text = "\(seen); the oldest for \(DurationText.show(us: ageUs))"
            let advice =
                "see `sightglass uploads` and the uploader's health: the line may be away, the window of `bandwidth-by-time` "
                + "closed, or the storage refuse it"
            checks.append(
                ageUs > Self.dayUs
                    ? .wrong("uploads", "upload_backlog", text, do: advice)
                    : .attention("uploads", "upload_backlog", text, do: advice))
        } else {
            checks.append(.good("uploads", seen))
        }
        if let aside = uploads.setAsideFiles, aside > 0 {
            checks.append(
                .wrong(
                    "set aside", "set_aside", "\(counted(aside, "file")), \(sizeText(uploads.setAsideBytes))",
                    do: "`sightglass uploads --failed` says why; mend that, then `sightglass uploads revive --all`"))
        }
        return checks
    }

    private var requests: Check {
        let recent = facts.failed.filter { nowUs - ($0.finishedUs ?? $0.acceptedUs ?? 0) < Self.dayUs }
        guard let newest = recent.first else {
            return .good(
                "requests",
                status.openRequests.map { "\($0.count) open, none failed in a day" } ?? "none failed in a day")
        }
        return .attention(
            "requests", "requests_failed",
            "\(recent.count) failed in a day; the newest: \(newest.reason ?? "for no reason that is told")",
            do:
                "see `sightglass request \(newest.requestID ?? "ID")`, and `sightglass footage` for what was recorded then"
        )
    }

    // MARK: What services counted

    /// Counters that are zero where all is well, since each service began.
    private static let losses: [(metric: String, code: String, says: String, advice: String)] = [
        (
            "sightglass_controller_records_dropped_total", "records_dropped", "records could not be spooled",
            "the disk of its state was full or failed; the next start finds the footage again and reports it"
        ),
        (
            "sightglass_controller_late_syncs_total", "late_syncs", "syncs took longer than promised",
            "a power cut then costs more than a second: look for a slow disk, or one that others write to"
        ),
        (
            "sightglass_indexer_records_rejected_total", "records_rejected", "records were refused",
            "see the controller's log for the field that was wrong: versions that do not fit together, or a bug to report"
        ),
        (
            "sightglass_adapter_messages_lost_total", "messages_lost", "messages to the broker were lost",
            "see the adapter's log: the broker was away for longer than its queue holds"
        ),
    ]

    private var counters: [Check] {
        status.services.flatMap { service -> [Check] in
            Self.losses.compactMap { loss in
                let sum =
                    service.reply?.metrics.filter { $0.name == loss.metric }.reduce(0) { $0 + ($1.value ?? 0) } ?? 0
                guard sum >= 1 else { return nil }
                return .attention(
                    service.name, loss.code, "\(UInt64(min(sum, 1e15))) \(loss.says) since its start", do: loss.advice)
            }
        }
    }

    // MARK: Certificates

    private var certificates: [Check] {
        let checks = facts.certificates.map { certificate -> Check in
            let name = "certificate: \(certificate.name)"
            guard let ends = certificate.endsUs else {
                return .attention(
                    name, "certificate_unknown", certificate.problem ?? "could not be read",
                    do: "check the file and who may read it, or that the service listens there with TLS")
            }
            let left = ends - nowUs
            let seen = left < 0 ? "ended at \(TimeText.show(ends))" : "ends at \(TimeText.show(ends))"
            guard left < Self.certificateAttentionUs else { return .good(name, seen) }
            let advice =
                "make it anew (`deploy/local/certificates PKI renew ROLE`), put it in its place, and restart what uses it"
            return left < Self.certificateWrongUs
                ? .wrong(name, "certificate_ends", seen, do: advice)
                : .attention(name, "certificate_ends", seen, do: advice)
        }
        let bad = checks.filter { $0.verdict != .good }
        if bad.isEmpty, !checks.isEmpty {
            let first = facts.certificates.compactMap(\.endsUs).min()
            return [.good("certificates", "the first of \(checks.count) ends at \(TimeText.show(first))")]
        }
        return bad
    }
}
