// Flood: many clients that ask for more than the server can do, and what one of them sees before and after.
//
// Lines on standard output, each a word and numbers:
//   before NANOSECONDS…              calls one after the other, nothing else going on
//   flood RESULTS REFUSALS OTHERS    answers while all called at once: results, RESOURCE_EXHAUSTED, anything else
//   after NANOSECONDS…               calls of the second after; a call that failed stands there as -1

import RPC
import Wire

/// Computes for a millisecond, then answers with what came.
let work = RPCMethod<ReplyEnvelope, ReplyEnvelope>(name: "sightglass.bench.Echo/Work", idempotency: .noSideEffects)

private struct Answers {
    var results = 0
    var refusals = 0
    var others = 0
}

func flood(_ url: String, clients count: Int, inFlight: Int, seconds: Int) async throws {
    let address = try RPCAddress(parsing: url)
    let clients = (0..<count).map { RPCClient(role: "bench", addresses: [address], caller: "flood/\($0)") }
    let request = message(ofBytes: 64)
    for client in clients { _ = try await client.call(echo, request) }
    print("before", try await latencies(of: clients[0], request, for: .seconds(1)))

    let end = ContinuousClock.now + .seconds(seconds)
    let answers = await withTaskGroup(of: Answers.self) { group in
        for client in clients {
            for _ in 0..<inFlight {
                group.addTask {
                    var answers = Answers()
                    while ContinuousClock.now < end {
                        do throws(RPCError) {
                            _ = try await client.call(work, request, timeout: .seconds(30))
                            answers.results += 1
                        } catch {
                            if error.code == .resourceExhausted { answers.refusals += 1 } else { answers.others += 1 }
                        }
                    }
                    return answers
                }
            }
        }
        return await group.reduce(into: Answers()) { sum, one in
            sum.results += one.results
            sum.refusals += one.refusals
            sum.others += one.others
        }
    }
    print("flood", answers.results, answers.refusals, answers.others)
    print("after", try await latencies(of: clients[0], request, for: .seconds(1)))
    clients.forEach { $0.close() }
}

private func latencies(of client: RPCClient, _ request: ReplyEnvelope, for time: Duration) async throws -> String {
    let end = ContinuousClock.now + time
    var lines: [String] = []
    while ContinuousClock.now < end {
        let start = ContinuousClock.now
        let isAnswered = (try? await client.call(work, request)) != nil
        lines.append(isAnswered ? "\(Int64((ContinuousClock.now - start) / .nanoseconds(1)))" : "-1")
    }
    return lines.joined(separator: " ")
}
