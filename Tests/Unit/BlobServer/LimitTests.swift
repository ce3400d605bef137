// What ends or is counted: uncommitted blocks after a week, requests and bytes per second. The clock is the test's.
import Foundation
import NIOHTTP1
import Synchronization
import Testing

@testable import BlobServer

@Suite struct LimitTests {
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    @Test func uncommittedBlocksLastAWeekAfterTheNewest() throws {
        let catalogue = try Catalogue(folder: nil)
        try catalogue.commit(.createContainer(name: "cams", metadata: [], etag: "\"1\"", at: Self.now))
        let block = Block(id: "QQ==", extent: Extent(name: "a", sizeBytes: 1))
        let later = Block(id: "Qg==", extent: Extent(name: "b", sizeBytes: 1))
        try catalogue.commit(.putBlock(container: "cams", blob: "old", block: block, at: Self.now))
        try catalogue.commit(.putBlock(container: "cams", blob: "fed", block: block, at: Self.now))
        try catalogue.commit(.putBlock(container: "cams", blob: "fed", block: later, at: Self.now + 100))
        catalogue.expireUncommittedBlocks(before: Self.now)
        #expect(catalogue.state.containers["cams"]?.uncommitted.count == 2)
        catalogue.expireUncommittedBlocks(before: Self.now + 1)
        let kept = catalogue.state.containers["cams"]?.uncommitted
        #expect(kept?.keys.sorted() == ["fed"])
        #expect(kept?["fed"]?.blocks.keys.sorted() == ["QQ==", "Qg=="])
    }

    @Test func aWeekOldUploadStartsAnew() async throws {
        let clock = Mutex(Date())
        var configuration = BlobServer.Configuration()
        configuration.now = { clock.withLock { $0 } }
        configuration.tokens = { _ in .distantFuture }
        try await withServer(configuration) { client in
            try client.server.createContainer("cams")
            let headers: HTTPHeaders = ["Authorization": "Bearer t", "x-ms-version": "2021-12-02"]
            let blob = "\(client.server.endpoint)/cams/b?comp="
            func put() async throws -> Int {
                try await client.plain(.PUT, blob + "block&blockid=QQ%3D%3D", headers: headers, body: [1]).status
            }
            func list() async throws -> Int {
                try await client.plain(.GET, blob + "blocklist&blocklisttype=all", headers: headers).status
            }
            #expect(try await put() == 201)
            clock.withLock { $0 += BlobService.blockLife }
            #expect(try await list() == 200)
            clock.withLock { $0 += 1 }
            #expect(try await list() == 404)
        }
    }

    @Test func requestsBeyondTheRateAreRefused() {
        var gate = ThrottleGate(Throttle(requestsPerSecond: 2, retryAfterSeconds: 3), now: Self.now)
        let admitted = [0, 0, 0.1, 0.6, 0.7, 1.2].map { gate.admit(bytes: 0, now: Self.now + $0) == nil }
        #expect(admitted == [true, true, false, true, false, true])
        let refusal = gate.admit(bytes: 0, now: Self.now + 1.2)
        #expect(refusal?.status == .serviceUnavailable && refusal?.code == "ServerBusy")
        #expect(refusal?.headers == [.init(name: "Retry-After", value: "3")])
    }

    @Test func bytesBeyondTheRateAreRefusedAndALargeBodyPaysLater() {
        var gate = ThrottleGate(Throttle(bytesPerSecond: 1000, status: 429, code: "TooManyRequests"), now: Self.now)
        #expect(gate.admit(bytes: 3000, now: Self.now) == nil)
        #expect(gate.admit(bytes: 1, now: Self.now + 1)?.status.code == 429)
        #expect(gate.admit(bytes: 0, now: Self.now + 1) == nil)
        #expect(gate.admit(bytes: 1, now: Self.now + 2.5) == nil)
    }

    @Test func aLimitIsSetAndLiftedWhileItRuns() async throws {
        try await withServer { client in
            try client.server.createContainer("cams")
            let root = client.server.endpoint.replacingOccurrences(of: "/devstoreaccount1", with: "")
            let limit = #"{"requests_per_second": 0.0001, "retry_after_seconds": 7}"#
            #expect(try await client.plain(.POST, root + "/_control/throttle", body: Array(limit.utf8)).status == 200)
            #expect(try await client.send(.GET, "cams/b").status == 404)
            let refused = try await client.send(.GET, "cams/b")
            #expect(refused.status == 503 && refused.code == "ServerBusy")
            #expect(refused.headers.first(name: "Retry-After") == "7")
            #expect(try await client.plain(.DELETE, root + "/_control/throttle").status == 204)
            #expect(try await client.send(.GET, "cams/b").status == 404)
            #expect(try await client.plain(.POST, root + "/_control/throttle", body: [0x5b]).status == 400)
        }
    }

    @Test func answersSayWhichChecksumTheyComputed() async throws {
        try await withServer { client in
            try client.server.createContainer("cams")
            let block = "cams/b?comp=block&blockid=QQ%3D%3D"
            let body = Array("123456789".utf8)
            let crc = "iJh5CoYUi64="
            let plain = try await client.send(.PUT, block, body: body)
            #expect(plain.headers.first(name: "x-ms-content-crc64") == crc)
            #expect(plain.headers.first(name: "Content-MD5") == nil)
            let md5 = try await client.send(
                .PUT, block, headers: ["Content-MD5": "JfnnlDI7RTiF9RgfG2JNCw=="], body: body)
            #expect(md5.headers.first(name: "x-ms-content-crc64") == nil)
            #expect(md5.headers.first(name: "Content-MD5") == "JfnnlDI7RTiF9RgfG2JNCw==")
            let both = try await client.send(
                .PUT, block, headers: ["Content-MD5": "JfnnlDI7RTiF9RgfG2JNCw==", "x-ms-content-crc64": crc], body: body
            )
            #expect(both.status == 400 && both.code == "BothCrc64AndMd5HeaderPresent")
            for (given, code) in [(crc, nil), ("AAAAAAAAAAA=", "Crc64Mismatch"), ("AAAA", "InvalidHeaderValue")] {
                let answer = try await client.send(.PUT, block, headers: ["x-ms-content-crc64": given], body: body)
                #expect(answer.code == code)
            }
            let whole = try await client.send(.PUT, "cams/b", headers: ["x-ms-blob-type": "BlockBlob"], body: body)
            #expect(whole.headers.first(name: "x-ms-content-crc64") == crc)
            #expect(whole.headers.first(name: "Content-MD5") == "JfnnlDI7RTiF9RgfG2JNCw==")
        }
    }
}
