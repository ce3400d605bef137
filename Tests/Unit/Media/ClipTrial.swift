// One scene of ClipScenes.swift under test: random windows are cut, read back by ClipReader, and compared with what ClipModel says.
import Media

/// Clips of one scene, and what is wrong with them.
struct ClipTrial {
    let scene: ClipScene
    private(set) var problems: [String] = []
    private let files: [ClipFile]
    private var numbers: SeededNumbers

    init(seed: UInt64) throws {
        scene = try ClipScene(seed: seed)
        files = try scene.files.map { try ClipFile(MemoryBytes($0)) }
        numbers = SeededNumbers(state: seed &+ 1 << 32)
    }

    // MARK: Windows

    /// Any moment; often one where something begins, or a microsecond beside it.
    private mutating func moment() -> Int64 {
        let all = scene.model.pictures
        guard let picture = all.randomElement(using: &numbers), let first = all.first, let last = all.last else {
            return 0
        }
        switch Int.random(in: 0..<8, using: &numbers) {
        case 0: return picture.wallUs
        case 1: return picture.wallUs + Int64.random(in: -3...3, using: &numbers)
        case 2: return all.filter(\.opensFile).randomElement(using: &numbers)?.wallUs ?? picture.wallUs
        case 3: return first.wallUs - Int64.random(in: 0...2_000_000, using: &numbers)
        case 4: return last.statedEndUs + Int64.random(in: -100_000...2_000_000, using: &numbers)
        default: return Int64.random(in: first.wallUs...max(first.wallUs, last.statedEndUs), using: &numbers)
        }
    }

    /// Moments that no rounding makes doubtful, in order.
    private mutating func moments(_ count: Int) -> [Int64] {
        var found: Set<Int64> = []
        while found.count < count {
            let us = moment()
            if !scene.model.isAmbiguous(us) { found.insert(us) }
        }
        return found.sorted()
    }

    private func clip(_ fromUs: Int64, _ toUs: Int64) throws -> (clip: ExactClip, bytes: [UInt8]) {
        let clip = try ExactClip(of: files, fromUs: fromUs, toUs: toUs, createdUs: toUs)
        let bytes = clip.pieces.reduce(into: clip.head) { bytes, piece in
            bytes += scene.files[piece.file][Int(piece.offset)..<Int(piece.offset + piece.sizeBytes)]
        }
        return (clip, bytes)
    }

    private mutating func fail(_ window: [Int64], _ text: String) {
        let startUs = scene.model.pictures.first?.wallUs ?? 0
        problems.append("window \(window.map { $0 - startUs }) us behind the first picture: \(text)")
    }

    // MARK: One window

    mutating func cutAWindow() {
        let window = moments(2)
        let shown = scene.model.shown(window[0], window[1])
        do {
            let (clip, bytes) = try clip(window[0], window[1])
            guard let first = shown.first else { return fail(window, "a clip of no picture") }
            let reader = try ClipReader(bytes)
            if clip.sizeBytes != bytes.count { fail(window, "its size is \(bytes.count), not \(clip.sizeBytes)") }
            if clip.frames != shown.count { fail(window, "it says \(clip.frames) pictures of \(shown.count)") }
            if abs(clip.startUs - first.wallUs) > ClipModel.roundingUs {
                fail(window, "it starts at \(clip.startUs - window[0]), not at \(first.wallUs - window[0])")
            }
            if clip.pieces.contains(where: { $0.sizeBytes <= 0 }) { fail(window, "an empty piece") }
            try judgeVideo(reader, shown, window)
            if scene.sound != nil { try judgeSound(reader, window) }
            let again = try self.clip(window[0], window[1])
            if again.bytes != bytes { fail(window, "a second clip has other bytes") }
        } catch let error as MediaError {
            if !shown.isEmpty { fail(window, "refused, with \(shown.count) pictures: \(error)") }
        } catch {
            fail(window, "\(error)")
        }
    }

    /// Which pictures, when, of which parameter sets; and nothing more than what they need.
    private mutating func judgeVideo(_ reader: ClipReader, _ shown: [SentPicture], _ window: [Int64]) throws {
        guard let track = reader.video else { return fail(window, "no video") }
        let needed = scene.model.needed(shown)
        let found = track.samples.map { pictureNumber(reader.payload($0)) }
        if found != needed.map(\.number) {
            fail(window, "samples \(Self.spans(found)), needed \(Self.spans(needed.map(\.number)))")
        }
        for (sample, picture) in zip(track.samples, needed) where found == needed.map(\.number) {
            let payload = reader.payload(sample)
            // Files of several descriptions have parameter sets in front of keyframes.
            if !payload.ends(with: picture.bytes) { fail(window, "picture \(picture.number) was changed") }
            if sample.isSync != picture.isKeyframe { fail(window, "picture \(picture.number): keyframe?") }
            let description = track.descriptions[sample.description]
            let width = Int(description[24]) << 8 | Int(description[25])
            let configuration = description.dropFirst(86).prefix(picture.decoderConfiguration.count)
            if width != picture.widthPx || Array(configuration) != picture.decoderConfiguration {
                fail(window, "picture \(picture.number) has the description of another")
            }
        }
        let presented = try reader.presented(track)
        let numbers = presented.map { pictureNumber(reader.payload($0.sample)) }
        guard numbers == shown.map(\.number) else {
            return fail(window, "shows \(Self.spans(numbers)), sent \(Self.spans(shown.map(\.number)))")
        }
        let slack = slackUs(window)
        for (one, picture) in zip(presented, shown) {
            let wantedUs = Double(picture.wallUs - window[0])
            if abs(one.startUs - wantedUs) > slack {
                return fail(window, "picture \(picture.number) at \(one.startUs), not at \(wantedUs)")
            }
        }
        judgeLength(reader, track, shown, window)
    }

