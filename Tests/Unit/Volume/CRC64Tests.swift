// CRC-64/NVME against the published vectors and against a computation bit by bit, by both ways that the C library has.
import CChecksum
import Foundation
import Testing
import Volume

@Suite struct CRC64Tests {
    /// As the definition says it, one bit after the other.
    private static func bitByBit(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var value = UInt64.max
        for byte in bytes {
            value ^= UInt64(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x9A6C_9329_AC4B_C9B5 : value >> 1 }
        }
        return ~value
    }

    private static func byTables(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.withUnsafeBytes { sg_crc64_by_tables(0, $0.baseAddress, $0.count) }
    }

    private static func ours(_ bytes: ArraySlice<UInt8>) -> CRC64 {
        var crc = CRC64()
        bytes.withUnsafeBytes { crc.update($0) }
        return crc
    }

    /// "123456789" is the check value of the catalogue of CRCs, the others are of the NVM command set specification.
    @Test(
        arguments: [
            ([UInt8]("123456789".utf8), 0xAE8B_1486_0A79_9888),
            ([UInt8](repeating: 0, count: 4096), 0x6482_D367_EB22_B64E),
            ([UInt8](repeating: 255, count: 4096), 0xC0DD_BA73_02EC_A3AC),
            ((0..<4096).map { UInt8(truncatingIfNeeded: $0) }, 0x3E72_9F5F_6750_449C),
            ((0..<4096).map { UInt8(truncatingIfNeeded: 255 - $0) }, 0x9A2D_F64B_8E9E_517E),
            ([], 0),
        ] as [([UInt8], UInt64)])
    func givesThePublishedValues(_ bytes: [UInt8], _ expected: UInt64) {
        #expect(CRC64(bytes) == CRC64(value: expected, sizeBytes: Int64(bytes.count)))
        #expect(Self.byTables(bytes[...]) == expected)
    }

    @Test func agreesWithTheDefinitionAtEveryLengthAndAlignment() {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<700).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var wrong: [String] = []
        for start in 0..<17 {
            for count in 0..<600 {
                let part = bytes[start..<start + count]
                let expected = Self.bitByBit(part)
                if Self.ours(part).value != expected || Self.byTables(part) != expected {
                    wrong.append("\(count) from \(start)")
                }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test func thoseOfPartsMakeThatOfTheWhole() {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<100_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let whole = CRC64(bytes)
        for _ in 0..<50 {
            var cuts = (0..<Int.random(in: 0...6)).map { _ in Int.random(in: 0...bytes.count) }.sorted()
            cuts.append(bytes.count)
            var (running, joined, start) = (CRC64(), CRC64(), 0)
            for end in cuts {
                let part = bytes[start..<end]
                part.withUnsafeBytes { running.update($0) }
                joined.append(Self.ours(part))
                start = end
            }
            #expect(running == whole && joined == whole, "cut at \(cuts)")
        }
    }

    @Test func isSpelledAsTheServiceWantsIt() {
        for value in [0, 1, 0xAE8B_1486_0A79_9888, .max, 0x0102_0304_0506_0708] as [UInt64] {
            let expected = withUnsafeBytes(of: value.littleEndian) { Data($0) }.base64EncodedString()
            #expect(CRC64(value: value, sizeBytes: 1).base64 == expected)
        }
        #expect(CRC64([UInt8]("123456789".utf8)).base64 == "iJh5CoYUi64=")
    }

    @Test func aFilesDigestHasIt() throws {
        let folder = try TemporaryFolder()
        let bytes = (0..<2_000_003).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let volume = try folder.volume()
        let path = try RelativePath("a/b.mp4")
        let sealed = try volume.write(bytes, to: path, staging: StagingName(owner: "o", epoch: 1, label: "l"))
        #expect(sealed.digest.crc64 == CRC64(bytes).value)
        #expect(try volume.reader(path).digest(fromStorage: true).crc64 == CRC64(bytes).value)
    }
}
