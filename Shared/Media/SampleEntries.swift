// moov: the boxes that describe the tracks. FragmentedMP4Writer.swift and ProgressiveMovie.swift write the rest of their files.

/// Boxes of the movie header.
enum SampleEntries {
    /// Seconds from 1904, where MP4 counts from, to 1970.
    private static let epochOffset: Int64 = 2_082_844_800

    /// A movie timescale of milliseconds: nothing in a fragmented file is measured in it.
    private static let movieTimescale: UInt32 = 1000

    /// What a track says of itself.
    struct TrackHead {
        let isVideo: Bool
        /// Ticks per second.
        let timescale: UInt32
        let widthPx: Int
        let heightPx: Int
        /// Its length in ticks of the movie, and of its own; 0 where fragments tell.
        var movieTicks: Int64 = 0
        var mediaTicks: Int64 = 0
    }

    /// moov of a fragmented file. `tracks`: for each track what its samples may have, at least one, of one codec and timescale.
    static func movie(_ writer: inout BoxWriter, tracks: [[CodecConfiguration]], createdUs: Int64) {
        writer.box("moov") { moov in
            movieHeader(&moov, timescale: movieTimescale, lengthTicks: 0, tracks: tracks.count, createdUs: createdUs)
            for (index, configurations) in tracks.enumerated() {
                guard let first = configurations.first else { continue }
                let head = TrackHead(
                    isVideo: first.kind == .video, timescale: first.timescale, widthPx: first.widthPx,
                    heightPx: first.heightPx)
                track(&moov, id: UInt32(index + 1), head, createdUs: createdUs) { _ in
                } sampleTable: {
                    sampleTable(&$0, configurations)
                }
            }
            moov.box("mvex") { mvex in
                for index in tracks.indices {
                    mvex.fullBox("trex") { box in
                        box.u32(UInt32(index + 1))
                        box.u32(1)
                        box.zeros(12)
                    }
                }
            }
        }
    }

    /// mvhd. `lengthTicks` in ticks of the movie; 0 where fragments tell.
    static func movieHeader(
        _ moov: inout BoxWriter, timescale: UInt32, lengthTicks: Int64, tracks: Int, createdUs: Int64
    ) {
        moov.fullBox("mvhd", version: 1) { box in
            times(&box, createdUs)
            box.u32(timescale)
            box.u64(UInt64(max(0, lengthTicks)))
            box.u32(0x0001_0000)
            box.u16(0x0100)
            box.zeros(10)
            matrix(&box)
            box.zeros(24)
            box.u32(UInt32(tracks + 1))
        }
    }

    private static func times(_ box: inout BoxWriter, _ createdUs: Int64) {
        let created = UInt64(max(0, createdUs / 1_000_000 + epochOffset))
        box.u64(created)
        box.u64(created)
    }

    /// trak around what `edits` and `sampleTable` write.
    static func track(
        _ moov: inout BoxWriter, id: UInt32, _ head: TrackHead, createdUs: Int64, edits: (inout BoxWriter) -> Void,
        sampleTable: (inout BoxWriter) -> Void
    ) {
        moov.box("trak") { trak in
            trak.fullBox("tkhd", version: 1, flags: 3) { box in
                times(&box, createdUs)
                box.u32(id)
                box.u32(0)
                box.u64(UInt64(max(0, head.movieTicks)))
                box.zeros(8)
                box.u16(0)
                box.u16(0)
                box.u16(head.isVideo ? 0 : 0x0100)
                box.u16(0)
                matrix(&box)
                box.u32(UInt32(head.widthPx) << 16)
                box.u32(UInt32(head.heightPx) << 16)
            }
            edits(&trak)
            trak.box("mdia") { mdia in
                mdia.fullBox("mdhd", version: 1) { box in
                    times(&box, createdUs)
                    box.u32(head.timescale)
                    box.u64(UInt64(max(0, head.mediaTicks)))
                    // Language "und".
                    box.u16(0x55C4)
                    box.u16(0)
                }
                mdia.fullBox("hdlr") { box in
                    box.u32(0)
                    box.text(head.isVideo ? "vide" : "soun")
                    box.zeros(12)
                    box.text(head.isVideo ? "VideoHandler" : "SoundHandler")
                    box.u8(0)
                }
                mdia.box("minf") { minf in
                    if head.isVideo {
                        minf.fullBox("vmhd", flags: 1) { $0.zeros(8) }
                    } else {
                        minf.fullBox("smhd") { $0.zeros(4) }
                    }
                    minf.box("dinf") { dinf in
                        dinf.fullBox("dref") { dref in
                            dref.u32(1)
                            dref.fullBox("url ", flags: 1) { _ in }
                        }
                    }
                    minf.box("stbl") { sampleTable(&$0) }
                }
            }
        }
    }

