// RTCP (RFC 3550 6): what compound packets of a sender say. Everything is bounds-checked; what is unknown is skipped and
// counted; what is cut off ends the reading, and what stood before it counts.

/// What a compound packet of the camera says that we use.
public struct RTCPPacket: Sendable, Hashable {
    /// A sender report's statement: at this wall clock the sender's media clock showed this.
    public struct SenderReport: Sendable, Hashable {
        /// The source that it is about.
        public var ssrc: UInt32
        /// NTP time: seconds since 1900 in the upper 32 bits, the fraction in the lower.
        public var ntp: UInt64
        /// The media clock at that time, in ticks.
        public var rtpTimestamp: UInt32
        /// Packets sent so far.
        public var packets: UInt32
    }

    /// Sender reports in order; mostly one.
    public private(set) var senderReports: [SenderReport] = []
    /// Sources that say goodbye.
    public private(set) var goodbyes: [UInt32] = []
    /// Receiver reports, source descriptions: read over.
    public private(set) var ignored = 0
    /// Types that we do not know.
    public private(set) var unknown = 0
    /// The rest could not be read.
    public private(set) var isCut = false

    /// Reads a compound packet. Total: never fails, says `isCut` instead.
    public init(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index < bytes.count {
            guard bytes.count - index >= 4, bytes[index] >> 6 == 2 else {
                isCut = true
                return
            }
            let length = 4 * (Int(bytes.big16(index + 2)) + 1)
            guard length <= bytes.count - index else {
                isCut = true
                return
            }
            let part = UnsafeRawBufferPointer(rebasing: bytes[index..<index + length])
            read(part, count: Int(bytes[index] & 0x1F))
            index += length
        }
    }

    private mutating func read(_ part: UnsafeRawBufferPointer, count: Int) {
        switch part[1] {
        case 200:
            guard part.count >= 28 else {
                isCut = true
                return
            }
            senderReports.append(
                SenderReport(
                    ssrc: part.big32(4), ntp: UInt64(part.big32(8)) << 32 | UInt64(part.big32(12)),
                    rtpTimestamp: part.big32(16), packets: part.big32(20)))
        case 201, 202: ignored += 1
        case 203:
            for source in 0..<count where 8 + 4 * source <= part.count { goodbyes.append(part.big32(4 + 4 * source)) }
            if part.count < 4 + 4 * count { isCut = true }
        default: unknown += 1
        }
    }
}
