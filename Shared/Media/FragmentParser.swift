// The content of moov and moof. Boxes inside are walked one level at a time, each bounded by its parent.

/// A box inside bytes that are in memory.
private struct InnerBox {
    let type: String
    let content: ArraySlice<UInt8>
}

/// The boxes in `bytes`, in order; nil where one does not fit.
private func innerBoxes(_ bytes: ArraySlice<UInt8>) -> [InnerBox]? {
    var cursor = ByteCursor(bytes)
    var boxes: [InnerBox] = []
    while !cursor.isAtEnd {
        guard let size = cursor.u32(), let name = cursor.take(4), size >= 8, let content = cursor.take(Int(size) - 8)
        else {
            return nil
        }
        boxes.append(InnerBox(type: String(decoding: name, as: UTF8.self), content: content))
    }
    return boxes
}

extension [InnerBox] {
    fileprivate func first(_ type: String) -> ArraySlice<UInt8>? {
        first { $0.type == type }?.content
    }
}

/// The tracks of a moov box.
struct MovieParser {
    private(set) var tracks: [MP4Track] = []
    /// Defaults of trex by track. The description counts from 1.
    private(set) var defaults: [UInt32: (description: UInt32, duration: UInt32, size: UInt32, flags: UInt32)] = [:]
    /// More than a file of ours declares; each is read again for every file that is salvaged.
    private static let maximumDescriptions = 64

    /// `moov` is the content of the box. nil where it is broken, has no track or more than 8.
    init?(moov: [UInt8]) {
        guard let boxes = innerBoxes(moov[...]) else { return nil }
        for trak in boxes where trak.type == "trak" {
            guard tracks.count < 8, let track = Self.track(trak.content) else { return nil }
            tracks.append(track)
        }
        for trex in boxes.first("mvex").flatMap(innerBoxes) ?? [] where trex.type == "trex" {
            var cursor = ByteCursor(trex.content)
            guard cursor.skip(4), let id = cursor.u32(), let description = cursor.u32(),
                let duration = cursor.u32(), let size = cursor.u32(), let flags = cursor.u32()
            else { return nil }
            defaults[id] = (description, duration, size, flags)
        }
        guard !tracks.isEmpty, Set(tracks.map(\.id)).count == tracks.count else { return nil }
    }

    private static func track(_ trak: ArraySlice<UInt8>) -> MP4Track? {
        guard let boxes = innerBoxes(trak), let header = boxes.first("tkhd"), let id = trackID(header),
            let media = boxes.first("mdia").flatMap(innerBoxes), let mediaHeader = media.first("mdhd"),
            let timescale = timescale(mediaHeader), timescale > 0, let handler = media.first("hdlr"),
            let information = media.first("minf").flatMap(innerBoxes),
            let table = information.first("stbl").flatMap(innerBoxes), let entries = table.first("stsd"),
            let descriptions = innerBoxes(entries.dropFirst(8)), (1...maximumDescriptions).contains(descriptions.count)
        else { return nil }
        let isVideo = handler.count >= 12 && Array(handler.dropFirst(8).prefix(4)) == Array("vide".utf8)
        let read = descriptions.compactMap { description($0, isVideo: isVideo) }
        guard read.count == descriptions.count else { return nil }
        return MP4Track(id: id, kind: isVideo ? .video : .audio, timescale: timescale, descriptions: read)
    }

    private static func description(_ entry: InnerBox, isVideo: Bool) -> MP4SampleDescription? {
        var width = 0
        var height = 0
        if isVideo {
            var cursor = ByteCursor(entry.content)
            guard cursor.skip(24), let wide = cursor.u16(), let high = cursor.u16() else { return nil }
            (width, height) = (Int(wide), Int(high))
        }
        var box = BoxWriter()
        box.box(entry.type) { $0.bytes(Array(entry.content)) }
        return MP4SampleDescription(
            sampleEntry: entry.type, nalLengthBytes: nalLength(entry), widthPx: width, heightPx: height, box: box.data)
    }

    private static func trackID(_ tkhd: ArraySlice<UInt8>) -> UInt32? {
        var cursor = ByteCursor(tkhd)
        guard let version = cursor.u8(), cursor.skip(version == 1 ? 19 : 11) else { return nil }
        return cursor.u32()
    }

    private static func timescale(_ mdhd: ArraySlice<UInt8>) -> UInt32? {
        var cursor = ByteCursor(mdhd)
        guard let version = cursor.u8(), cursor.skip(version == 1 ? 19 : 11) else { return nil }
        return cursor.u32()
    }

    /// From avcC and hvcC: lengthSizeMinusOne.
    private static func nalLength(_ entry: InnerBox) -> Int? {
        guard ["avc1", "avc3", "hvc1", "hev1"].contains(entry.type),
            let boxes = innerBoxes(entry.content.dropFirst(78))
        else { return nil }
        if let avc = boxes.first("avcC"), avc.count > 4 { return Int(avc[avc.startIndex + 4] & 3) + 1 }
        if let hevc = boxes.first("hvcC"), hevc.count > 21 { return Int(hevc[hevc.startIndex + 21] & 3) + 1 }
        return nil
    }
}

