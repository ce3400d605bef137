// StreamSender: one stream of one session. Numbers and times its packets, leaves out what the scenario says, and notes
// what becomes of each unit.

/// Sends one stream.
struct StreamSender {
    /// A unit's packets, and its record. More than one unit where they share a packet.
    struct Batch {
        var packets: [[UInt8]] = []
        var units: [SentUnit] = []
    }

    let stream: CameraStream
    /// The stream's place in the scenario.
    let place: Int
    /// The interleaved channel.
    let channel: UInt8
    private let session: Int
    private var number = 0
    private var packets = 0
    private var sequence: UInt16
    private var ssrc: UInt32
    private var offset: Int64 = 0
    private(set) var lastTimestamp: UInt32 = 0

    init(_ stream: CameraStream, place: Int, session: Int, channel: UInt8) {
        (self.stream, self.place, self.session, self.channel) = (stream, place, session, channel)
        sequence = stream.rtp.firstSequence
        ssrc = stream.rtp.ssrc
    }

    /// Seconds of the camera's own clock since the beginning at which the next unit is due; nil: there is none.
    var dueS: Double? {
        guard number < stream.frames else { return nil }
        return Double(number) * Double(stream.ticksPerFrame) / Double(stream.clockRateHz)
    }

    /// The time of the next unit.
    var nextTimestamp: UInt32 { UInt32(truncatingIfNeeded: ticks(number)) }

    /// The next unit.
    mutating func next() -> Batch {
        var batch = Batch()
        let together = stream.format == .aac && stream.rtp.aggregates ? 3 : 1
        var made: [MadeUnit] = []
        let first = number
        begin(first)
        let ticks = self.ticks(first)
        for index in 0..<min(together, stream.frames - first) {
            let unit = stream.unit(number)
            made.append(unit)
            let own = ticks + Int64(index * stream.ticksPerFrame)
            batch.units.append(
                SentUnit(
                    session: session, stream: place, number: number, isKeyframe: stream.isKeyframe(number),
                    hash: contentHash(unit.kept), timestamp: UInt32(truncatingIfNeeded: own), ticks: own, isLost: false)
            )
            number += 1
        }
        let payloads =
            made.count > 1 ? stream.sounds(made.map { $0.parts[0].bytes }) : stream.payloads(first, made[0])
        lastTimestamp = UInt32(truncatingIfNeeded: ticks)
        var isLost = false
        for payload in payloads {
            let packet = packet(payload)
            if stream.rtp.leavesOut(packets) {
                isLost = true
            } else {
                batch.packets.append(packet)
                if stream.rtp.repeats(packets) { batch.packets.append(packet) }
            }
            packets += 1
            sequence &+= 1
        }
        if isLost { for index in batch.units.indices { batch.units[index].isLost = true } }
        return batch
    }

    /// The changes that this unit brings.
    private mutating func begin(_ number: Int) {
        if let other = stream.rtp.ssrcChanges[number] { ssrc = other }
        if let jump = stream.rtp.sequenceJumps[number] { sequence &+= UInt16(truncatingIfNeeded: jump) }
        if let jump = stream.rtp.timestampJumps[number] { offset += jump }
    }

    private func ticks(_ number: Int) -> Int64 {
        let frozen = stream.rtp.frozenUnits
        let counted = frozen.contains(number) ? frozen.lowerBound - 1 : number
        let place = Double((counted + stream.shownLaterBy(counted)) * stream.ticksPerFrame)
        let fast = (place * (1 + stream.rtp.fastPPM / 1_000_000)).rounded()
        return Int64(stream.rtp.firstTimestamp) + offset + Int64(fast)
    }

    private func packet(_ payload: Payload) -> [UInt8] {
        let isDecorated = stream.rtp.hasDecoratedPackets
        var packet: [UInt8] = [isDecorated ? 0xB2 : 0x80, (payload.isMarked ? 0x80 : 0) | stream.payloadType]
        packet += big16(Int(sequence)) + big32(lastTimestamp) + big32(ssrc)
        if isDecorated { packet += big32(1) + big32(2) + [0xBE, 0xDE, 0, 1, 1, 2, 3, 4] }
        packet += payload.bytes
        if isDecorated { packet += [0, 0, 3] }
        return packet
    }
}
