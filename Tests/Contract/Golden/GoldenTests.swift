// Golden messages, written by Google's protobuf (proto/golden), never by our code.
//
//   v{minor version}.txt   what that version's peers send. Each line must decode, and encode to the same bytes. The file of a
//                          released version never changes, so a contract that loses a field fails here.
//   future.txt             what a peer of a later minor version may send: unknown fields everywhere, unknown values in every
//                          enum. Each line must decode, and encode to what is left without the unknown fields.

import Foundation
import Testing
import Wire

private struct GoldenLine {
    let name: String
    let bytes: [UInt8]
    /// What our code must make of the bytes.
    let written: [UInt8]
}

private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Messages")

/// The files of released versions, the newest last.
private func releases() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path)
        .filter { $0.hasPrefix("v") && $0.hasSuffix(".txt") }
        .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
}

private func bytes(_ hexadecimal: Substring) -> [UInt8] {
    let digits = Array(hexadecimal.utf8)
    return stride(from: 0, to: digits.count, by: 2).compactMap { index in
        UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)
    }
}

private func lines(of file: String) throws -> [GoldenLine] {
    let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
    return try text.split(separator: "\n").map { line in
        let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
        try #require(parts.count == 2 || parts.count == 3, "\(file)")
        return GoldenLine(name: String(parts[0]), bytes: bytes(parts[1]), written: bytes(parts[parts.count - 1]))
    }
}

private func reencoded<M: WireMessage>(_ type: M.Type, _ bytes: [UInt8]) throws -> [UInt8] {
    try M(wire: bytes).encoded()
}

private func expectReadAndWritten(_ file: String) throws {
    for line in try lines(of: file) {
        let type = try #require(messageTypes[line.name], "\(line.name) is no longer in the contract")
        #expect(try reencoded(type, line.bytes) == line.written, "\(file): \(line.name)")
    }
}

@Suite struct GoldenTests {
    @Test func everyGoldenMessageIsReadAndWrittenByteForByte() throws {
        let files = try releases()
        #expect(files.first == "v1.0.txt")
        for file in files {
            #expect(try lines(of: file).count > 100)
            try expectReadAndWritten(file)
        }
    }

    @Test func everyMessageOfTheContractHasAGoldenLine() throws {
        for file in [try #require(try releases().last), "future.txt"] {
            let names = try lines(of: file).map(\.name)
            #expect(Set(names) == Set(messageTypes.keys), "\(file)")
            #expect(names.count == Set(names).count, "\(file)")
        }
    }

    @Test func unknownFieldsArePassedOverAndUnknownValuesAreKeptInEveryMessage() throws {
        try expectReadAndWritten("future.txt")
        // Every line has something that this contract does not know, or the test above would show nothing.
        for line in try lines(of: "future.txt") { #expect(line.bytes.count > line.written.count, "\(line.name)") }
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

    @Test func aMessageOfALaterVersionMeansWhatItSays() throws {
        let line = try #require(try lines(of: "future.txt").first { $0.name == "sightglass.v1.MediaFile" })
        let file = try MediaFile(wire: line.bytes)
        #expect(file.kind == .unrecognized(7777))
        #expect(file.source?.endpoint == "endpoint-2-ä")
        #expect(file.sequence == 19)
    }
}
