import Testing
import Wire

@testable import RPC

struct HintSequenceTests {
    @Test func aPublishersFirstHintIsInOrder() {
        var sequence = HintSequence()
        #expect(sequence.observe(epoch: 5, sequence: 1) == .inOrder)
        #expect(sequence.observe(epoch: 5, sequence: 2) == .inOrder)
    }

    @Test func joiningLaterMeansThatSomethingWasMissed() {
        var sequence = HintSequence()
        #expect(sequence.observe(epoch: 5, sequence: 41) == .lostBefore)
        #expect(sequence.observe(epoch: 5, sequence: 42) == .inOrder)
    }

    @Test func aJumpMeansThatSomethingWasLost() {
        var sequence = HintSequence()
        _ = sequence.observe(epoch: 5, sequence: 1)
        #expect(sequence.observe(epoch: 5, sequence: 3) == .lostBefore)
        #expect(sequence.observe(epoch: 5, sequence: 4) == .inOrder)
    }

    @Test(arguments: [4 as UInt64, 6])
    func anotherEpochMeansThatThePublisherStartedAnew(epoch: UInt64) {
        var sequence = HintSequence()
        _ = sequence.observe(epoch: 5, sequence: 1)
        #expect(sequence.observe(epoch: epoch, sequence: 2) == .lostBefore)
        #expect(sequence.observe(epoch: epoch, sequence: 3) == .inOrder)
    }

    @Test func theFirstHintOfAnotherEpochStillMeansLost() {
        var sequence = HintSequence()
        _ = sequence.observe(epoch: 5, sequence: 9)
        #expect(sequence.observe(epoch: 6, sequence: 1) == .lostBefore)
    }

    @Test func anOldNumberChangesNothing() {
        var sequence = HintSequence()
        _ = sequence.observe(epoch: 5, sequence: 8)
        #expect(sequence.observe(epoch: 5, sequence: 8) == .old)
        #expect(sequence.observe(epoch: 5, sequence: 3) == .old)
        #expect(sequence.observe(epoch: 5, sequence: 9) == .inOrder)
    }

    @Test func theFrameBeginsWithTheTopicAndAZero() {
        let hint = Hint(topic: "media/", epoch: 1, sequence: 2, cursor: 3, name: "cam1/clips")
        let frame = HintFrame.withRoom(for: hint) { size, fill in bytes(size, fill) }
        #expect(frame.starts(with: Array("media/".utf8) + [0]))
        frame.withUnsafeBytes { #expect(HintFrame.decode($0) == hint) }
    }

    @Test(arguments: [[], [0x6d], [0x6d, 0, 0xff], Array("other/".utf8) + [0]])
    func aFrameThatIsNoHintIsPassedOver(bytes: [UInt8]) {
        var bytes = bytes
        if bytes.first == 0x6f { bytes += Hint(topic: "media/").encoded() }
        bytes.withUnsafeBytes { #expect(HintFrame.decode($0) == nil) }
    }
}
