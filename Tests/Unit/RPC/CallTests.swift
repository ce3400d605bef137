// Calls that work, over each transport, and what a call says when it does not.

import Synchronization
import Testing
import Wire

@testable import RPC

struct CallTests {
    enum Way: CaseIterable {
        case ipc, tcp, tls
    }

    /// A server and a connected client over one transport.
    private func connected<R>(
        _ way: Way, limits: RPCServerLimits = .init(), _ configure: (RPCServer) -> Void = { _ in },
        _ body: (RPCClient) async throws -> R
    ) async throws -> R {
        let folder = try TemporaryFolder()
        let certificates = way == .tls ? try await Certificates.shared() : nil
        let address =
            switch way {
            case .ipc: try folder.address()
            case .tcp: try RPCAddress(parsing: "tcp://127.0.0.1:0")
            case .tls: try RPCAddress(parsing: "tls+tcp://localhost:0")
            }
        return try await serving(address, limits: limits, tls: certificates?.server, configure) { server async throws in
            let client = makeClient(server.listeningAddresses, tls: certificates?.client)
            defer { client.close() }
            return try await body(client)
        }
    }

    @Test(arguments: Way.allCases) func aCallGetsItsReply(way: Way) async throws {
        try await connected(way) { client async throws in
            let reply = try await client.call(sayMethod, Hint(cursor: 7, name: "grüß"))
            #expect(reply == Hint(cursor: 7, name: "grüß"))
            #expect(client.isConnected)
            #expect(client.unreachableReason == nil)
        }
    }

    @Test(arguments: Way.allCases) func manyCallsAtOnceGetTheirOwnReplies(way: Way) async throws {
        try await connected(way, limits: .init(maximumConcurrentRequests: 256)) { client async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<20 {
                    group.addTask { () async throws in
                        for turn in 0..<25 {
                            let number = UInt64(worker * 1_000 + turn)
                            #expect(try await client.call(sayMethod, Hint(cursor: number)).cursor == number)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: Way.allCases) func aLargeMessageArrivesWhole(way: Way) async throws {
        let name = String(repeating: "0123456789abcdef", count: 60_000)
        try await connected(way) { client async throws in
            #expect(try await client.call(sayMethod, Hint(name: name)).name == name)
        }
    }

    @Test func theHandlerLearnsAboutTheCall() async throws {
        let seen = Mutex<RPCContext?>(nil)
        try await connected(.ipc) { server in
            server.handle(sayMethod) { request, context in
                seen.withLock { $0 = context }
                return request
            }
        } _: { client async throws in
            _ = try await client.call(
                sayMethod, Hint(), timeout: .seconds(77), idempotencyKey: "key", traceparent: "00-1-2-01")
        }
        let context = try #require(seen.withLock { $0 })
        #expect(context.caller == "test/test-0")
        #expect(context.idempotencyKey == "key")
        #expect(context.traceparent == "00-1-2-01")
        #expect(context.method == sayMethod.name)
        #expect(!context.requestID.isEmpty)
        #expect(context.remaining < .seconds(77))
        #expect(context.remaining > .seconds(50))
    }

    @Test(arguments: [
        RPCError.invalidArgument("window.end_us", "the window ends before it starts"), .notFound("no such stream"),
        .failedPrecondition("epoch 3 is old"), .unavailable("starting"), .resourceExhausted("full"),
        .outOfRange("cursor"), .alreadyExists("other"), .permissionDenied("role"), .internal("broken"),
        .deadlineExceeded("late"), .unimplemented("not here"), RPCError(code: .dataLoss, message: "gone"),
        RPCError(code: .aborted, message: ""),
    ])
    func aTypedErrorReachesTheCaller(error: RPCError) async throws {
        try await connected(.ipc) { server in
            server.handle(sayMethod) { _, _ in throw error }
        } _: { client async throws in
            #expect(try await failure { try await client.call(sayMethod, Hint()) } == error)
        }
    }

    @Test func anyOtherErrorIsInternalAndTellsNothing() async throws {
        struct Secret: Error { let password = "hunter2" }
        try await connected(.ipc) { server in
            server.handle(sayMethod) { _, _ in throw Secret() }
        } _: { client async throws in
            let error = try await failure { try await client.call(sayMethod, Hint()) }
            #expect(error.code == .internal)
            #expect(!error.message.contains("hunter2"))
            #expect(error.message.contains("log"))
        }
    }

    @Test func aReplyOverTheBoundIsAnErrorThatSaysSo() async throws {
        try await connected(.ipc) { server in
            server.handle(sayMethod) { _, _ in Hint(name: String(repeating: "x", count: 1 << 20)) }
        } _: { client async throws in
            let error = try await failure { try await client.call(sayMethod, Hint()) }
            #expect(error.code == .internal)
            #expect(error.message.contains("1048576"))
        }
    }

    @Test func aRequestOverTheBoundIsRefusedBeforeItIsSent() async throws {
        try await connected(.ipc) { client async throws in
            let error = try await failure {
                try await client.call(sayMethod, Hint(name: String(repeating: "x", count: 1 << 20)))
            }
            #expect(error.code == .invalidArgument)
            #expect(try await client.call(sayMethod, Hint(cursor: 1)).cursor == 1)
        }
    }

    @Test func aPictureOfThirtyMebibytesGoesThrough() async throws {
        let picture = [UInt8](repeating: 0xab, count: 30 << 20)
        try await connected(.ipc) { server in
            server.handle(MqttEdgeAdapterMethods.publishSnapshot) { request, _ in
                #expect(request.picture?.count == 30 << 20)
                return PublishSnapshotReply()
            }
        } _: { client async throws in
            _ = try await client.call(MqttEdgeAdapterMethods.publishSnapshot, PublishSnapshotRequest(picture: picture))
        }
    }

    @Test func oneCallTooManyAtOnceIsRefused() async throws {
        let gate = Gate()
        let folder = try TemporaryFolder()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses, limits: .init(maximumConcurrentCalls: 1))
            let first = Task { try await client.call(sayMethod, Hint(cursor: 1)) }
            try await eventually("the first call is under way") { gate.arrived == 1 }
            #expect(try await failure { try await client.call(sayMethod, Hint()) }.code == .resourceExhausted)
            gate.open()
            #expect(try await first.value.cursor == 1)
        }
    }

    @Test func theSocketFileIsForTheGroupAndNobodyElse() async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address("mode")) { _ async throws in
            #expect(try fileMode("\(folder.path)/mode") == 0o660)
        }
        try await serving(try folder.address("open"), limits: .init(socketMode: 0o666)) { _ async throws in
            #expect(try fileMode("\(folder.path)/open") == 0o666)
        }
    }
}
