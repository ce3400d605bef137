// Which step counts a duration: the first whose end is not before it.

import Testing

@testable import CaptureController

@Suite struct DurationBucketsTests {
    @Test func everyDurationIsInTheFirstBucketThatHasRoomForIt() {
        for us in Array(Int64(0)...2_000) + [65_535, 1_000_000, 15_000_000] {
            let place = DurationBuckets.place(us: us)
            #expect(DurationBuckets.endUs(place) >= us)
            if place > 0 { #expect(DurationBuckets.endUs(place - 1) < us) }
        }
    }

    @Test func aBucketEndsAtMostATenthBehindItsDurations() {
        for us: Int64 in [100, 999, 40_000, 7_777_777] {
            #expect(Double(DurationBuckets.endUs(DurationBuckets.place(us: us))) <= Double(us) * 1.1 + 1)
        }
    }

    @Test func whatTakesForEverIsInTheLast() {
        let last = DurationBuckets.place(us: .max)
        #expect(DurationBuckets.place(us: 60_000_000) == last)
        #expect(last < 256)
    }
}
