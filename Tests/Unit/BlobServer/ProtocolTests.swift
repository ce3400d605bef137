// The parts of the Blob service that need no socket: signatures against vectors made by the official Python SDK, times,
// checksums, names, block lists, pages.
import Foundation
import NIOHTTP1
import Testing

@testable import BlobServer

@Suite struct ProtocolTests {
    @Test func signsThePublishedExample() throws {
        let key = SharedKey(account: "myaccount", key: [1])
        let request = try request(
            .GET, "/mycontainer?restype=container&comp=metadata&timeout=20",
            ["x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT", "x-ms-version": "2015-02-21"])
        #expect(
            key.stringToSign(request) == "GET\n\n\n\n\n\n\n\n\n\n\n\n"
                + "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
                + "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20")
    }

    /// The signature is the Python SDK's for the same request and key.
    @Test func takesTheSignatureOfTheOfficialSDKAndNoOther() throws {
        let key = try #require(Data(base64Encoded: BlobServer.developmentKey))
        let sharedKey = SharedKey(account: "devstoreaccount1", key: [UInt8](key))
        let now = try #require(HTTPDate.parseRFC1123("Fri, 26 Jun 2015 23:50:00 GMT"))
        var headers: HTTPHeaders = [
            "Content-Length": "5", "Content-Type": "video/mp4", "If-None-Match": "*", "x-ms-blob-type": "BlockBlob",
            "x-ms-meta-camera": "cam1", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT", "x-ms-version": "2021-12-02",
            "Authorization": "SharedKey devstoreaccount1:gtgKJZlOjt8EJu+HUbTfuNt2OAvv0kFGA31h9Qcg6Co=",
        ]
        let uri = "/devstoreaccount1/cams/a.mp4"
        try sharedKey.verify(request(.PUT, uri, headers), now: now)
        for (at, part) in [(now + 600, "too old"), (now - 3600, "too far")] {
            let error = try #require(throws: ServiceError.self) {
                try sharedKey.verify(request(.PUT, uri, headers), now: at)
            }
            #expect(error.code == "AuthenticationFailed" && error.details[0].value.contains(part))
        }
        headers.replaceOrAdd(name: "x-ms-meta-camera", value: "cam2")
        let error = try #require(throws: ServiceError.self) {
            try sharedKey.verify(request(.PUT, uri, headers), now: now)
        }
        #expect(error.details[0].value.contains("x-ms-meta-camera:cam2"))
    }

    @Test func readsAndWritesTimes() throws {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT"
        let date = try #require(HTTPDate.parseRFC1123(text))
        #expect(date.timeIntervalSince1970 == 784_111_777)
        #expect(HTTPDate.rfc1123(date) == text)
        #expect(HTTPDate.iso8601(date) == "1994-11-06T08:49:37.0000000Z")
        #expect(HTTPDate.parseISO8601("1994-11-06T08:49:37Z") == date)
        #expect(HTTPDate.parseISO8601("2024-02-29T00:00Z")?.timeIntervalSince1970 == 1_709_164_800)
        #expect(HTTPDate.parseISO8601("2024-02-29 00:00") == nil)
        #expect(HTTPDate.parseRFC1123("yesterday") == nil)
    }

    @Test func computesTheServicesCRC64() {
        // The check value of the polynomial, and the same for any way of cutting the bytes.
        for cut in 0...9 {
            var crc = CRC64()
            for part in ["123456789".utf8.prefix(cut), "123456789".utf8.dropFirst(cut)] {
                Array(part).withUnsafeBytes { crc.update($0) }
            }
            #expect(crc.value == 0xAE8B_1486_0A79_9888)
        }
    }

    @Test(arguments: [
        (HTTPMethod.PUT, "/a/cams/x?comp=block&blockid=QQ%3D%3D", BlobOperation.putBlock),
        (.PUT, "/a/cams/x/y%20z", .putBlob), (.GET, "/a/cams?restype=container&comp=list", .listBlobs),
        (.GET, "/a/?comp=list", .listContainers), (.GET, "/a?comp=list", .listContainers),
        (.HEAD, "/a/cams/x", .getBlobProperties), (.PUT, "/a/cams?restype=container", .createContainer),
    ])
    func knowsOperations(_ method: HTTPMethod, _ uri: String, _ expected: BlobOperation) throws {
        #expect(try request(method, uri).operation() == expected)
    }

    @Test(arguments: [
        ("/a/Cams?restype=container", "InvalidResourceName"), ("/a/c--d?restype=container", "InvalidResourceName"),
        ("/a/ab?restype=container", "OutOfRangeInput"), ("/a/cams/x%0Ay", "InvalidUri"), ("/a/cams", "InvalidUri"),
        ("/a/cams/x?comp=copy", "NotImplemented"),
    ])
    func refusesWhatItDoesNotKnow(_ uri: String, _ code: String) throws {
        let error = #expect(throws: ServiceError.self) { _ = try request(.PUT, uri).operation() }
        #expect(error?.code == code)
    }

    @Test func readsBlockListsAndNothingElse() throws {
        let text =
            "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<BlockList>\n <Latest>QQ==</Latest><Committed>Qg==</Committed>\n</BlockList>"
        #expect(
            try BlockReference.parseList(Array(text.utf8)) == [
                BlockReference(source: .latest, id: "QQ=="), BlockReference(source: .committed, id: "Qg=="),
            ])
        #expect(try BlockReference.parseList(Array("<BlockList />".utf8)).isEmpty)
        for bad in [
            "", "<BlockList>", "<BlockList><Other>QQ==</Other></BlockList>",
            "<BlockList><Latest>Q</Committed></BlockList>",
            "<BlockList>text</BlockList>",
        ] {
            #expect(throws: ServiceError.invalidXML, "\(bad)") { try BlockReference.parseList(Array(bad.utf8)) }
        }
    }

    @Test(arguments: [
        ("bytes=0-9", 0..<10), ("bytes=95-200", 95..<100), ("bytes=50-", 50..<100), ("lines=1-2", nil),
        ("bytes=5-2", nil),
    ])
    func readsRanges(_ text: String, _ expected: Range<Int>?) throws {
        #expect(try ByteRange.parse(text, size: 100) == expected)
        #expect(throws: ServiceError.invalidRange) { try ByteRange.parse("bytes=100-", size: 100) }
    }

    @Test func allowsAddressRanges() {
        #expect(SharedAccessSignature.contains("10.0.0.1-10.0.0.9", "10.0.0.5"))
        #expect(!SharedAccessSignature.contains("10.0.0.6", "10.0.0.5"))
        #expect(!SharedAccessSignature.contains("garbage", "10.0.0.5"))
    }

    @Test func slicesExtents() {
        let extents = [
            Extent(name: "a", sizeBytes: 10), Extent(name: "b", sizeBytes: 5), Extent(name: "c", sizeBytes: 7),
        ]
        let slices = BlobService.slices(extents, 8..<16)
        #expect(slices.map(\.extent.name) == ["a", "b", "c"])
        #expect(slices.map(\.offset) == [8, 0, 0])
        #expect(slices.map(\.length) == [2, 5, 1])
    }

    @Test func pagesNeverRepeatNorLeaveOut() throws {
        let names = ["a/1", "a/2", "b", "c/1", "d", "é/1"]
        for maximum in 1...6 {
            var seen: [String] = []
            var marker = ""
            repeat {
                let escaped = marker.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                let parameters = try ListParameters(
                    request(
                        .GET,
                        "/a/cams?restype=container&comp=list&delimiter=%2F&maxresults=\(maximum)&marker=\(escaped)"))
                let page = parameters.page(of: names)
                seen += page.names.map(\.text)
                marker = page.nextMarker
            } while !marker.isEmpty
            #expect(seen == ["a/", "b", "c/", "d", "é/"])
        }
    }
}
