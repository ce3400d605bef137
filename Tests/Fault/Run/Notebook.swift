// All that a campaign has seen so far, in one place: faults, sightings, asks and answers, violations, and the lines that a
// person follows. The judgements are in Model/; this holds their input.

import Foundation

actor Notebook {
    private(set) var history = FaultHistory()
    private(set) var ledger = Ledger()
    private(set) var violations: [Violation] = []
    private(set) var lines: [String] = []
    /// State of each request as its retained topic says.
    private(set) var retainedStates: [String: String] = [:]
    /// "state run" by the topics of sources, tasks and adapter.
    private(set) var statuses: [String: String] = [:]
    /// From the first message to its receipt, and from there to the end, in microseconds.
    private(set) var answerTimesUs: [Int64] = []
    private(set) var deliveryTimesUs: [Int64] = []
    private(set) var counts: [String: Int] = [:]
    private var answered: Set<String> = []
    private var wantedTasks: [StreamTask: Bool] = [:]
    private var recordingSeen: Set<Camera> = []
    let startedUs = nowUs()

    /// Writes a line, here and to standard output.
    func say(_ what: String, _ text: String) {
        let at = String(format: "%7.1f s", Double(nowUs() - startedUs) / 1e6)
        let line = "\(at)  \(what.padding(toLength: 8, withPad: " ", startingAt: 0))  \(text)"
        lines.append(line)
        print(line)
        fflush(nil)
    }

    func count(_ what: String) { counts[what, default: 0] += 1 }

    // MARK: Violations

    /// Notes what is new of these; says it.
    func note(_ found: [Violation]) {
        let known = Set(violations)
        for violation in found where !known.contains(violation) && !violations.contains(violation) {
            violations.append(violation)
            say("WRONG", "\(violation.rule.rawValue)  \(violation.subject): \(violation.evidence)")
        }
    }

    // MARK: Faults

    func faultBegan(_ process: ProcessName, _ kind: FaultRecord.Kind) -> Int {
        count(kind.rawValue)
        return history.began(FaultRecord(process: process, kind: kind, fromUs: nowUs(), toUs: nil))
    }

    func faultEnded(_ index: Int) { history.ended(index, atUs: nowUs()) }

    // MARK: Cameras

    func saw(_ sighting: Sighting) {
        history.saw(sighting)
        let clips = StreamTask(camera: sighting.camera, stream: "clips")
        if wantedTasks[clips] == true, sighting.isRecording {
            history.recordingBegan(sighting.camera, atUs: sighting.atUs)
        }
    }

    /// What the plan wants of a task from now on: footage is not promised any more when the command to stop is about to leave.
    func wanted(_ task: StreamTask, isRunning: Bool) {
        wantedTasks[task] = isRunning
        if task.isRecording, !isRunning { history.recordingEnds(task.camera, atUs: nowUs()) }
    }

    /// The tasks as they are wanted.
    var tasks: [StreamTask: Bool] { wantedTasks }

    // MARK: Asks

    func asked(_ ask: Ask) { ledger.asked(ask) }
    func sent(_ key: String) { ledger.sent(key, atUs: nowUs()) }
    func cancelSent(_ key: String) { ledger.cancelSent(key, atUs: nowUs()) }
    func ask(_ key: String) -> Ask? { ledger.asks[key] }

    func received(_ receipt: Receipt, under name: String) {
        let before = ledger.asks[name]
        ledger.received(receipt, under: name)
        guard let ask = ledger.asks[name], before?.taken.isEmpty == true, receipt.isTaken,
            answered.insert(name).inserted
        else { return }
        let tookUs = receipt.atUs - (ask.sentUs.first ?? receipt.atUs)
        answerTimesUs.append(tookUs)
        let sends = ask.sentUs.count > 1 ? ", sent \(ask.sentUs.count) times" : ""
        say("receipt", "\(name) \(receipt.word) as \(receipt.requestID ?? "?") after \(seconds(tookUs))\(sends)")
    }

    func status(_ topic: String, _ text: String) { statuses[topic] = text }

    func requestState(_ id: String, _ state: String, files: Int, gaps: Int, reason: String?) {
        let before = retainedStates.updateValue(state, forKey: id)
        guard before != state, ["done", "partial", "failed", "cancelled"].contains(state) else { return }
        let acceptedUs = ledger.keys(of: id).compactMap { ledger.asks[$0]?.taken.map(\.atUs).min() }.min()
        let tookUs = acceptedUs.map { nowUs() - $0 }
        if let tookUs, state == "done" { deliveryTimesUs.append(tookUs) }
        count(state)
        let took = tookUs.map { ", \(seconds($0)) after its receipt" } ?? ""
        say(
            state,
            "\(id): \(files) files\(gaps > 0 ? ", \(gaps) gaps" : "")\(took)\(reason.map { " (\($0))" } ?? "")")
    }
}

/// Wall time in microseconds since 1970.
func nowUs() -> Int64 { Int64(Date().timeIntervalSince1970 * 1e6) }