    /// The descriptions, and empty tables: all samples are in the fragments.
    private static func sampleTable(_ stbl: inout BoxWriter, _ configurations: [CodecConfiguration]) {
        stbl.fullBox("stsd") { stsd in
            stsd.u32(UInt32(configurations.count))
            for track in configurations {
                if track.kind == .video {
                    video(&stsd, track, setsInSamples: configurations.count > 1)
                } else {
                    audio(&stsd, track)
                }
            }
        }
        stbl.fullBox("stts") { $0.u32(0) }
        stbl.fullBox("stsc") { $0.u32(0) }
        stbl.fullBox("stsz") { $0.zeros(8) }
        stbl.fullBox("stco") { $0.u32(0) }
    }

    private static func video(_ stsd: inout BoxWriter, _ track: CodecConfiguration, setsInSamples: Bool) {
        let type: String
        switch track.codec {
        case .h264: type = setsInSamples ? "avc3" : "avc1"
        case .hevc: type = setsInSamples ? "hev1" : "hvc1"
        default: type = "mp4v"
        }
        stsd.box(type) { entry in
            entry.zeros(6)
            entry.u16(1)
            entry.zeros(16)
            entry.u16(UInt16(track.widthPx))
            entry.u16(UInt16(track.heightPx))
            entry.u32(0x0048_0000)
            entry.u32(0x0048_0000)
            entry.u32(0)
            entry.u16(1)
            entry.zeros(32)
            entry.u16(0x0018)
            entry.u16(0xFFFF)
            switch track.codec {
            case .h264: entry.box("avcC") { $0.bytes(track.decoderConfiguration) }
            case .hevc:
                entry.box("hvcC") { box in
                    box.bytes(setsInSamples ? incomplete(track.decoderConfiguration) : track.decoderConfiguration)
                }
            // Object type 0x6C: ISO/IEC 10918-1, JPEG; stream type 4: visual.
            default: elementaryStream(&entry, objectType: 0x6C, streamType: 0x11, specific: [])
            }
        }
    }

    /// hvcC whose arrays do not claim to have all parameter sets of the stream (8.3.3.1.2).
    private static func incomplete(_ decoderConfiguration: [UInt8]) -> [UInt8] {
        var content = decoderConfiguration
        // Behind 22 bytes and the number of arrays: type, number of sets, and each set behind its length in 2 bytes.
        var index = 23
        while index + 2 < content.count {
            content[index] &= 0x7F
            var sets = Int(content[index + 1]) << 8 | Int(content[index + 2])
            index += 3
            while sets > 0, index + 1 < content.count {
                index += 2 + (Int(content[index]) << 8 | Int(content[index + 1]))
                sets -= 1
            }
        }
        return content
    }

    private static func audio(_ stsd: inout BoxWriter, _ track: CodecConfiguration) {
        let type: String
        switch track.codec {
        case .aac: type = "mp4a"
        case .pcmu: type = "ulaw"
        case .pcma: type = "alaw"
        default: type = "twos"
        }
        stsd.box(type) { entry in
            entry.zeros(6)
            entry.u16(1)
            entry.zeros(8)
            entry.u16(UInt16(track.channels))
            entry.u16(16)
            entry.zeros(4)
            // 16.16; a rate that does not fit is told by the codec's own configuration.
            entry.u32(track.sampleRateHz < 65536 ? UInt32(track.sampleRateHz) << 16 : 0)
            if track.codec == .aac {
                // Object type 0x40: ISO/IEC 14496-3; stream type 5: audio.
                elementaryStream(&entry, objectType: 0x40, streamType: 0x15, specific: track.decoderConfiguration)
            } else if track.channels <= 2 {
                // Without it, players of the FFmpeg family complain that they have to guess: mono or stereo, as QuickTime names them.
                entry.fullBox("chan") { box in
                    box.u32(UInt32(99 + track.channels) << 16 | UInt32(track.channels))
                    box.zeros(8)
                }
            }
        }
    }

    /// esds (ISO/IEC 14496-1 7.2.6.5). All descriptors are shorter than 128 bytes, so one byte of length is enough.
    private static func elementaryStream(
        _ entry: inout BoxWriter, objectType: UInt8, streamType: UInt8, specific: [UInt8]
    ) {
        entry.fullBox("esds") { box in
            let specificSize = specific.isEmpty ? 0 : specific.count + 2
            box.u8(3)
            box.u8(UInt8(3 + 15 + specificSize + 3))
            box.u16(0)
            box.u8(0)
            box.u8(4)
            box.u8(UInt8(13 + specificSize))
            box.u8(objectType)
            box.u8(streamType)
            box.zeros(11)
            if !specific.isEmpty {
                box.u8(5)
                box.u8(UInt8(specific.count))
                box.bytes(specific)
            }
            box.bytes([6, 1, 2])
        }
    }

    private static func matrix(_ box: inout BoxWriter) {
        for value: UInt32 in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] { box.u32(value) }
    }
}
