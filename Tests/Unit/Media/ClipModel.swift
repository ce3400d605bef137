// What a camera sent and the recorder kept, as the tests know it; and what a clip of a window must therefore show. Shares no code with
// Shared/Media: times and order come from the scene that sent the pictures.

/// A picture that is in a file.
struct SentPicture: Hashable {
    /// Its place in the order of sending, over all runs: the number in its bytes.
    let number: Int
    let wallUs: Int64
    /// When it would end if nothing came after it, as the camera's rate says.
    let statedEndUs: Int64
    let isKeyframe: Bool
    let widthPx: Int
    /// avcC of its parameter sets; empty for JPEG.
    let decoderConfiguration: [UInt8]
    let bytes: [UInt8]
    /// Files of one run without a hole between them have the same.
    let stretch: Int
    /// The first of a file: its wall time is in the file to the microsecond; that of others is found within two.
    let opensFile: Bool
    /// Shown before the keyframe that opens its stretch, and decoded after it: an open group without the one before.
    let isLost: Bool
}

/// A packet of sound that is in a file.
struct SentSound: Hashable {
    let number: Int
    let wallUs: Int64
    let endUs: Int64
    let bytes: [UInt8]
    let stretch: Int
}

/// All that is in the files of a scene.
struct ClipModel {
    /// In the order of sending.
    var pictures: [SentPicture] = []
    var sounds: [SentSound] = []

    /// A file does not have a picture's microsecond of the run, only ticks from its own first picture: so far they can differ.
    static let roundingUs: Int64 = 2

    /// What [fromUs, toUs) shows, in the order of showing.
    func shown(_ fromUs: Int64, _ toUs: Int64) -> [SentPicture] {
        pictures.filter { !$0.isLost && $0.wallUs >= fromUs && $0.wallUs < toUs }.sorted { $0.wallUs < $1.wallUs }
    }

    /// Whether rounding can put a picture on either side of a moment.
    func isAmbiguous(_ us: Int64) -> Bool {
        pictures.contains { !$0.opensFile && abs($0.wallUs - us) <= Self.roundingUs }
    }

    /// What must be in the file to show them, in the order of sending: from the last keyframe that serves, to the last one shown,
    /// without what an open group shows in front of that keyframe.
    func needed(_ shown: [SentPicture]) -> [SentPicture] {
        var needed: [SentPicture] = []
        for (stretch, part) in Dictionary(grouping: shown, by: \.stretch).sorted(by: { $0.key < $1.key }) {
            let numbers = part.map(\.number)
            guard let lowest = numbers.min(), let highest = numbers.max(), let firstUs = part.map(\.wallUs).min(),
                let key = pictures.last(where: {
                    $0.stretch == stretch && $0.isKeyframe && $0.number <= lowest && $0.wallUs <= firstUs
                })
            else { return [] }
            needed += pictures.filter {
                $0.stretch == stretch && (key.number...highest).contains($0.number) && $0.wallUs >= key.wallUs
            }
        }
        return needed
    }

    /// The next picture of the same stretch, in the order of showing.
    func successor(of picture: SentPicture) -> SentPicture? {
        pictures.filter { $0.stretch == picture.stretch && $0.wallUs > picture.wallUs && !$0.isLost }
            .min { $0.wallUs < $1.wallUs }
    }

    /// The first picture of a stretch that can be shown.
    func opening(of stretch: Int) -> SentPicture? {
        pictures.filter { $0.stretch == stretch && !$0.isLost }.min { $0.wallUs < $1.wallUs }
    }

    /// Another run's sound is heard at its beginning.
    func isDoubled(_ sound: SentSound) -> Bool {
        sounds.contains { $0.stretch < sound.stretch && $0.endUs > sound.wallUs }
    }

    /// The parts of a window in which sound is certain to be heard: from the window's start, or the stretch's, to the last picture of
    /// it. Up to `mostUs` more can be.
    func heard(_ fromUs: Int64, _ toUs: Int64) -> [(stretch: Int, startUs: Int64, endUs: Int64, mostUs: Int64)] {
        Dictionary(grouping: shown(fromUs, toUs), by: \.stretch).sorted { $0.key < $1.key }.map { stretch, part in
            let newest = part.max { $0.wallUs < $1.wallUs }
            let follower = newest.flatMap { successor(of: $0) }
            let openingUs = opening(of: stretch)?.wallUs ?? fromUs
            let endUs = follower.map { min($0.wallUs, toUs) } ?? min(newest?.wallUs ?? toUs, toUs)
            let mostUs =
                follower.map { min($0.wallUs, toUs) }
                ?? min(newest.map { 2 * $0.statedEndUs - $0.wallUs } ?? toUs, toUs)
            return (stretch, max(fromUs, openingUs), endUs, mostUs)
        }
    }
}
