// What the suites call the executable under test with. It notes what every call was answered in the file that
// SIGHTGLASS_CALLS_FILE names, so that Tests/Support/contract/coverage can tell which methods nobody called.

import Foundation
import RPC
import Synchronization
import Wire

/// A client of the executable under test, never of a fake.
public final class ServiceClient: Sendable {
    private let client: RPCClient
    private let address: String

    /// Begins to connect. `role` is the executable's name, "indexer".
    public init(_ role: String, at address: String, caller: String = "test/test-0") throws {
        client = RPCClient(
            role: role, addresses: [try RPCAddress(parsing: address, allowInsecure: true)], caller: caller)
        self.address = address
    }

    deinit { client.close() }

    /// Ends all calls and connections.
    public func close() { client.close() }

    /// Calls a method, as `RPCClient` does.
    public func call<Q: WireMessage, R: WireMessage>(
        _ method: RPCMethod<Q, R>, _ request: Q, timeout: Duration = .seconds(10), idempotencyKey: String? = nil
    ) async throws(RPCError) -> R {
        do throws(RPCError) {
            let reply = try await client.call(method, request, timeout: timeout, idempotencyKey: idempotencyKey)
            CallRecord.note(client.role, method.name, .ok, "")
            look(at: reply.encoded(), "the answer of \(method.name)")
            // The one method that refuses parts of a request inside its reply.
            for rejected in (reply as? RecordMediaReply)?.rejected ?? [] {
                let field = rejected.message?.split(separator: " ").first.map(String.init)
                CallRecord.note(client.role, method.name, .invalidArgument, field ?? "")
            }
            return reply
        } catch {
            CallRecord.note(client.role, method.name, error.code, error.field ?? "")
            look(at: Array("\(error)".utf8), "an error of \(method.name)")
            throw error
        }
    }

    /// No answer and no error may tell a credential. A find is told and not thrown: what the test is about goes on.
    private func look(at bytes: [UInt8], _ place: String) {
        Canary.report(Canary.scanner.finds(in: bytes, place: place))
    }

    /// The error that a call gives. Throws where it gives none.
    public func refusal<Q: WireMessage, R: WireMessage>(
        of method: RPCMethod<Q, R>, _ request: Q
    ) async throws -> RPCError {
        do { _ = try await call(method, request) } catch { return error }
        throw HarnessError("\(method.name) took \(request)")
    }

    /// Sends bytes as the body of a request, whatever they are, on a connection of their own. Throws what the service
    /// answers, or `.unavailable` where it gives no answer.
    public func send(body: [UInt8], to method: String) async throws(RPCError) {
        let envelope = RequestEnvelope(method: method, version: WireVersion.current, body: body)
        guard case .reply(let reply) = await sendRaw(envelope.encoded(), to: address) else {
            throw .unavailable("\(client.role) gave no answer")
        }
        let code = reply.code ?? .ok
        CallRecord.note(client.role, method, code, reply.field ?? "")
        if code != .ok { throw RPCError(code: code, message: reply.message ?? "", field: reply.field) }
    }

    /// How the service is.
    public func health() async throws(RPCError) -> HealthReply {
        try await call(HealthMethods.check, HealthRequest(), timeout: .seconds(2))
    }
}

/// The file of calls and their answers: role, method, code and field of each, once.
private enum CallRecord {
    private static let written = Mutex<Set<String>>([])

    static func note(_ role: String, _ method: String, _ code: Code, _ field: String) {
        guard let path = ProcessInfo.processInfo.environment["SIGHTGLASS_CALLS_FILE"], !path.isEmpty else { return }
        let line = "\(role)\t\(method)\t\(code.name)\t\(field)\n"
        guard written.withLock({ $0.insert(line).inserted }) else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = Array(line.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}
