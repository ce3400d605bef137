// Carries a plan out on a site and judges what came of it: faults and stimuli as they are drawn, then a wait until everything
// has settled, then the whole model. What is decided is in Plan/ and Model/.

import Foundation
import Harness
import Synchronization

struct CampaignOptions: Sendable {
    var kind: CampaignKind
    var seed: UInt64
    var kills: Int
    /// The plan is cut after so many minutes.
    var minutes: Double?
    /// Every so many-th file is played by ffprobe.
    var playEach: Int
}

/// Something that was asked for and whose answer is waited for.
private struct Asking {
    let what: String
    let task: Task<Void, Never>
}

struct Campaign {
    let options: CampaignOptions
    private let shape: SiteShape
    let plan: [PlannedStep]
    let site: Site
    let notebook: Notebook
    private let scratch: TemporaryDirectory
    private let processes: Processes
    private let faults: Faults
    private let stimuli: Stimuli
    private let questions: Questions
    private let evidence: Evidence
    private let blobs: BlobReader

    /// Every message has its answer so soon after the last fault.
    static let answerWithin = Duration.seconds(60)
    /// Every request has its end so soon after that: claims fall back after 30 s, footage is waited for as long.
    static let settleWithin = Duration.seconds(150)
    /// Rules that compare lists that were read one after the other: what they find has to be found twice.
    static let comparesLists: Set<Violation.Rule> = [.catalogue, .unexplained]
    /// A difference between two such lists has to last so long.
    static let agreeWithin = Duration.seconds(20)

    /// Starts the site.
    static func begin(_ options: CampaignOptions) async throws -> Campaign {
        try Processes.adoptOrphans()
        let site = try await Site.up(options.kind.shape.environment)
        do { return try await Campaign(options, site) } catch {
            _ = try? await site.run(["down"])
            throw error
        }
    }

    private init(_ options: CampaignOptions, _ site: Site) async throws {
        self.options = options
        self.site = site
        shape = options.kind.shape
        plan = options.kind.plan(seed: options.seed, kills: options.kills)
        notebook = Notebook()
        scratch = try TemporaryDirectory()
        processes = Processes(site: site)
        try await processes.take(all: shape.processes)
        questions = try Questions(site: site)
        blobs = try BlobReader(site: site)
        faults = Faults(processes: processes, notebook: notebook, blobs: blobs)
        stimuli = Stimuli(site: site, notebook: notebook, questions: questions)
        evidence = try Evidence(site: site, questions: questions, playEach: options.playEach)
        try await shorten()
    }

    private func shorten() async throws {
        for (name, changes) in options.kind.settings(seed: options.seed) {
            let path = "\(site.path)/config/\(name.rawValue).yaml"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            try SiteSettings.changed(text, by: changes).write(toFile: path, atomically: true, encoding: .utf8)
            _ = try await processes.stop(name)
            try await processes.start(name)
        }
    }

    /// Kills what is left of the site, for an interrupted campaign.
    func abandon() async { await processes.killAll() }

    /// Plays the plan. Gives the last snapshot; violations are in the notebook.
    func run() async throws -> Snapshot {
        let watch = try StatusWatch(site: site, scratch: scratch, notebook: notebook)
        let usage = UsageTable(processes: processes, names: shape.services + [.blobServer])
        await usage.note("start")
        let background: [Task<Void, Never>] = [
            Task { await listen(watch) }, Task { await lookAtCameras() }, Task { await watchForDeaths() },
        ]
        var logs = LogScan(site: site, services: shape.services)
        var asking: [Asking] = []
        let end = options.minutes.map { ContinuousClock.now + .seconds($0 * 60) }
        var last = ContinuousClock.now
        for planned in plan {
            if let end, ContinuousClock.now > end, planned != plan.last { continue }
            last += .milliseconds(planned.waitMs)
            try await Task.sleep(until: last, clock: .continuous)
            switch planned.step {
            case .fault(let fault): await faults.perform(fault)
            case .stimulus(let stimulus):
                let stimuli = stimuli
                asking.append(Asking(what: "\(stimulus)", task: Task { await stimuli.perform(stimulus) }))
            case .settle:
                _ = try await settle(&asking, &logs, isAtRest: false)
                await usage.note("after \(await notebook.counts["kill"] ?? 0) kills")
                last = .now
            }
        }
        let snapshot = try await rest(&asking, &logs)
        await usage.note("end")
        for line in await usage.lines { await notebook.say("usage", line) }
        await notebook.note(await logs.secretsShown())
        try await stopAll()
        background.forEach { $0.cancel() }
        try await watch.end()
        await notebook.note(logs.alarms())
        await notebook.note(logs.secretsWritten())
        return snapshot
    }

    // MARK: Watching

    private func listen(_ watch: StatusWatch) async {
        do { try await watch.run() } catch {
            await notebook.note([Violation(.process, "mosquitto_sub", "\(error)")])
        }
    }

    private func lookAtCameras() async {
        while !Task.isCancelled {
            if let word = try? await questions.controllerWord() {
                for sighting in word.sightings { await notebook.saw(sighting) }
            }
            try? await Task.sleep(for: .milliseconds(300))
        }
    }

