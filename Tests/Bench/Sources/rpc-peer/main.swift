// The exchange of `Tests/bench rpc` with our RPC: everything that a call between two services goes through.
//
//   rpc-peer serve URL                            answers each request with what came; says "ready"
//   rpc-peer call URL BYTES CALLS IN_FLIGHT WARM  one line per call: its nanoseconds; last the line "total NANOSECONDS"
//
// Request and reply are protobuf messages of BYTES bytes, inside the envelopes of the contract. For `Tests/bench overload`, Flood.swift:
//
//   rpc-peer flood URL CLIENTS IN_FLIGHT SECONDS  so many clients call a method that computes for a millisecond, without a pause

import Foundation
import RPC
import Wire

/// A message of the contract that carries bytes, both ways.
let echo = RPCMethod<ReplyEnvelope, ReplyEnvelope>(name: "sightglass.bench.Echo/Echo", idempotency: .noSideEffects)

/// A message whose encoding has so many bytes.
func message(ofBytes size: Int) -> ReplyEnvelope {
    var filler = max(0, size - 2)
    while true {
        let made = ReplyEnvelope(body: [UInt8](repeating: 7, count: filler))
        if made.encoded().count <= size || filler == 0 { return made }
        filler -= 1
    }
}

func serve(_ url: String) async throws {
    let server = RPCServer(addresses: [try RPCAddress(parsing: url)])
    server.handle(echo) { request, _ in request }
    server.handle(work) { request, _ in
        let end = ContinuousClock.now + .milliseconds(1)
        while ContinuousClock.now < end {}
        return request
    }
    try await server.start()
    FileHandle.standardOutput.write(Data("ready\n".utf8))
    Thread.detachNewThread {
        while readLine() != nil {}
        server.stop()
    }
    try await server.run()
}

func run(_ client: RPCClient, _ request: ReplyEnvelope, calls: Int, inFlight: Int) async throws -> (
    [Duration], Duration
) {
    let start = ContinuousClock.now
    let latencies = try await withThrowingTaskGroup(of: [Duration].self) { group in
        for _ in 0..<inFlight {
            group.addTask {
                var latencies: [Duration] = []
                latencies.reserveCapacity(calls / inFlight)
                for _ in 0..<calls / inFlight {
                    let start = ContinuousClock.now
                    _ = try await client.call(echo, request)
                    latencies.append(.now - start)
                }
                return latencies
            }
        }
        return try await group.reduce(into: []) { $0 += $1 }
    }
    return (latencies, .now - start)
}

func call(_ url: String, bytes: Int, calls: Int, inFlight: Int, warm: Int) async throws {
    let client = RPCClient(role: "bench", addresses: [try RPCAddress(parsing: url)], caller: "bench/0")
    let request = message(ofBytes: bytes)
    _ = try await run(client, request, calls: warm, inFlight: inFlight)
    let (latencies, total) = try await run(client, request, calls: calls, inFlight: inFlight)
    var lines = ""
    for latency in latencies { lines += "\(Int64(latency / .nanoseconds(1)))\n" }
    print("\(lines)total \(Int64(total / .nanoseconds(1)))")
    client.close()
}

let arguments = CommandLine.arguments.dropFirst()
let numbers = arguments.dropFirst(2).compactMap { Int($0) }
switch (arguments.first, arguments.dropFirst().first, numbers.count) {
case ("serve", let url?, 0): try await serve(url)
case ("call", let url?, 4):
    try await call(url, bytes: numbers[0], calls: numbers[1], inFlight: max(1, numbers[2]), warm: numbers[3])
case ("flood", let url?, 3):
    try await flood(url, clients: numbers[0], inFlight: numbers[1], seconds: numbers[2])
default:
    let usage = "rpc-peer serve URL | call URL BYTES CALLS IN_FLIGHT WARM | flood URL CLIENTS IN_FLIGHT SECONDS\n"
    FileHandle.standardError.write(Data(usage.utf8))
    exit(64)
}
