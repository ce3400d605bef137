// What is kept of torn files, and that nothing in a file can harm its reader.
import Foundation
import Media
import Testing

@Suite struct SalvageTests {
    @Test func wholeFileIsComplete() throws {
        let written = try WriterTests.file(try Fixtures.tiny.get().packets)
        let salvage = try FragmentedMP4Reader(MemoryBytes(written.bytes)).salvage()
        #expect(salvage.isComplete)
        #expect(salvage.validBytes == Int64(written.bytes.count))
        #expect(salvage.videoFrames == 50)
        #expect(salvage.fragments == written.boundaries.count - 1)
        #expect(salvage.durationUs == 2_000_000)
        #expect(salvage.tracks.first?.descriptions.map(\.sampleEntry) == ["avc1"])
        #expect(salvage.info?.frames == 50)
        #expect(salvage.finalInfo?.salvaged == false)
    }

    @Test func fileCutAtAnyByteKeepsItsWholeFragments() throws {
        let written = try WriterTests.file(try Fixtures.tiny.get().packets)
        for length in 0..<written.bytes.count {
            let salvage = try FragmentedMP4Reader(MemoryBytes(Array(written.bytes[..<length]))).salvage()
            let whole = written.boundaries.filter { $0 <= length }
            if whole.isEmpty {
                // The header is torn: moov may be whole without the information box behind it, frames there are none.
                #expect(salvage.videoFrames == 0 && salvage.finalInfo == nil)
                continue
            }
            let kept = salvage.validBytes == Int64(whole.last ?? -1) && salvage.fragments == whole.count - 1
            #expect(kept && !salvage.isComplete, "cut at \(length)")
        }
    }

    @Test func salvagedFilePlaysAndSaysWhatItHolds() throws {
        let clip = try Fixtures.tiny.get()
        let written = try WriterTests.file(clip.packets)
        let folder = try Folder()
        for (cut, frames) in [
            (written.boundaries[1] + 1, 7), (written.boundaries[3] + 200, 21), (written.boundaries[6] - 1, 35),
        ] {
            let salvage = try FragmentedMP4Reader(MemoryBytes(Array(written.bytes[..<cut]))).salvage()
            let info = try #require(salvage.finalInfo)
            let mended = Array(written.bytes[..<Int(salvage.validBytes)]) + FragmentedMP4Writer.trailer(info: info)
            let path = try folder.write(mended, "mended.mp4")
            #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
            #expect(info.frames == UInt32(frames))
            #expect(info.salvaged && info.isFinal)
            #expect(info.startUs == Fixtures.info().startUs)
            let hashes = try Fixtures.frameHashes(path)
            #expect(hashes.count == frames)
            // Reordered pictures at the cut may lack the one that they overtook; all before are the same.
            #expect(Array(hashes.prefix(frames - 3)) == Array(clip.frameHashes.prefix(frames - 3)))
            let again = try FragmentedMP4Reader(MemoryBytes(mended)).salvage()
            #expect(again.isComplete)
            #expect(again.info == info)
        }
    }

