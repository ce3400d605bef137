// Deadlines, cancellation and overload: what ends a request before its handler does.

import Synchronization
import Testing
import Wire

@testable import RPC

struct TimeTests {
    @Test func aHandlerOverItsDeadlineIsCancelledAndTheCallerGetsAnAnswer() async throws {
        let folder = try TemporaryFolder()
        let cancelled = OneShot()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { _, _ in
                do { try await Task.sleep(for: .seconds(600)) } catch { cancelled.fire() }
                throw CancellationError()
            }
        } _: { server async throws in
            // RPCClient stops listening at its deadline; this caller hears what the server says.
            let caller = try RawCaller(server.listeningAddresses[0])
            let reply = try await caller.exchange(
                RequestEnvelope(
                    method: sayMethod.name, version: WireVersion.current, requestID: "mine", remainingMs: 30)
            ).get()
            #expect(reply.code == .deadlineExceeded)
            #expect(reply.requestID == "mine")
            await cancelled.wait()
        }
    }

    @Test func theDeadlineAnswerDoesNotWaitForAHandlerThatIgnoresCancellation() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        try await serving(try folder.address(), limits: .init(maximumConcurrentRequests: 1)) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { server async throws in
            let caller = try RawCaller(server.listeningAddresses[0])
            let late = RequestEnvelope(method: sayMethod.name, version: WireVersion.current, remainingMs: 20)
            #expect(try await caller.exchange(late).get().code == .deadlineExceeded)
            // The handler still works, so that it still counts.
            let next = RequestEnvelope(method: askMethod.name, version: WireVersion.current, remainingMs: 20_000)
            #expect(try await caller.exchange(next).get().code == .resourceExhausted)
            gate.open()
            try await eventually("the handler's end makes room") {
                try await caller.exchange(next).get().code == nil
            }
        }
    }

    @Test func aShorterDeadlineThanThePresentWakeUpIsKept() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { server async throws in
            let long = try RawCaller(server.listeningAddresses[0])
            let short = try RawCaller(server.listeningAddresses[0])
            let first = Task {
                await long.exchange(
                    RequestEnvelope(method: sayMethod.name, version: WireVersion.current, remainingMs: 600_000))
            }
            try await eventually("the long call is under way") { gate.arrived == 1 }
            let reply = await short.exchange(
                RequestEnvelope(method: sayMethod.name, version: WireVersion.current, remainingMs: 20))
            #expect(try reply.get().code == .deadlineExceeded)
            gate.open()
            #expect(try await first.value.get().code == nil)
        }
    }

    @Test func theClientGivesUpAtItsTimeoutAndTheNextCallWorks() async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { _, _ in
                try await Task.sleep(for: .seconds(600))
                return Hint()
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            #expect(try await client.call(askMethod, Hint(cursor: 1)).cursor == 1)
            let error = try await failure { try await client.call(sayMethod, Hint(), timeout: .milliseconds(40)) }
            #expect(error.code == .deadlineExceeded)
            #expect(try await client.call(askMethod, Hint(cursor: 2)).cursor == 2)
        }
    }

    @Test func cancellingTheCallEndsTheWorkAtTheServer() async throws {
        let folder = try TemporaryFolder()
        let entered = OneShot()
        let cancelled = OneShot()
        let configure = { (server: RPCServer) in
            server.handle(sayMethod) { request, _ in
                entered.fire()
                do { try await Task.sleep(for: .seconds(600)) } catch { cancelled.fire() }
                return request
            }
        }
        try await serving(try folder.address(), configure) { server async throws in
            let client = makeClient(server.listeningAddresses)
            defer { client.close() }
            let call = Task { try await client.call(sayMethod, Hint(cursor: 1), timeout: .seconds(600)) }
            await entered.wait()
            call.cancel()
            #expect(try await failure { try await call.value }.code == .cancelled)
            await cancelled.wait()
        }
    }

    @Test func aCallerCancelsItsOwnCallsOnly() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        let seen = Mutex("")
        let configure = { (server: RPCServer) in
            server.handle(sayMethod) { request, context in
                seen.withLock { $0 = context.requestID }
                await gate.pass()
                return request
            }
        }
        try await serving(try folder.address(), configure) { server async throws in
            let client = makeClient(server.listeningAddresses)
            let stranger = makeClient(server.listeningAddresses)
            defer {
                client.close()
                stranger.close()
            }
            async let reply = client.call(sayMethod, Hint(cursor: 1))
            try await eventually("the call is being worked on") { gate.arrived == 1 }
            let cancel = CancelCallRequest(requestID: seen.withLock { $0 })
            #expect(try await stranger.call(CallsMethods.cancel, cancel).found == false)
            gate.open()
            #expect(try await reply == Hint(cursor: 1))
        }
    }

    @Test(arguments: [nil, "", String(repeating: "r", count: 65)])
    func cancellingNeedsTheIdOfACall(requestID: String?) async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address()) { server async throws in
            let client = makeClient(server.listeningAddresses)
            defer { client.close() }
            let error = try await failure {
                try await client.call(CallsMethods.cancel, CancelCallRequest(requestID: requestID))
            }
            #expect(error.code == .invalidArgument)
            #expect(error.field == "request_id")
        }
    }

    @Test func cancellingTheTaskEndsTheCallAndTheNextCallWorks() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses, limits: .init(maximumConcurrentCalls: 1))
            let call = Task { try await client.call(sayMethod, Hint(), timeout: .seconds(600)) }
            try await eventually("the call is under way") { gate.arrived == 1 }
            call.cancel()
            #expect(try await failure { try await call.value }.code == .cancelled)
            #expect(try await client.call(askMethod, Hint(cursor: 2)).cursor == 2)
            gate.open()
        }
    }

    @Test func aCallFromACancelledTaskIsNotMade() async throws {
        let folder = try TemporaryFolder()
        let calls = Counter()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { request, _ in
                calls.add()
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            let ready = OneShot()
            let call = Task {
                await ready.wait()
                return try await client.call(sayMethod, Hint())
            }
            call.cancel()
            ready.fire()
            #expect(try await failure { try await call.value }.code == .cancelled)
            _ = try await client.call(askMethod, Hint())
            #expect(calls.value == 0)
        }
    }

    @Test func cancelledCallsNeverDisturbTheOnesThatFollowOnTheSameContext() async throws {
        let folder = try TemporaryFolder()
        try await serving(try folder.address()) { server async throws in
            let client = makeClient(server.listeningAddresses, limits: .init(maximumConcurrentCalls: 2))
            for turn in 0..<300 as Range<UInt64> {
                let doomed = Task { try await client.call(sayMethod, Hint(cursor: turn)) }
                // Sometimes before, sometimes within, sometimes after the exchange.
                for _ in 0..<(turn % 12) { await Task.yield() }
                doomed.cancel()
                if case .failure(let error) = await doomed.result {
                    #expect((error as? RPCError)?.code == .cancelled)
                }
                #expect(try await client.call(sayMethod, Hint(cursor: turn)).cursor == turn)
            }
        }
    }

    @Test func overloadIsAnsweredAtOnceAndHealthIsAnsweredAllTheSame() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        try await serving(try folder.address(), limits: .init(maximumConcurrentRequests: 2)) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            let first = Task { try await client.call(sayMethod, Hint(cursor: 1), timeout: .seconds(600)) }
            let second = Task { try await client.call(sayMethod, Hint(cursor: 2), timeout: .seconds(600)) }
            try await eventually("both permits are taken") { gate.arrived == 2 }
            let refused = try await failure { try await client.call(askMethod, Hint(), timeout: .seconds(600)) }
            #expect(refused.code == .resourceExhausted)
            #expect(refused.message.contains("2 requests"))
            #expect(try await client.call(HealthMethods.check, HealthRequest()).ready == true)
            gate.open()
            #expect(try await first.value.cursor == 1)
            #expect(try await second.value.cursor == 2)
            try await eventually("there is room again") {
                (try? await client.call(askMethod, Hint(cursor: 3)))?.cursor == 3
            }
        }
    }

    @Test func bytesInFlightAreBounded() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        try await serving(try folder.address(), limits: .init(maximumBytesInFlight: 150_000)) { server in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            let heavy = Hint(name: String(repeating: "x", count: 100_000))
            let first = Task { try await client.call(sayMethod, heavy, timeout: .seconds(600)) }
            try await eventually("the first is under way") { gate.arrived == 1 }
            #expect(try await failure { try await client.call(askMethod, heavy) }.code == .resourceExhausted)
            #expect(try await client.call(askMethod, Hint(cursor: 1)).cursor == 1)
            gate.open()
            #expect(try await first.value == heavy)
        }
    }

    @Test func aCallerThatDiesCancelsItsHandlers() async throws {
        let folder = try TemporaryFolder()
        let arrived = OneShot()
        let cancelled = OneShot()
        try await serving(try folder.address()) { server in
            server.handle(sayMethod) { _, _ in
                arrived.fire()
                do { try await Task.sleep(for: .seconds(600)) } catch { cancelled.fire() }
                return Hint()
            }
        } _: { server async throws in
            let client = makeClient(server.listeningAddresses)
            let call = Task { try await client.call(sayMethod, Hint(), timeout: .seconds(600)) }
            await arrived.wait()
            client.close()
            await cancelled.wait()
            #expect(try await failure { try await call.value }.code == .unavailable)
        }
    }
}
