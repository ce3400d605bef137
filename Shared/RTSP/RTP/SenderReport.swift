// What we tell a receiver about our packets (RFC 3550 6.4.1): which wall clock belongs to which media time, so that it can
// show picture and sound together.

extension RTCPPacket {
    /// The seconds from NTP's beginning, 1900, to 1970.
    static let ntpEpochSeconds: Int64 = 2_208_988_800

    /// A wall clock in nanoseconds since 1970 as NTP time: seconds since 1900 in the upper 32 bits, which wrap in 2036.
    static func ntp(wallNs: Int64) -> UInt64 {
        let seconds = wallNs / 1_000_000_000 + ntpEpochSeconds
        let fraction = (UInt64(max(0, wallNs % 1_000_000_000)) << 32) / 1_000_000_000
        return UInt64(UInt32(truncatingIfNeeded: seconds)) << 32 | fraction
    }

    /// The compound packet of a sender: report and canonical name.
    ///
    /// - Parameters:
    ///   - bytes: payload bytes sent so far, without headers.
    ///   - name: CNAME, at most 255 bytes; the same for all tracks that belong together.
    static func encoded(_ report: SenderReport, bytes: UInt32, name: String) -> [UInt8] {
        // Six words follow the first; no report blocks: nothing comes in.
        [0x80, 200, 0, 6] + report.ssrc.networkBytes + report.ntp.networkBytes + report.rtpTimestamp.networkBytes
            + report.packets.networkBytes + bytes.networkBytes + sourceDescription(ssrc: report.ssrc, name: name)
    }

    /// The canonical name that each compound packet carries (RFC 3550 6.5).
    static func sourceDescription(ssrc: UInt32, name: String) -> [UInt8] {
        let text = Array(name.utf8.prefix(255))
        var item = ssrc.networkBytes + [1, UInt8(text.count)] + text + [0]
        while item.count % 4 != 0 { item.append(0) }
        return [0x81, 202] + UInt16(item.count / 4).networkBytes + item
    }
}
