// Neighbours that are away, come back, stop, or are several.

import Dispatch
import Foundation
import Glibc
import Synchronization
import Testing
import Wire

@testable import RPC

struct AbsenceTests {
    @Test func anAbsentServerIsUnavailableAtTheTimeoutAndNamed() async throws {
        let folder = try TemporaryFolder()
        let client = makeClient([try folder.address("gone")])
        let error = try await failure { try await client.call(askMethod, Hint(), timeout: .milliseconds(100)) }
        #expect(error.code == .unavailable)
        #expect(error.message == "echo does not answer at ipc://\(folder.path)/gone: is it running?")
        #expect(client.unreachableReason == error.message)
    }

    @Test func aCallWaitsForAServerThatComes() async throws {
        let folder = try TemporaryFolder()
        let client = makeClient([try folder.address()])
        let reply = Task { try await client.call(sayMethod, Hint(cursor: 5), timeout: .seconds(60)) }
        try await serving(try folder.address()) { _ async throws in
            #expect(try await reply.value.cursor == 5)
        }
    }

    @Test func aClientSurvivesManyRestarts() async throws {
        let folder = try TemporaryFolder()
        let client = makeClient([try folder.address()])
        for turn in 0..<5 as Range<UInt64> {
            try await serving(try folder.address()) { _ async throws in
                #expect(try await client.call(sayMethod, Hint(cursor: turn), timeout: .seconds(60)).cursor == turn)
            }
            try await eventually("the client notices") { !client.isConnected }
        }
    }

    @Test func aSafeCallIsSentAgainWhenTheServerStopsInItsMiddle() async throws {
        let folder = try TemporaryFolder()
        let address = try folder.address()
        let client = makeClient([address])
        let gate = Gate()
        let call = try await serving(address, limits: .init(drainTime: .milliseconds(1))) { server in
            server.handle(askMethod) { _, _ in
                await gate.pass()
                return Hint(cursor: 1)
            }
        } _: { _ async throws in
            let call = Task { try await client.call(askMethod, Hint(), timeout: .seconds(60)) }
            try await eventually("the call is under way") { gate.arrived == 1 }
            return call
        }
        try await serving(address) { server in
            server.handle(askMethod) { _, _ in Hint(cursor: 2) }
        } _: { _ async throws in
            #expect(try await call.value.cursor == 2)
        }
        gate.open()
    }

    @Test func anUnsafeCallIsNotSentAgain() async throws {
        let folder = try TemporaryFolder()
        let address = try folder.address()
        let client = makeClient([address])
        let gate = Gate()
        let call = try await serving(address, limits: .init(drainTime: .milliseconds(1))) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { _ async throws in
            let call = Task { try await client.call(sayMethod, Hint(), timeout: .seconds(60)) }
            try await eventually("the call is under way") { gate.arrived == 1 }
            return call
        }
        let error = try await failure { try await call.value }
        #expect(error.code == .unavailable)
        #expect(error.message.contains("connection to echo was lost"))
        gate.open()
    }

    @Test func anIdempotencyKeyMakesAnUnsafeCallSafeToSendAgain() async throws {
        let folder = try TemporaryFolder()
        let calls = Counter()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { request, _ in
                calls.add()
                if calls.value < 3 { throw RPCError.unavailable("starting") }
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            #expect(try await failure { try await client.call(sayMethod, Hint()) }.message == "starting")
            #expect(calls.value == 1)
            #expect(try await client.call(sayMethod, Hint(cursor: 4), idempotencyKey: "k").cursor == 4)
            #expect(calls.value == 3)
        }
    }

