// What the sessions with a camera passed over, as metrics: a stream that arrives torn shows here while its recording goes on.
import Metrics
import RTSP

/// The counters of one source, over all its sessions.
struct SessionLosses: Sendable {
    private let packetsLost: Counter
    private let unitsTorn: Counter
    private let framesSkipped: Counter
    private let noiseBytes: Counter

    init(_ source: SourceKey, factory: any MetricsFactory = MetricsSystem.factory) {
        func counter(_ name: String) -> Counter {
            Counter(
                label: "sightglass_controller_\(name)_total", dimensions: [("source", "\(source)")], factory: factory)
        }
        packetsLost = counter("rtp_packets_lost")
        unitsTorn = counter("pictures_torn")
        framesSkipped = counter("rtp_packets_skipped")
        noiseBytes = counter("rtsp_noise_bytes")
    }

    /// Counts what a session passed over since it was counted last.
    func count(_ now: SourceCounters, after before: SourceCounters) {
        func add(_ counter: Counter, _ path: KeyPath<SourceCounters, UInt64>) {
            // A camera that leads elsewhere makes a session begin anew behind our back.
            let (counted, known) = (now[keyPath: path], before[keyPath: path])
            let grown = counted >= known ? counted - known : counted
            if grown > 0 { counter.increment(by: Int64(clamping: grown)) }
        }
        add(packetsLost, \.packetsLost)
        add(unitsTorn, \.unitsTorn)
        add(framesSkipped, \.framesSkipped)
        add(noiseBytes, \.noiseBytes)
    }
}