    private mutating func judgeLength(
        _ reader: ClipReader, _ track: ClipReader.Track, _ shown: [SentPicture], _ window: [Int64]
    ) {
        let length = track.edits.reduce(0) { $0 + $1.movieTicks }
        if length != track.movieTicks || reader.movieTicks != reader.tracks.map(\.movieTicks).max() {
            fail(window, "edits of \(length) ticks, track \(track.movieTicks), movie \(reader.movieTicks)")
        }
        guard let newest = shown.last else { return }
        let lengthUs = Double(length) * 1_000_000 / Double(reader.timescale)
        let follower = scene.model.successor(of: newest)
        // To the window's end where footage reaches it; else as long as the last picture may last.
        let leastUs = follower.map { min($0.wallUs, window[1]) - window[0] } ?? newest.wallUs - window[0]
        let mostUs =
            max(
                newest.wallUs + 1,
                min(window[1], follower?.wallUs ?? max(newest.statedEndUs, newest.wallUs + 1_000_000))) - window[0]
        if lengthUs < Double(leastUs) - slackUs(window) || lengthUs > Double(mostUs) + slackUs(window) {
            fail(window, "\(lengthUs) us long; from \(leastUs) to \(mostUs) were wanted")
        }
    }

    private mutating func judgeSound(_ reader: ClipReader, _ window: [Int64]) throws {
        let heard = scene.model.heard(window[0], window[1])
        let presented =
            try reader.audio.map { track in
                try reader.presented(track).map {
                    (number: Self.number(reader.payload($0.sample)), startUs: $0.startUs)
                }
            } ?? []
        let found = presented.map(\.number)
        if found != found.sorted() || Set(found).count != found.count { fail(window, "sound \(found)") }
        // Sound that comes with a file's first keyframe is dated by that file's bent clock, from before the clock was bent.
        let slack = slackUs(window) + 2000
        for sound in scene.model.sounds {
            // A few microseconds of it may be no tick of sound.
            guard let part = heard.first(where: { $0.stretch == sound.stretch && $0.endUs - $0.startUs > 1000 }) else {
                continue
            }
            let isHeard = found.contains(sound.number)
            if !isHeard && Double(sound.wallUs) > Double(part.startUs) - Double(sound.endUs - sound.wallUs) + slack
                && Double(sound.wallUs) < Double(part.endUs) - slack && !scene.model.isDoubled(sound)
            {
                fail(window, "sound \(sound.number) at \(sound.wallUs - window[0]) us is missing")
            }
        }
        let known = Dictionary(uniqueKeysWithValues: scene.model.sounds.map { ($0.number, $0) })
        for one in presented {
            guard let sound = known[one.number], let part = heard.first(where: { $0.stretch == sound.stretch }) else {
                fail(window, "sound \(one.number) of another time")
                continue
            }
            // Before a later stretch one packet more may be there, for the decoder: in time without footage. And where the packet behind
            // it was lost, a packet stays for longer.
            let mostEarlyUs = part.stretch == heard.first?.stretch ? 0 : sound.endUs - sound.wallUs
            let isEarly =
                Double(sound.endUs) < Double(part.startUs - mostEarlyUs) - slack
                && (1...2).allSatisfy { known[sound.number + $0]?.stretch == sound.stretch }
            if isEarly || Double(sound.wallUs) > Double(part.mostUs) + slack {
                let most = [part.startUs, part.endUs, part.mostUs].map { $0 - window[0] }
                fail(window, "sound \(sound.number) at \(sound.wallUs - window[0]) us is outside \(most)")
            }
            if abs(one.startUs - Double(sound.wallUs - window[0])) > slack {
                fail(window, "sound \(sound.number) at \(one.startUs), not \(sound.wallUs - window[0])")
            }
        }
    }

    /// Ticks and microseconds that do not divide, and a clock that is bent: 500 ppm of the time at hand.
    private func slackUs(_ window: [Int64]) -> Double {
        let stretches = Set(scene.model.shown(window[0], window[1]).map(\.stretch)).count
        let ticksUs =
            Double(2 + stretches) * 1_000_000 / Double(min(scene.timescale, scene.sound?.timescale ?? scene.timescale))
        return 20 + ticksUs + Double(window[1] - window[0]) * 0.000_5
    }

    // MARK: Two windows

