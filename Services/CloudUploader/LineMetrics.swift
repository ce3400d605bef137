// The numbers of the line to the storage.
import Metrics

struct LineMetrics: Sendable {
    private let answered = Counter(label: "sightglass_uploader_requests_total", dimensions: [("outcome", "answered")])
    private let throttled = Counter(label: "sightglass_uploader_requests_total", dimensions: [("outcome", "throttled")])
    private let broken = Counter(label: "sightglass_uploader_requests_total", dimensions: [("outcome", "broken")])
    /// Body bytes of requests that were answered.
    private let sentBytes = Counter(label: "sightglass_uploader_sent_bytes_total")
    /// Time for which the service had us wait (Retry-After).
    private let throttledSeconds = FloatingPointCounter(label: "sightglass_uploader_throttled_seconds_total")
    private let inFlight = Gauge(label: "sightglass_uploader_requests_in_flight")
    /// How many there may be.
    private let limit = Gauge(label: "sightglass_uploader_requests_limit")
    /// What may be sent: 0 is nothing, -1 is no limit.
    private let bandwidth = Gauge(label: "sightglass_uploader_bandwidth_bytes_per_second")
    /// Body bytes of requests that had to be sent again.
    private static let resentBytes = Counter(label: "sightglass_uploader_resent_bytes_total")

    func count(_ outcome: LineOutcome) {
        switch outcome {
        case .answered(let bytes):
            answered.increment()
            if bytes > 0 { sentBytes.increment(by: bytes) }
        case .throttled: throttled.increment()
        case .broken: broken.increment()
        }
    }

    func count(held: Duration) {
        if held > .zero { throttledSeconds.increment(by: held / .seconds(1)) }
    }

    func show(_ line: LineState) {
        inFlight.record(line.inFlight)
        limit.record(line.flights.limit)
    }

    func show(_ rate: Bandwidth) { bandwidth.record(rate.bytesPerSecond ?? -1) }

    static func count(resent bytes: Int) {
        if bytes > 0 { resentBytes.increment(by: bytes) }
    }
}
