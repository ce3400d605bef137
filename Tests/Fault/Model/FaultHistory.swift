// What was done to the site and what was seen of its cameras, and from both: when footage may be missing. Pure: observations
// in, spans out.
//
// A fault of the controller or of a camera excuses missing footage from a moment before it (what had not reached the disk)
// until the camera was seen streaming again, and a moment more (a keyframe has to come). What is not recorded by a task is in
// memory only: it is lost with any fault that keeps the request from reaching the controller while the ring has it, but what
// comes when everybody is back must be there.

/// A fault that was done.
struct FaultRecord: Sendable, Equatable {
    enum Kind: String, Sendable, Equatable { case kill, restart, pause }

    let process: ProcessName
    let kind: Kind
    let fromUs: Int64
    /// When the process was started or continued; nil: not yet.
    var toUs: Int64?
}

/// What the controller said of a camera.
struct Sighting: Sendable, Equatable {
    let atUs: Int64
    let camera: Camera
    /// The present run; nil while it does not stream.
    let runID: String?
    /// Whether its clip task runs.
    let isRecording: Bool
}

struct FaultHistory: Sendable {
    private(set) var faults: [FaultRecord] = []
    private var sightings: [Camera: [Sighting]] = [:]
    /// When each run of a camera was seen first.
    private var runs: [Camera: [String: Int64]] = [:]
    /// When a clip task was to record the camera, and was seen to. The last one may be open.
    private(set) var recordings: [Camera: [Span]] = [:]

    /// What a killed recorder may lose of the past: 0.2 s are promised; the rest is the time between two looks at the clock.
    static let lossBeforeUs: Int64 = 500_000
    /// From the sighting of a new session to its first keyframe on disk: a group of pictures, and the anchor's settling.
    static let settleUs = 3 * secondUs
    /// A session may end so long after a pause because of it: a camera's silence is noticed after 5 s.
    static let aftermathUs = 8 * secondUs
    /// The rings hold 30 s; the oldest of it may be gone when the question arrives.
    static let ringUs = 22 * secondUs
    /// So soon after the last fault on its way a request has reached the controller, and its camera is recorded.
    static let returnUs = 8 * secondUs
    /// A camera is back so soon after the last fault that keeps it away: back-off, silence, connection, salvage.
    static let recoveryUs = 30 * secondUs

    // MARK: Observations

    mutating func began(_ fault: FaultRecord) -> Int {
        faults.append(fault)
        return faults.count - 1
    }

    mutating func ended(_ index: Int, atUs: Int64) {
        if faults[index].toUs == nil { faults[index].toUs = atUs }
    }

    /// Sightings come in the order of their times.
    mutating func saw(_ sighting: Sighting) {
        sightings[sighting.camera, default: []].append(sighting)
        guard let runID = sighting.runID, runs[sighting.camera]?[runID] == nil else { return }
        runs[sighting.camera, default: [:]][runID] = sighting.atUs
    }

    mutating func recordingBegan(_ camera: Camera, atUs: Int64) {
        if recordings[camera]?.last?.endUs == .max { return }
        recordings[camera, default: []].append(Span(atUs, .max))
    }

    mutating func recordingEnds(_ camera: Camera, atUs: Int64) {
        guard let last = recordings[camera]?.indices.last, recordings[camera]?[last].endUs == .max else { return }
        recordings[camera]?[last].endUs = atUs
    }

    func sightings(of camera: Camera) -> [Sighting] { sightings[camera] ?? [] }

