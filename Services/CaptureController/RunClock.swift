// The map from a run's media time to wall time: a chain of straight lines, each an anchor with a version. Pure.
//
// Rules
//   T1  Version n holds from its own media time on, up to that of version n + 1. Ring, recorder, windows, pictures and gaps all
//       ask `wallUs(ofMediaUs:)`, which looks the version up, so one frame has one wall time wherever it is asked for.
//   T2  A version begins where the one before it has arrived: the map is continuous, never goes back, and is bent by at most
//       500 ppm. So a segment ends exactly where the next one starts.
//   T3  A version begins with the first frame of a segment, or, while no segment is open, with a keyframe. A file's anchor stays as
//       it was written into its head; a file that is written out of the ring ends where a version begins.
//   T4  The map follows what the least delayed arrivals say (ArrivalWatch), by the host's clock. What the camera says of its own
//       clock (RTCP sender reports) moves nothing here; it only sets sound to pictures (RTSPTrackClock).
//   T5  A version is made only where it is worth it: when the present one would be off by more than 10 ms a while ahead. An error of more
//       than 15 ms that does not shrink ends the open segment early, so that long segments do not drift.
//   T6  A run whose map is off by more than 2 s ends: its camera's clock runs too fast or too slow to be followed.
import Media
import Wire

struct RunClock: Sendable {
    /// Of the map against the media, in ppm: unnoticeable, and as much as a quartz clock can be off.
    static let steepestPpm = 500.0
    /// An error of less is not worth a version: below the length of a frame, above what arrivals tell apart.
    static let toleranceUs: Int64 = 10_000
    /// T5. With 500 ppm it is reached after 30 s, as soon as the first estimate is there.
    static let cutUs: Int64 = 15_000
    /// What an early cut has to better at least.
    static let cutGainPpm = 50.0
    /// An error of more is mended as fast as bending allows, less over the length of a segment.
    static let largeUs: Int64 = 50_000
    static let fastUs = 120_000_000.0
    /// Versions are made for at least so long.
    static let shortestUs: Int64 = 60_000_000
    /// Between the beginnings of two versions.
    static let pauseUs: Int64 = 10_000_000
    /// T6. More than the backlog that a slow network may have at the beginning of a session, little against an event's window.
    static let mostErrorUs: Int64 = 2_000_000
    /// A picture that is farther ahead of its arrival jumped. A clock that is only fast is found at a keyframe before.
    static let jumpUs: Int64 = 3_000_000
    /// The versions that a ring of ten minutes can reach, twice.
    static let mostVersions = 128

    /// The version in force.
    private(set) var newest: MediaAnchor
    private var older: [MediaAnchor] = []
    /// What the arrivals say now; nil: nothing yet.
    var estimate: ClockEstimate?

    init(_ anchor: MediaAnchor) { newest = anchor }

    /// The version that holds at a media time; the oldest known one for what lies before it.
    func anchor(ofMediaUs media: Int64) -> MediaAnchor {
        if media >= newest.mediaUs || older.isEmpty { return newest }
        return older.last { $0.mediaUs <= media } ?? older[0]
    }

    /// Wall time of a media time.
    func wallUs(ofMediaUs media: Int64) -> Int64 {
        media >= newest.mediaUs ? newest.wallUs(ofMediaUs: media) : anchor(ofMediaUs: media).wallUs(ofMediaUs: media)
    }

    /// The first media time that is shown at `wall` or later.
    func mediaUs(ofWallUs wall: Int64) -> Int64 {
        let anchor =
            wall >= newest.wallUs || older.isEmpty ? newest : older.last { $0.wallUs <= wall } ?? older[0]
        let (elapsed, far) = wall.subtractingReportingOverflow(anchor.wallUs)
        // A hundred thousand years off: no packet is there, and the sums below would not fit.
        if far || elapsed.magnitude > 1 << 61 { return wall < anchor.wallUs ? .min : .max }
        let scale = 1_000_000 + Int64(anchor.ratePpm)
        var media = anchor.mediaUs &+ elapsed / scale &* 1_000_000 &+ elapsed % scale * 1_000_000 / scale
        // The divisions round; the map itself says what is right.
        while anchor.wallUs(ofMediaUs: media) >= wall { media &-= 1 }
        while anchor.wallUs(ofMediaUs: media) < wall { media &+= 1 }
        return media
    }

