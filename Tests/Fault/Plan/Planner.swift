// Draws the plan of a campaign that hits everything. The same seed gives the same steps; a plan of fewer kills is the beginning of
// one of more, up to its last settling.
//
// Pace: a fault each 0.6 to 2.6 s, now and then a burst of some within half a second, because a process that dies while it
// starts, or while another one is away, is where defects are. Now and then much footage of the past is asked for at once, and
// whoever works on it is hit in the middle. About two of three faults have a stimulus just before them, so
// that they hit work in progress. Everything settles each 50 faults, so that a violation is found near its cause.

import Harness

struct Planner {
    private var random: SplitMix64
    private var steps: [PlannedStep] = []
    private var stimuli = 0
    private var faults = 0
    private var kills = 0
    private var running: [StreamTask: Bool] = [:]
    private var requestKeys: [String] = []
    private var lastCameras = [Camera.line1]

    static let faultsPerRound = 50
    /// Before the first fault: longer than the windows of the first requests reach back.
    static let leadMs = 8000

    /// Tasks that run from the start: two cameras are recorded, the third is kept in memory only.
    static let firstTasks = [StreamTask(camera: .line1, stream: "clips"), StreamTask(camera: .line2, stream: "clips")]
    private static let otherTasks = [
        StreamTask(camera: .dock, stream: "clips"), StreamTask(camera: .line1, stream: "stills"),
        StreamTask(camera: .line1, stream: "pictures"), StreamTask(camera: .line1, stream: "live"),
    ]

    /// How often each process is hit. The services that hold state or work are hit most.
    private static let targets: [(value: ProcessName, weight: Int)] = [
        (.assetRegistry, 10), (.indexer, 18), (.captureController, 18), (.archiver, 14), (.cloudUploader, 14),
        (.mqttEdgeAdapter, 14), (.broker, 5), (.blobServer, 5), (.cameraLine1, 2), (.cameraLine2, 2), (.cameraDock, 2),
        (.relay, 1),
    ]

    private init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// The plan of a seed with at least one and about `kills` kills.
    static func plan(seed: UInt64, kills: Int) -> [PlannedStep] {
        var planner = Planner(seed: seed)
        for task in firstTasks { planner.setTask(task, isRunning: true, waitMs: 0) }
        planner.add(leadMs, .stimulus(planner.request()))
        while planner.kills < kills { planner.drawRound() }
        if planner.steps.last?.step != .settle { planner.add(500, .settle) }
        return planner.steps
    }

    private mutating func add(_ waitMs: Int, _ step: Step) { steps.append(PlannedStep(waitMs: waitMs, step: step)) }

    /// Perhaps a stimulus, then a fault or a burst of them, then perhaps the settling.
    private mutating func drawRound() {
        var waitMs = random.within(600...2600)
        if random.chance(12) {
            volley(waitMs)
            return endRound()
        }
        if random.chance(70) {
            add(waitMs, .stimulus(stimulus()))
            // How long after the message the fault comes: from at once to when its footage is being copied.
            waitMs = random.within(0...900)
        }
        if random.chance(15) {
            let again = random.chance(50) ? target() : nil
            for _ in 0..<random.within(2...4) {
                fault(waitMs, on: again ?? target())
                waitMs = random.within(0...300)
            }
        } else {
            fault(waitMs, on: target())
        }
        endRound()
    }

    /// A long request of all cameras, and kills while it is copied and uploaded.
    private mutating func volley(_ waitMs: Int) {
        let key = nextKey()
        add(
            waitMs,
            .stimulus(
                .archive(
                    key: key, cameras: SiteShape.demo.cameras, ageMs: random.within(15_000...35_000),
                    durationMs: random.within(8000...14_000))))
        let workers: [(value: ProcessName, weight: Int)] = [
            (.archiver, 4), (.cloudUploader, 4), (.indexer, 3), (.mqttEdgeAdapter, 1), (.blobServer, 1),
        ]
        for _ in 0..<random.within(1...3) {
            guard let name = random.choice(workers) else { continue }
            count(.kill([name], downMs: 0), random.within(30...350))
        }
    }

