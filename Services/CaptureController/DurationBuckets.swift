// How long something took, counted so finely that rare slow cases can be compared (p99.9): one counter for each tenth of growth.
//
//   LABEL{upto_us="35"} 812      so many took at most 35 us and more than the bucket below
import Metrics

/// Used on one thread only.
struct DurationBuckets {
    private let label: String
    /// By place; made when one is needed first, because most never are.
    private var counters: [Int: Counter] = [:]

    /// Each bucket ends a tenth above the one below.
    private static let growth = 1.1
    /// 19 s: nothing slower has to be told apart. So the series stay below what one name may have (`MetricsStore`).
    private static let lastPlace = 176

    init(label: String) { self.label = label }

    mutating func record(us: Int64) {
        let place = Self.place(us: us)
        if let known = counters[place] { return known.increment() }
        let made = Counter(label: label, dimensions: [("upto_us", "\(Self.endUs(place))")])
        made.increment()
        counters[place] = made
    }

    /// The bucket of a duration.
    static func place(us: Int64) -> Int {
        guard us > 1 else { return 0 }
        var place = 0
        var end = 1.0
        while Int64(end.rounded(.up)) < us, place < lastPlace {
            place += 1
            end *= growth
        }
        return place
    }

    /// The longest duration of a bucket, in microseconds.
    static func endUs(_ place: Int) -> Int64 {
        var end = 1.0
        for _ in 0..<place { end *= growth }
        return Int64(end.rounded(.up))
    }
}