/// The samples of a moof box.
enum FragmentParser {
    /// Whatever a moof says: more samples are not read from one fragment.
    private static let maximumSamples = 200_000

    /// `moof` is the content of the box that begins at `moofOffset` of the file. nil where anything in it is broken.
    static func samples(moof: [UInt8], moofOffset: Int64, movie: MovieParser) -> [MP4Sample]? {
        guard let boxes = innerBoxes(moof[...]), boxes.contains(where: { $0.type == "mfhd" }) else { return nil }
        var samples: [MP4Sample] = []
        for traf in boxes where traf.type == "traf" {
            guard let inner = innerBoxes(traf.content), let header = inner.first("tfhd"),
                var run = Run(tfhd: header, moofOffset: moofOffset, movie: movie)
            else { return nil }
            if let time = inner.first("tfdt") {
                guard let start = decodeTime(time) else { return nil }
                run.dts = start
            }
            for trun in inner where trun.type == "trun" {
                guard run.read(trun: trun.content, into: &samples, limit: maximumSamples) else { return nil }
            }
        }
        return samples
    }

    private static func decodeTime(_ tfdt: ArraySlice<UInt8>) -> Int64? {
        var cursor = ByteCursor(tfdt)
        guard let version = cursor.u8(), cursor.skip(3) else { return nil }
        guard version == 1 else { return cursor.u32().map(Int64.init) }
        // Beyond 2^60 ticks sums could overflow; no recording is 400 000 years long.
        guard let time = cursor.u64(), time < 1 << 60 else { return nil }
        return Int64(time)
    }

    private struct Run {
        let trackID: UInt32
        private(set) var base: Int64
        var dts: Int64 = 0
        private var description: UInt32 = 1
        private var defaultDuration: UInt32 = 0
        private var defaultSize: UInt32 = 0
        private var defaultFlags: UInt32 = 0
        private var nextOffset: Int64

        init?(tfhd: ArraySlice<UInt8>, moofOffset: Int64, movie: MovieParser) {
            var cursor = ByteCursor(tfhd)
            guard let flags = cursor.u32().map({ $0 & 0xFF_FFFF }), let id = cursor.u32(),
                movie.tracks.contains(where: { $0.id == id })
            else { return nil }
            trackID = id
            base = moofOffset
            nextOffset = moofOffset
            if let known = movie.defaults[id] {
                (description, defaultDuration, defaultSize, defaultFlags) = known
            }
            if flags & 1 != 0 {
                guard let explicit = cursor.u64(), explicit < 1 << 60 else { return nil }
                base = Int64(explicit)
                nextOffset = base
            }
            for (bit, path) in [
                (UInt32(2), \Run.description), (8, \Run.defaultDuration), (16, \Run.defaultSize),
                (32, \Run.defaultFlags),
            ] where flags & bit != 0 {
                guard let value = cursor.u32() else { return nil }
                self[keyPath: path] = value
            }
            guard description > 0 else { return nil }
        }

        mutating func read(trun: ArraySlice<UInt8>, into samples: inout [MP4Sample], limit: Int) -> Bool {
            var cursor = ByteCursor(trun)
            guard let head = cursor.u32(), let count = cursor.u32(), samples.count + Int(count) <= limit else {
                return false
            }
            let flags = head & 0xFF_FFFF
            if flags & 1 != 0 {
                guard let offset = cursor.u32() else { return false }
                nextOffset = base + Int64(Int32(bitPattern: offset))
            }
            var firstFlags: UInt32?
            if flags & 4 != 0 {
                guard let value = cursor.u32() else { return false }
                firstFlags = value
            }
            let fields = (flags >> 8 & 0xF).nonzeroBitCount
            guard fields * 4 * Int(count) <= cursor.left else { return false }
            for index in 0..<Int(count) {
                let duration = flags & 0x100 != 0 ? cursor.u32() : defaultDuration
                let size = flags & 0x200 != 0 ? cursor.u32() : defaultSize
                let own = flags & 0x400 != 0 ? cursor.u32() : index == 0 ? firstFlags ?? defaultFlags : defaultFlags
                let shift = flags & 0x800 != 0 ? cursor.u32() : 0
                guard let duration, let size, let own, let shift, nextOffset >= 0, dts < 1 << 60 else { return false }
                let composition = head >> 24 == 0 ? Int64(shift) : Int64(Int32(bitPattern: shift))
                samples.append(
                    MP4Sample(
                        trackID: trackID, description: Int(description) - 1, offset: nextOffset, sizeBytes: Int(size),
                        dtsTicks: dts,
                        ptsTicks: dts + composition, durationTicks: Int64(duration),
                        isKeyframe: own & 0x0001_0000 == 0))
                dts += Int64(duration)
                nextOffset += Int64(size)
            }
            return true
        }
    }
}
