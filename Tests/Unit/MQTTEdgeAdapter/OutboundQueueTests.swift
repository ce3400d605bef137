// The outbound queue: order, bounds, what a lost connection does.

import Testing

@testable import MQTTEdgeAdapter

private func word(_ topic: String, _ text: String = "x", retain: Bool = false) -> OutboundMessage {
    OutboundMessage(topic: topic, payload: Array(text.utf8), retain: retain)
}

private func picture(_ topic: String, bytes: Int) -> OutboundMessage {
    OutboundMessage(topic: topic, payload: Array(repeating: 0, count: bytes))
}

@Suite struct OutboundQueueTests {
    @Test func wordsGoBeforePictures() throws {
        var queue = OutboundQueue()
        _ = try queue.enqueue(picture("p", bytes: 10), lane: .picture)
        _ = try queue.enqueue(word("a"), lane: .word)
        _ = try queue.enqueue(word("b"), lane: .word)
        #expect([queue.next(), queue.next(), queue.next()].map { $0?.message.topic } == ["a", "b", "p"])
        #expect(queue.next() == nil)
    }

    @Test func aNewerRetainedWordReplacesOneThatWaits() throws {
        var queue = OutboundQueue()
        let first = try queue.enqueue(word("a", "1", retain: true), lane: .word).id
        let dropped = try queue.enqueue(word("a", "2", retain: true), lane: .word).dropped
        #expect(dropped.map(\.0) == [first])
        #expect(dropped.map(\.1) == [.replaced])
        #expect(queue.next()?.message.payload == Array("2".utf8))
        #expect(queue.next() == nil)
    }

    @Test func aWordThatIsNotRetainedReplacesNothing() throws {
        var queue = OutboundQueue()
        _ = try queue.enqueue(word("a", "1"), lane: .word)
        #expect(try queue.enqueue(word("a", "2"), lane: .word).dropped.isEmpty)
    }

    @Test func fullWordsRefuseTheNewest() throws {
        let one = word("a", "12345")
        var queue = OutboundQueue(wordBytes: one.maximumPacketBytes * 2)
        _ = try queue.enqueue(one, lane: .word)
        _ = try queue.enqueue(one, lane: .word)
        #expect(throws: OutboundQueue.Dropped.full) { try queue.enqueue(one, lane: .word) }
        let sent = queue.next()
        let entry = try #require(sent)
        #expect(throws: OutboundQueue.Dropped.full) { try queue.enqueue(one, lane: .word) }
        queue.finish(entry.id)
        _ = try queue.enqueue(one, lane: .word)
    }

    @Test func fullPicturesDropTheOldest() throws {
        let one = picture("p", bytes: 100)
        var queue = OutboundQueue(pictureBytes: one.maximumPacketBytes * 2)
        let first = try queue.enqueue(one, lane: .picture).id
        _ = try queue.enqueue(one, lane: .picture)
        let third = try queue.enqueue(one, lane: .picture)
        #expect(third.dropped.map(\.0) == [first])
        #expect(throws: OutboundQueue.Dropped.full) {
            try queue.enqueue(picture("p", bytes: 1_000), lane: .picture)
        }
        #expect(queue.pictureBytes == one.maximumPacketBytes * 2)
    }

    @Test func picturesInFlightAreNotDroppedForNewerOnes() throws {
        let one = picture("p", bytes: 100)
        var queue = OutboundQueue(pictureBytes: one.maximumPacketBytes)
        _ = try queue.enqueue(one, lane: .picture)
        _ = queue.next()
        #expect(throws: OutboundQueue.Dropped.full) { try queue.enqueue(one, lane: .picture) }
    }

    @Test func whatIsInFlightIsBounded() throws {
        var queue = OutboundQueue()
        for index in 0...OutboundQueue.maximumInFlight { _ = try queue.enqueue(word("a\(index)"), lane: .word) }
        for _ in 0..<OutboundQueue.maximumInFlight { #expect(queue.next() != nil) }
        #expect(queue.next() == nil)
        queue.finish(queue.inFlight[3].id)
        #expect(queue.next()?.message.topic == "a\(OutboundQueue.maximumInFlight)")
    }

    @Test func aLostConnectionKeepsWordsInOrderAndGivesPicturesBack() throws {
        var queue = OutboundQueue()
        _ = try queue.enqueue(word("a"), lane: .word)
        let sent = try queue.enqueue(picture("p", bytes: 1), lane: .picture).id
        _ = queue.next()
        _ = queue.next()
        _ = try queue.enqueue(word("b"), lane: .word)
        let waiting = try queue.enqueue(picture("q", bytes: 1), lane: .picture).id
        let dropped = queue.connectionLost()
        #expect(dropped.map(\.0) == [sent, waiting])
        #expect(dropped.allSatisfy { $0.1 == .disconnected })
        #expect([queue.next(), queue.next()].map { $0?.message.topic } == ["a", "b"])
        #expect(queue.pictureBytes == 0)
    }

    @Test func anOldRetainedWordDoesNotComeAfterANewerOne() throws {
        var queue = OutboundQueue()
        let old = try queue.enqueue(word("a", "old", retain: true), lane: .word).id
        _ = queue.next()
        _ = try queue.enqueue(word("a", "new", retain: true), lane: .word)
        #expect(queue.connectionLost().map(\.0) == [old])
        #expect(queue.next()?.message.payload == Array("new".utf8))
        #expect(queue.next() == nil)
    }

    @Test func whatWaitsExpiresAndWhatIsInFlightDoesNot() throws {
        var queue = OutboundQueue()
        let now = ContinuousClock.now
        _ = try queue.enqueue(word("a"), lane: .word, expiresAt: now + .seconds(1))
        _ = queue.next()
        let second = try queue.enqueue(picture("b", bytes: 1), lane: .picture, expiresAt: now + .seconds(1)).id
        #expect(queue.expire(now: now).isEmpty)
        #expect(queue.expire(now: now + .seconds(1)).map(\.0) == [second])
        #expect(queue.inFlight.count == 1)
        #expect(queue.pictureBytes == 0)
    }

    /// For a newer token: nothing that waits or is under way may be lost, pictures least of all.
    @Test func anExchangeOfTheConnectionLosesNothing() throws {
        var queue = OutboundQueue()
        _ = try queue.enqueue(picture("p1", bytes: 1), lane: .picture)
        _ = try queue.enqueue(word("w1"), lane: .word)
        _ = (queue.next(), queue.next())
        _ = try queue.enqueue(picture("p2", bytes: 1), lane: .picture)
        _ = try queue.enqueue(word("w2"), lane: .word)
        queue.connectionExchanged()
        var topics: [String] = []
        while let entry = queue.next() { topics.append(entry.message.topic) }
        #expect(topics == ["w1", "w2", "p1", "p2"])
    }

    @Test func bytesComeBackWhenAllIsDone() throws {
        var queue = OutboundQueue()
        for _ in 0..<5 { _ = try queue.enqueue(word("a"), lane: .word) }
        while let entry = queue.next() { queue.finish(entry.id) }
        #expect(queue.isEmpty)
        #expect(queue.wordBytes == 0)
    }
}
