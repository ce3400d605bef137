// Recordings of one camera that follow from a seed: runs with gaps, groups and rates of any length, reordered pictures, parameter sets
// that change, sound, and files cut as the recorder cuts them (RecorderMachine, R1, R2, R4, R5). No codec is needed: each picture is one
// NAL unit that carries its number.
import Media

struct ClipScene {
    let seed: UInt64
    private(set) var files: [[UInt8]] = []
    private(set) var model = ClipModel()
    let codec: Codec
    let timescale: UInt32
    /// Pictures that are decoded before one that is shown before them.
    let depth: Int
    let isOpenGroup: Bool
    let sound: CodecConfiguration?

    private static let baseUs: Int64 = 1_764_000_000_000_000
    private var numbers: SeededNumbers
    private var configurations: [CodecConfiguration] = []
    private var shownBefore: [CodecConfiguration] = []
    private var frameTicks: Int64 = 0
    private var pictureNumber = 0
    private var soundNumber = 0
    private var stretch = -1

    var description: String {
        "seed \(seed): \(codec), \(timescale) ticks, depth \(depth)\(isOpenGroup ? ", open groups" : ""), "
            + "\(sound.map { "\($0.codec)" } ?? "no sound"), \(files.count) files, \(model.pictures.count) pictures"
    }

