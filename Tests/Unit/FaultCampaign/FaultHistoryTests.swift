// When footage may be missing: while a fault keeps the recorder or the camera away, and, of a camera that nobody records, while
// a fault keeps the request away.

import Testing

@testable import FaultCampaign

@Suite struct FaultHistoryTests {
    private func recorded() -> FaultHistory {
        var history = FaultHistory()
        history.streams(.line1, "run-1", at: 0)
        history.recordingBegan(.line1, atUs: us(1))
        return history
    }

    private func unexcused(_ history: FaultHistory, _ gap: Span, acceptedAt: Double = 30) -> [Span] {
        history.unexcused(gap, of: .line1, acceptedUs: us(acceptedAt))
    }

    @Test func nothingExcusesAGapWithoutAFault() {
        #expect(unexcused(recorded(), span(10, 12)) == [span(10, 12)])
    }

    @Test func aKillExcusesUntilAnotherRunIsSeen() {
        var history = recorded()
        history.fault(.captureController, 10, 11)
        // The status of before the kill, asked a moment too early.
        history.streams(.line1, "run-1", at: 11.1)
        history.streams(.line1, "run-2", at: 13)
        #expect(unexcused(history, span(9.8, 15)) == [])
        #expect(unexcused(history, span(9.8, 20)) == [span(16, 20)])
        #expect(unexcused(history, span(8, 15)) == [span(8, 9.5)])
    }

    @Test func theKillOfAnotherCameraExcusesNothing() {
        var history = recorded()
        history.fault(.cameraDock, 10, 11)
        history.fault(.archiver, 10, 11)
        #expect(unexcused(history, span(10, 12)) == [span(10, 12)])
    }

    @Test func aSessionThatEndsSoonAfterAPauseIsItsAftermath() {
        var history = recorded()
        history.fault(.captureController, .pause, 10, 14)
        history.streams(.line1, "run-1", at: 14.2)
        #expect(unexcused(history, span(10, 22)) == [span(17.2, 22)])
        history.streams(.line1, nil, at: 15)
        history.streams(.line1, "run-2", at: 20)
        #expect(unexcused(history, span(10, 22)) == [])
    }

    @Test func footageInMemoryOnlyIsLostWithAFaultOnTheWay() {
        var history = FaultHistory()
        history.streams(.line1, "run-1", at: 0, recording: false)
        #expect(unexcused(history, span(10, 12), acceptedAt: 14) == [span(10, 12)])
        history.fault(.mqttEdgeAdapter, 13, 13.5)
        #expect(unexcused(history, span(10, 12), acceptedAt: 14) == [])
        #expect(unexcused(history, span(40, 42), acceptedAt: 44) == [span(40, 42)])
        // When everybody is back, the rest of the window is recorded.
        #expect(unexcused(history, span(30, 32), acceptedAt: 14) == [span(30, 32)])
    }

    @Test func whatIsAskedForTooLateWasForgotten() {
        var history = FaultHistory()
        history.streams(.line1, "run-1", at: 0, recording: false)
        #expect(unexcused(history, span(10, 12), acceptedAt: 60) == [])
    }

    @Test func aStoppedTaskIsNoPromise() {
        var history = recorded()
        history.recordingEnds(.line1, atUs: us(10))
        #expect(unexcused(history, span(8, 40), acceptedAt: 80) == [span(8, 10)])
    }

    @Test func aCameraThatDoesNotComeBackIsFound() {
        var history = recorded()
        history.fault(.captureController, 10, 11)
        #expect(history.slowRecoveries(nowUs: us(20)) == [])
        #expect(history.slowRecoveries(nowUs: us(50)).map(\.rule) == [.recovery])
        // Another fault on the way begins the time anew.
        history.fault(.cameraLine1, 30, 31)
        #expect(history.slowRecoveries(nowUs: us(50)) == [])
        history.streams(.line1, "run-2", at: 52)
        #expect(history.slowRecoveries(nowUs: us(500)) == [])
    }

    @Test func partsOfASpan() {
        #expect(span(1, 10).without([span(4, 5), span(2, 3)]) == [span(1, 2), span(3, 4), span(5, 10)])
        #expect(span(1, 10).without([span(0, 20)]) == [])
        #expect(span(1, 10).clipped(to: span(10, 12)) == nil)
    }
}
