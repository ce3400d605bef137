// The recorder's rules R1 to R6, packet by packet, without a file.
import Testing

@testable import CaptureController

struct RecorderMachineTests {
    private static let second: Int64 = 1_000_000
    private static let frame: Int64 = 40_000

    private let want = RecordingWant(stream: nil, folder: "", segmentUs: 2 * second, leaseEpoch: 1)

    private func head(_ us: Int64, key: Bool = false) -> PacketHead {
        PacketHead(isVideo: true, isKeyframe: key, startUs: us, durationUs: Self.frame)
    }

    /// Feeds frames of 40 ms from `from` to `to`, a keyframe at each full second, and collects what came of them.
    private func feed(_ machine: inout RecorderMachine, from: Int64, to: Int64, keys: Bool = true) -> [RecorderAction] {
        stride(from: from, to: to, by: Int64.Stride(Self.frame)).flatMap { us -> [RecorderAction] in
            machine.packet(head(us, key: keys && us % Self.second == 0), nowUs: us)
        }
    }

    private func seals(_ actions: [RecorderAction]) -> [Span] {
        actions.compactMap { if case .seal(let start, let end) = $0 { Span(startUs: start, endUs: end) } else { nil } }
    }

    @Test func beginsWithAKeyframeWhichIsFlushedAtOnce() {
        var machine = RecorderMachine()
        #expect(machine.setWant(want) == [])
        #expect(machine.packet(head(960_000), nowUs: 960_000) == [])
        #expect(
            machine.packet(head(Self.second, key: true), nowUs: Self.second)
                == [.open(want: want, startUs: Self.second), .append, .flush])
    }

    @Test func cutsAtTheFirstKeyframeAtOrAfterTheLengthSoThatNoFrameIsLost() {
        var machine = RecorderMachine()
        _ = machine.setWant(want)
        let actions = feed(&machine, from: 0, to: 6 * Self.second)
        #expect(
            seals(actions) == [
                Span(startUs: 0, endUs: 2 * Self.second), Span(startUs: 2 * Self.second, endUs: 4 * Self.second),
            ])
        #expect(actions.filter { $0 == .append }.count == 150)
    }

    @Test func flushesWhenTheOldestPacketHasWaited120ms() {
        var machine = RecorderMachine()
        _ = machine.setWant(want)
        _ = machine.packet(head(0, key: true), nowUs: 0)
        #expect(machine.packet(head(40_000), nowUs: 40_000) == [.append])
        #expect(machine.packet(head(80_000), nowUs: 80_000) == [.append])
        #expect(machine.packet(head(120_000), nowUs: 120_000) == [.append])
        #expect(machine.packet(head(160_000), nowUs: 160_000) == [.append, .flush])
        #expect(machine.packet(head(200_000), nowUs: 200_000) == [.append])
        #expect(machine.tick(nowUs: 319_999) == [])
        #expect(machine.tick(nowUs: 320_000) == [.flush])
        #expect(machine.tick(nowUs: 900_000) == [])
    }

    @Test func whatCameGatheredIsWrittenAtOnceAndNothingTwice() {
        var machine = RecorderMachine()
        #expect(machine.drained() == [])
        _ = machine.setWant(want)
        #expect(machine.drained() == [])
        _ = machine.packet(head(0, key: true), nowUs: 0)
        #expect(machine.drained() == [])
        #expect(machine.packet(head(40_000), nowUs: 90_000) == [.append])
        #expect(machine.packet(head(80_000), nowUs: 90_000) == [.append])
        #expect(machine.drained() == [.flush])
        #expect(machine.drained() == [])
        #expect(machine.packet(head(120_000), nowUs: 190_000) == [.append])
        #expect(machine.drained() == [.flush])
    }

    @Test func aRingThatIsWrittenOutIsFlushedByMediaTime() {
        var machine = RecorderMachine()
        _ = machine.setWant(RecordingWant(stream: nil, folder: "", segmentUs: 60 * Self.second, leaseEpoch: 1))
        let actions = stride(from: Int64(0), to: 3 * Self.second, by: Int64.Stride(Self.frame)).flatMap {
            us -> [RecorderAction] in
            machine.packet(head(us, key: us % Self.second == 0), nowUs: 0)
        }
        #expect(actions.filter { $0 == .flush }.count == 3)
    }

    @Test func sealsAtTheFirstKeyframeAfterTheMomentAskedFor() {
        var machine = RecorderMachine()
        _ = machine.setWant(RecordingWant(stream: nil, folder: "", segmentUs: 60 * Self.second, leaseEpoch: 1))
        _ = feed(&machine, from: 0, to: 3 * Self.second)
        machine.requestSeal(atUs: 3_500_000)
        machine.requestSeal(atUs: 7_200_000)
        let actions = feed(&machine, from: 3 * Self.second, to: 10 * Self.second)
        #expect(
            seals(actions) == [
                Span(startUs: 0, endUs: 4 * Self.second), Span(startUs: 4 * Self.second, endUs: 8 * Self.second),
            ])
    }

    @Test func aMomentBeforeTheSegmentAsksForNothing() {
        var machine = RecorderMachine()
        _ = machine.setWant(RecordingWant(stream: nil, folder: "", segmentUs: 60 * Self.second, leaseEpoch: 1))
        _ = feed(&machine, from: 5 * Self.second, to: 6 * Self.second)
        machine.requestSeal(atUs: 2 * Self.second)
        #expect(seals(feed(&machine, from: 6 * Self.second, to: 9 * Self.second)) == [])
    }

    @Test func sealsAtOnceWhenTheCameraFallsSilentBehindTheMoment() {
        var machine = RecorderMachine()
        _ = machine.setWant(RecordingWant(stream: nil, folder: "", segmentUs: 60 * Self.second, leaseEpoch: 1))
        _ = feed(&machine, from: 0, to: 1_200_000)
        machine.requestSeal(atUs: 1_100_000)
        #expect(seals(machine.tick(nowUs: 3_100_000)) == [])
        #expect(seals(machine.tick(nowUs: 3_160_000)) == [Span(startUs: 0, endUs: 1_200_000)])
    }

    @Test func whatTheQueueRefusedIsDroppedToTheNextKeyframeAndReported() {
        var machine = RecorderMachine()
        _ = machine.setWant(RecordingWant(stream: nil, folder: "", segmentUs: 60 * Self.second, leaseEpoch: 1))
        _ = feed(&machine, from: 0, to: 400_000)
        machine.fragmentRefused(startUs: 280_000, frames: 3)
        let actions = feed(&machine, from: 400_000, to: 1_040_000)
        #expect(
            actions == [
                .gap(span: Span(startUs: 280_000, endUs: Self.second), framesLost: 18, cause: .queueFull), .append,
            ])
    }

    @Test func aLostSegmentIsAGapUpToTheNextKeyframe() {
        var machine = RecorderMachine()
        _ = machine.setWant(want)
        _ = feed(&machine, from: 0, to: 400_000)
        #expect(machine.segmentLost(frames: 10) == [])
        let actions = feed(&machine, from: 400_000, to: 1_040_000)
        #expect(actions.first == .open(want: want, startUs: Self.second))
        #expect(
            machine.segmentConfirmed()
                == [.gap(span: Span(startUs: 0, endUs: Self.second), framesLost: 25, cause: .disk)])
        #expect(machine.segmentConfirmed() == [])
    }

    @Test func withoutKeyframesTheSegmentEndsAfterFiveMinutes() {
        var machine = RecorderMachine()
        _ = machine.setWant(want)
        _ = machine.packet(head(0, key: true), nowUs: 0)
        let actions = feed(&machine, from: Self.frame, to: 301 * Self.second, keys: false)
        #expect(seals(actions) == [Span(startUs: 0, endUs: 300 * Self.second)])
        let after = machine.packet(head(302 * Self.second, key: true), nowUs: 302 * Self.second)
        guard case .gap(let span, _, .noKeyframe)? = after.first else {
            Issue.record("no gap: \(after)")
            return
        }
        #expect(span == Span(startUs: 300 * Self.second, endUs: 302 * Self.second))
    }

    /// Case 18: of I P b b P b b the cut comes before a P, and what is shown before it and comes after it is lost with it.
    @Test func withoutKeyframesAReorderedSegmentEndsWhereItsLastPictureDoes() {
        var machine = RecorderMachine()
        _ = machine.setWant(want)
        _ = machine.packet(head(0, key: true), nowUs: 0)
        let last = 300 * Self.second / Self.frame
        let order: [Int64] = stride(from: Int64(1), to: last + 3, by: 3).flatMap { [$0 + 2, $0, $0 + 1] }
        let actions = order.flatMap { picture -> [RecorderAction] in
            machine.packet(head(picture * Self.frame), nowUs: picture * Self.frame)
        }
        // Picture 7500 is at the limit; 7498 and 7499 would have come behind it.
        let endUs = (last - 2) * Self.frame
        #expect(seals(actions) == [Span(startUs: 0, endUs: endUs)])
        #expect(actions.filter { $0 == .append }.count == Int(last) - 3)
        let after = machine.packet(head(302 * Self.second, key: true), nowUs: 302 * Self.second)
        guard case .gap(let span, let framesLost, .noKeyframe)? = after.first else {
            Issue.record("no gap: \(after)")
            return
        }
        #expect(span == Span(startUs: endUs, endUs: 302 * Self.second))
        #expect(Int(framesLost) == order.count - Int(last - 3))
    }

    @Test func anotherFolderIsCutAtTheNextKeyframeAndAnEndAtOnce() {
        var machine = RecorderMachine()
        _ = machine.setWant(RecordingWant(stream: nil, folder: "", segmentUs: 60 * Self.second, leaseEpoch: 1))
        _ = feed(&machine, from: 0, to: 1_400_000)
        let clip = RecordingWant(
            stream: StreamKey(asset: "a", stream: "b"), folder: "x", segmentUs: 60 * Self.second, leaseEpoch: 1)
        #expect(machine.setWant(clip) == [])
        let actions = feed(&machine, from: 1_400_000, to: 2_040_000)
        #expect(seals(actions) == [Span(startUs: 0, endUs: 2 * Self.second)])
        #expect(actions.contains(.open(want: clip, startUs: 2 * Self.second)))
        #expect(seals(machine.setWant(nil)) == [Span(startUs: 2 * Self.second, endUs: 2_040_000)])
        #expect(!machine.isRecording)
    }
}
