// What we tell a sender about its packets: loss and jitter (RFC 3550 6.4.2, A.3, A.8), with the canonical name that each
// compound packet must carry (6.1).

/// Collects one track's reception and writes its receiver reports.
public struct ReceiverReport: Sendable {
    private let ssrc: UInt32
    private let clockRate: Int64
    private var jitterSixteenths: Int64 = 0
    private var lastTransit: Int64?
    private var expectedBefore: Int64 = 0
    private var receivedBefore: Int64 = 0
    private var source: UInt32?
    private var senderReport: (middle: UInt32, arrivalNs: Int64)?

    /// For a track with `clockRate` ticks per second. `ssrc`: ours, random per session.
    public init(ssrc: UInt32, clockRate: Int) {
        self.ssrc = ssrc
        self.clockRate = Int64(min(max(clockRate, 1), 10_000_000))
    }

    /// The jitter so far, in ticks.
    public var jitterTicks: Int64 { jitterSixteenths >> 4 }

    /// Notes a packet's media time and arrival (monotonic clock).
    public mutating func note(timestamp: UInt32, ssrc: UInt32, arrivalNs: Int64) {
        if source != ssrc { restart(ssrc) }
        let seconds = arrivalNs / 1_000_000_000
        let ticks = seconds &* clockRate &+ (arrivalNs % 1_000_000_000) * clockRate / 1_000_000_000
        // Only differences count, so 32 bits of both do.
        let transit = Int64(UInt32(truncatingIfNeeded: ticks) &- timestamp)
        if let lastTransit {
            let step = Int32(truncatingIfNeeded: transit - lastTransit)
            jitterSixteenths += Int64(step.magnitude) - (jitterSixteenths + 8) >> 4
        }
        lastTransit = transit
    }

    /// Notes that a sender report came.
    public mutating func note(_ report: RTCPPacket.SenderReport, arrivalNs: Int64) {
        guard report.ssrc == source else { return }
        senderReport = (UInt32(truncatingIfNeeded: report.ntp >> 16), arrivalNs)
    }

    /// The compound packet to send now; without a report block before the first packet. `name`: CNAME, at most 255 bytes.
    public mutating func packet(_ sequence: RTPSequence, name: String, nowNs: Int64) -> [UInt8] {
        var out: [UInt8] = []
        if let about = sequence.ssrc, let highest = sequence.highest {
            if source != about { restart(about) }
            out += [0x81, 201, 0, 7] + ssrc.networkBytes + about.networkBytes
            out.append(lostFraction(sequence))
            let lost = UInt32(min(sequence.lost, 0x7F_FFFF))
            out += lost.networkBytes.dropFirst()
            // The numbering begins one cycle up; the report counts from 0.
            out += UInt32(truncatingIfNeeded: highest - 0x1_0000).networkBytes
            out += UInt32(clamping: jitterTicks).networkBytes
            out += (senderReport?.middle ?? 0).networkBytes + delay(nowNs).networkBytes
        } else {
            out += [0x80, 201, 0, 1] + ssrc.networkBytes
        }
        return out + RTCPPacket.sourceDescription(ssrc: ssrc, name: name)
    }

    private mutating func restart(_ ssrc: UInt32) {
        source = ssrc
        jitterSixteenths = 0
        lastTransit = nil
        senderReport = nil
        expectedBefore = 0
        receivedBefore = 0
    }

    private mutating func lostFraction(_ sequence: RTPSequence) -> UInt8 {
        // The numbering began anew with the same source.
        if sequence.expected < expectedBefore || sequence.received < receivedBefore {
            expectedBefore = 0
            receivedBefore = 0
        }
        let expected = sequence.expected - expectedBefore
        let lost = expected - (sequence.received - receivedBefore)
        expectedBefore = sequence.expected
        receivedBefore = sequence.received
        return expected > 0 && lost > 0 ? UInt8(min(255, lost * 256 / expected)) : 0
    }

    /// Since the last sender report, in 1/65536 seconds.
    private func delay(_ nowNs: Int64) -> UInt32 {
        guard let senderReport else { return 0 }
        let waitedUs = max(0, nowNs - senderReport.arrivalNs) / 1000
        return UInt32(clamping: waitedUs / 1_000_000 * 65536 + waitedUs % 1_000_000 * 65536 / 1_000_000)
    }
}
