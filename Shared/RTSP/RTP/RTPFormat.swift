// How a track is named in a description (SDP) and in RTP headers: encoding, payload type, clock and parameters of a codec.

import Media

/// What a receiver must know of a track before its first packet.
struct RTPFormat: Sendable, Equatable {
    /// "H264".
    let encoding: String
    let payloadType: UInt8
    /// Ticks of the timestamps per second.
    let clockRateHz: UInt32
    /// Of sound; 0 for pictures.
    let channels: Int
    /// What stands behind `a=fmtp`; empty: nothing.
    let parameters: String
    /// The size, where the payload itself cannot say it.
    let sizePx: [Int]

    /// The format of a codec.
    ///
    /// - Parameter dynamicType: 96 to 127, another one for each track; not used where the codec has a number of its own.
    init(_ configuration: CodecConfiguration, dynamicType: UInt8) {
        let codec = configuration.codec
        encoding = Self.encoding(codec)
        clockRateHz = codec.kind == .video ? 90_000 : UInt32(clamping: configuration.sampleRateHz)
        channels = configuration.channels
        parameters = Self.parameters(configuration)
        payloadType = Self.fixedType(configuration) ?? dynamicType
        let size = [configuration.widthPx, configuration.heightPx]
        sizePx = codec == .mjpeg && size.contains { $0 > JPEGScan.maximumHeaderPx } ? size : []
    }

    private static func encoding(_ codec: Codec) -> String {
        switch codec {
        case .h264: "H264"
        case .hevc: "H265"
        case .mjpeg: "JPEG"
        case .aac: "MPEG4-GENERIC"
        case .pcmu: "PCMU"
        case .pcma: "PCMA"
        case .l16: "L16"
        }
    }

    /// RFC 3551, tables 4 and 5. L16 has numbers for two formats only; it goes by name.
    private static func fixedType(_ configuration: CodecConfiguration) -> UInt8? {
        let isTelephone = configuration.sampleRateHz == 8_000 && configuration.channels == 1
        switch configuration.codec {
        case .mjpeg: return 26
        case .pcmu: return isTelephone ? 0 : nil
        case .pcma: return isTelephone ? 8 : nil
        default: return nil
        }
    }

    private static func parameters(_ configuration: CodecConfiguration) -> String {
        func list(_ sets: [[UInt8]]) -> String { sets.map(Base64.encode).joined(separator: ",") }
        func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
        }
        switch configuration.codec {
        case .h264:
            let profile = hexadecimal(configuration.sequenceParameterSets.first?.dropFirst().prefix(3) ?? [])
            let sets = configuration.sequenceParameterSets + configuration.pictureParameterSets
            return "packetization-mode=1;profile-level-id=\(profile);sprop-parameter-sets=\(list(sets))"
        case .hevc:
            return "sprop-vps=\(list(configuration.videoParameterSets));"
                + "sprop-sps=\(list(configuration.sequenceParameterSets));"
                + "sprop-pps=\(list(configuration.pictureParameterSets))"
        case .aac:
            // Profile 1 is the least, "main level 1"; the configuration says what it really is.
            return "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
                + "config=\(hexadecimal(configuration.decoderConfiguration))"
        case .mjpeg, .pcmu, .pcma, .l16: return ""
        }
    }
}