    /// True where a version begins with the frame at `media`.
    func begins(atMediaUs media: Int64) -> Bool {
        newest.mediaUs == media || older.contains { $0.mediaUs == media }
    }

    /// By how much the map is behind what arrivals say, at a media time of now. 0: nothing is known yet.
    func errorUs(atMediaUs media: Int64) -> Int64 {
        guard let estimate else { return 0 }
        return estimate.wallUs(ofMediaUs: media) &- newest.wallUs(ofMediaUs: media)
    }

    /// Begins a new version with the frame at `media`, of what is to be shown for about `lengthUs`. Nil where it is not worth it.
    mutating func bend(atMediaUs media: Int64, lengthUs: Int64) -> MediaAnchor? {
        guard let estimate, media >= newest.mediaUs &+ Self.pauseUs, newest.version < .max else { return nil }
        let error = Double(errorUs(atMediaUs: media))
        let ahead = Double(max(lengthUs, Self.shortestUs))
        let atEnd = error + (estimate.slowPpm - Double(newest.ratePpm)) * ahead / 1_000_000
        guard abs(atEnd) > Double(Self.toleranceUs) else { return nil }
        let ratePpm = Self.ratePpm(estimate, errorUs: error, lengthUs: lengthUs)
        guard ratePpm != newest.ratePpm else { return nil }
        if older.count >= Self.mostVersions { older.removeFirst() }
        older.append(newest)
        newest = MediaAnchor(
            version: newest.version + 1, mediaUs: media, wallUs: newest.wallUs(ofMediaUs: media), ratePpm: ratePpm,
            origin: newest.origin)
        return newest
    }

    /// T5: whether the open segment, of about `lengthUs`, had better end with the frame before `media`.
    func needsCut(atMediaUs media: Int64, lengthUs: Int64) -> Bool {
        guard let estimate, media >= newest.mediaUs &+ Self.pauseUs else { return false }
        let error = Double(errorUs(atMediaUs: media))
        guard abs(error) > Double(Self.cutUs) else { return false }
        let side = error < 0 ? -1.0 : 1.0
        let shrinksPpm = (Double(newest.ratePpm) - estimate.slowPpm) * side
        let ratePpm = Self.ratePpm(estimate, errorUs: error, lengthUs: lengthUs)
        let gainPpm = Double(ratePpm - newest.ratePpm) * side
        return shrinksPpm < Self.cutGainPpm && gainPpm >= Self.cutGainPpm
    }

    /// The bend that mends the error within the time at hand and then goes along.
    private static func ratePpm(_ estimate: ClockEstimate, errorUs: Double, lengthUs: Int64) -> Int32 {
        let withinUs = abs(errorUs) > Double(largeUs) ? fastUs : Double(max(lengthUs, shortestUs))
        let ppm = estimate.slowPpm + errorUs / withinUs * 1_000_000
        return Int32(min(max(ppm, -steepestPpm), steepestPpm).rounded())
    }

    /// T6, for a person. Nil while the map is near enough. `aheadUs`: by how much this picture is dated after its arrival.
    func tooFarOff(atMediaUs media: Int64, aheadUs: Int64) -> String? {
        let error = min(errorUs(atMediaUs: media), 0 &- aheadUs < -Self.mostErrorUs ? 0 &- aheadUs : .max)
        guard error.magnitude > UInt64(Self.mostErrorUs) else { return nil }
        let tenths = error.magnitude / 100_000
        let off = "\(tenths / 10).\(tenths % 10) s"
        guard let ppm = estimate?.slowPpm, abs(ppm) > Self.steepestPpm else {
            return "the camera's pictures come \(off) \(error < 0 ? "before" : "after") their time"
        }
        let isUnknown = abs(ppm) >= ArrivalWatch.steepestPpm
        return "the camera's clock runs \(isUnknown ? "more than " : "")\(Int64(clampedUs: abs(ppm))) ppm "
            + "\(ppm < 0 ? "fast" : "slow"); \(Int64(Self.steepestPpm)) ppm can be followed. Its times were off by \(off)"
    }
}

extension MediaAnchor {
    /// The catalogue's record of it.
    func wire(runID: String) -> MediaRecord {
        MediaRecord(
            anchor: Anchor(
                runID: runID, version: version, mediaUs: mediaUs, wallUs: wallUs, ratePpm: ratePpm, origin: origin))
    }
}
