// The server over a socket: what outlives a restart, and faults. Its protocol is checked by clients that are not ours in
// Tests/Support/blob-conformance; this suite needs no Python.
import Crypto
import Foundation
import Testing

@testable import BlobServer

@Suite struct ServerTests {
    @Test func keepsBlobsAndUncommittedBlocksOverARestart() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "blob-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withServer(.init(folder: folder)) { client in
            try client.server.createContainer("cams")
            for id in ["QUFB", "QkJC"] {
                let answer = try await client.send(.PUT, "cams/a?comp=block&blockid=\(id)", body: Array(id.utf8))
                #expect(answer.status == 201)
            }
            let put = try await client.send(
                .PUT, "cams/b", headers: ["x-ms-blob-type": "BlockBlob", "x-ms-meta-camera": "cam1"], body: [1, 2, 3])
            #expect(put.status == 201)
        }
        // What a process that was killed half-way leaves.
        let journal = try #require(FileHandle(forWritingAtPath: folder + "/journal.jsonl"))
        try journal.seekToEnd()
        try journal.write(contentsOf: Data(#"{"deleteContainer":{"na"#.utf8))
        try Data([1]).write(to: URL(fileURLWithPath: folder + "/data/orphan"))
        try await withServer(.init(folder: folder)) { client in
            let list = "<BlockList><Uncommitted>QkJC</Uncommitted><Latest>QUFB</Latest></BlockList>"
            #expect(try await client.send(.PUT, "cams/a?comp=blocklist", body: Array(list.utf8)).status == 201)
            #expect(client.server.content(of: "a", in: "cams") == Array("QkJCQUFB".utf8))
            let get = try await client.send(.GET, "cams/b")
            #expect(get.body == [1, 2, 3])
            #expect(get.headers.first(name: "x-ms-meta-camera") == "cam1")
            #expect(!FileManager.default.fileExists(atPath: folder + "/data/orphan"))
        }
    }

    @Test func deletedBytesLeaveTheFolder() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "blob-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withServer(.init(folder: folder)) { client in
            try client.server.createContainer("cams")
            for body in [[1], [2]] as [[UInt8]] {
                _ = try await client.send(.PUT, "cams/b", headers: ["x-ms-blob-type": "BlockBlob"], body: body)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/data").count == 1)
            #expect(try await client.send(.DELETE, "cams/b").status == 202)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/data").isEmpty)
        }
    }

    @Test func faultsHappenAsOftenAsTheySay() async throws {
        try await withServer { client in
            try client.server.createContainer("cams")
            let faults =
                #"{"faults": [{"action": "status", "operation": "PutBlob", "status": 503, "count": 2, "retry_after_seconds": 7}]}"#
            let root = client.server.endpoint.replacingOccurrences(of: "/devstoreaccount1", with: "")
            #expect(try await client.plain(.POST, root + "/_control/faults", body: Array(faults.utf8)).status == 200)
            for expected in [503, 503, 201] {
                let answer = try await client.send(.PUT, "cams/b", headers: ["x-ms-blob-type": "BlockBlob"], body: [1])
                #expect(answer.status == expected)
                #expect(answer.headers.first(name: "Retry-After") == (expected == 503 ? "7" : nil))
            }
            #expect(client.server.requests.map(\.status) == [503, 503, 201])
            #expect(try await client.plain(.POST, root + "/_control/faults", body: [0x7b]).status == 400)
        }
    }

    @Test func corruptionOnTheWayIsCaughtByTheChecksum() async throws {
        try await withServer { client in
            try client.server.createContainer("cams")
            client.server.addFaults([Fault(.corrupt, operation: .putBlock), Fault(.corrupt, operation: .getBlob)])
            let md5 = Data(Insecure.MD5.hash(data: Data([1, 2]))).base64EncodedString()
            let block = try await client.send(
                .PUT, "cams/b?comp=block&blockid=QQ%3D%3D", headers: ["Content-MD5": md5], body: [1, 2])
            #expect(block.status == 400 && block.code == "Md5Mismatch")
            _ = try await client.send(.PUT, "cams/c", headers: ["x-ms-blob-type": "BlockBlob"], body: [1, 2])
            let get = try await client.send(.GET, "cams/c")
            #expect(get.body == [0, 2])
            #expect(get.headers.first(name: "Content-MD5") == md5)
        }
    }

    @Test func aLostReplyLeavesTheBlob() async throws {
        try await withServer { client in
            try client.server.createContainer("cams")
            client.server.addFaults([Fault(.replyLost, operation: .putBlob), Fault(.close, operation: .putBlob)])
            for name in ["kept", "refused"] {
                await #expect(throws: (any Error).self) {
                    try await client.send(.PUT, "cams/\(name)", headers: ["x-ms-blob-type": "BlockBlob"], body: [1])
                }
            }
            #expect(client.server.content(of: "kept", in: "cams") == [1])
            #expect(client.server.blob("refused", in: "cams") == nil)
        }
    }

    @Test func errorsSpeakAsTheServiceDoes() async throws {
        try await withServer { client in
            let answer = try await client.send(.GET, "cams/none")
            #expect(answer.status == 404 && answer.code == "ContainerNotFound")
            let text = String(decoding: answer.body, as: UTF8.self)
            #expect(
                text.contains(
                    "<Code>ContainerNotFound</Code><Message>The specified container does not exist.\nRequestId:"))
            #expect(try await client.plain(.GET, client.server.endpoint + "/cams/x").status == 401)
        }
    }
}
