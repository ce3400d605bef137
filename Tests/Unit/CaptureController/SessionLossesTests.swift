// What sessions passed over, as metrics.

import RTSP
import ServiceKit
import Testing

@testable import CaptureController

@Suite struct SessionLossesTests {
    @Test func growthIsCountedOnceOverAllSessions() {
        let store = MetricsStore()
        let losses = SessionLosses(SourceKey(device: "line1", endpoint: "main"), factory: store)
        var first = SourceCounters()
        first.packetsLost = 3
        losses.count(first, after: SourceCounters())
        var later = first
        later.packetsLost = 5
        later.unitsTorn = 1
        losses.count(later, after: first)
        // The camera led elsewhere: the session behind the redirect begins at zero.
        var elsewhere = SourceCounters()
        elsewhere.packetsLost = 2
        losses.count(elsewhere, after: later)
        let values = store.samples().reduce(into: [String: Double]()) { $0[$1.name] = $1.value }
        #expect(values["sightglass_controller_rtp_packets_lost_total"] == 7)
        #expect(values["sightglass_controller_pictures_torn_total"] == 1)
        #expect(store.samples().allSatisfy { $0.labels == "source=\"line1/main\"" })
    }
}