    @Test func ofSeveralAddressesTheLivingOneIsUsed() async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address("alive")) { _ async throws in
            let client = makeClient([try folder.address("dead"), try folder.address("alive")])
            for turn in 0..<20 as Range<UInt64> {
                #expect(try await client.call(sayMethod, Hint(cursor: turn)).cursor == turn)
            }
        }
    }

    @Test func callsGoToAllConnectedAddresses() async throws {
        let folder = try TemporaryFolder()
        let (left, right) = (Counter(), Counter())
        try await serving(try folder.address("left")) { server in
            server.handle(sayMethod) { request, _ in
                left.add()
                return request
            }
        } _: { _ async throws in
            try await serving(try folder.address("right")) { server in
                server.handle(sayMethod) { request, _ in
                    right.add()
                    return request
                }
            } _: { _ async throws in
                let client = makeClient([try folder.address("left"), try folder.address("right")])
                try await eventually("both have worked") {
                    _ = try await client.call(sayMethod, Hint())
                    return left.value > 0 && right.value > 0
                }
            }
        }
    }

    @Test func aStoppingServerFinishesWhatItBeganAndRefusesTheRest() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        try await serving(try folder.address(), limits: .init(drainTime: .seconds(600))) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            let first = Task { try await client.call(sayMethod, Hint(cursor: 1), timeout: .seconds(60)) }
            try await eventually("the first call is under way") { gate.arrived == 1 }
            server.stop()
            try await eventually("what is new is refused") {
                let reply = try? await client.call(HealthMethods.check, HealthRequest(), timeout: .milliseconds(100))
                return reply == nil
            }
            let error = try await failure { try await client.call(sayMethod, Hint(cursor: 2)) }
            #expect(error.code == .unavailable)
            #expect(error.message.contains("stopping"))
            gate.open()
            #expect(try await first.value.cursor == 1)
        }
    }

    @Test func aStoppingServerCancelsWhatTakesTooLong() async throws {
        let folder = try TemporaryFolder()
        let arrived = OneShot()
        try await serving(try folder.address(), limits: .init(drainTime: .milliseconds(20))) { server in
            server.handle(sayMethod) { _, _ in
                arrived.fire()
                try await Task.sleep(for: .seconds(600))
                return Hint()
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            let call = Task { try await client.call(sayMethod, Hint(), timeout: .seconds(60)) }
            await arrived.wait()
            server.stop()
            #expect(try await failure { try await call.value }.code == .unavailable)
        }
    }

    @Test func cancellingTheTaskThatRunsAServerStopsIt() async throws {
        let folder = try TemporaryFolder()
        let server = RPCServer(addresses: [try folder.address()])
        let running = Task { try await server.run() }
        try await eventually("it listens") { !server.listeningAddresses.isEmpty }
        running.cancel()
        try await running.value
        #expect(server.listeningAddresses.isEmpty)
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/s"))
    }

    @Test func aSocketFileThatAKilledProcessLeftIsNoObstacle() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/s"
        try leaveStaleSocket(at: path)
        #expect(FileManager.default.fileExists(atPath: path))
        try await serving(try folder.address()) { server async throws in
            let client = makeClient(server.listeningAddresses)
            #expect(try await client.call(sayMethod, Hint(cursor: 1)).cursor == 1)
        }
    }

    @Test func aSocketThatSomebodyAnswersOnIsLeftAlone() async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address()) { server async throws in
            let second = RPCServer(addresses: [try folder.address()])
            let error = try await failure { try await second.start() }
            #expect(error.code == .alreadyExists)
            #expect(error.message.contains(folder.path))
            let client = makeClient(server.listeningAddresses)
            #expect(try await client.call(sayMethod, Hint(cursor: 1)).cursor == 1)
        }
    }

    @Test func aFileThatIsNoSocketIsNotRemoved() async throws {
        let folder = try TemporaryFolder()
        try Data("evidence".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/s"))
        let error = try await failure { try await RPCServer(addresses: [try folder.address()]).start() }
        #expect(error.code == .invalidArgument)
        #expect(FileManager.default.contents(atPath: "\(folder.path)/s") == Data("evidence".utf8))
    }

    @Test func aFolderThatDoesNotExistIsAnErrorThatNamesTheAddress() async throws {
        let address = try RPCAddress(parsing: "ipc:///tmp/sgrpc-no-such-folder/s")
        let error = try await failure { try await RPCServer(addresses: [address]).start() }
        #expect(error.message.contains("ipc:///tmp/sgrpc-no-such-folder/s"))
    }

    @Test func aServerThatIsDroppedWithoutRunningLeavesNoSocket() async throws {
        let folder = try TemporaryFolder()
        do {
            let server = RPCServer(addresses: [try folder.address()])
            try await server.start()
        }
        try await eventually("its socket is gone") { !FileManager.default.fileExists(atPath: "\(folder.path)/s") }
    }

    @Test func thePulseBeatsInAHealthyProcess() async {
        #expect(await RPCPulse.isBeating(within: .seconds(60)))
    }

    @Test func aBeatThatDoesNotEndIsNoPulse() async {
        let ended = DispatchSemaphore(value: 0)
        let isBeating = await RPCPulse.isBeating(within: .milliseconds(20)) {
            ended.wait()
            return true
        }
        #expect(!isBeating)
        ended.signal()
        #expect(await !RPCPulse.isBeating(within: .seconds(60)) { false })
    }

    @Test func callsOfAClosedClientFailAtOnce() async throws {
        let folder = try TemporaryFolder()
        let client = makeClient([try folder.address()])
        let waiting = Task { try await client.call(sayMethod, Hint(), timeout: .seconds(600)) }
        client.close()
        #expect(try await failure { try await waiting.value }.code == .unavailable)
        let error = try await failure { try await client.call(sayMethod, Hint(), timeout: .seconds(600)) }
        #expect(error.message.contains("closed"))
    }

    /// Binds and closes without unlinking, as the kernel does for a killed process.
    private func leaveStaleSocket(at path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
    }
}