    init(seed: UInt64) throws {
        self.seed = seed
        var random = SeededNumbers(state: seed &* 0x9E37_79B9)
        codec = Int.random(in: 0..<8, using: &random) == 0 ? .mjpeg : .h264
        let scales: [UInt32] = [90_000, 90_000, 90_000, 90_000, 12_800, 48_000, 1_000, 600, 10_000_000]
        timescale = scales.randomElement(using: &random) ?? 90_000
        depth = codec == .mjpeg || Bool.random(using: &random) ? 0 : Int.random(in: 1...3, using: &random)
        isOpenGroup = depth > 0 && Int.random(in: 0..<4, using: &random) == 0
        sound =
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1: try .pcm(.pcma, sampleRateHz: 8000, channels: 1)
            case 2: try .aac(audioSpecificConfig: [0x12, 0x08])
            case 3: try .aac(audioSpecificConfig: [0x14, 0x08])
            default: nil
            }
        numbers = random
        configurations = try (0..<Int.random(in: 1...4, using: &numbers)).map { try configuration($0) }
        var wallUs = Self.baseUs + Int64.random(in: 0..<1_000_000, using: &numbers)
        let runs = Int.random(in: 1...4, using: &numbers)
        for run in 0..<runs {
            try record(run: run, pictures: Int.random(in: 1...(400 / runs), using: &numbers), startUs: wallUs)
            let last = model.pictures.max { $0.wallUs < $1.wallUs }
            // The next run: at any time behind the last picture, sometimes before that would have ended.
            let gaps: [Int64] = [2_000, 10_000, 40_000, 400_000, 4_000_000, 60_000_000]
            let gapUs = gaps.randomElement(using: &numbers) ?? 2_000
            wallUs = (last?.wallUs ?? wallUs) + Int64.random(in: gapUs / 2...gapUs, using: &numbers)
        }
    }

    /// The second half of them differs from the first only in what a decoder can do without.
    private func configuration(_ index: Int) throws -> CodecConfiguration {
        let (width, height) = index % 2 == 0 ? (320, 240) : (192, 128)
        if codec == .mjpeg { return try .mjpeg(widthPx: 320, heightPx: 240, timescale: timescale) }
        let set = SequenceParameterSet(
            widthPx: width, heightPx: height, reorderDepth: depth, ticksOfFrame: UInt32(1 + index))
        return try .h264(sps: [set.unit], pps: [[0x68, 0xCE, 0x3C, 0x80]], timescale: timescale)
    }

    // MARK: What the camera sends

    private struct Sent {
        let packet: MediaPacket
        let number: Int
        /// When it comes, in microseconds of the run: files are cut in this order.
        let arrivalUs: Int64
    }

    private mutating func record(run: Int, pictures count: Int, startUs: Int64) throws {
        let rate = Double.random(in: 5...60, using: &numbers)
        frameTicks = max(2, Int64(Double(timescale) / rate))
        let firstTicks = Int64.random(in: 0...Int64(timescale) * 100_000, using: &numbers)
        let video = sentPictures(count, firstTicks)
        guard let first = video.first else { return }
        var anchor = MediaAnchor(
            mediaUs: first.packet.ptsUs, wallUs: startUs, ratePpm: Int32.random(in: -500...500, using: &numbers))
        if Bool.random(using: &numbers) { anchor.ratePpm = 0 }
        let sent = (video + sentSounds(around: video)).sorted {
            ($0.arrivalUs, $0.number) < ($1.arrivalUs, $1.number)
        }
        try write(sent, run: run, anchor)
    }

    /// In the order of decoding, with the times that the assembler would give them.
    private mutating func sentPictures(_ count: Int, _ firstTicks: Int64) -> [Sent] {
        let jitter = frameTicks * Int64.random(in: 0...3, using: &numbers) / 10
        var times = (0..<count).map {
            firstTicks + Int64($0) * frameTicks + Int64.random(in: 0...jitter, using: &numbers)
        }
        var timeline = DecodeTimeline(timescale: timescale, reorderDepth: depth, nominalFrameTicks: frameTicks)
        var configuration = configurations[0]
        var sent: [Sent] = []
        var shown = 0
        while shown < count {
            let group = codec == .mjpeg ? 1 : min(count - shown, Int.random(in: 1...60, using: &numbers))
            if Int.random(in: 0..<4, using: &numbers) == 0 {
                configuration = configurations.randomElement(using: &numbers) ?? configuration
            }
            // A camera that pauses: between two groups, or it would be a jump of its clock (DecodeTimeline).
            if Int.random(in: 0..<8, using: &numbers) == 0 {
                let pauseTicks = frameTicks * Int64.random(in: 1...20, using: &numbers)
                for index in shown..<count { times[index] += pauseTicks }
            }
            for (place, offset) in order(group).enumerated() {
                let pts = times[shown + offset]
                let arrivalUs = rescale(pts, from: timescale, to: 1_000_000)
                let stamped = timeline.next(ptsTicks: pts, arrivalNs: arrivalUs * 1000)
                let number = pictureNumber
                let packet = MediaPacket(
                    configuration: configuration, bytes: PacketBytes(bytes(number, isKeyframe: place == 0)),
                    ptsTicks: stamped.ptsTicks, dtsTicks: stamped.dtsTicks, durationTicks: stamped.durationTicks,
                    isKeyframe: place == 0, arrivalNs: 0)
                pictureNumber += 1
                sent.append(Sent(packet: packet, number: number, arrivalUs: packet.dtsUs))
            }
            shown += group
        }
        return sent
    }

    /// The order of sending of a group that is shown as 0, 1, 2...: of `depth` at most, the last one is sent first. An open group shows
    /// one in front of its keyframe.
    private mutating func order(_ group: Int) -> [Int] {
        let key = isOpenGroup ? min(1, group - 1) : 0
        var order = [key] + (0..<key)
        var next = key + 1
        while next < group {
            let overtaken = min(depth, group - 1 - next, Int.random(in: 0...depth, using: &numbers))
            order.append(next + overtaken)
            // With a pyramid the middle one is sent before its neighbours.
            let between = Array(next..<next + overtaken)
            order += between.count == 3 && depth == 3 ? [between[1], between[0], between[2]] : between
            next += overtaken + 1
        }
        return order
    }

    /// A NAL unit of the number and some more, behind its length; of motion JPEG the same without.
    private mutating func bytes(_ number: Int, isKeyframe: Bool) -> [UInt8] {
        let more = (0..<Int.random(in: 0...60, using: &numbers)).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let unit = [isKeyframe ? 0x65 : 0x41] + (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } + more
        return codec == .mjpeg ? unit : [0, 0, 0, UInt8(unit.count)] + unit
    }

    private mutating func sentSounds(around video: [Sent]) -> [Sent] {
        guard let sound, let first = video.first, let last = video.last else { return [] }
        let isPCM = sound.codec == .pcma
        let lengthTicks: Int64 = isPCM ? Int64.random(in: 2...10, using: &numbers) * 80 : 1024
        // Begins before the pictures, or a little later; and ends when it likes.
        let offset = Int64.random(in: -2...3, using: &numbers) * lengthTicks
        var ticks = max(0, rescale(first.packet.ptsTicks, from: timescale, to: sound.timescale) + offset)
        let end = rescale(last.packet.ptsTicks, from: timescale, to: sound.timescale) + lengthTicks
        var sent: [Sent] = []
        while ticks < end {
            let number = soundNumber
            soundNumber += 1
            let size = isPCM ? Int(lengthTicks) : Int.random(in: 8...80, using: &numbers)
            var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
            for place in 0..<4 { bytes[place] = UInt8(truncatingIfNeeded: number >> (place * 8)) }
            let packet = MediaPacket(
                configuration: sound, bytes: PacketBytes(bytes), ptsTicks: ticks, dtsTicks: ticks,
                durationTicks: lengthTicks, isKeyframe: true, arrivalNs: 0)
            // One of forty is lost on the way.
            if Int.random(in: 0..<40, using: &numbers) > 0 {
                sent.append(
                    Sent(packet: packet, number: number, arrivalUs: packet.ptsUs + packet.durationUs))
            }
            ticks += lengthTicks
        }
        return sent
    }

    // MARK: What the recorder makes of it

    /// An open file.
    private struct Open {
        var writer: FragmentedMP4Writer
        var info: SegmentInfo
        var bytes: [UInt8]
        var endUs: Int64
        var waiting = 0
    }

    private mutating func write(_ sent: [Sent], run: Int, _ firstAnchor: MediaAnchor) throws {
        var anchor = firstAnchor
        var open: Open?
        let segmentUs = Int64.random(in: 100_000...4_000_000, using: &numbers)
        var mostWaiting = Int.random(in: 1...20, using: &numbers)
        var isDropping = true
        var sequence: UInt32 = 0
        var lastEndUs: Int64?
        var openingUs: Int64 = 0
        for one in sent {
            let packet = one.packet
            let isKey = packet.kind == .video && packet.isKeyframe
            var wallUs = (open?.info.anchor ?? anchor).wallUs(ofMediaUs: packet.ptsUs)
            if let current = open, packet.kind == .video {
                let isForced = !isKey && Int.random(in: 0..<400, using: &numbers) == 0 && !isOpenGroup
                let isChanged = current.writer.needsNewFile(for: packet)
                if isForced || isChanged || isKey && wallUs - current.info.startUs >= segmentUs {
                    // R1: up to the keyframe. R2, R4, R5: to the end of its last picture, as far as that is known.
                    let endUs = isForced || isChanged || isDropping ? current.endUs : wallUs
                    lastEndUs = max(endUs, current.info.startUs + 1)
                    seal(current, endUs: max(endUs, current.info.startUs + 1))
                    open = nil
                    isDropping = isForced
                }
            }
            if isKey { isDropping = false }
            if isDropping { continue }
            if open == nil {
                guard isKey else { continue }
                // A version of the run's clock begins with a file, where the one before has arrived.
                if Int.random(in: 0..<3, using: &numbers) == 0 {
                    anchor = MediaAnchor(
                        version: anchor.version + 1, mediaUs: packet.ptsUs,
                        wallUs: anchor.wallUs(ofMediaUs: packet.ptsUs),
                        ratePpm: Int32.random(in: -500...500, using: &numbers))
                }
                wallUs = anchor.wallUs(ofMediaUs: packet.ptsUs)
                if lastEndUs.map({ abs($0 - wallUs) > 10_000 }) ?? true {
                    stretch += 1
                    openingUs = wallUs
                }
                open = opened(packet, startUs: wallUs, anchor, run, sequence)
                sequence += 1
            }
            guard var current = open else { continue }
            let refused = current.writer.samplesRefused
            try current.writer.append(packet)
            if current.writer.samplesRefused == refused {
                note(one, wallUs, opensFile: current.bytes.isEmpty, isLost: wallUs < openingUs, anchor)
            }
            if current.bytes.isEmpty { current.bytes = current.writer.header(info: current.info) }
            if packet.kind == .video { current.endUs = max(current.endUs, wallUs + max(0, packet.durationUs)) }
            current.waiting += 1
            // R3: the first keyframe at once.
            if current.waiting >= mostWaiting || current.writer.videoFrames == 1 {
                let newest: NewestSample = Int.random(in: 0..<4, using: &numbers) == 0 ? .hold : .write
                current.bytes += current.writer.takeFragment(newest: newest) ?? []
                current.waiting = 0
                mostWaiting = Int.random(in: 1...20, using: &numbers)
                // R5: the disk's queue is full; what comes up to the next keyframe is not kept.
                if Int.random(in: 0..<200, using: &numbers) == 0 && !isOpenGroup { isDropping = true }
            }
            open = current
        }
        if let open { seal(open, endUs: open.endUs) }
    }

    private mutating func opened(
        _ packet: MediaPacket, startUs: Int64, _ anchor: MediaAnchor, _ run: Int, _ sequence: UInt32
    ) -> Open {
        let video = packet.configuration
        let writer = FragmentedMP4Writer(
            tracks: [video] + (sound.map { [$0] } ?? []), otherVideo: shownBefore, createdUs: startUs)
        shownBefore = [video] + shownBefore.filter { $0 != video }
        var info = SegmentInfo(device: "gate", endpoint: "main", runID: "run \(run)")
        info.sequence = sequence
        info.startUs = startUs
        info.mediaStartUs = packet.ptsUs
        info.anchor = anchor
        return Open(writer: writer, info: info, bytes: [], endUs: startUs)
    }

    private mutating func seal(_ open: Open, endUs: Int64) {
        var open = open
        open.bytes += open.writer.takeFragment(newest: .write) ?? []
        open.info.endUs = endUs
        open.info.frames = open.writer.videoFrames
        files.append(open.bytes + FragmentedMP4Writer.trailer(info: open.info))
    }

    private mutating func note(
        _ one: Sent, _ wallUs: Int64, opensFile: Bool, isLost: Bool, _ anchor: MediaAnchor
    ) {
        let endUs = anchor.wallUs(ofMediaUs: one.packet.ptsUs + one.packet.durationUs)
        let bytes = one.packet.bytes.array
        guard one.packet.kind == .video else {
            model.sounds.append(
                SentSound(number: one.number, wallUs: wallUs, endUs: endUs, bytes: bytes, stretch: stretch))
            return
        }
        model.pictures.append(
            SentPicture(
                number: one.number, wallUs: wallUs, statedEndUs: endUs, isKeyframe: one.packet.isKeyframe,
                widthPx: one.packet.configuration.widthPx,
                decoderConfiguration: one.packet.configuration.decoderConfiguration, bytes: bytes, stretch: stretch,
                opensFile: opensFile, isLost: isLost))
    }
}

