// How a task's desired state changes. Pure. A run has one id and one set of settings: whatever needs other settings is a
// new run; what only moves the end is the same run.

import Wire

enum DesiredTransition {
    /// Bound of the contract for an override: it is stored, and sent to every controller with the configuration.
    static let maximumOverrideBytes = 16 * 1024
    /// Bound of the contract for `ends_after_ms`: a week.
    static let maximumEndsAfterMs: UInt64 = 604_800_000

    /// What a stream shall do when it is first seen, or seen again before it ever ran. Nil: nothing changes.
    static func firstSight(_ current: DesiredState?, autostart: Bool, nowUs: Int64, runID: String) -> DesiredState? {
        if let current {
            // Somebody who set autostart to true later means it; somebody who stopped a running task means that too.
            guard autostart, current.running != true, (current.runID ?? "").isEmpty else { return nil }
        }
        guard autostart else { return DesiredState(running: false, runID: "", changedUs: nowUs) }
        return DesiredState(
            running: true, runID: runID, startedBy: "autostart", changedUs: nowUs, startedUs: nowUs)
    }

    /// A start. Nil where the task runs already with these settings and this end.
    static func start(
        _ current: DesiredState?, overrideJSON: String?, endsAtUs: Int64?, by: String, nowUs: Int64, runID: String
    ) -> DesiredState? {
        guard let current, current.running == true, current.overrideJSON == overrideJSON else {
            return DesiredState(
                running: true, runID: runID, overrideJSON: overrideJSON, startedBy: by, changedUs: nowUs,
                endsAtUs: endsAtUs, startedUs: nowUs)
        }
        guard current.endsAtUs != endsAtUs else { return nil }
        var next = current
        next.endsAtUs = endsAtUs
        next.startedBy = by
        next.changedUs = nowUs
        return next
    }

    /// A stop. The id of the last run stays for those who look; its override goes with it. Nil where it does not run.
    static func stop(_ current: DesiredState?, by: String, nowUs: Int64) -> DesiredState? {
        guard let current, current.running == true else { return nil }
        return DesiredState(
            running: false, runID: current.runID, startedBy: by, changedUs: nowUs, startedUs: current.startedUs)
    }

    /// The stop of a run whose end has come. Nil where it has not.
    static func end(_ current: DesiredState, nowUs: Int64) -> DesiredState? {
        guard let endsAtUs = current.endsAtUs, endsAtUs <= nowUs else { return nil }
        return stop(current, by: "timer", nowUs: nowUs)
    }
}
