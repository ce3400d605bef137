// What a request must be: one for each event, ended, delivered as promised, missing only what a fault excuses.

import Testing

@testable import FaultCampaign

@Suite struct RequestCheckTests {
    @Test func aRequestThatDeliversWhatItSaysIsRight() {
        #expect(OneRequest().violations() == [])
    }

    @Test func whatIsSentAndNeverAnsweredIsFound() {
        var one = OneRequest()
        one.ledger.asked(Ask(key: "b", isEvent: true, cameras: [.line1], window: span(10, 20)))
        one.ledger.sent("b", atUs: us(15))
        #expect(one.violations() == [.unanswered])
    }

    @Test func anEventThatBecomesTwoRequestsIsFound() {
        var one = OneRequest()
        one.ledger.received(
            Receipt(atUs: us(17), stamp: "17", word: "accepted", requestID: "r2", message: nil), under: "a")
        #expect(one.violations() == [.identity])
    }

    @Test func aRequestThatNobodyWasToldOfIsFound() {
        var one = OneRequest()
        one.ledger = Ledger()
        #expect(one.violations() == [.identity])
    }

    @Test func anAcceptedRequestThatTheCatalogueLostIsFound() {
        #expect(OneRequest().violations { $0.requests = [] } == [.identity])
    }

    @Test func aRejectionIsFoundUnlessItIsOfALateCancellation() {
        var one = OneRequest()
        one.ledger.cancelSent("a", atUs: us(17))
        one.ledger.received(
            Receipt(atUs: us(18), stamp: "18", word: "rejected", requestID: nil, message: "it is done"), under: "r")
        #expect(one.ledger.asks["a"]?.cancelAnswer?.word == "rejected")
        #expect(one.violations() == [])
        one.ledger.asked(Ask(key: "b", isEvent: true, cameras: [.line1], window: span(10, 20)))
        one.ledger.sent("b", atUs: us(15))
        one.ledger.received(
            Receipt(atUs: us(18), stamp: "18", word: "rejected", requestID: nil, message: "no"), under: "b")
        #expect(one.violations() == [.rejected])
    }

    @Test func theRefusedCancellationOfAnotherEventOfTheRequestIsNoRejection() {
        var one = OneRequest()
        one.ledger.asked(Ask(key: "b", isEvent: true, cameras: [.line1], window: span(11, 19)))
        one.ledger.sent("b", atUs: us(15))
        one.ledger.received(
            Receipt(atUs: us(16), stamp: "16", word: "extended", requestID: "r", message: nil), under: "b")
        one.ledger.cancelSent("b", atUs: us(17))
        one.ledger.received(
            Receipt(atUs: us(18), stamp: "18", word: "rejected", requestID: nil, message: "it is done"), under: "r")
        #expect(one.ledger.asks["a"]?.receipts.count == 1)
        #expect(one.ledger.judge() == [])
    }

    @Test func aSecondCancellationIsAnsweredByItsOwnReceipt() {
        var one = OneRequest()
        let answer = { Receipt(atUs: us($0), stamp: "\($0)", word: "cancelled", requestID: "r", message: nil) }
        one.ledger.cancelSent("a", atUs: us(17))
        one.ledger.received(answer(16.5), under: "r")
        #expect(one.ledger.asks["a"]?.cancelAnswer == nil)
        // The retained one of before, seen once more, is no answer; one that was written since is.
        one.ledger.received(answer(16.5), under: "r")
        #expect(one.ledger.asks["a"]?.cancelAnswer == nil)
        one.ledger.received(answer(18), under: "r")
        #expect(one.ledger.asks["a"]?.cancelAnswer?.word == "cancelled")
    }

    @Test(arguments: ["accepted", "waiting", "copying", "uploading"])
    func aRequestThatDoesNotEndIsFound(state: String) {
        var one = OneRequest()
        one.state = state
        #expect(one.violations() == [.ending])
    }

    @Test func aRetainedStatusThatSaysSomethingElseIsFound() {
        #expect(OneRequest().violations { $0.retainedStates["r"] = "uploading" } == [.ending])
        #expect(OneRequest().violations { $0.retainedStates = [:] } == [.ending])
    }

    @Test func onlyACancellationMayEndARequestAsCancelled() {
        var one = OneRequest()
        one.state = "cancelled"
        #expect(one.violations() == [.ending])
        one.ledger.cancelSent("a", atUs: us(17))
        #expect(one.violations() == [])
    }

    @Test func missingFootageWithoutAFaultIsFound() {
        var one = OneRequest()
        (one.state, one.reason) = ("partial", "line1: 2 s are missing")
        one.gaps = [NamedGap(camera: .line1, span: span(12, 14), cause: "dark", reason: "")]
        #expect(one.violations() == [.gap])
    }

