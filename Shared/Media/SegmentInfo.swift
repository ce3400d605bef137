// The box in each recorded file from which the catalogue's rows can be rebuilt from the files alone.
//
//   offset  size
//        0     4  size of the box, big-endian
//        4     4  'uuid'
//        8    16  53474c53-9f0e-4c1d-8a57-6d65646961fe
//       24     1  version: 1
//       25     1  flags: 1 = final (the file ended in order or was salvaged); without it only what was known at the start
//       26     2  reserved: 0
//       28        fields, each: tag (2), length (4), value
//
// All numbers are big-endian; texts are UTF-8, signed numbers two's complement in 8 bytes. A reader ignores tags that it
// does not know; the last of several equal tags counts, except for gaps (tag 32), which add up. The fields are in `Tag`.
//
// A file holds the box twice: after 'moov' without the final flag, and as its very last box with it. A recorder that is
// killed leaves only the first; what start-up salvages gets the second. Valid: the length of the box and of each field
// fit, the texts are UTF-8, and device, endpoint and run id are there.

/// How media time of a run maps to wall time: wall = wallUs + (media - mediaUs) * (1 + ratePpm / 1e6).
public struct MediaAnchor: Sendable, Hashable {
    /// Grows with each refinement within the run.
    public var version: UInt32
    /// A time within the run, in microseconds.
    public var mediaUs: Int64
    /// The same moment in microseconds since the Unix epoch.
    public var wallUs: Int64
    /// -500 to 500.
    public var ratePpm: Int32
    /// "arrival" or "sender_report".
    public var origin: String

    /// An anchor from its parts.
    public init(version: UInt32 = 1, mediaUs: Int64, wallUs: Int64, ratePpm: Int32 = 0, origin: String = "arrival") {
        self.version = version
        self.mediaUs = mediaUs
        self.wallUs = wallUs
        self.ratePpm = ratePpm
        self.origin = origin
    }

    /// Wall time of a media time of the run, both in microseconds. Saturates.
    public func wallUs(ofMediaUs media: Int64) -> Int64 {
        let (elapsed, far) = media.subtractingReportingOverflow(mediaUs)
        if far { return media < mediaUs ? .min : .max }
        // elapsed / 1e6 * ppm: within 500 ppm it is far smaller than elapsed and cannot overflow.
        let bend = elapsed / 1_000_000 * Int64(ratePpm) + elapsed % 1_000_000 * Int64(ratePpm) / 1_000_000
        let (sum, over) = wallUs.addingReportingOverflow(elapsed)
        if over { return elapsed < 0 ? .min : .max }
        let (bent, carried) = sum.addingReportingOverflow(bend)
        return carried ? (bend < 0 ? .min : .max) : bent
    }
}

/// A time before or within a file in which its source should have been recorded and was not.
public struct SegmentGap: Sendable, Hashable {
    /// First missing moment, microseconds since the Unix epoch.
    public var startUs: Int64
    /// End of it, exclusive.
    public var endUs: Int64
    /// One word: "dark", "disk_full", "dropped", "clock_jump", "stopped", "killed".
    public var cause: String
    /// For a person.
    public var reason: String
    /// Video frames known to be lost; 0: unknown.
    public var framesLost: UInt32

    /// A gap from its parts.
    public init(startUs: Int64, endUs: Int64, cause: String, reason: String, framesLost: UInt32 = 0) {
        self.startUs = startUs
        self.endUs = endUs
        self.cause = cause
        self.reason = reason
        self.framesLost = framesLost
    }
}

/// What a recorded file says about itself.
public struct SegmentInfo: Sendable, Hashable {
    /// The file ended in order or was salvaged; times and counts are final.
    public var isFinal = false
    /// Name of the device that the footage is of.
    public var device: String
    /// Name of its inbound endpoint.
    public var endpoint: String
    /// Asset of the stream that asked for it; empty where none did.
    public var asset = ""
    /// Name of that stream; empty where none did.
    public var stream = ""
    /// Who recorded: instance name of the controller.
    public var controllerID = ""
    /// The run, a UUID.
    public var runID: String
    /// When the run began, microseconds since the Unix epoch.
    public var runStartedUs: Int64 = 0
    /// When and why it ended; nil while it goes on or where a later file tells.
    public var runEndedUs: Int64?
    /// For a person.
    public var runEndReason = ""
    /// Epoch of the lease under which it was recorded.
    public var leaseEpoch: UInt64 = 0
    /// Position among the segments of the run, from 0.
    public var sequence: UInt32 = 0
    /// Wall time of the first video frame, microseconds since the Unix epoch, under `anchor`.
    public var startUs: Int64 = 0
    /// Wall time of the last video frame's end. nil: not known when this was written.
    public var endUs: Int64?
    /// Video frames in the file. nil: not known when this was written.
    public var frames: UInt32?
    /// Presentation of the first video frame, in microseconds of the run. It belongs to `startUs`, and to the presentation
    /// time of the first video sample in the file.
    public var mediaStartUs: Int64 = 0
    /// The map from the run's time to wall time, frozen for this file.
    public var anchor: MediaAnchor?
    /// Known gaps before or in this file.
    public var gaps: [SegmentGap] = []
    /// Catalogue word for the video codec.
    public var videoCodec = ""
    /// Catalogue word for the audio codec; empty without audio.
    public var audioCodec = ""
    /// Width of the picture.
    public var widthPx: UInt32 = 0
    /// Height of the picture.
    public var heightPx: UInt32 = 0
    /// Finished at start-up from what a killed recorder left.
    public var salvaged = false

    /// What every file must say; the rest is set on the value.
    public init(device: String, endpoint: String, runID: String) {
        self.device = device
        self.endpoint = endpoint
        self.runID = runID
    }
}