    mutating func cutInTwo() {
        let all = moments(3)
        do {
            let whole = try shownNumbers(all[0], all[2])
            let first = try shownNumbers(all[0], all[1])
            let second = try shownNumbers(all[1], all[2])
            if first.video + second.video != whole.video {
                fail(
                    all, "\(Self.spans(first.video)) and \(Self.spans(second.video)) are not \(Self.spans(whole.video))"
                )
            }
            // Where a side has no picture, or next to none, it has no sound.
            let halves = [scene.model.heard(all[0], all[1]), scene.model.heard(all[1], all[2])]
            guard halves.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.endUs - $0.startUs > 1000 } }) else { return }
            let known = Dictionary(uniqueKeysWithValues: scene.model.sounds.map { ($0.number, $0) })
            let slack = Int64(slackUs(all)) + 2000
            for number in Set(first.audio).intersection(second.audio) {
                // On both sides is what lasts over the cut; where the packet behind it was lost, it lasts longer.
                guard let sound = known[number], known[number + 1] != nil else { continue }
                if sound.wallUs > all[1] + slack || sound.endUs < all[1] - slack {
                    fail(all, "sound \(number) is in both")
                }
            }
            for number in whole.audio where !first.audio.contains(number) && !second.audio.contains(number) {
                guard let sound = known[number] else { continue }
                // Before the first picture of a stretch and behind its last there is nothing to cut.
                let timesUs = scene.model.pictures.filter { $0.stretch == sound.stretch && !$0.isLost }.map(\.wallUs)
                let isShown = sound.endUs <= timesUs.max() ?? 0 && sound.endUs > 2000 + (timesUs.min() ?? 0)
                if isShown && !scene.model.isDoubled(sound) {
                    fail(all, "sound \(number) is in neither")
                }
            }
        } catch {
            fail(all, "\(error)")
        }
    }

    private func shownNumbers(_ fromUs: Int64, _ toUs: Int64) throws -> (video: [Int], audio: [Int]) {
        let bytes: [UInt8]
        do { bytes = try clip(fromUs, toUs).bytes } catch is MediaError { return ([], []) }
        let reader = try ClipReader(bytes)
        let pictures = try reader.video.map {
            try reader.presented($0).map { pictureNumber(reader.payload($0.sample)) }
        }
        let sounds = try reader.audio.map { try reader.presented($0).map { Self.number(reader.payload($0.sample)) } }
        return (pictures ?? [], sounds ?? [])
    }

    // MARK: Damage

    mutating func damage() {
        let window = moments(2)
        var damaged = scene.files
        for _ in 0..<Int.random(in: 1...3, using: &numbers) {
            let index = Int.random(in: damaged.indices, using: &numbers)
            guard !damaged[index].isEmpty else { continue }
            if Int.random(in: 0..<3, using: &numbers) == 0 {
                damaged[index].removeLast(Int.random(in: 0..<damaged[index].count, using: &numbers))
            } else {
                for _ in 0..<Int.random(in: 1...8, using: &numbers) {
                    // The boxes with the times are at both ends.
                    let reach =
                        [damaged[index].count, min(900, damaged[index].count)].randomElement(using: &numbers) ?? 1
                    let place = Int.random(in: 0..<reach, using: &numbers)
                    let isAtEnd = Bool.random(using: &numbers)
                    damaged[index][isAtEnd ? damaged[index].count - 1 - place : place] = .random(
                        in: 0...255, using: &numbers)
                }
            }
        }
        do {
            let read = try damaged.map { try ClipFile(MemoryBytes($0)) }
            let clip = try ExactClip(of: read, fromUs: window[0], toUs: window[1], createdUs: 0)
            for piece in clip.pieces {
                let size = Int64(damaged[piece.file].count)
                if piece.offset < 0 || piece.sizeBytes <= 0 || piece.offset + piece.sizeBytes > size {
                    fail(window, "a piece beyond its damaged file")
                }
            }
        } catch is MediaError {
        } catch {
            fail(window, "\(error)")
        }
    }

    // MARK: Words

    /// The number in a picture: behind parameter sets, if any, and the header of the slice.
    private func pictureNumber(_ payload: [UInt8]) -> Int {
        var unit = payload[...]
        while scene.codec != .mjpeg, unit.count > 4, unit[unit.startIndex + 4] & 0x1F > 5 {
            unit = unit.dropFirst(4 + unit.prefix(4).reduce(0) { $0 << 8 | Int($1) })
        }
        return Self.number(Array(unit.dropFirst(scene.codec == .mjpeg ? 1 : 5)))
    }

    private static func number(_ bytes: [UInt8]) -> Int { bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) } }

    /// 3, 4, 5, 9 as "3-5 9".
    private static func spans(_ numbers: [Int]) -> String {
        var spans: [(Int, Int)] = []
        for number in numbers {
            if let last = spans.indices.last, spans[last].1 == number - 1 {
                spans[last].1 = number
            } else {
                spans.append((number, number))
            }
        }
        return spans.map { $0 == $1 ? "\($0)" : "\($0)-\($1)" }.joined(separator: " ")
    }
}

extension [UInt8] {
    fileprivate func ends(with other: [UInt8]) -> Bool { suffix(other.count) == other[...] }
}
