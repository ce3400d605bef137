// Which requests are shown again while their files go up.

import Testing
import Wire

@testable import MQTTEdgeAdapter

@Suite struct UploadProgressTests {
    private static func item(_ requests: [String], sent: UInt64?, worker: String? = "u") -> UploadItem {
        UploadItem(sentBytes: sent, worker: worker, requestIDs: requests)
    }

    @Test func aRequestIsShownWhenOtherBytesOfItAreOnTheirWay() {
        var progress = UploadProgress()
        let moving: Set = ["r1", "r2", "r3"]
        let steps: [(items: [UploadItem], shown: [String], inFlight: [String: UInt64])] = [
            ([], [], [:]),
            // Begun, and nothing said yet: that is news, too.
            ([Self.item(["r1"], sent: 0)], ["r1"], ["r1": 0]),
            ([Self.item(["r1"], sent: 0)], [], ["r1": 0]),
            // A file of two requests counts for both.
            ([Self.item(["r1", "r2"], sent: 5), Self.item(["r2"], sent: 3)], ["r2", "r1"], ["r1": 5, "r2": 8]),
            // What waits is not on its way.
            ([Self.item(["r1"], sent: 5), Self.item(["r3"], sent: nil, worker: nil)], ["r2"], ["r1": 5]),
            // Done, or given back.
            ([], ["r1"], [:]), ([], [], [:]),
        ]
        for (index, step) in steps.enumerated() {
            let shown = progress.take(step.items, moving: moving, most: 10)
            #expect(shown == step.shown, "step \(index)")
            #expect(progress.bytesInFlight == step.inFlight, "step \(index)")
        }
    }

    @Test func thoseThatEndedOrAreUnknownAreNotAskedFor() {
        var progress = UploadProgress()
        #expect(progress.take([Self.item(["r1", "other"], sent: 1)], moving: ["r1"], most: 10) == ["r1"])
        #expect(progress.take([Self.item(["r1"], sent: 2)], moving: [], most: 10) == [])
        #expect(progress.bytesInFlight.isEmpty)
    }

    @Test func ofManyEachHasItsTurn() {
        var progress = UploadProgress()
        let names = (1...5).map { "r\($0)" }
        var shown: [String: Int] = [:]
        for sent: UInt64 in 1...10 {
            let turn = progress.take(names.map { Self.item([$0], sent: sent) }, moving: Set(names), most: 2)
            #expect(turn.count == 2)
            for name in turn { shown[name, default: 0] += 1 }
        }
        #expect(shown == Dictionary(uniqueKeysWithValues: names.map { ($0, 4) }))
    }
}
