// HealthRegister: what a service says of itself. Ready when all its conditions are: it answers and owns what it
// needs. Neighbours that are away are shown, and never make it unready. Answered by Health/Check, see HealthReport.swift.
import Logging
import Synchronization

/// The conditions under which a service is ready.
public final class HealthRegister: Sendable {
    private struct Condition {
        var isReady: Bool
        var reason: String
    }

    /// More conditions than any service has; a name made of data would otherwise grow without bound.
    static let maximumConditions = 64

    private let conditions = Mutex<[String: Condition]>([:])
    private let logger: Logger

    /// Without conditions, which is ready.
    public init(logger: Logger = Logger(label: "health") { _ in SwiftLogNoOpLogHandler() }) {
        self.logger = logger
    }

    /// States a condition. `reason` says why it is not ready and what to do, in one sentence; each change is logged once.
    public func set(_ name: String, ready isReady: Bool, reason: String = "") {
        let reason = Redaction.redact(reason)
        let change: Bool = conditions.withLock { conditions in
            let before = conditions[name]
            guard before != nil || conditions.count < Self.maximumConditions else { return false }
            conditions[name] = Condition(isReady: isReady, reason: reason)
            // Being ready from the beginning is no news.
            return before.map { $0.isReady != isReady || !isReady && $0.reason != reason } ?? !isReady
        }
        guard change else { return }
        if isReady {
            logger.notice("ready again", metadata: ["condition": "\(name)"])
        } else {
            logger.warning("not ready", metadata: ["condition": "\(name)", "reason": "\(reason)"])
        }
    }

    /// Removes a condition, for what is no longer needed.
    public func remove(_ name: String) { _ = conditions.withLock { $0.removeValue(forKey: name) } }

    /// Whether every condition is ready.
    public var isReady: Bool { conditions.withLock { $0.values.allSatisfy(\.isReady) } }

    /// Why it is not ready, "name: reason", by name.
    public var reasons: [String] {
        conditions.withLock { conditions in
            conditions.filter { !$0.value.isReady }.sorted { $0.key < $1.key }
                .map { $0.value.reason.isEmpty ? $0.key : "\($0.key): \($0.value.reason)" }
        }
    }
}