    private mutating func nextKey() -> String {
        stimuli += 1
        let key = "fault-\(stimuli)"
        requestKeys.append(key)
        return key
    }

    private mutating func endRound() {
        if faults >= Self.faultsPerRound {
            faults = 0
            add(500, .settle)
        }
    }

    // MARK: Faults

    private mutating func target() -> ProcessName { random.choice(Self.targets) ?? .indexer }

    private mutating func fault(_ waitMs: Int, on name: ProcessName) {
        let fault: Fault
        switch random.below(100) {
        case 0..<56: fault = .kill([name], downMs: downMs())
        case 56..<62: fault = .kill(several(with: name), downMs: downMs())
        case 62: fault = .kill(ProcessName.services, downMs: downMs())
        case 63..<68:
            let all = StorageTrouble.allCases
            fault = .storage(all[random.below(all.count)], count: random.within(1...6))
        // A camera or a media server that is asked to end does the same as one that is killed.
        case 68..<82 where name.isService || name == .broker || name == .blobServer:
            fault = .restart(name, downMs: downMs())
        case 68..<82: fault = .kill([name], downMs: downMs())
        default: fault = .pause(name, ms: random.within(200...6000))
        }
        count(fault, waitMs)
    }

    private mutating func count(_ fault: Fault, _ waitMs: Int) {
        kills += fault.kills
        faults += 1
        add(waitMs, .fault(fault))
    }

    private mutating func several(with name: ProcessName) -> [ProcessName] {
        var names = [name]
        for _ in 0..<random.within(1...3) {
            let next = target()
            if !names.contains(next) { names.append(next) }
        }
        return names
    }

    private mutating func downMs() -> Int {
        switch random.below(10) {
        case 0..<6: 0
        case 6..<9: random.within(100...1500)
        default: random.within(1500...5000)
        }
    }

    // MARK: Stimuli

    private mutating func stimulus() -> Stimulus {
        switch random.below(100) {
        // A recorder does not stay stopped for long: most of the time two cameras are to be recorded.
        case 0..<25 where Self.firstTasks.contains { running[$0] != true }: return toggle()
        case 0..<84: return request()
        case 84..<90:
            // One of the last few, so that it is under way.
            let recent = requestKeys.suffix(3)
            return .cancel(key: recent[recent.startIndex + random.below(recent.count)])
        default: return toggle()
        }
    }

    private mutating func request() -> Stimulus {
        let key = nextKey()
        // The same cameras again: windows of events that overlap are one request.
        let cameras = random.chance(20) ? lastCameras : cameras()
        lastCameras = cameras
        if random.chance(30) {
            let durationMs = random.within(1000...12_000)
            return .archive(
                key: key, cameras: cameras, ageMs: random.within(2000...45_000), durationMs: durationMs)
        }
        // Most events are told at once, some late.
        let ageMs = random.chance(80) ? random.within(0...300) : random.within(1000...20_000)
        let postMs = random.chance(85) ? random.within(500...6000) : random.within(8000...20_000)
        return .event(
            key: key, cameras: cameras, ageMs: ageMs, preMs: random.within(500...8000), postMs: postMs,
            copies: random.chance(30) ? 2 : 1)
    }

    private mutating func cameras() -> [Camera] {
        let all = SiteShape.demo.cameras
        let chosen = all.filter { _ in random.chance(50) }
        return chosen.isEmpty ? [all[random.below(all.count)]] : chosen
    }

    /// Starts what is stopped, stops what runs.
    private mutating func toggle() -> Stimulus {
        let stopped = Self.firstTasks.filter { running[$0] != true }
        let task: StreamTask
        if let first = stopped.first {
            task = first
        } else {
            let all = Self.firstTasks + Self.otherTasks
            task = all[random.below(all.count)]
        }
        let isRunning = running[task] != true
        running[task] = isRunning
        return .task(task, isRunning: isRunning)
    }

    private mutating func setTask(_ task: StreamTask, isRunning: Bool, waitMs: Int) {
        running[task] = isRunning
        add(waitMs, .stimulus(.task(task, isRunning: isRunning)))
    }
}
