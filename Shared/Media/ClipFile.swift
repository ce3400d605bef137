// A recorded file as an exact clip needs it: its tracks, its samples, and when each of them is shown on the wall clock. ExactClip.swift
// puts several of them together.

/// One of the recorded files that a clip is made of.
public struct ClipFile: Sendable {
    /// As moov describes them.
    public let tracks: [MP4Track]
    /// Samples in the order of the file, a list for each fragment; what of a fragment belongs together lies together.
    public let fragments: [[MP4Sample]]
    /// What the file says of itself.
    public let info: SegmentInfo
    /// Time 0 of the file, in microseconds of the run.
    let zeroUs: Int64

    /// Reads a file, whole or torn; of a whole one nothing but its boxes. Throws where it says nothing of its times, or has no video.
    public init(_ source: any ByteSource) throws(MediaError) {
        let reader = FragmentedMP4Reader(WindowedBytes(source))
        var (found, fragments) = try reader.contents(readingSamples: false)
        // What was not ended in order may be torn within its samples.
        if !found.isComplete { (found, fragments) = try reader.contents() }
        guard let info = found.finalInfo, found.tracks.contains(where: { $0.kind == .video }) else {
            throw MediaError("a recorded file has no video, or does not say of when it is")
        }
        guard Self.isPlausible(info, found.tracks, fragments) else {
            throw MediaError("a recorded file is damaged: it says times that no recording has")
        }
        tracks = found.tracks
        self.fragments = fragments.map(\.samples)
        self.info = info
        zeroUs = info.mediaStartUs &- rescale(found.startTicks, from: found.timescale, to: 1_000_000)
    }

    /// 570 years in microseconds: from here on, sums and differences of times would not fit 64 bits in the ticks of every track.
    private static let mostUs: UInt64 = 1 << 54
    /// The same for a file's own time, in seconds: 34 years.
    private static let mostSeconds: UInt64 = 1 << 30
    /// Ticks per second; CodecConfiguration has no more.
    private static let finestTimescale: UInt32 = 10_000_000

    /// Whether all that is computed from a file's times fits. Whatever is wrong with a disk, nothing here may trap.
    private static func isPlausible(_ info: SegmentInfo, _ tracks: [MP4Track], _ fragments: [MP4Fragment]) -> Bool {
        let anchor = info.anchor ?? MediaAnchor(mediaUs: 0, wallUs: 0)
        let timesUs = [info.startUs, info.endUs ?? 0, info.mediaStartUs, anchor.mediaUs, anchor.wallUs]
        guard timesUs.allSatisfy({ $0.magnitude < mostUs }), anchor.ratePpm.magnitude <= 100_000 else { return false }
        return tracks.allSatisfy { track in
            guard track.timescale <= finestTimescale else { return false }
            let most = UInt64(track.timescale) * mostSeconds
            return fragments.allSatisfy { fragment in
                fragment.samples.allSatisfy {
                    $0.trackID != track.id || $0.dtsTicks.magnitude < most && $0.ptsTicks.magnitude < most
                }
            }
        }
    }

    /// The track of a kind; a file of ours has one of each at most.
    func track(_ kind: TrackKind) -> MP4Track? { tracks.first { $0.kind == kind } }

    /// Wall time of a moment of the file, in microseconds.
    func wallUs(_ ticks: Int64, _ timescale: UInt32) -> Int64 {
        let mediaUs = zeroUs &+ rescale(ticks, from: timescale, to: 1_000_000)
        return info.anchor?.wallUs(ofMediaUs: mediaUs) ?? info.startUs &+ (mediaUs &- info.mediaStartUs)
    }

    /// A file whose samples can go on in the same clip: the same codecs and ticks.
    func sharesTracks(with other: ClipFile) -> Bool {
        for kind in [TrackKind.video, .audio] {
            guard let mine = track(kind), let theirs = other.track(kind) else { continue }
            let isSame =
                mine.timescale == theirs.timescale
                && mine.descriptions.first.map(\.family) == theirs.descriptions.first.map(\.family)
            if !isSame { return false }
        }
        return true
    }
}

extension MP4SampleDescription {
    /// What a player needs the same decoder for: avc1 and avc3 differ in where parameter sets are.
    fileprivate var family: String { ["avc3": "avc1", "hev1": "hvc1"][sampleEntry] ?? sampleEntry }
}
