// Judges requests: each accepted ask is one request that ended rightly, and delivers what it says. Pure.

struct RequestCheck {
    let ledger: Ledger
    let history: FaultHistory
    let snapshot: Snapshot
    /// Segments that the catalogue shows, by camera.
    private let segments: [Camera: [MediaRow]]

    init(ledger: Ledger, history: FaultHistory, snapshot: Snapshot) {
        self.ledger = ledger
        self.history = history
        self.snapshot = snapshot
        segments = Dictionary(grouping: snapshot.shown.filter(\.isSegment), by: \.camera)
    }

    /// Uncovered time that the indexer takes for a seam between two files, and a frame.
    static let seamUs: Int64 = 300_000

    func judge() -> [Violation] {
        var violations = ledger.judge()
        let requests = Dictionary(snapshot.requests.map { ($0.id, $0) }) { first, _ in first }
        for key in ledger.order {
            guard let ask = ledger.asks[key], let id = ask.requestID else { continue }
            guard let request = requests[id] else {
                violations.append(Violation(.identity, key, "accepted as \(id), which the catalogue does not have"))
                continue
            }
            violations += fits(ask, request)
        }
        violations += eventsInTwo(snapshot.requests)
        for request in snapshot.requests { violations += judge(request) }
        return violations
    }

    // MARK: Identity

    private func fits(_ ask: Ask, _ request: RequestFact) -> [Violation] {
        var wrong: [String] = []
        let isInside =
            request.window.startUs <= ask.window.startUs + 1000 && request.window.endUs >= ask.window.endUs - 1000
        if !isInside || (!ask.isEvent && request.window != ask.window) {
            wrong.append("asked for \(ask.window), the request is for \(request.window)")
        }
        if !request.cameras.isSuperset(of: ask.cameras) {
            wrong.append("asked for \(ask.cameras), the request is for \(request.cameras.sorted())")
        }
        if ask.isEvent, !request.eventKeys.contains(ask.key) { wrong.append("the request does not name the event") }
        if let manner = ask.manner, manner != request.manner {
            wrong.append("asked for \(manner), the request is for \(request.manner)")
        }
        return wrong.map { Violation(.identity, ask.key, "\(request.id): \($0)") }
    }

    private func eventsInTwo(_ requests: [RequestFact]) -> [Violation] {
        var owner: [String: String] = [:]
        var violations: [Violation] = []
        for request in requests {
            if ledger.keys(of: request.id).isEmpty {
                violations.append(Violation(.identity, request.id, "nobody was told of this request"))
            }
            for key in request.eventKeys {
                if let other = owner.updateValue(request.id, forKey: key) {
                    violations.append(Violation(.identity, key, "is in \(other) and in \(request.id)"))
                }
                if ledger.asks[key] == nil {
                    violations.append(Violation(.identity, request.id, "names \(key), which nobody sent"))
                }
            }
        }
        return violations
    }

    // MARK: Ending

    private func judge(_ request: RequestFact) -> [Violation] {
        guard request.isFinal else {
            return [Violation(.ending, request.id, "is \(request.state) when all should have settled")]
        }
        var violations: [Violation] = []
        if let retained = snapshot.retainedStates[request.id], retained != request.state {
            violations.append(
                Violation(.ending, request.id, "the retained status says \(retained), the catalogue \(request.state)"))
        } else if snapshot.retainedStates[request.id] == nil {
            violations.append(Violation(.ending, request.id, "has no retained status"))
        }
        let asks = ledger.keys(of: request.id).compactMap { ledger.asks[$0] }
        if request.state == "cancelled" {
            if asks.allSatisfy({ $0.cancelSentUs.isEmpty }) {
                violations.append(Violation(.ending, request.id, "is cancelled, and nobody cancelled it"))
            }
            return violations
        }
        let acceptedUs = asks.flatMap(\.taken).map(\.atUs).max() ?? request.acceptedUs
        switch request.state {
        case "done":
            if !request.gaps.isEmpty || !request.reason.isEmpty {
                violations.append(Violation(.ending, request.id, "is done with \(request.gaps.count) gaps"))
            }
        case "partial", "failed":
            if request.gaps.isEmpty {
                violations.append(
                    Violation(.ending, request.id, "is \(request.state) without a gap: \(request.reason)"))
            }
        default: break
        }
        violations += gaps(request, acceptedUs: acceptedUs) + left(request)
        violations += uncovered(request)
        if request.state != "failed" { violations += delivery(request) + manifest(request) }
        return violations
    }

    /// Footage that is so old when it is asked for may have made room on the small volume of a campaign.
    static let keptUs = 40 * secondUs

    /// Each gap must lie where a fault was.
    private func gaps(_ request: RequestFact, acceptedUs: Int64) -> [Violation] {
        request.gaps.filter { $0.cause != "expired" || $0.span.endUs > acceptedUs - Self.keptUs }.flatMap { gap in
            history.unexcused(gap.span, of: gap.camera, acceptedUs: acceptedUs)
                .filter { $0.durationUs > Self.seamUs }
                .map { part in
                    Violation(
                        .gap, request.id,
                        "\(gap.camera.rawValue) misses \(part) (\(gap.cause): \(gap.reason)), accepted at \(acceptedUs)"
                    )
                }
        }
    }

