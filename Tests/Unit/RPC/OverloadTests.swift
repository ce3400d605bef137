// A server that is asked for more than it can do: it answers, and is itself again at once. That it stays small is measured where
// it is alone in its process: Tests/bench overload.

import Foundation
import Testing
import Wire

@testable import RPC

/// Keeps a thread busy, as a handler that computes does.
private func compute(for time: Duration) {
    let end = ContinuousClock.now + time
    while ContinuousClock.now < end {}
}

struct OverloadTests {
    private struct Answers {
        var results = 0
        var refusals = 0
        var others: [RPCError] = []
    }

    /// Calls without a pause, `calls` times, several at once.
    private func flood(_ client: RPCClient, inFlight: Int, calls: Int) async -> Answers {
        await withTaskGroup(of: Answers.self) { group in
            for _ in 0..<inFlight {
                group.addTask {
                    var answers = Answers()
                    for number in 0..<calls {
                        do throws(RPCError) {
                            _ = try await client.call(sayMethod, Hint(cursor: UInt64(number)), timeout: .seconds(60))
                            answers.results += 1
                        } catch {
                            if error.code == .resourceExhausted {
                                answers.refusals += 1
                            } else {
                                answers.others.append(error)
                            }
                        }
                    }
                    return answers
                }
            }
            return await group.reduce(into: Answers()) { sum, one in
                sum.results += one.results
                sum.refusals += one.refusals
                sum.others += one.others
            }
        }
    }

    @Test func twoHundredClientsGetResultsOrRefusals() async throws {
        let folder = try TemporaryFolder()
        let limits = RPCServerLimits(maximumConcurrentRequests: 8)
        let configure = { (server: RPCServer) in
            server.handle(sayMethod) { request, _ in
                compute(for: .milliseconds(1))
                return request
            }
        }
        try await serving(try folder.address(), limits: limits, configure) { server async throws in
            let clients = (0..<200).map { _ in makeClient(server.listeningAddresses) }
            defer { clients.forEach { $0.close() } }
            try await eventually("all clients are connected") { clients.allSatisfy(\.isConnected) }
            let answers = await withTaskGroup(of: Answers.self) { group in
                for client in clients { group.addTask { await flood(client, inFlight: 4, calls: 20) } }
                var all = Answers()
                for await one in group {
                    all.results += one.results
                    all.refusals += one.refusals
                    all.others += one.others
                }
                return all
            }
            #expect(answers.others.isEmpty, "\(answers.others.prefix(3))")
            #expect(answers.results + answers.refusals == 200 * 4 * 20)
            #expect(answers.results > 0)
            #expect(answers.refusals > 0)
            // Nothing is left over: what comes now is served, every time.
            let after = await flood(clients[0], inFlight: 1, calls: 50)
            #expect(after.results == 50, "\(after)")
        }
    }

    @Test func aGreedyCallerLeavesRoomForOthers() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        let limits = RPCServerLimits(maximumConcurrentRequests: 8)
        let configure = { (server: RPCServer) in
            server.handle(sayMethod) { request, _ in
                await gate.pass()
                return request
            }
        }
        try await serving(try folder.address(), limits: limits, configure) { server async throws in
            let greedy = makeClient(server.listeningAddresses)
            let modest = makeClient(server.listeningAddresses)
            defer {
                greedy.close()
                modest.close()
            }
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<20 { group.addTask { _ = try? await greedy.call(sayMethod, Hint()) } }
                // What is over its share is refused; the rest waits.
                for await _ in group.prefix(14) {}
                #expect(gate.arrived == 6)
                let reply = try? await modest.call(askMethod, Hint(cursor: 3))
                #expect(reply?.cursor == 3)
                gate.open()
            }
        }
    }

    @Test func aHandlerThatNeverYieldsHoldsNobodyElseBack() async throws {
        let folder = try TemporaryFolder()
        let entered = OneShot()
        let mayLeave = OneShot()
        let configure = { (server: RPCServer) in
            // Against the rules of the house, it blocks the thread that nng lent it.
            server.handle(sayMethod) { request, _ in
                entered.fire()
                while !mayLeave.isFired { usleep(1_000) }
                return request
            }
        }
        try await serving(try folder.address(), configure) { server async throws in
            let client = makeClient(server.listeningAddresses)
            defer { client.close() }
            async let blocked = client.call(sayMethod, Hint(cursor: 1))
            await entered.wait()
            let others = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        (try? await client.call(askMethod, Hint(cursor: UInt64(number))))
                            == Hint(cursor: UInt64(number))
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(others == 20)
            mayLeave.fire()
            #expect(try await blocked == Hint(cursor: 1))
        }
    }
}
