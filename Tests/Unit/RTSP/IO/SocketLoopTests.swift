// SocketLoop with real sockets on the loopback interface: what is told of a connection, and when.

import Glibc
import Testing

@testable import RTSP

@Suite struct SocketLoopTests {
    private let second: Int64 = 1_000_000_000

    private func connect(
        _ loop: SocketLoop, _ port: UInt16, host: String = "127.0.0.1", connectNs: Int64 = 5_000_000_000,
        maximumMessageBytes: Int = 64 << 10, messageBytes: Int = 1, lowWaterBytes: Int = 1, greeting: [UInt8] = []
    ) -> (ConnectionID, AsyncStream<Seen>) {
        let (seen, tell) = AsyncStream.makeStream(of: Seen.self)
        let id = loop.connect(
            host: host, port: port, connectNs: connectNs, maximumMessageBytes: maximumMessageBytes
        ) {
            Teller(tell, messageBytes: messageBytes, lowWaterBytes: lowWaterBytes, greeting: greeting)
        }
        return (id, seen)
    }

    @Test func bytesArriveInOrderAndWholeMessagesAreKeptUntilTheyAreWhole() async throws {
        let loop = try SocketLoop(name: "test")
        let listener = try Listener()
        let (_, seen) = connect(loop, listener.port, messageBytes: 1_009, lowWaterBytes: 16 << 10)
        let peer = listener.accepted()
        let sent = (0..<1_009 * 900).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        write(sent, to: peer)
        close(peer)
        var got: [UInt8] = []
        var end: ConnectionEnd?
        for await event in seen {
            switch event {
            case .connected, .drained: break
            case .bytes(let bytes): got += bytes
            case .ended(let why): end = why
            }
        }
        #expect(got == sent)
        #expect(end == .closedByPeer)
        loop.stop()
        close(listener.descriptor)
    }

    @Test func whatStaysBelowTheLowWaterMarkIsReadAllTheSame() async throws {
        let loop = try SocketLoop(name: "test")
        let listener = try Listener()
        let (_, seen) = connect(loop, listener.port, lowWaterBytes: 16 << 10, greeting: Array("hello".utf8))
        let peer = listener.accepted()
        var hello = [UInt8](repeating: 0, count: 5)
        #expect(recv(peer, &hello, 5, Int32(MSG_WAITALL)) == 5)
        #expect(hello == Array("hello".utf8))
        write([1, 2, 3], to: peer)
        var events = seen.makeAsyncIterator()
        #expect(await events.next() == .connected)
        #expect(await events.next() == .bytes([1, 2, 3]))
        #expect(await events.next() == .drained)
        loop.stop()
        #expect(await events.next() == .ended(.closed))
        close(peer)
        close(listener.descriptor)
    }

    @Test func aClosedPortIsRefused() async throws {
        let loop = try SocketLoop(name: "test")
        let listener = try Listener()
        close(listener.descriptor)
        let (_, seen) = connect(loop, listener.port)
        var events = seen.makeAsyncIterator()
        #expect(await events.next() == .ended(.refused))
        loop.stop()
    }

    @Test func aNameThatNobodyKnowsIsUnknown() async throws {
        let loop = try SocketLoop(name: "test")
        let (_, seen) = connect(loop, 554, host: "no-such-camera.invalid", connectNs: second)
        var events = seen.makeAsyncIterator()
        guard case .ended(.unknownHost) = await events.next() else {
            Issue.record("the connection was not ended for its name")
            return
        }
        loop.stop()
    }

    @Test func aMessageLongerThanItsBoundEndsTheConnection() async throws {
        let loop = try SocketLoop(name: "test")
        let listener = try Listener()
        let (_, seen) = connect(loop, listener.port, maximumMessageBytes: 100_000, messageBytes: 10_000_000)
        let peer = listener.accepted()
        write([UInt8](repeating: 1, count: 1 << 20), to: peer)
        var last: Seen?
        for await event in seen { last = event }
        guard case .ended(.overflow(let bytes)) = last else {
            Issue.record("ended otherwise: \(String(describing: last))")
            return
        }
        #expect(bytes >= 100_000 && bytes < 200_000)
        loop.stop()
        close(peer)
        close(listener.descriptor)
    }

    @Test func aPeerThatDoesNotReadEndsTheConnection() async throws {
        let loop = try SocketLoop(name: "test")
        let listener = try Listener()
        let (id, seen) = connect(loop, listener.port)
        let peer = listener.accepted()
        var last: Seen?
        for await event in seen {
            last = event
            if event == .connected {
                // More than the kernel's buffers of both sides hold.
                for _ in 0..<400 {
                    loop.with(id) { connection, _ in connection.send([UInt8](repeating: 0, count: 64 << 10)) }
                }
            }
        }
        guard case .ended(.notRead(let bytes)) = last else {
            Issue.record("ended otherwise: \(String(describing: last))")
            return
        }
        #expect(bytes > Connection.defaultMaximumUnsentBytes)
        loop.stop()
        close(peer)
        close(listener.descriptor)
    }

    @Test func theOwnerMayEndItsConnectionAndOthersGoOn() async throws {
        let loop = try SocketLoop(name: "test")
        let listener = try Listener()
        let (first, firstSeen) = connect(loop, listener.port)
        let peer = listener.accepted()
        let (_, secondSeen) = connect(loop, listener.port)
        let other = listener.accepted()
        loop.with(first) { connection, _ in connection.close() }
        var last: Seen?
        for await event in firstSeen { last = event }
        #expect(last == .ended(.closed))
        var byte: UInt8 = 0
        #expect(recv(peer, &byte, 1, 0) == 0)
        write([7], to: other)
        var events = secondSeen.makeAsyncIterator()
        #expect(await events.next() == .connected)
        #expect(await events.next() == .bytes([7]))
        loop.stop()
        for descriptor in [peer, other, listener.descriptor] { close(descriptor) }
    }
}
