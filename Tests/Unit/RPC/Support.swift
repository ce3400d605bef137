// What the tests of RPC share: servers that end with the test, folders, conditions to wait for, and a caller that sends
// any bytes, because RPCClient would not send wrong ones.

import CNNG
import Foundation
import Synchronization
import Testing
import Wire

@testable import RPC

/// A method that may not be repeated; tests let it answer with what it got.
let sayMethod = RPCMethod<Hint, Hint>(name: "sightglass.test.Echo/Say", idempotency: .none)
/// The same, safe to repeat.
let askMethod = RPCMethod<Hint, Hint>(name: "sightglass.test.Echo/Ask", idempotency: .noSideEffects)

/// A folder that is removed with the last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = "/tmp/sgrpc-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func address(_ name: String = "s") throws -> RPCAddress { try RPCAddress(parsing: "ipc://\(path)/\(name)") }
}

/// Waits until the condition holds. The bound only ends a test that would hang; no test depends on its length.
func eventually(
    _ what: Comment, within bound: Duration = .seconds(20), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + bound
    while try await !condition() {
        if ContinuousClock.now > end {
            Issue.record(what, sourceLocation: sourceLocation)
            throw NeverHappened()
        }
        try await Task.sleep(for: .milliseconds(2))
    }
}

struct NeverHappened: Error {}

/// Runs a server as long as `body` runs, and waits until it has ended.
func serving<R>(
    _ address: RPCAddress, limits: RPCServerLimits = .init(), tls: RPCTLS? = nil,
    _ configure: (RPCServer) -> Void = { _ in }, _ body: (RPCServer) async throws -> R
) async throws -> R {
    let server = RPCServer(addresses: [address], limits: limits, tls: tls)
    server.handle(sayMethod) { request, _ in request }
    server.handle(askMethod) { request, _ in request }
    server.handle(HealthMethods.check) { _, _ in HealthReply(service: "test", live: true, ready: true) }
    configure(server)
    try await server.start()
    let running = Task { try await server.run() }
    do {
        let result = try await body(server)
        server.stop()
        try await running.value
        return result
    } catch {
        server.stop()
        _ = await running.result
        throw error
    }
}

func makeClient(
    _ addresses: [RPCAddress], limits: RPCClientLimits = .init(), tls: RPCTLS? = nil
) -> RPCClient {
    RPCClient(role: "echo", addresses: addresses, caller: "test/test-0", limits: limits, tls: tls)
}

/// The error of a call that must fail.
func failure<R: Sendable>(
    sourceLocation: SourceLocation = #_sourceLocation, _ call: () async throws -> R
) async throws -> RPCError {
    do {
        let reply = try await call()
        Issue.record("the call worked: \(reply)", sourceLocation: sourceLocation)
        throw NeverHappened()
    } catch let error as RPCError {
        return error
    }
}

/// Holds handlers back until it is opened.
final class Gate: Sendable {
    private let opened = OneShot()
    private let waiting = Atomic<Int>(0)

    /// How many wait or have waited.
    var arrived: Int { waiting.load(ordering: .acquiring) }

    func pass() async {
        waiting.add(1, ordering: .acquiringAndReleasing)
        await opened.wait()
    }

    func open() { opened.fire() }
}

final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add() { count.add(1, ordering: .acquiringAndReleasing) }
}

/// A REQ socket that sends any bytes.
final class RawCaller: Sendable {
    private let socket: NNGSocket
    let watch = ConnectionWatch()

    init(_ address: RPCAddress) throws {
        socket = try NNGSocket(nng_req0_open, watch: watch)
        try socket.set(NNG_OPT_REQ_RESENDTIME, milliseconds: NNG_DURATION_INFINITE)
        try socket.set(NNG_OPT_RECVTIMEO, milliseconds: 20_000)
        try socket.dial(address, tls: nil)
    }

    deinit { socket.close() }

    /// The reply, or nng's error.
    func exchange(_ bytes: [UInt8]) async -> Result<ReplyEnvelope, NNGError> {
        await onOwnThread { [socket] in
            do throws(NNGError) {
                let message = try makeMessage(ofBytes: bytes.count) {
                    $0.copyMemory(from: bytes, byteCount: bytes.count)
                }
                try nngCheck(nng_sendmsg(socket.id, message, 0))
                var reply: OpaquePointer?
                try nngCheck(nng_recvmsg(socket.id, &reply, 0))
                guard let reply else { throw NNGError(NNG_EINTERNAL) }
                let received = ReceivedMessage(owning: reply)
                let decoded = received.withBytes { try? ReplyEnvelope(wire: $0) }
                guard let decoded else { throw NNGError(NNG_EPROTO) }
                return .success(decoded)
            } catch {
                return .failure(error)
            }
        }
    }

    func exchange(_ envelope: RequestEnvelope) async -> Result<ReplyEnvelope, NNGError> {
        await exchange(envelope.encoded())
    }

    func close() { socket.close() }
}

/// What is written where there is room for it.
func bytes(_ size: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { room, count in
        if let base = room.baseAddress { fill(base) }
        count = size
    }
}

/// Permission bits of a file.
func fileMode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
}
