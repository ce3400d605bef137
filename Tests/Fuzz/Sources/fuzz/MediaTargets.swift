// Bytes of damaged disks and of video streams: files, the box of segment information, Annex B, parameter sets.

@testable import Media

enum MediaTargets {
    /// A recorded file.
    @Sendable static func file(_ bytes: UnsafeRawBufferPointer) {
        let source = MemoryBytes(Array(bytes))
        let reader = FragmentedMP4Reader(source)
        guard let salvage = try? reader.salvage(), let fragments = try? reader.fragments() else {
            return must(false, "content is no reason to throw")
        }
        must(salvage.validBytes <= source.size, "what can be kept is there")
        must(fragments.count == salvage.fragments, "the same fragments are found twice")
        // What is read of a file is bounded by the file: no sample is counted twice.
        let sampleBytes = fragments.reduce(0) { $0 + $1.samples.reduce(0) { $0 + $1.sizeBytes } }
        must(sampleBytes <= bytes.count, "the samples lie beside each other")
        must(fragments.allSatisfy { $0.samples.count <= bytes.count }, "samples have bytes")
        for sample in fragments.flatMap(\.samples) {
            must((try? reader.payload(of: sample))?.count == sample.sizeBytes, "a sample of a whole fragment is there")
        }
        _ = salvage.durationUs
        guard let final = salvage.finalInfo else { return }
        // The file as the recorder's next start leaves it.
        let kept = Array(bytes.prefix(Int(salvage.validBytes))) + FragmentedMP4Writer.trailer(info: final)
        if !salvage.isComplete {
            let again = try? FragmentedMP4Reader(MemoryBytes(kept)).salvage()
            must(again?.isComplete == true, "a salvaged file is whole")
            must(again?.videoFrames == salvage.videoFrames, "a salvaged file has its frames")
        }
    }

    /// The content of a 'uuid' box.
    @Sendable static func segmentInfo(_ bytes: UnsafeRawBufferPointer) {
        guard let info = SegmentInfo(uuidBoxContent: SegmentInfo.boxUUID + [SegmentInfo.version] + Array(bytes)) else {
            return
        }
        let written = info.box()
        let again = SegmentInfo(uuidBoxContent: Array(written.dropFirst(8)))
        must(again != nil, "what was written can be read")
        must(again?.box() == written, "what was read is written as it was")
    }

    /// Pieces of a byte stream, each with a time: codec(1) { has time(1) [time(8)] length(2) piece }...
    @Sendable static func annexB(_ bytes: UnsafeRawBufferPointer) {
        check(AnnexB.units(in: bytes), in: bytes)
        if let units = AnnexB.lengthPrefixedUnits(in: bytes) { check(units, in: bytes) }
        _ = JPEGHeader(bytes)
        _ = JPEGHeader.isWhole(bytes)
        var input = Input(bytes)
        let mode = input.byte()
        let codec: Codec = [.h264, .hevc, .mjpeg][Int(mode) % 3]
        var assembler = VideoAssembler(codec: codec, timescale: mode & 0x80 == 0 ? 90_000 : 1)
        var recording = Recording()
        var arrivalNs: Int64 = 0
        while !input.isAtEnd {
            let flags = input.byte()
            let time: Int64? = flags & 1 != 0 ? input.number() : flags & 2 != 0 ? Int64(input.number(UInt16.self)) : nil
            arrivalNs += 40_000_000
            let piece = input.piece(Int(input.number(UInt16.self)))
            let packet = piece.withUnsafeBytes { assembler.append($0, ptsTicks: time, arrivalNs: arrivalNs) }
            if let packet { recording.take(packet) }
        }
        if let packet = assembler.flush() { recording.take(packet) }
        recording.end()
        audio(bytes)
    }

    /// The body of an HTTP answer: bound of a part(1) length(1) content type, body.
    @Sendable static func multipart(_ bytes: UnsafeRawBufferPointer) {
        var input = Input(bytes)
        let most = Int(input.byte()) * 16
        let type = String(decoding: input.piece(Int(input.byte())), as: UTF8.self)
        let body = input.rest()
        var reads: [(pictures: [[UInt8]], counters: MultipartJPEGReader.Counters)] = []
        for size in [max(body.count, 1), 1, 13] {
            guard var reader = MultipartJPEGReader(contentType: type, maximumPartBytes: most) else { return }
            var pictures: [[UInt8]] = []
            for start in stride(from: 0, to: body.count, by: size) {
                body[start..<min(start + size, body.count)].withUnsafeBytes { piece in
                    reader.append(piece) { pictures.append($0.array) }
                }
            }
            reader.finish { pictures.append($0.array) }
            reads.append((pictures, reader.counters))
        }
        must(reads.allSatisfy { $0 == reads[0] }, "a stream cut into other pieces is the same stream")
        for picture in reads[0].pictures {
            must(picture.starts(with: [0xFF, 0xD8]) && picture.suffix(2) == [0xFF, 0xD9], "a picture is whole")
            must(picture.count <= most, "a picture is bounded")
        }
        must(reads[0].counters.pictures == reads[0].pictures.count, "pictures are counted")
    }

    private static func check(_ units: [Range<Int>], in bytes: UnsafeRawBufferPointer) {
        must(units.allSatisfy { !$0.isEmpty && $0.upperBound <= bytes.count }, "units are not empty and lie within")
        must(zip(units, units.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound }, "units follow each other")
    }

    /// Sound with any times.
    private static func audio(_ bytes: UnsafeRawBufferPointer) {
        guard let configuration = try? CodecConfiguration.pcm(.l16, sampleRateHz: 8_000, channels: 1) else { return }
        var input = Input(bytes)
        var timeline = AudioTimeline(configuration: configuration)
        while !input.isAtEnd {
            let time = input.number(Int64.self)
            let videoUs: Int64? = input.byte() & 1 == 0 ? nil : input.number()
            let sound = [UInt8](repeating: 0, count: Int(input.byte()))
            let packet = sound.withUnsafeBytes {
                timeline.packet($0, ptsTicks: time == 0 ? nil : time, arrivalNs: 0, videoPtsUs: videoUs)
            }
            if let packet { must(packet.durationTicks > 0, "sound has a length") }
        }
    }

    /// One parameter set of each kind, each after its length in 2 bytes; the first byte chooses the codec.
    @Sendable static func parameterSets(_ bytes: UnsafeRawBufferPointer) {
        var input = Input(bytes)
        let codec: Codec = input.byte() & 1 == 0 ? .h264 : .hevc
        var sets = ParameterSets()
        while !input.isAtEnd {
            let set = input.piece(Int(input.number(UInt16.self)))
            _ = try? H264SPS(nal: set)
            _ = try? HEVCSPS(nal: set)
            _ = try? CodecConfiguration.aac(audioSpecificConfig: set)
            if !set.isEmpty { sets.take(set, codec: codec) }
        }
        guard let made = sets.configuration(codec: codec, timescale: 90_000) else { return }
        must((1...16384).contains(made.widthPx) && (1...16384).contains(made.heightPx), "a picture's size is bounded")
        let file = FragmentedMP4Writer(tracks: [made], createdUs: 0).header(
            info: SegmentInfo(device: "d", endpoint: "e", runID: "r"))
        let salvage = try? FragmentedMP4Reader(MemoryBytes(file)).salvage()
        must(salvage?.tracks.first?.descriptions.first?.widthPx == made.widthPx, "a header that was written is read")
    }
}
