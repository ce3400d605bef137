// What a campaign leaves for a person (report.txt) and for programs (report.json).

import Foundation

struct Report {
    let options: CampaignOptions
    let plan: [PlannedStep]
    let history: FaultHistory
    let ledger: Ledger
    let snapshot: Snapshot
    let violations: [Violation]
    let counts: [String: Int]
    let answerTimesUs: [Int64]
    let deliveryTimesUs: [Int64]
    let lines: [String]
    let sitePath: String
    let startedUs: Int64
    let endedUs: Int64

    init(_ campaign: Campaign, _ snapshot: Snapshot) async {
        options = campaign.options
        plan = campaign.plan
        history = await campaign.notebook.history
        ledger = await campaign.notebook.ledger
        self.snapshot = snapshot
        violations = await campaign.notebook.violations
        counts = await campaign.notebook.counts
        answerTimesUs = await campaign.notebook.answerTimesUs
        deliveryTimesUs = await campaign.notebook.deliveryTimesUs
        lines = await campaign.notebook.lines
        sitePath = campaign.site.path
        startedUs = campaign.notebook.startedUs
        endedUs = nowUs()
    }

    /// The last lines of a campaign.
    var summary: [String] {
        let byProcess = Dictionary(grouping: history.faults, by: \.process).sorted { $0.key < $1.key }
            .map { "\($0.key.rawValue) \($0.value.count)" }.joined(separator: ", ")
        let states = Dictionary(grouping: snapshot.requests, by: \.state).sorted { $0.key < $1.key }
            .map { "\($0.value.count) \($0.key)" }.joined(separator: ", ")
        let sealed = snapshot.rows.filter(\.isSegment)
        return [
            "\(options.kind.options)--seed \(options.seed), \(seconds(endedUs - startedUs)): \(counts["kill"] ?? 0) kills, "
                + "\(counts["restart"] ?? 0) restarts, \(counts["pause"] ?? 0) pauses, \(counts["storage"] ?? 0) storage troubles",
            "faults       \(byProcess)",
            "messages     \(ledger.order.count), answered after \(Self.spread(answerTimesUs))",
            "requests     \(snapshot.requests.count): \(states); done after \(Self.spread(deliveryTimesUs))",
            "recorded     \(sealed.count) segments, \(sealed.count(where: \.isSalvaged)) of them salvaged, "
                + "\(snapshot.rows.count - sealed.count) pictures",
            "delivered    \(snapshot.archive.count) files in the archive, \(snapshot.blobs.count) blobs; "
                + "\(snapshot.manifests.count) manifests and \(snapshot.sidecars.count) sidecars read, "
                + "\(snapshot.clips.count) clips played",
            violations.isEmpty ? "clean" : "\(violations.count) violations; the site is kept in \(sitePath)",
        ]
    }

    /// What was wrong, two lines each.
    var violationLines: [String] {
        violations.map { "  \($0.rule.rawValue)  \($0.subject)\n    \($0.evidence)" }
    }

    private static func spread(_ timesUs: [Int64]) -> String {
        let sorted = timesUs.sorted()
        guard let last = sorted.last else { return "-" }
        return "\(seconds(sorted[sorted.count / 2])) (half), \(seconds(sorted[sorted.count * 95 / 100])) (95 %), "
            + "\(seconds(last)) (all)"
    }

    func write(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: folder + "/report.txt", atomically: true, encoding: .utf8)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(ReportJSON(self)).write(to: URL(fileURLWithPath: folder + "/report.json"))
    }

    private var text: String {
        var parts = ["Fault campaign", ""] + summary
        if !violations.isEmpty { parts += ["", "Violations"] + violationLines }
        parts += ["", "Faults and footage", ""]
        parts += Picture(history: history, snapshot: snapshot, span: Span(startedUs, endedUs)).lines()
        parts += ["Requests", ""] + snapshot.requests.sorted { $0.acceptedUs < $1.acceptedUs }.map(life)
        parts += ["", "What happened", ""] + lines
        parts += ["", "Plan", ""] + plan.map { "  +\($0.waitMs) ms  \($0.step)" }
        return parts.joined(separator: "\n") + "\n"
    }

    private func life(_ request: RequestFact) -> String {
        let asks = ledger.keys(of: request.id).compactMap { ledger.asks[$0] }.sorted { $0.key < $1.key }
        let keys = asks.map { ask in
            let receipts = ask.receipts.map { "\($0.word) \(at($0.atUs))" }.joined(separator: ", ")
            return "\(ask.key) sent \(ask.sentUs.map(at).joined(separator: ", ")): \(receipts)"
        }
        let end = request.finishedUs.map { "\(request.state) \(at($0))" } ?? request.state
        let gaps = request.gaps.map {
            "    gap  \($0.camera.rawValue) \(at($0.span.startUs)) \(seconds($0.span.durationUs)) \($0.cause)"
        }
        return
            ([
                "  \(request.id)  window \(at(request.window.startUs)) to \(at(request.window.endUs)), accepted "
                    + "\(at(request.acceptedUs)), \(end), \(request.files.count) files \(request.reason)"
            ] + keys.map { "    \($0)" } + gaps).joined(separator: "\n")
    }

    private func at(_ us: Int64) -> String { seconds(us - startedUs) }
}

/// The report as programs read it. Times are microseconds since 1970.
struct ReportJSON: Encodable {
    struct FaultRow: Encodable { let process, kind: String, fromUs: Int64, toUs: Int64? }
    struct RequestRow: Encodable {
        let id, state, reason: String
        let startUs, endUs, acceptedUs: Int64
        let finishedUs: Int64?
        let keys, files, gaps: [String]
    }
    struct ViolationRow: Encodable { let rule, subject, evidence: String }

    let options: String
    let seed: UInt64
    let kills: Int
    let startedUs, endedUs: Int64
    let isClean: Bool
    let counts: [String: Int]
    let answerTimesUs, deliveryTimesUs: [Int64]
    let violations: [ViolationRow]
    let faults: [FaultRow]
    let requests: [RequestRow]
    let plan: [String]

    init(_ report: Report) {
        options = report.options.kind.options.trimmingCharacters(in: .whitespaces)
        seed = report.options.seed
        kills = report.options.kills
        startedUs = report.startedUs
        endedUs = report.endedUs
        isClean = report.violations.isEmpty
        counts = report.counts
        answerTimesUs = report.answerTimesUs
        deliveryTimesUs = report.deliveryTimesUs
        violations = report.violations.map {
            ViolationRow(rule: $0.rule.rawValue, subject: $0.subject, evidence: $0.evidence)
        }
        faults = report.history.faults.map {
            FaultRow(process: $0.process.rawValue, kind: $0.kind.rawValue, fromUs: $0.fromUs, toUs: $0.toUs)
        }
        requests = report.snapshot.requests.map { request in
            RequestRow(
                id: request.id, state: request.state, reason: request.reason, startUs: request.window.startUs,
                endUs: request.window.endUs, acceptedUs: request.acceptedUs, finishedUs: request.finishedUs,
                keys: report.ledger.keys(of: request.id).sorted(), files: request.files.map(\.path),
                gaps: request.gaps.map { "\($0.camera.rawValue) \($0.span) \($0.cause)" })
        }
        plan = report.plan.map { "+\($0.waitMs) ms \($0.step)" }
    }
}
