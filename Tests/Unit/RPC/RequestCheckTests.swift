import Testing
import Wire

@testable import RPC

struct RequestCheckTests {
    private func check(_ envelope: RequestEnvelope) throws -> CheckedRequest { try check(envelope.encoded()) }

    private func check(_ bytes: [UInt8]) throws -> CheckedRequest {
        try bytes.withUnsafeBytes { try CheckedRequest(decoding: $0) { "made" } }
    }

    @Test func fillsInWhatMayBeAbsent() throws {
        let request = try check(RequestEnvelope(method: "a/b", version: WireVersion.current))
        #expect(request.method == "a/b")
        #expect(request.requestID == "made")
        #expect(request.caller == "")
        #expect(request.remaining == .seconds(10))
        #expect(request.body.isEmpty)
    }

    @Test func passesOnWhatTheEnvelopeSays() throws {
        let bytes = RequestEnvelope(
            method: "a/b", version: WireVersion.current, requestID: "r", idempotencyKey: "k", caller: "c",
            traceparent: "t",
            remainingMs: 5, body: [1, 2]
        ).encoded()
        let request = try check(bytes)
        #expect(request.requestID == "r")
        #expect(request.idempotencyKey == "k")
        #expect(request.caller == "c")
        #expect(request.traceparent == "t")
        #expect(request.remaining == .milliseconds(5))
        #expect(Array(bytes[request.body]) == [1, 2])
    }

    @Test(arguments: [
        (RequestEnvelope(), "method"),
        (RequestEnvelope(method: ""), "method"),
        (RequestEnvelope(method: String(repeating: "m", count: 129)), "method"),
        (RequestEnvelope(method: "m", requestID: String(repeating: "r", count: 65)), "request_id"),
        (RequestEnvelope(method: "m", idempotencyKey: String(repeating: "k", count: 129)), "idempotency_key"),
        (RequestEnvelope(method: "m", caller: String(repeating: "c", count: 129)), "caller"),
        (RequestEnvelope(method: "m", traceparent: String(repeating: "t", count: 65)), "traceparent"),
        (RequestEnvelope(method: "m", version: WireVersion.current, remainingMs: 0), "remaining_ms"),
        (RequestEnvelope(method: "m", version: WireVersion.current, remainingMs: 600_001), "remaining_ms"),
    ])
    func namesTheFieldThatIsWrong(envelope: RequestEnvelope, field: String) {
        #expect { try check(envelope) } throws: { error in
            let refusal = error as? CheckedRequest.Refusal
            return refusal?.error.code == .invalidArgument && refusal?.error.field == field
        }
    }

    @Test func refusesBytesThatAreNoEnvelope() {
        #expect { try check([0xff, 0xff, 0xff]) } throws: { error in
            (error as? CheckedRequest.Refusal)?.error.code == .invalidArgument
        }
    }

    @Test func refusesAnotherMajorVersionAndSaysWhichOneItSpeaks() {
        #expect { try check(RequestEnvelope(method: "m", version: 2000, requestID: "r")) } throws: { error in
            guard let refusal = error as? CheckedRequest.Refusal else { return false }
            return refusal.error.code == .unimplemented && refusal.requestID == "r"
                && refusal.error.message.contains("2.0")
                && refusal.error.message.contains("\(WireVersion.current / 1000).\(WireVersion.current % 1000)")
        }
    }

    @Test func aLongMessageIsCutBetweenCharacters() throws {
        let long = String(repeating: "é", count: 600)
        let head = ReplyHead.failure(.notFound("x" + long), requestID: nil)
        #expect(head.message == "x" + String(repeating: "é", count: 511))
    }
}