    @Test func missingFootageWhereTheRecorderWasKilledIsExcused() {
        var one = OneRequest()
        (one.state, one.reason) = ("partial", "line1: 2 s are missing")
        one.gaps = [NamedGap(camera: .line1, span: span(12, 14), cause: "killed", reason: "")]
        one.history.fault(.captureController, 12.2, 12.5)
        one.history.streams(.line1, "run-2", at: 14)
        #expect(one.violations() == [])
    }

    @Test func aRequestThatEndedBeforeItsFootageCameIsFound() {
        var one = OneRequest()
        (one.state, one.reason) = ("partial", "line1: 2 s are missing")
        one.gaps = [NamedGap(camera: .line1, span: span(12, 14), cause: "killed", reason: "")]
        one.history.fault(.captureController, 12.2, 12.5)
        one.history.streams(.line1, "run-2", at: 14)
        let row = MediaRow(
            path: "late.mp4", camera: .line1, isSegment: true, span: span(12.5, 14), fact: fact, frames: 1,
            isSalvaged: true, runID: "run-1")
        #expect(one.violations { $0.shown = [row] } == [.early])
    }

    @Test func footageThatNeitherAFileNorAGapHasIsFound() {
        var one = OneRequest()
        one.covered = span(12, 21)
        #expect(one.violations() == [.unexplained])
    }

    @Test func aDoneRequestWithGapsIsFound() {
        var one = OneRequest()
        one.gaps = [NamedGap(camera: .line1, span: span(12, 12.1), cause: "killed", reason: "")]
        #expect(one.violations() == [.ending])
    }

    @Test func aFileThatIsAbsentOrDifferentInArchiveOrContainerIsFound() {
        #expect(OneRequest().violations { $0.archive["f.mp4"] = nil } == [.delivery])
        #expect(OneRequest().violations { $0.blobs["f.mp4"] = FileFact(sizeBytes: 100, sha256: "cd") } == [.delivery])
        #expect(OneRequest().violations { $0.blobs["f.json"] = nil } == [.delivery])
        #expect(OneRequest().violations { $0.recorded["s.mp4"] = FileFact(sizeBytes: 9, sha256: "ab") } == [.delivery])
    }

    @Test func aManifestThatSaysSomethingElseIsFound() {
        #expect(OneRequest().violations { $0.manifests = [:] } == [.manifest])
        var one = OneRequest()
        one.manifestGaps = [span(12, 13)]
        #expect(one.violations() == [.manifest])
    }

    // MARK: The archive only, and clips

    @Test func whatIsAskedForInTheArchiveOnlyNeedsNoCloud() {
        var one = OneRequest()
        (one.fileState, one.manner) = ("archived", Manner(inCloud: false))
        #expect(one.violations { $0.blobs = [:] } == [])
        one.manner = Manner()
        #expect(one.violations { $0.blobs = [:] } == [.delivery])
        (one.fileState, one.manner) = ("pending", Manner(inCloud: false))
        #expect(one.violations() == [.delivery])
    }

    @Test func aRequestInAnotherMannerThanAskedForIsFound() {
        var one = OneRequest()
        one.ledger.asked(
            Ask(
                key: "a2", isEvent: false, cameras: [.line1], window: span(10, 20), manner: Manner(isClip: true)))
        one.ledger.received(
            Receipt(atUs: us(16), stamp: "16", word: "accepted", requestID: "r", message: nil), under: "a2")
        #expect(one.violations() == [.identity])
    }

    @Test func aClipCoversWhatTheCatalogueHasOfItsWindow() {
        var one = OneRequest()
        (one.manner, one.covered) = (Manner(isClip: true), span(10, 20))
        let row = { (path: String, time: Span) in
            MediaRow(
                path: path, camera: .line1, isSegment: true, span: time, fact: fact, frames: 1, isSalvaged: false,
                runID: "run-1")
        }
        let rows = [row("p.mp4", span(5, 9)), row("q.mp4", span(9, 15)), row("r.mp4", span(15, 21))]
        func violations(_ shown: [MediaRow], expired: [NamedGap] = []) -> Set<Violation.Rule> {
            one.violations {
                ($0.rows, $0.shown, $0.missing) = (shown, shown, expired)
            }
        }
        #expect(violations(rows) == [])
        #expect(violations([rows[0], rows[2]]) == [.unexplained])
        // What made room since was there when the clip was made.
        #expect(violations([rows[2]]) == [])
        let gap = NamedGap(camera: .line1, span: span(9, 15), cause: "expired", reason: "")
        #expect(violations([rows[0], rows[2]], expired: [gap]) == [])
    }
}