    private func watchForDeaths() async {
        while !Task.isCancelled {
            for (name, end) in await processes.deaths() { await faults.raise(name, after: end) }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: Settling

    /// Waits until all faults are over, all messages answered and all requests ended; then judges everything.
    private func settle(
        _ asking: inout [Asking], _ logs: inout LogScan, isAtRest: Bool
    ) async throws -> Snapshot {
        let begun = ContinuousClock.now
        await faults.lanes.drained()
        try await blobs.noTrouble()
        await notebook.say("settle", "all processes run; waiting for answers and requests")
        await answers(asking)
        asking = []
        let deadline = ContinuousClock.now + Self.settleWithin
        var open: [String] = ["the indexer did not answer"]
        while ContinuousClock.now < deadline {
            open = (try? await unsettled()) ?? ["the indexer or the controller does not answer"]
            if open.isEmpty { break }
            try await Task.sleep(for: .milliseconds(500))
        }
        if !open.isEmpty {
            await notebook.note([
                Violation(.ending, "settling", "after \(Self.settleWithin): \(open.joined(separator: "; "))")
            ])
        }
        let took = ContinuousClock.now - begun
        await notebook.say(
            "settled", "after \(took.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))")
        let snapshot = try await judged(isAtRest: isAtRest)
        await notebook.note(logs.alarms())
        for name in shape.services {
            if let illness = try await questions.illness(of: name) {
                await notebook.note([Violation(.recovery, name.rawValue, illness)])
            }
        }
        let ledger = await notebook.ledger
        await notebook.say(
            "checked",
            "\(snapshot.requests.count) requests of \(ledger.order.count) messages, \(snapshot.rows.count) recorded files, "
                + "\(snapshot.archive.count) archived, \(snapshot.blobs.count) blobs, \(await evidence.playedCount) played; "
                + "\(await notebook.violations.count) violations so far")
        return snapshot
    }

    private func answers(_ asking: [Asking]) async {
        let waiting = Mutex(asking.map(\.what))
        let timer = Task {
            try? await Task.sleep(for: Self.answerWithin)
            guard !Task.isCancelled else { return }
            let late = waiting.withLock { $0 }
            await notebook.note(late.map { Violation(.unanswered, $0, "no answer within \(Self.answerWithin)") })
            asking.forEach { $0.task.cancel() }
        }
        for (index, asked) in asking.enumerated() {
            await asked.task.value
            waiting.withLock { $0 = asking[(index + 1)...].map(\.what) }
        }
        timer.cancel()
    }

    private func unsettled() async throws -> [String] {
        var open = try await questions.openRequests()
        let items = try await questions.waitingItems()
        if items > 0 { open.append("\(items) items wait") }
        let word = try await questions.controllerWord()
        if word.spooled > 3 { open.append("\(word.spooled) records wait") }
        let statuses = await notebook.statuses
        for (topic, text) in word.statuses where statuses[topic] != text {
            open.append("\(topic) says \(statuses[topic] ?? "nothing"), the controller \(text)")
        }
        for (task, isRunning) in await notebook.tasks {
            let state = word.statuses["asset-status/\(task.name)"] ?? "nothing"
            if state.hasPrefix("running") != isRunning {
                open.append("\(task.name) is \(state), wanted is \(isRunning ? "running" : "stopped")")
            }
        }
        if statuses["sightglass/adapter"]?.hasPrefix("online") != true { open.append("sightglass/adapter is offline") }
        let retained = await notebook.retainedStates
        for id in try await questions.requestIDs() {
            let state = retained[id] ?? "unknown"
            if !["done", "partial", "failed", "cancelled"].contains(state) {
                open.append("the retained status of \(id) is \(state)")
            }
        }
        return open
    }

    /// The whole model. Lists of a living site are read one after the other, so what differs is looked at again; a file that
    /// made room between two lists is in no later row, so only what differs twice in a row counts.
    private func judged(isAtRest: Bool) async throws -> Snapshot {
        let deadline = ContinuousClock.now + Self.agreeWithin
        var before: [Violation]?
        while true {
            let snapshot = try await evidence.snapshot(retainedStates: await notebook.retainedStates)
            let history = await notebook.history
            let volumes = VolumeCheck(history: history, snapshot: snapshot, isAtRest: isAtRest).judge()
            let requests = RequestCheck(ledger: await notebook.ledger, history: history, snapshot: snapshot).judge()
            let archive = ArchiveCheck(history: history, snapshot: snapshot).judge()
            let found = volumes + requests + archive + history.slowRecoveries(nowUs: nowUs())
            if found.isEmpty { return snapshot }
            if let before, ContinuousClock.now > deadline {
                await notebook.note(found.filter { !Self.comparesLists.contains($0.rule) || before.contains($0) })
                return snapshot
            }
            before = found
            try await Task.sleep(for: .seconds(2))
        }
    }

    // MARK: The end

    /// Stops every task, so that nothing grows any more, and judges for the last time.
    private func rest(_ asking: inout [Asking], _ logs: inout LogScan) async throws -> Snapshot {
        for (task, isRunning) in await notebook.tasks where isRunning {
            let stimuli = stimuli
            asking.append(
                Asking(what: "stop of \(task.name)", task: Task { await stimuli.set(task, isRunning: false) }))
        }
        return try await settle(&asking, &logs, isAtRest: true)
    }

    /// Ends every service as an operator does.
    private func stopAll() async throws {
        for name in shape.services.reversed() {
            if let violation = try await processes.stop(name) { await notebook.note([violation]) }
        }
        for volume in ["recording", "archive"] {
            let left = site.staged(volume)
            if !left.isEmpty {
                await notebook.note([
                    Violation(.leftover, volume, "in staging after the end: \(left.joined(separator: ", "))")
                ])
            }
        }
    }
}

/// Memory and descriptors of the services over time.
actor UsageTable {
    private let processes: Processes
    private let names: [ProcessName]
    private(set) var lines: [String] = []

    init(processes: Processes, names: [ProcessName]) { (self.processes, self.names) = (processes, names) }

    func note(_ when: String) async {
        var parts: [String] = []
        for name in names {
            guard let usage = await processes.usage(name) else { continue }
            parts.append("\(name.rawValue) \(usage.memoryKiB / 1024) MiB \(usage.descriptors) fds")
        }
        lines.append("\(when): \(parts.joined(separator: ", "))")
    }
}
