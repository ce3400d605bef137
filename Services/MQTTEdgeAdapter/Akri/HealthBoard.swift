// Runtime health as Azure Device Registry takes it (ADR 0028 of the AIO SDKs): told at each change, repeated at an interval, and
// silent from a new definition on until something is known of it. Pure.

import JSON
import Wire

/// How something is that the registry knows.
struct RuntimeHealth: Sendable, Equatable {
    var isAvailable: Bool
    /// CamelCase; nil where it is available.
    var reasonCode: String?
    /// For a person.
    var message: String?

    /// How a camera is.
    init(_ source: SourceStatus) {
        switch source.state {
        case .streaming, .idle: self.init(isAvailable: true)
        case .connecting, .backingOff, .unspecified, .unrecognized, nil:
            self.init(
                isAvailable: false, reasonCode: "Camera" + Self.camelCase(source.cause ?? "connecting"),
                message: source.reason)
        }
    }

    /// How a stream is. One that nobody started is as it should be.
    init(_ task: TaskStatus) {
        switch task.state {
        case .running, .stopped: self.init(isAvailable: true)
        case .waiting: self.init(isAvailable: false, reasonCode: "TaskWaiting", message: task.error)
        case .failed: self.init(isAvailable: false, reasonCode: "TaskFailed", message: task.error)
        case .unspecified, .unrecognized, nil:
            self.init(isAvailable: false, reasonCode: "TaskUnknown", message: task.error)
        }
    }

    init(isAvailable: Bool, reasonCode: String? = nil, message: String? = nil) {
        (self.isAvailable, self.reasonCode, self.message) = (isAvailable, reasonCode, message)
    }

    /// "no_keyframe" as "NoKeyframe".
    private static func camelCase(_ cause: String) -> String {
        cause.split(whereSeparator: { !$0.isLetter && !$0.isNumber }).map { $0.prefix(1).uppercased() + $0.dropFirst() }
            .joined()
    }

    func json(version: Int, atUs: Int64) -> JSONValue {
        .fields([
            "version": .integer(version),
            "status": .string(isAvailable ? "Available" : "Unavailable"),
            "lastUpdateTime": .time(atUs),
            "message": .nonEmpty(message?.prefixed(512)),
            "reasonCode": .nonEmpty(reasonCode),
        ])
    }
}

/// What health belongs to.
enum HealthSubject: Sendable, Hashable {
    case endpoint(SourceName)
    case stream(StreamName)
}

/// What was told, and what is to be told.
struct HealthBoard: Sendable {
    private struct Entry {
        var version: Int
        var health: RuntimeHealth?
        var seenAt: ContinuousClock.Instant?
        /// Nil: not yet since the version is there.
        var toldAt: ContinuousClock.Instant?
    }

    /// Controllers tell all they have once a minute at least: what nobody speaks of for so long is not known to be well.
    static let silence = Duration.seconds(180)

    private let interval: Duration
    private var entries: [HealthSubject: Entry] = [:]

    init(interval: Duration) { self.interval = interval }

    /// A definition is in force. Nothing is told of the subject until its state under it is known.
    mutating func defined(_ subject: HealthSubject, version: Int) {
        guard entries[subject]?.version != version else { return }
        entries[subject] = Entry(version: version)
    }

    /// Nobody asks for it any more.
    mutating func forget(_ subject: HealthSubject) { entries[subject] = nil }

    /// A state was seen. Of what no definition is known it says nothing.
    mutating func saw(_ subject: HealthSubject, _ health: RuntimeHealth, now: ContinuousClock.Instant = .now) {
        guard let entry = entries[subject] else { return }
        // A word that only its text tells apart is told with the next repetition.
        if entry.health?.isAvailable != health.isAvailable || entry.health?.reasonCode != health.reasonCode {
            entries[subject]?.toldAt = nil
        }
        entries[subject]?.health = health
        entries[subject]?.seenAt = now
    }

    /// All is to be told again: the broker may have lost it.
    mutating func tellAgain() { for subject in entries.keys { entries[subject]?.toldAt = nil } }

    /// What is to be told now; it counts as told then.
    mutating func due(now: ContinuousClock.Instant) -> [(subject: HealthSubject, version: Int, health: RuntimeHealth)] {
        var due: [(HealthSubject, Int, RuntimeHealth)] = []
        for (subject, entry) in entries {
            guard var health = entry.health else { continue }
            if health.isAvailable, let seenAt = entry.seenAt, now - seenAt > Self.silence {
                health = RuntimeHealth(
                    isAvailable: false, reasonCode: "NoReport", message: "no controller has reported on it for minutes")
                saw(subject, health, now: now)
            }
            if let toldAt = entries[subject]?.toldAt, now - toldAt < interval { continue }
            entries[subject]?.toldAt = now
            due.append((subject, entry.version, health))
        }
        return due
    }
}
