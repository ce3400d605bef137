// The exchange of `Tests/bench rpc` with grpc-swift 2 over a Unix socket, beside which ours stands. Its messages are plain
// bytes, so that no protobuf code of either side is measured.
//
//   grpc-peer serve PATH                            answers each request with what came; says "ready"
//   grpc-peer call PATH BYTES CALLS IN_FLIGHT WARM  one line per call: its nanoseconds; last the line "total NANOSECONDS"

import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2

struct PlainBytes: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
        bytes.withUnsafeBytes { [UInt8]($0) }
    }
}

let echo = MethodDescriptor(fullyQualifiedService: "sightglass.bench.Echo", method: "Echo")

struct EchoService: RegistrableRPCService {
    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(forMethod: echo, deserializer: PlainBytes(), serializer: PlainBytes()) { request, _ in
            let request = try await ServerRequest(stream: request)
            return StreamingServerResponse(single: ServerResponse(message: request.message))
        }
    }
}

func serve(_ path: String) async throws {
    let server = GRPCServer(
        transport: .http2NIOPosix(address: .unixDomainSocket(path: path), transportSecurity: .plaintext),
        services: [EchoService()])
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.serve() }
        _ = try await server.listeningAddress
        FileHandle.standardOutput.write(Data("ready\n".utf8))
        Thread.detachNewThread {
            while readLine() != nil {}
            server.beginGracefulShutdown()
        }
        try await group.waitForAll()
    }
}

func run(
    _ client: GRPCClient<HTTP2ClientTransport.Posix>, _ message: [UInt8], calls: Int, inFlight: Int
) async throws -> ([Duration], Duration) {
    let start = ContinuousClock.now
    let latencies = try await withThrowingTaskGroup(of: [Duration].self) { group in
        for _ in 0..<inFlight {
            group.addTask {
                var latencies: [Duration] = []
                latencies.reserveCapacity(calls / inFlight)
                for _ in 0..<calls / inFlight {
                    let start = ContinuousClock.now
                    try await client.unary(
                        request: ClientRequest(message: message), descriptor: echo, serializer: PlainBytes(),
                        deserializer: PlainBytes(), options: .defaults
                    ) { _ = try $0.message }
                    latencies.append(.now - start)
                }
                return latencies
            }
        }
        return try await group.reduce(into: []) { $0 += $1 }
    }
    return (latencies, .now - start)
}

func call(_ path: String, bytes: Int, calls: Int, inFlight: Int, warm: Int) async throws {
    let message = [UInt8](repeating: 7, count: bytes)
    try await withGRPCClient(
        transport: try .http2NIOPosix(target: .unixDomainSocket(path: path), transportSecurity: .plaintext)
    ) { client in
        _ = try await run(client, message, calls: warm, inFlight: inFlight)
        let (latencies, total) = try await run(client, message, calls: calls, inFlight: inFlight)
        var lines = ""
        for latency in latencies { lines += "\(Int64(latency / .nanoseconds(1)))\n" }
        print("\(lines)total \(Int64(total / .nanoseconds(1)))")
    }
}

let arguments = CommandLine.arguments.dropFirst()
let numbers = arguments.dropFirst(2).compactMap { Int($0) }
switch (arguments.first, arguments.dropFirst().first, numbers.count) {
case ("serve", let path?, 0): try await serve(path)
case ("call", let path?, 4):
    try await call(path, bytes: numbers[0], calls: numbers[1], inFlight: max(1, numbers[2]), warm: numbers[3])
default:
    FileHandle.standardError.write(Data("grpc-peer serve PATH | call PATH BYTES CALLS IN_FLIGHT WARM\n".utf8))
    exit(64)
}