    /// A long campaign has thousands of sightings and asks for each fault, so it is not looked at from the first one on.
    private func sightings(of camera: Camera, after us: Int64) -> ArraySlice<Sighting> {
        let all = sightings(of: camera)
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle].atUs <= us { low = middle + 1 } else { high = middle }
        }
        return all[low...]
    }

    // MARK: Excuses

    /// Spans in which footage of a camera may be missing although it is recorded.
    func disturbed(_ camera: Camera) -> [Span] { touching(camera).map { disturbance(of: camera, by: $0) } }

    /// The faults that may cost a camera footage of a window.
    func faults(on camera: Camera, in window: Span) -> [FaultRecord] {
        touching(camera).filter { disturbance(of: camera, by: $0).overlaps(window) }
    }

    private func touching(_ camera: Camera) -> [FaultRecord] {
        faults.filter { $0.process == .captureController || $0.process == camera.process }
    }

    private func disturbance(of camera: Camera, by fault: FaultRecord) -> Span {
        let recoveredUs = recovery(of: camera, from: fault) ?? .max - Self.settleUs
        return Span(fault.fromUs - Self.lossBeforeUs, recoveredUs + Self.settleUs)
    }

    /// When a camera was first seen streaming after a fault; nil: not yet.
    private func recovery(of camera: Camera, from fault: FaultRecord) -> Int64? {
        guard let toUs = fault.toUs else { return nil }
        let later = sightings(of: camera, after: toUs)
        if fault.kind != .pause {
            // The session of before the fault is over, whatever a status that was asked a moment too early says.
            let runs = runs[camera] ?? [:]
            return later.first { sighting in
                sighting.runID.map { runs[$0, default: sighting.atUs] > fault.fromUs } ?? false
            }?.atUs
        }
        guard let first = later.first(where: { $0.runID != nil }) else { return nil }
        let aftermath = later.prefix { $0.atUs <= toUs + Self.aftermathUs }
        guard aftermath.contains(where: { $0.runID != first.runID }) else { return first.atUs }
        return later.last { $0.runID != nil && $0.atUs <= toUs + Self.aftermathUs }?.atUs ?? first.atUs
    }

    /// Cameras that took too long to come back, each with the fault and the time.
    func slowRecoveries(nowUs: Int64) -> [Violation] {
        var violations: [Violation] = []
        for camera in sightings.keys.sorted() {
            let touching = faults.filter {
                $0.process == .captureController || $0.process == camera.process || $0.process == .assetRegistry
            }
            for fault in touching where fault.process != .assetRegistry {
                let recoveredUs = recovery(of: camera, from: fault) ?? nowUs
                let lastUs = touching.filter { $0.fromUs < recoveredUs }.map { $0.toUs ?? nowUs }.max() ?? recoveredUs
                guard recoveredUs - lastUs > Self.recoveryUs else { continue }
                violations.append(
                    Violation(
                        .recovery, camera.rawValue,
                        "\(fault.kind.rawValue) of \(fault.process.rawValue): not streaming "
                            + "\(seconds(recoveredUs - lastUs)) after the last fault that keeps it away"))
            }
        }
        return violations
    }

    /// The parts of missing footage that nothing excuses. `acceptedUs`: when the request was last answered.
    func unexcused(_ gap: Span, of camera: Camera, acceptedUs: Int64) -> [Span] {
        var excuses = disturbed(camera).filter { $0.overlaps(gap) }
        if let first = sightings(of: camera).first(where: { $0.runID != nil }) {
            excuses.append(Span(.min, first.atUs + Self.settleUs))
        }
        return gap.without(excuses).flatMap { part in
            let recorded = (recordings[camera] ?? []).compactMap { $0.clipped(to: part) }
            let inMemory = part.without(recordings[camera] ?? [])
            if inMemory.isEmpty { return recorded }
            let lost = lostFromMemory(camera, acceptedUs: acceptedUs)
            return recorded + inMemory.flatMap { $0.without(lost) }
        }.sorted()
    }

    /// Spans in which footage that no task recorded could not be kept: what the ring had forgotten when the request came, and
    /// all that a fault kept the request from until everybody was back.
    private func lostFromMemory(_ camera: Camera, acceptedUs: Int64) -> [Span] {
        let onTheWay: Set<ProcessName> = [
            .captureController, .mqttEdgeAdapter, .assetRegistry, .broker, .indexer, camera.process,
        ]
        let faults = faults.filter { onTheWay.contains($0.process) }.map { fault in
            let fromUs = fault.fromUs <= acceptedUs + secondUs ? Int64.min : fault.fromUs
            return Span(fromUs, fault.toUs.map { $0 + Self.returnUs } ?? .max)
        }
        return faults + [Span(.min, acceptedUs - Self.ringUs)]
    }
}

/// "1.5 s".
func seconds(_ us: Int64) -> String {
    let tenths = (us + 50_000) / 100_000
    return "\(tenths / 10).\(abs(tenths % 10)) s"
}
