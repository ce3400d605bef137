// Draws the plan of a campaign about the archive: requests whose windows overlap, and kills of who holds the footage, who knows it
// and who copies it. The same seed gives the same steps.
//
// Pace: a kill each 0.6 to 1.9 s, the process back after 50 to 800 ms; the requests spread over all of that. A recorder that dies
// every few seconds has hardly any footage that must be there, so in some stretches of ten kills it is left alone.
// Everything settles each 100 kills, so that a violation is found near its cause.

import Harness

struct ArchivePlanner {
    private var random: SplitMix64
    private var steps: [PlannedStep] = []
    private let cameras: [Camera]
    private let kills: Int
    private let requests: Int
    private var killed = 0
    private var keys: [String] = []
    private var nextStretch = 0
    private var isRecorderSpared = false

    static let killsPerRound = 100
    static let killsPerStretch = 10
    /// Before the first kill: there has to be footage to ask for.
    static let leadMs = 8000

    private init(seed: UInt64, kills: Int, requests: Int, cameras: [Camera]) {
        random = SplitMix64(seed: seed)
        self.kills = kills
        self.requests = requests
        self.cameras = cameras
    }

    /// The plan of a seed with exactly so many kills and so many requests.
    static func plan(seed: UInt64, kills: Int, requests: Int, cameras: [Camera]) -> [PlannedStep] {
        var planner = ArchivePlanner(seed: seed, kills: kills, requests: requests, cameras: cameras)
        for camera in cameras {
            planner.add(0, .stimulus(.task(StreamTask(camera: camera, stream: "clips"), isRunning: true)))
        }
        planner.add(leadMs, .stimulus(planner.request()))
        while planner.killed < kills { planner.drawKill() }
        // Two killed at once were one moment for requests.
        while planner.keys.count < requests { planner.add(20, .stimulus(planner.request())) }
        planner.add(500, .settle)
        return planner.steps
    }

    private mutating func add(_ waitMs: Int, _ step: Step) { steps.append(PlannedStep(waitMs: waitMs, step: step)) }

    // MARK: Kills

    private mutating func drawKill() {
        if killed >= nextStretch {
            nextStretch += Self.killsPerStretch
            isRecorderSpared = random.chance(40)
        }
        let gapMs = random.within(600...1900)
        // Requests at random moments of the time before this kill, as many as keep pace with the kills.
        let due = max(0, requests * (killed + 1) / kills - keys.count)
        var atMs = 0
        for momentMs in (0..<due).map({ _ in random.within(0...gapMs) }).sorted() {
            add(momentMs - atMs, .stimulus(request()))
            if random.chance(15) { add(0, .stimulus(again())) }
            atMs = momentMs
        }
        var names = [target()]
        if killed + 1 < kills, random.chance(8) {
            let other = target()
            if other != names[0] { names.append(other) }
        }
        add(gapMs - atMs, .fault(.kill(names, downMs: random.within(50...800))))
        let round = killed / Self.killsPerRound
        killed += names.count
        if killed / Self.killsPerRound > round, killed < kills { add(500, .settle) }
    }

    private mutating func target() -> ProcessName {
        let targets: [(value: ProcessName, weight: Int)] = [
            (.indexer, 4), (.archiver, 3), (.secondArchiver, 2), (.captureController, isRecorderSpared ? 0 : 3),
        ]
        return random.choice(targets) ?? .indexer
    }

    // MARK: Requests

    private mutating func request() -> Stimulus {
        let key = "archive-\(keys.count + 1)"
        keys.append(key)
        // The fewer of two draws: many requests of few cameras, some of all.
        let count = min(random.within(1...cameras.count), random.within(1...cameras.count))
        let chosen = choose(count)
        if random.chance(25) {
            return .event(
                key: key, cameras: chosen,
                ageMs: random.chance(70) ? random.within(0...300) : random.within(1000...40_000),
                preMs: random.within(500...10_000), postMs: random.within(500...10_000),
                copies: random.chance(20) ? 2 : 1)
        }
        let durationMs = random.within(1000...20_000)
        // The end lies up to 10 s ahead, the start at most 60 s back; every other window ends about now.
        let endMs = random.chance(50) ? random.within(-5000...10_000) : random.within(-50_000...10_000)
        let ageMs = min(60_000, durationMs - endMs)
        let manner = Manner(isClip: random.chance(45), inCloud: random.chance(25))
        return .archive(key: key, cameras: chosen, ageMs: ageMs, durationMs: durationMs, manner: manner)
    }

    /// So many of the cameras, in their order.
    private mutating func choose(_ count: Int) -> [Camera] {
        var left = cameras
        while left.count > count { left.remove(at: random.below(left.count)) }
        return left
    }

    /// One of the last ten messages comes again.
    private mutating func again() -> Stimulus {
        let recent = keys.suffix(10)
        return .again(key: recent[recent.startIndex + random.below(recent.count)])
    }
}
