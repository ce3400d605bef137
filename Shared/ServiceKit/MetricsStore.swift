// MetricsStore: the swift-metrics backend of every service. Numbers are kept in memory and shown by Health/Check; names and
// labels are Prometheus's. The number of series is bounded: what is beyond shares one series that nobody sees, and is
// counted in sightglass_metrics_refused_series_total, because a label that grows without end (a path, a request id) is a
// mistake that must not cost memory for ever.
import CoreMetrics
import Synchronization

/// One number, as Health/Check shows it.
public struct MetricSample: Sendable, Hashable {
    /// "sightglass_indexer_records_total".
    public let name: String
    /// `source="cam1/main"`, empty for none; values escaped as Prometheus does.
    public let labels: String
    /// The number.
    public let value: Double
}

/// Keeps metrics in memory.
public final class MetricsStore: MetricsFactory {
    /// Label sets of one name. 256: cameras of a large site times two.
    public static let maximumSeriesPerName = 256
    /// Series altogether. 2048 of them fit a reply of Health/Check several times.
    public static let maximumSeries = 2048
    /// The series that counts what was refused.
    public static let refusedName = "sightglass_metrics_refused_series_total"

    private struct Key: Hashable {
        let name: String
        let labels: String
    }

    private struct Table {
        var series: [Key: Series] = [:]
        var perName: [String: Int] = [:]
        var refused: Double = 0
    }

    private let table = Mutex(Table())
    private let overflow = Series(.sum)

    /// Empty.
    public init() {}

    /// All numbers, by name and labels. Timers and recorders are a count and a sum, timers in seconds.
    public func samples() -> [MetricSample] {
        let (series, refused) = table.withLock { ($0.series, $0.refused) }
        var samples: [MetricSample] = []
        for (key, one) in series {
            let (count, sum) = one.values
            switch one.kind {
            case .sum: samples.append(MetricSample(name: key.name, labels: key.labels, value: sum))
            case .countAndSum:
                samples.append(MetricSample(name: key.name + "_count", labels: key.labels, value: count))
                samples.append(MetricSample(name: key.name + "_sum", labels: key.labels, value: sum))
            }
        }
        if refused > 0 { samples.append(MetricSample(name: Self.refusedName, labels: "", value: refused)) }
        return samples.sorted { ($0.name, $0.labels) < ($1.name, $1.labels) }
    }

    /// A number that only grows.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .sum)
    }

    /// A number that only grows, with fractions.
    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, .sum)
    }

    /// A number that goes up and down.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .sum)
    }

    /// Values as count and sum, or the last one where they are not aggregated.
    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        series(label, dimensions, aggregate ? .countAndSum : .sum)
    }

    /// Durations as count and sum, in seconds.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .countAndSum)
    }

    /// Forgets the series.
    public func destroyCounter(_ handler: any CounterHandler) { forget(handler) }
    /// Forgets the series.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { forget(handler) }
    /// Forgets the series.
    public func destroyMeter(_ handler: any MeterHandler) { forget(handler) }
    /// Forgets the series.
    public func destroyRecorder(_ handler: any RecorderHandler) { forget(handler) }
    /// Forgets the series.
    public func destroyTimer(_ handler: any TimerHandler) { forget(handler) }

    private func series(_ name: String, _ dimensions: [(String, String)], _ kind: Series.Kind) -> Series {
        let key = Key(name: name, labels: Self.text(dimensions))
        return table.withLock { table in
            if let known = table.series[key] { return known }
            let ofName = table.perName[name, default: 0]
            guard ofName < Self.maximumSeriesPerName, table.series.count < Self.maximumSeries else {
                table.refused += 1
                return overflow
            }
            let new = Series(kind)
            table.series[key] = new
            table.perName[name] = ofName + 1
            return new
        }
    }

    private func forget(_ handler: AnyObject) {
        table.withLock { table in
            for (key, series) in table.series where series === handler {
                table.series[key] = nil
                table.perName[key.name, default: 1] -= 1
            }
        }
    }

    private static func text(_ dimensions: [(String, String)]) -> String {
        dimensions.map { name, value in
            let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            return "\(name)=\"\(escaped)\""
        }.joined(separator: ",")
    }
}

/// One number, or a count and a sum.
private final class Series: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    enum Kind { case sum, countAndSum }

    let kind: Kind
    private let state = Mutex<(count: Double, sum: Double)>((0, 0))

    init(_ kind: Kind) { self.kind = kind }

    var values: (count: Double, sum: Double) { state.withLock { $0 } }

    func increment(by amount: Int64) { add(Double(amount)) }
    func increment(by amount: Double) { add(amount) }
    func decrement(by amount: Double) { add(-amount) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { state.withLock { $0.sum = value } }
    func reset() { state.withLock { $0 = (0, 0) } }
    func recordNanoseconds(_ duration: Int64) { add(Double(duration) / 1e9) }
    func record(_ value: Int64) { record(Double(value)) }

    /// A gauge, which is a recorder that does not aggregate, keeps the last value.
    func record(_ value: Double) {
        switch kind {
        case .sum: set(value)
        case .countAndSum: add(value)
        }
    }

    private func add(_ amount: Double) {
        state.withLock {
            $0.count += 1
            $0.sum += amount
        }
    }
}
