// Messages over a real socket pair, and its end, silence and nonsense.
import Glibc
import Media
import Testing

@testable import MediaWork

/// Two ends that are closed with the object.
private final class Pair: Sendable {
    let near: FrameSocket
    let far: FrameSocket

    init() throws {
        var pair: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair) == 0)
        near = FrameSocket(descriptor: pair[0])
        far = FrameSocket(descriptor: pair[1])
    }

    deinit {
        close(near.descriptor)
        close(far.descriptor)
    }

    func write(_ bytes: [UInt8]) { _ = Glibc.write(far.descriptor, bytes, bytes.count) }
    func endFar() { shutdown(far.descriptor, Int32(SHUT_RDWR)) }
}

@Suite struct FrameSocketTests {
    private func failure(_ body: () throws -> Void) -> FrameSocket.Failure? {
        do {
            try body()
            return nil
        } catch { return error as? FrameSocket.Failure }
    }

    /// Far larger than what the sockets hold: the sender waits for the reader again and again.
    @Test func aLargePictureArrivesWhole() throws {
        let pair = try Pair()
        let picture = Picture(
            bytes: [[UInt8]](repeating: Array(0...250), count: 20_000).flatMap { $0 }, widthPx: 3, heightPx: 2,
            format: .tiff)
        let sent = Gate<FrameSocket.Failure??>(nil)
        #expect(
            startWorkThread {
                let failure = self.failure { try pair.far.send(.picture(picture), number: 5) }
                sent.change { $0 = .some(failure) }
            })
        let (number, message) = try pair.near.receive()
        guard case .picture(let found) = message else {
            Issue.record("\(message)")
            return
        }
        #expect(number == 5 && found == picture)
        #expect(sent.wait { $0 } == .some(nil))
    }

    @Test func theOtherEndIsGone() throws {
        let pair = try Pair()
        pair.write([1, 2, 0])
        pair.endFar()
        #expect(failure { _ = try pair.near.receive() } == .closed)
        #expect(failure { try pair.near.send(.failure(PictureError(.corrupt, "x")), number: 1) } == .closed)
    }

    @Test func nothingComes() throws {
        let pair = try Pair()
        #expect(failure { _ = try pair.near.receive(until: .now) } == .overdue)
        pair.write(Array(GoldenFrameTests.pictureFrame.dropLast()))
        #expect(failure { _ = try pair.near.receive(until: .now) } == .overdue)
    }

    @Test func nothingIsTaken() throws {
        let pair = try Pair()
        let picture = Picture(
            bytes: [UInt8](repeating: 1, count: 5_000_000), widthPx: 1, heightPx: 1, format: .bmp)
        #expect(failure { try pair.near.send(.picture(picture), number: 1, until: .now) } == .overdue)
    }

    @Test func nonsenseComes() throws {
        let pair = try Pair()
        pair.write([UInt8](repeating: 0x2A, count: 100))
        guard case .nonsense = failure({ _ = try pair.near.receive() }) else {
            Issue.record("taken")
            return
        }
    }
}

@Suite struct GateTests {
    @Test func aWaitEndsWithTheChangeItWaitsFor() {
        let gate = Gate(0)
        #expect(startWorkThread { for _ in 0..<3 { gate.change { $0 += 1 } } })
        #expect(gate.wait { $0 == 3 ? $0 : nil } == 3)
    }

    @Test func aWaitEndsWithItsTime() {
        let gate = Gate(0)
        #expect(gate.wait(atMost: .milliseconds(1)) { $0 == 1 ? true : nil } == nil)
        #expect(gate.wait(atMost: .seconds(-1)) { $0 == 1 ? true : nil } == nil)
        #expect(gate.wait(atMost: .zero) { $0 == 0 ? true : nil } == true)
    }
}
