// Every message of the contract survives encoding and decoding; arbitrary bytes never do more than throw.

import Testing
import Wire

/// A message that can be filled with random values (Generated/Samples.swift).
protocol Sampled: WireMessage {
    static func sample(_ random: inout SampleRandom) -> Self
}

/// A seeded generator (SplitMix64): a failure names its seed and can be played again.
struct SampleRandom {
    private var state: UInt64
    private var depth = 0

    init(seed: UInt64) { state = seed }

    mutating func bits() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func bool() -> Bool { bits() & 1 == 1 }
    mutating func count() -> Int { Int(bits() % 4) }
    mutating func double() -> Double { Double(Int64(truncatingIfNeeded: bits()) >> 20) / 64 }
    mutating func bytes() -> [UInt8] { (0..<Int(bits() % 40)).map { _ in UInt8(truncatingIfNeeded: bits()) } }
    mutating func pick<T>(_ values: [T]) -> T { values[Int(bits() % UInt64(values.count))] }

    mutating func string() -> String {
        let letters = Array("abcXYZ019 /_-.äß漢🎥\"\\")
        return String((0..<Int(bits() % 24)).map { _ in letters[Int(bits() % UInt64(letters.count))] })
    }
}

private func roundTrips<M: Sampled>(_ type: M.Type, seed: UInt64) throws -> Bool {
    var random = SampleRandom(seed: seed)
    let message = type.sample(&random)
    return try M(wire: message.encoded()) == message
}

private func survivesDamage<M: Sampled>(_ type: M.Type, seed: UInt64) -> Bool {
    var random = SampleRandom(seed: seed)
    var bytes = type.sample(&random).encoded()
    for _ in 0..<3 where !bytes.isEmpty {
        bytes[Int(random.bits() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.bits())
    }
    if let decoded = try? M(wire: bytes) { return (try? M(wire: decoded.encoded())) != nil }
    return true
}

@Suite struct RoundTripTests {
    @Test func everyMessageSurvivesEncodingAndDecoding() throws {
        for type in everyMessage {
            for seed in 0..<50 as Range<UInt64> {
                let same = try roundTrips(type, seed: seed)
                #expect(same, "\(type.fullName), seed \(seed)")
            }
        }
    }

    @Test func damagedBytesAreRefusedOrReadAsSomeMessage() {
        for type in everyMessage {
            for seed in 0..<50 as Range<UInt64> {
                let survived = survivesDamage(type, seed: seed)
                #expect(survived, "\(type.fullName), seed \(seed)")
            }
        }
    }

    /// From 4 KiB on bytes are lent and taken over instead of copied (WireArena).
    @Test(arguments: [1, 4_095, 4_096, 4_097, 70_000, 1 << 20])
    func longBytesStayWhatTheyWereAndWhoTookThemOverOwnsThem(sizeBytes: Int) throws {
        var random = SampleRandom(seed: UInt64(sizeBytes))
        var message = ClaimedItem()
        message.sidecar = (0..<sizeBytes).map { _ in UInt8(truncatingIfNeeded: random.bits()) }
        message.content = (0..<sizeBytes).map { _ in UInt8(truncatingIfNeeded: random.bits()) }
        var first = try ClaimedItem(wire: message.encoded())
        let second = try ClaimedItem(wire: message.encoded())
        first.sidecar?[0] ^= 1
        #expect(second == message)
        #expect(first.content == message.content)
        #expect(first.sidecar != message.sidecar)
    }

    /// Lists of more than 4 KiB are read into the same places as long bytes.
    @Test func longListsStayWhatTheyWere() throws {
        let message = ReportDeletedRequest(paths: (0..<2_000).map { "line1/\($0).mp4" })
        #expect(try ReportDeletedRequest(wire: message.encoded()) == message)
    }

    @Test func nothingDecodesToAbsentFields() throws {
        #expect(try MediaFile(wire: []) == MediaFile())
    }

    @Test func bytesThatAreNoMessageNameWhatWasExpected() {
        let error = #expect(throws: WireError.self) { try MediaFile(wire: [0xFF, 0xFF, 0xFF]) }
        #expect(error?.description == "3 bytes are not a sightglass.v1.MediaFile")
    }

    @Test func aValueOfANewerContractIsKept() throws {
        let kind = MediaKind(rawValue: 77)
        #expect(kind == .unrecognized(77))
        #expect(try MediaFile(wire: MediaFile(kind: kind).encoded()).kind == kind)
        #expect(MediaKind(rawValue: 1) == .segment)
    }

    @Test func unknownFieldsArePassedOver() throws {
        // Field 2000, a varint: what a newer sender may add.
        let newer = Window(startUs: 1, endUs: 2).encoded() + [0x80, 0x7D, 0x2A]
        #expect(try Window(wire: newer) == Window(startUs: 1, endUs: 2))
    }

    @Test func methodNamesAreUniqueAndStandWithTheirService() {
        let all =
            IndexerMethods.all + AssetRegistryMethods.all + CaptureControllerMethods.all
            + MqttEdgeAdapterMethods.all + HealthMethods.all
        #expect(Set(all).count == all.count)
        #expect(IndexerMethods.recordMedia.name == "sightglass.v1.Indexer/RecordMedia")
        #expect(IndexerMethods.recordMedia.isSafeToRetry)
        #expect(!IndexerMethods.claimItems.isSafeToRetry)
    }

    @Test func aServerAnswersItsOwnMajorVersionAndTheMinorBefore() {
        #expect(WireVersion.answers(WireVersion.current))
        #expect(WireVersion.answers(WireVersion.current + 1))
        #expect(!WireVersion.answers(WireVersion.current + 1000))
        #expect(!WireVersion.answers(0))
    }
}
