// HealthReport: the answer to Health/Check, made of what the service knows of itself.
import Wire

/// Whether a service that is called answers.
struct NeighbourState: Sendable, Equatable {
    var role: String
    /// Why it does not answer; nil where it does.
    var problem: String?
}

enum HealthReport {
    static func reply(
        service: String, build: String, health: HealthRegister, uptimeUs: Int64, neighbours: [NeighbourState],
        metrics: [MetricSample]
    ) -> HealthReply {
        let reasons = health.reasons
        return HealthReply(
            service: service, build: build, live: true, ready: reasons.isEmpty, reasons: reasons,
            uptimeMs: UInt64(max(0, uptimeUs) / 1_000),
            neighbours: neighbours.map {
                Neighbour(role: $0.role, reachable: $0.problem == nil, error: $0.problem.map(Redaction.redact))
            },
            metrics: metrics.map { MetricValue(name: $0.name, labels: $0.labels, value: $0.value) })
    }
}