    /// Neither JPEG nor the inside of a NAL unit tells that a page of it is lost.
    @Test func aPageLostInThePictureEndsWhatIsKept() throws {
        let video = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 48)
        let sound = try CodecConfiguration.pcm(.l16, sampleRateHz: 48_000, channels: 2)
        var writer = FragmentedMP4Writer(tracks: [video, sound], createdUs: 0)
        var bytes = writer.header(info: SegmentInfo(device: "d", endpoint: "e", runID: "r"))
        var ends: [Int] = []
        for number in 0..<4 {
            // The sound is silent: its zeros are no lost pages.
            for (track, content, step) in [(video, UInt8(7), 3_600), (sound, 0, 1_920)] {
                try writer.append(
                    MediaPacket(
                        configuration: track, bytes: PacketBytes([UInt8](repeating: content, count: 20_000)),
                        ptsTicks: Int64(number * step), dtsTicks: Int64(number * step), durationTicks: Int64(step),
                        isKeyframe: true, arrivalNs: 0))
            }
            bytes += writer.takeFragment(newest: .write) ?? []
            ends.append(bytes.count)
        }
        let whole = try FragmentedMP4Reader(MemoryBytes(bytes)).salvage(findingLostPages: true)
        #expect(whole.fragments == 4)
        let page = (ends[1] / 4096 + 2) * 4096
        bytes.replaceSubrange(page..<page + 4096, with: [UInt8](repeating: 0, count: 4096))
        let torn = try FragmentedMP4Reader(MemoryBytes(bytes)).salvage(findingLostPages: true)
        #expect(torn.fragments == 2 && torn.validBytes == Int64(ends[1]))
    }

    @Test func zerosOfAPowerCutAreNoFootage() throws {
        let written = try WriterTests.file(try Fixtures.tiny.get().packets)
        // The file has its length, but the last pages of the fourth fragment never reached the disk.
        var bytes = written.bytes
        for index in (written.boundaries[4] - 300)..<bytes.count { bytes[index] = 0 }
        let salvage = try FragmentedMP4Reader(MemoryBytes(bytes)).salvage()
        #expect(salvage.validBytes == Int64(written.boundaries[3]))
        #expect(salvage.hasRest)
    }

    @Test func descriptorAndMemorySayTheSame() throws {
        let written = try WriterTests.file(try Fixtures.tiny.get().packets)
        let folder = try Folder()
        let path = try folder.write(Array(written.bytes.dropLast(5)), "torn.mp4")
        let file = try #require(FileHandle(forReadingAtPath: path))
        let reader = FragmentedMP4Reader(try FileBytes(descriptor: file.fileDescriptor))
        let salvage = try reader.salvage()
        #expect(salvage.validBytes == Int64(written.boundaries.last ?? 0))
        let samples = try reader.fragments().flatMap(\.samples)
        let payloads = try samples.map { try reader.payload(of: $0) }
        let expected = try Fixtures.tiny.get().packets.map(\.bytes.array)
        #expect(payloads == expected)
    }

    @Test(arguments: 0..<20)
    func mutatedFilesNeverHarm(seed: Int) throws {
        var numbers = SeededNumbers(state: UInt64(seed))
        let written = try WriterTests.file(try Fixtures.tiny.get().packets)
        for _ in 0..<60 {
            var bytes = written.bytes
            for _ in 0..<Int.random(in: 1...12, using: &numbers) {
                // Half of the changes go to the header, where the structure is.
                let end = Bool.random(using: &numbers) ? written.boundaries[0] + 400 : bytes.count
                let value: UInt8 =
                    [0, 1, 0x7F, 0x80, 0xFF, .random(in: 0...255, using: &numbers)].randomElement(using: &numbers) ?? 0
                bytes[Int.random(in: 0..<end, using: &numbers)] = value
            }
            let reader = FragmentedMP4Reader(MemoryBytes(bytes))
            let salvage = try reader.salvage()
            #expect((0...Int64(bytes.count)).contains(salvage.validBytes))
            for sample in try reader.fragments().flatMap(\.samples) {
                #expect(sample.offset >= 0 && sample.offset + Int64(sample.sizeBytes) <= Int64(bytes.count))
            }
        }
    }

    @Test(arguments: 0..<20)
    func randomBytesNeverHarm(seed: Int) throws {
        var numbers = SeededNumbers(state: UInt64(1000 + seed))
        let names = ["ftyp", "moov", "trak", "moof", "traf", "trun", "tfhd", "mdat", "uuid", "stsd", "mvex", "trex"].map
        { Array($0.utf8) }
        for _ in 0..<100 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...20, using: &numbers) {
                let size = [0, 1, 7, 8, 16, 40, 400, 0x7FFF_FFFF, 0xFFFF_FFFF].randomElement(using: &numbers) ?? 8
                bytes += (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) }
                bytes += names.randomElement(using: &numbers) ?? []
                bytes += (0..<Int.random(in: 0...60, using: &numbers)).map { _ in
                    UInt8.random(in: 0...255, using: &numbers)
                }
            }
            let salvage = try FragmentedMP4Reader(MemoryBytes(bytes)).salvage()
            #expect(salvage.videoFrames == 0)
        }
    }
}
