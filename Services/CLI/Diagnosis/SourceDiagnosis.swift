// What is wrong with a configured camera, by its configuration and by what the controller says that holds it. Pure. No session
// is opened: cameras have few.

import Wire

struct SourceDiagnosis {
    let endpoint: InboundEndpoint
    /// The streams that use it.
    let streams: [StreamDefinition]
    let lease: Lease?
    /// What its controller says of it; nil where none could be asked.
    let status: SourceStatus?
    /// Of the streams.
    let tasks: [TaskStatus]
    let nowUs: Int64

    /// A camera with one picture a second is not silent yet.
    static let silentUs: Int64 = 5_000_000
    /// Footage is synced each 0.8 s; what is older shows a disk that does not keep up.
    static let unsyncedUs: Int64 = 5_000_000

    private var name: String { endpoint.source?.text ?? "" }

    var checks: CheckList {
        var list = CheckList(checks: [configuration])
        guard endpoint.enabled == true else { return list }
        list.checks.append(holder)
        guard lease != nil, let status else { return list }
        list.checks.append(session(status))
        guard status.state == .streaming else { return list }
        list.checks.append(pictures(status))
        if let recording = recording(status) { list.checks.append(recording) }
        for task in tasks where task.state == .failed || task.error != nil {
            list.checks.append(
                .wrong(
                    "task \(task.stream?.text ?? "")", "task", task.error ?? "cannot run with these settings",
                    do: "change the stream's settings and apply the asset again; `sightglass get streams` shows them"))
        }
        return list
    }

    private var configuration: Check {
        guard endpoint.enabled == true else {
            return .attention(
                "configuration", "disabled", "the device of \(name) is disabled",
                do: "set `enabled: true` in the device and apply it")
        }
        let errors = streams.flatMap(\.issues).filter { $0.severity == .error }
        if let first = errors.first {
            return .wrong(
                "configuration", "issues",
                "\(first.message ?? first.code ?? "")" + (errors.count > 1 ? ", and \(errors.count - 1) more" : ""),
                do: "correct the asset and apply it again: `sightglass apply --dry-run -f FILE` checks it first")
        }
        if !streams.contains(where: { $0.enabled == true }) {
            return .attention(
                "configuration", "no_streams", "no enabled stream uses \(name)",
                do: "apply an asset with a stream of it; until then nothing is kept of it")
        }
        return .good("configuration", "\(endpoint.address ?? name), \(counted(streams.count, "stream"))")
    }

    private var holder: Check {
        guard let lease else {
            return .wrong(
                "controller", "no_lease", "no capture-controller holds it",
                do: "start a capture-controller that reaches the registry, or give those that run more capacity")
        }
        guard status != nil else {
            return .wrong(
                "controller", "controller_away",
                "\(lease.holder ?? "its capture-controller") holds it and does not answer for it at "
                    + (lease.holderAddress ?? "an address that it did not tell"),
                do: "see `sightglass health capture-controller`, and its log; its cameras move when its lease ends")
        }
        return .good("controller", "held by \(lease.holder ?? "a capture-controller")")
    }

    private func session(_ status: SourceStatus) -> Check {
        let attempts = status.attempts.map { $0 > 1 ? ", \($0) attempts" : "" } ?? ""
        switch status.state {
        case .streaming: return .good("session", "streams")
        case .idle:
            return .good("session", "nothing asks for it: no task runs, and its `standby` is off")
        default:
            guard let cause = status.cause else {
                return .attention(
                    "session", "connecting", "is being connected\(attempts)", do: "wait some seconds and ask again")
            }
            return .wrong("session", cause, (status.reason ?? cause) + attempts, do: CameraAdvice.of(cause: cause))
        }
    }

    private func pictures(_ status: SourceStatus) -> Check {
        let what = status.videoCodec.map { "\($0) \(status.widthPx ?? 0)x\(status.heightPx ?? 0)" } ?? "no pictures yet"
        guard let last = status.lastPacketUs, nowUs - last < Self.silentUs else {
            return .wrong(
                "pictures", "silent", "\(what), the last at \(TimeText.show(status.lastPacketUs))",
                do: CameraAdvice.noMedia)
        }
        return .good("pictures", "\(what), \(counted(status.packets ?? 0, "packet")) in this run")
    }

    /// Nil where nothing shall be recorded.
    private func recording(_ status: SourceStatus) -> Check? {
        guard let synced = status.syncedToUs else { return nil }
        guard nowUs - synced < Self.unsyncedUs else {
            return .wrong(
                "recording", "not_synced", "nothing is safe on disk since \(TimeText.show(synced))",
                do: "look at the recording volume (`sightglass status`) and at the kernel log for disk errors")
        }
        return .good("recording", "safe on disk to \(TimeText.show(synced))")
    }
}
