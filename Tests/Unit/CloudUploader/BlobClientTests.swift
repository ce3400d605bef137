// In which order a request gets its place on the line and its authorization.
import Harness
import NIOCore
import ServiceKit
import Synchronization
import Testing

@testable import CloudUploader

@Suite struct BlobClientTests {
    /// Writes down what is asked of it.
    private final class Record: Line, Authorizer {
        private let log = Mutex<[String]>([])

        var events: [String] { log.withLock { $0 } }
        let words = CredentialWords.token

        func begin() async throws -> LineTicket {
            log.withLock { $0.append("begin") }
            return LineTicket(number: 1, beganAt: .now)
        }
        func pace(bytes: Int) async throws { log.withLock { $0.append("pace \(bytes)") } }
        func end(_ ticket: LineTicket, _ outcome: LineOutcome) { log.withLock { $0.append("end") } }

        func authorize(_ request: SignedParts, nowUs: Int64) async throws -> Authorization {
            log.withLock { $0.append("authorize") }
            return Authorization(mark: CredentialMark("a"))
        }
        func renew(after mark: CredentialMark) async -> Bool {
            log.withLock { $0.append("renew") }
            return true
        }
        func close() async {}
    }

    /// A wait for the line of a quarter of an hour made signed requests too old; of an hour, tokens.
    @Test func aRequestIsAuthorizedWhenItHasItsPlaceOnTheLine() async throws {
        var settings = Settings()
        settings[UploaderKeys.container] = "cams"
        settings[UploaderKeys.sasFile] = "sas"
        settings[UploaderKeys.blobEndpoint] = "http://127.0.0.1:\(try freePort())/a"
        let location = try BlobLocation(settings, CredentialSource(settings), SecretStore(directory: "/"))
        let record = Record()
        let client = BlobClient(
            location: location, authorizer: record, outbound: Outbound(OutboundSettings()), clock: ManualWallClock(),
            line: record)
        // Nobody listens: no answer, so no credential was refused either.
        let error = await #expect(throws: BlobCallError.self) {
            try await client.send(BlobCall(method: .HEAD, query: [("restype", "container")]))
        }
        #expect(error?.mark == nil && error?.refusesCredential == false)
        #expect(record.events == ["begin", "authorize", "end"])
        // A line that is shut for hours may come in between.
        let put = BlobCall(method: .PUT, blob: "a", body: .memory(ByteBuffer(bytes: [1, 2, 3])))
        await #expect(throws: BlobCallError.self) { try await client.send(put) }
        #expect(record.events.suffix(4) == ["begin", "pace 3", "authorize", "end"])
        await client.close()
    }
}
