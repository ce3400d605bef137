// A segment's footage in another format: what can be wanted, and what came of it. The values that controller and media-worker
// exchange beside pictures (Picture.swift).

/// Formats of a clip other than the segment's own, fragmented MP4. The raw values are those of the configuration.
public enum RenditionFormat: String, Sendable, Hashable, CaseIterable {
    /// Matroska: takes every codec that can be recorded.
    case mkv
    /// Takes H.264, Motion JPEG, AAC and G.711.
    case avi
    /// MPEG transport stream: takes H.264, H.265 and AAC.
    case mts
    /// MPEG program stream: takes H.264.
    case mpg
    /// Takes H.264, AAC, and G.711 of 8 kHz and one channel.
    case flv
    /// Motion JPEG, one picture behind the other and nothing else.
    case mjpeg
    /// VP8 in WebM.
    case webm

    /// The format of a name of the configuration, where mpeg is mpg; nil for another name, mp4 among them.
    public init?(named name: String) {
        let name = name.lowercased()
        self.init(rawValue: name == "mpeg" ? "mpg" : name)
    }

    /// File name extension without the dot.
    public var fileExtension: String { rawValue }
}

/// What is to be made of a file. The worker asks for its bytes.
public struct RenditionRequest: Sendable, Hashable {
    /// No segment is longer than an hour, and none of an hour larger.
    public static let maximumBytes: Int64 = 1 << 40

    /// What to make.
    public let format: RenditionFormat
    /// Its sound too, where the format takes it.
    public let wantsAudio: Bool
    /// Of the file, 1 to `maximumBytes`.
    public let sizeBytes: Int64

    /// A request from its parts; nil for a size that no segment has.
    public init?(_ format: RenditionFormat, wantsAudio: Bool, sizeBytes: Int64) {
        guard (1...Self.maximumBytes).contains(sizeBytes) else { return nil }
        self.format = format
        self.wantsAudio = wantsAudio
        self.sizeBytes = sizeBytes
    }
}

/// What was made.
public struct Rendition: Sendable, Hashable {
    /// Pictures in it.
    public let frames: UInt32
    /// "h264", "mjpeg", "vp8".
    public let videoCodec: String
    /// "aac", "pcmu"; empty without sound.
    public let audioCodec: String
    /// What it lacks, for a person; empty where it lacks nothing.
    public let note: String

    /// From its parts.
    public init(frames: UInt32, videoCodec: String, audioCodec: String, note: String) {
        self.frames = frames
        self.videoCodec = videoCodec
        self.audioCodec = audioCodec
        self.note = note
    }
}
