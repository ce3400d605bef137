// What we offer to a media server: the description (SDP, RFC 8866) that ANNOUNCE carries. SessionDescription.swift reads what
// others offer.

import Media

/// The tracks of a publication as a description says them.
struct RTSPAnnouncement: Sendable, Equatable {
    /// In the order in which they are set up.
    let formats: [RTPFormat]
    private let kinds: [TrackKind]
    private let number: UInt32

    /// - Parameters:
    ///   - configurations: one for each track.
    ///   - number: of this publication; another one for each.
    init(_ configurations: [CodecConfiguration], number: UInt32) {
        formats = configurations.enumerated().map { index, configuration in
            RTPFormat(configuration, dynamicType: 96 + UInt8(truncatingIfNeeded: index % 32))
        }
        kinds = configurations.map(\.kind)
        self.number = number
    }

    /// What a track's SETUP names.
    static func control(of track: Int) -> String { "streamid=\(track)" }

    /// The description. Its addresses say nothing: packets travel inside the connection of the requests.
    var encoded: [UInt8] {
        var lines = [
            "v=0", "o=- \(number) 1 IN IP4 0.0.0.0", "s=Sightglass", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
        ]
        for (index, (format, kind)) in zip(formats, kinds).enumerated() {
            let type = format.payloadType
            lines.append("m=\(kind == .video ? "video" : "audio") 0 RTP/AVP \(type)")
            let channels = format.channels > 1 ? "/\(format.channels)" : ""
            lines.append("a=rtpmap:\(type) \(format.encoding)/\(format.clockRateHz)\(channels)")
            if !format.parameters.isEmpty { lines.append("a=fmtp:\(type) \(format.parameters)") }
            if !format.sizePx.isEmpty { lines.append("a=x-dimensions:\(format.sizePx[0]),\(format.sizePx[1])") }
            lines.append("a=control:\(Self.control(of: index))")
        }
        return Array(lines.map { "\($0)\r\n" }.joined().utf8)
    }
}