/// A sequence parameter set of H.264 (7.3.2.1.1), main profile, with usability information.
private struct SequenceParameterSet {
    let widthPx: Int
    let heightPx: Int
    let reorderDepth: Int
    /// Differs in what only describes.
    let ticksOfFrame: UInt32

    var unit: [UInt8] {
        var bits: [Bool] = []
        func put(_ value: UInt32, _ count: Int) {
            for bit in (0..<count).reversed() { bits.append(value >> bit & 1 == 1) }
        }
        func golomb(_ value: UInt32) {
            let length = 32 - (value + 1).leadingZeroBitCount
            put(0, length - 1)
            put(value + 1, length)
        }
        for value: UInt32 in [77, 0, 40] { put(value, 8) }
        // Identity, frame number bits, picture order by counting, its bits, reference frames, no gaps.
        for value: UInt32 in [0, 0, 0, 4, 4] { golomb(value) }
        put(0, 1)
        golomb(UInt32(widthPx / 16 - 1))
        golomb(UInt32(heightPx / 16 - 1))
        // Frames only, direct inference, no cropping, usability information without its first three parts.
        put(0b1101, 4)
        put(0b000, 4 - 1)
        put(0, 1)
        // Timing.
        put(1, 1)
        put(ticksOfFrame, 32)
        put(50, 32)
        put(0, 1)
        // No reference decoder, no pictures of structure; restrictions: motion, sizes, vectors, reordering, buffering.
        put(0b0001, 4)
        put(1, 1)
        for value: UInt32 in [0, 0, 10, 10, UInt32(reorderDepth), 4] { golomb(value) }
        put(1, 1)
        while bits.count % 8 != 0 { bits.append(false) }
        var bytes: [UInt8] = [0x67]
        for start in stride(from: 0, to: bits.count, by: 8) {
            let byte = bits[start..<start + 8].reduce(UInt8(0)) { $0 << 1 | ($1 ? 1 : 0) }
            // No start code within a unit (7.4.1).
            if byte <= 3, bytes.suffix(2) == [0, 0] { bytes.append(3) }
            bytes.append(byte)
        }
        return bytes
    }
}