    /// Footage that the catalogue has and the request says is missing.
    private func left(_ request: RequestFact) -> [Violation] {
        request.gaps.flatMap { gap in
            (segments[gap.camera] ?? [])
                .compactMap { row in row.span.clipped(to: gap.span).map { (row, $0) } }
                .filter { $0.1.durationUs > Self.seamUs }
                .map { row, part in
                    Violation(
                        .early, request.id,
                        "\(gap.camera.rawValue) is said to miss \(gap.span) (\(gap.cause)), and \(row.path) has \(part)"
                    )
                }
        }
    }

    /// What neither a file nor a gap has.
    private func uncovered(_ request: RequestFact) -> [Violation] {
        request.cameras.sorted().flatMap { camera in
            let held = held(request, of: camera) + request.gaps.filter { $0.camera == camera }.map(\.span)
            return request.window.without(held).filter { $0.durationUs > Self.seamUs }.map { part in
                Violation(.unexplained, request.id, "\(camera.rawValue): neither a file nor a gap has \(part)")
            }
        }
    }

    /// Times of which a request has footage of a camera. A clip's own time is the window, whatever is in it: what it was made of
    /// counts, or has made room since.
    private func held(_ request: RequestFact, of camera: Camera) -> [Span] {
        guard request.manner.isClip else {
            return request.files.filter { $0.camera == camera && $0.isSegment }.map(\.span)
        }
        guard request.files.contains(where: { $0.camera == camera && $0.isClip }) else { return [] }
        let expired = snapshot.missing.filter { $0.camera == camera && $0.cause == "expired" }.map(\.span)
        // What is older than the oldest that is left has no gap's name.
        let oldestUs = snapshot.rows.filter { $0.camera == camera && $0.isSegment }.map(\.span.startUs).min() ?? .max
        return (segments[camera] ?? []).map(\.span) + expired + [Span(.min, oldestUs)]
    }

    // MARK: Delivery

    private func delivery(_ request: RequestFact) -> [Violation] {
        var violations: [Violation] = []
        func wrong(_ path: String, _ text: String) {
            violations.append(Violation(.delivery, request.id, "\(path): \(text)"))
        }
        for file in request.files {
            let hasArrived = request.manner.inCloud ? file.isInCloud : file.isInArchive || file.isInCloud
            guard hasArrived, file.error == nil, let promised = file.fact else {
                wrong(file.path, "is \(file.state) \(file.error ?? "")")
                continue
            }
            if file.isInArchive, snapshot.archive[file.path] != promised {
                wrong(file.path, "the archive has \(show(snapshot.archive[file.path])), promised is \(show(promised))")
            }
            if file.isInCloud, snapshot.blobs[file.path] != promised {
                wrong(file.path, "the container has \(show(snapshot.blobs[file.path])), promised is \(show(promised))")
            }
            if let source = file.sourcePath, let recorded = snapshot.recorded[source], recorded != promised {
                wrong(file.path, "was recorded as \(show(recorded)), promised is \(show(promised))")
            }
            guard !file.isManifest else { continue }
            let sidecar = Self.sidecar(of: file.path)
            if file.isInArchive, snapshot.archive[sidecar] == nil { wrong(sidecar, "the archive has no sidecar") }
            guard file.isInCloud else { continue }
            if snapshot.blobs[sidecar] == nil { wrong(sidecar, "the container has no sidecar") }
            if file.blobURL?.hasSuffix(file.path) != true, file.blobURL?.contains("%") != true {
                wrong(file.path, "is said to be at \(file.blobURL ?? "no address")")
            }
        }
        if request.files.allSatisfy(\.isManifest) { wrong("files", "there are none") }
        let paths = request.files.map(\.path)
        if Set(paths).count != paths.count { wrong("files", "one path is listed twice") }
        return violations
    }

    private func manifest(_ request: RequestFact) -> [Violation] {
        func wrong(_ text: String) -> [Violation] { [Violation(.manifest, request.id, text)] }
        guard let path = request.manifestPath else { return wrong("there is none") }
        guard let manifest = snapshot.manifests[path] else { return wrong("\(path) cannot be read") }
        guard manifest.isWhole else { return [] }
        if manifest.requestID != request.id { return wrong("\(path) is that of \(manifest.requestID)") }
        if manifest.window != request.window { return wrong("\(path) says the window is \(manifest.window)") }
        let files = Set(
            request.files.filter { !$0.isManifest }.map { ManifestFact.File(path: $0.path, fact: $0.fact) })
        if manifest.files != files {
            let difference = manifest.files.symmetricDifference(files).map(\.path).sorted()
            return wrong("\(path) and the request differ in \(difference.joined(separator: ", "))")
        }
        if manifest.gaps != Set(request.gaps.map(\.span)) { return wrong("\(path) names other gaps than the request") }
        return []
    }

    /// The document that lies beside a file.
    static func sidecar(of path: String) -> String {
        guard let dot = path.lastIndex(of: ".") else { return path + ".json" }
        return path[..<dot] + ".json"
    }

    private func show(_ fact: FileFact?) -> String { fact?.description ?? "nothing" }
}
