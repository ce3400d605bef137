// Hints from publisher to subscriber: order, topics, and that a loss is always told.

import Testing
import Wire

@testable import RPC

struct HintTests {
    /// The next event; the test hangs only as long as `eventually` would.
    private func next(_ events: inout AsyncStream<HintEvent>.Iterator) async throws -> HintEvent {
        try #require(await events.next())
    }

    @Test func hintsArriveInOrderAndOnlyOfTheWantedTopics() async throws {
        let folder = try TemporaryFolder()
        let publisher = try HintPublisher(addresses: [try folder.address()])
        let subscriber = HintSubscriber(addresses: [try folder.address()], topics: ["media/", "requests/"])
        try await eventually("connected") { publisher.subscribers == 1 && subscriber.isConnected }
        for number in 1...100 as ClosedRange<UInt64> {
            publisher.publish(topic: "media/", name: "cam1/clips", cursor: number)
            publisher.publish(topic: "leases/", name: "not wanted", cursor: number)
        }
        publisher.publish(topic: "requests/", name: "last", cursor: 101)
        var cursors: [UInt64] = []
        var losses = 0
        for await event in subscriber.hints {
            switch event {
            case .lost: losses += 1
            case .hint(let hint):
                cursors.append(hint.cursor ?? 0)
                #expect(hint.topic != "leases/")
                #expect(hint.epoch == publisher.epoch)
            }
            if cursors.last == 101 { break }
        }
        #expect(cursors == Array(1...101))
        #expect(losses == 1, "one when it connected; the filtered hints are no gap")
    }

    @Test func joiningLateIsALoss() async throws {
        let folder = try TemporaryFolder()
        let publisher = try HintPublisher(addresses: [try folder.address()])
        publisher.publish(topic: "media/")
        let subscriber = HintSubscriber(addresses: [try folder.address()], topics: [])
        try await eventually("connected") { publisher.subscribers == 1 && subscriber.isConnected }
        publisher.publish(topic: "media/", cursor: 2)
        var events = subscriber.hints.makeAsyncIterator()
        #expect(try await next(&events) == .lost)
        #expect(try await next(&events) == .lost)
        guard case .hint(let hint) = try await next(&events) else {
            Issue.record("no hint")
            return
        }
        #expect(hint.sequence == 2)
    }

    @Test func aPublisherThatStartsAnewIsALoss() async throws {
        let folder = try TemporaryFolder()
        let address = try folder.address()
        var first: HintPublisher? = try HintPublisher(addresses: [address])
        let firstEpoch = first?.epoch
        let subscriber = HintSubscriber(addresses: [address], topics: [])
        var events = subscriber.hints.makeAsyncIterator()
        #expect(try await next(&events) == .lost)
        try await eventually("connected") { first?.subscribers == 1 }
        first?.publish(topic: "media/")
        guard case .hint = try await next(&events) else {
            Issue.record("no hint")
            return
        }
        first = nil
        try await eventually("the subscriber notices") { !subscriber.isConnected }
        let second = try HintPublisher(addresses: [address])
        #expect(second.epoch != firstEpoch)
        #expect(try await next(&events) == .lost)
        try await eventually("connected again") { second.subscribers == 1 }
        second.publish(topic: "media/", cursor: 9)
        guard case .hint(let hint) = try await next(&events) else {
            Issue.record("no hint")
            return
        }
        #expect(hint.epoch == second.epoch)
    }

    @Test func aReaderThatIsTooSlowGetsALossInPlaceOfWhatWasDropped() async throws {
        let folder = try TemporaryFolder()
        let publisher = try HintPublisher(addresses: [try folder.address()])
        let subscriber = HintSubscriber(addresses: [try folder.address()], topics: ["media/"], bufferedEvents: 8)
        let control = HintSubscriber(addresses: [try folder.address()], topics: ["media/last"])
        try await eventually("connected") { publisher.subscribers == 2 }
        for number in 1...100 as ClosedRange<UInt64> { publisher.publish(topic: "media/", cursor: number) }
        publisher.publish(topic: "media/last")
        // When the control has the last one, nng has delivered them all to this process, and soon to the other.
        for await event in control.hints { if case .hint = event { break } }
        var seen: [HintEvent] = []
        for await event in subscriber.hints {
            seen.append(event)
            if event == .lost, seen.count > 1 { break }
        }
        #expect(seen.first == .lost)
        #expect(seen.last == .lost)
        #expect(seen.count <= 9)
        // What comes after the loss is passed on again.
        try await eventually("hints flow again") {
            publisher.publish(topic: "media/again")
            var events = subscriber.hints.makeAsyncIterator()
            if case .hint(let hint) = await events.next() { return hint.topic == "media/again" }
            return false
        }
    }

    @Test func severalPublishersAreFollowedEachForItself() async throws {
        let folder = try TemporaryFolder()
        let left = try HintPublisher(addresses: [try folder.address("left")])
        let right = try HintPublisher(addresses: [try folder.address("right")])
        let subscriber = HintSubscriber(
            addresses: [try folder.address("left"), try folder.address("right")], topics: [])
        try await eventually("connected") { left.subscribers == 1 && right.subscribers == 1 }
        for _ in 0..<50 {
            left.publish(topic: "a/")
            right.publish(topic: "b/")
        }
        var hints = 0
        var losses = 0
        for await event in subscriber.hints {
            if case .hint = event { hints += 1 } else { losses += 1 }
            if hints == 100 { break }
        }
        #expect(losses == 2)
    }

    @Test func hintsGoOverTls() async throws {
        let certificates = try await Certificates.shared()
        let publisher = try HintPublisher(
            addresses: [try RPCAddress(parsing: "tls+tcp://localhost:0")], tls: certificates.server)
        let subscriber = HintSubscriber(
            addresses: publisher.listeningAddresses, topics: ["media/"], tls: certificates.client)
        try await eventually("connected") { publisher.subscribers == 1 }
        publisher.publish(topic: "media/", cursor: 3)
        for await event in subscriber.hints {
            if case .hint(let hint) = event {
                #expect(hint.cursor == 3)
                break
            }
        }
    }

    @Test func publishingWithoutSubscribersIsFine() throws {
        let folder = try TemporaryFolder()
        let publisher = try HintPublisher(addresses: [try folder.address()])
        for _ in 0..<10_000 { publisher.publish(topic: "media/") }
        #expect(publisher.subscribers == 0)
    }

    @Test func closingEndsTheStream() async throws {
        let folder = try TemporaryFolder()
        let subscriber = HintSubscriber(addresses: [try folder.address()], topics: [])
        subscriber.close()
        for await _ in subscriber.hints { Issue.record("an event from nowhere") }
    }
}
