// Golden messages: v1.0.txt was written by Google's protobuf (proto/golden), never by our code. Each line must decode, and
// encode to the same bytes. The file of a released version never changes, so a contract that loses a field fails here.

import Foundation
import Testing
import Wire

private struct GoldenLine {
    let name: String
    let bytes: [UInt8]
}

private func lines(of file: String) throws -> [GoldenLine] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
    return text.split(separator: "\n").map { line in
        let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
        let digits = Array(parts[1].utf8)
        let bytes = stride(from: 0, to: digits.count, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
        }
        return GoldenLine(name: String(parts[0]), bytes: bytes)
    }
}

private func reencoded<M: WireMessage>(_ type: M.Type, _ bytes: [UInt8]) throws -> [UInt8] {
    try M(wire: bytes).encoded()
}

@Suite struct GoldenTests {
    @Test(arguments: ["v1.0.txt"]) func everyGoldenMessageIsReadAndWrittenByteForByte(file: String) throws {
        let golden = try lines(of: file)
        #expect(golden.count > 100)
        for line in golden {
            let type = try #require(messageTypes[line.name], "\(line.name) is no longer in the contract")
            #expect(try reencoded(type, line.bytes) == line.bytes, "\(line.name)")
        }
    }

    @Test func everyMessageOfTheContractHasAGoldenLine() throws {
        let named = Set(try lines(of: "v1.0.txt").map(\.name))
        #expect(Set(messageTypes.keys) == named)
    }

    @Test func aGoldenMessageMeansWhatItSays() throws {
        let line = try #require(try lines(of: "v1.0.txt").first { $0.name == "sightglass.v1.MediaFile" })
        let file = try MediaFile(wire: line.bytes)
        #expect(file.kind == .segment)
        #expect(file.volumeID == "volume_id-2-ä")
        #expect(file.startUs == 1_700_000_000_000_006)
        #expect(file.source?.endpoint == "endpoint-2-ä")
        #expect(file.sha256 == [0, 17, 255])
        #expect(file.salvaged == true)
    }
}
