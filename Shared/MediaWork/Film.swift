// A media file that is played as a source: its tracks and samples, as a media-worker reads them out of it. Blocking: on a thread of
// its own, which lives as long as the worker shall.
import Media

/// A track that can be recorded.
public struct FilmTrack: Sendable, Hashable {
    /// How it is coded.
    public let codec: Codec
    /// Ticks per second of its samples' times.
    public let timescale: UInt32
    /// Sound only.
    public let sampleRateHz: Int
    /// Sound only.
    public let channels: Int
    /// AAC: its AudioSpecificConfig. H.264 and H.265: parameter sets as Annex B.
    public let decoderConfiguration: [UInt8]

    /// A track from its parts.
    public init(codec: Codec, timescale: UInt32, sampleRateHz: Int, channels: Int, decoderConfiguration: [UInt8]) {
        self.codec = codec
        self.timescale = timescale
        self.sampleRateHz = sampleRateHz
        self.channels = channels
        self.decoderConfiguration = decoderConfiguration
    }
}

/// A sample of the one track of this codec.
public struct FilmSample: Sendable, Hashable {
    /// Which track it belongs to: a film has at most one of pictures and one of sound.
    public let codec: Codec
    /// Presentation time in ticks of its track.
    public let ptsTicks: Int64
    /// H.264 and H.265 as Annex B.
    public let bytes: [UInt8]

    /// A sample from its parts.
    public init(codec: Codec, ptsTicks: Int64, bytes: [UInt8]) {
        self.codec = codec
        self.ptsTicks = ptsTicks
        self.bytes = bytes
    }
}

/// Reads one film from its beginning to its end.
public final class FilmReader {
    /// What comes next.
    public enum Step: Sendable {
        case track(FilmTrack)
        case sample(FilmSample)
        case end
    }

    /// A worker that takes longer over one sample hangs; reading ahead in a file of a slow share may take seconds.
    public static let stepLimit: Duration = .seconds(20)

    private let worker: WorkerChild
    private let read: (_ offset: Int64, _ count: Int) throws -> [UInt8]
    private var isOver = false

    /// Starts a worker.
    ///
    /// - Parameters:
    ///   - executable: path of the media-worker.
    ///   - read: gives at most `count` bytes of the file from `offset` on; none at its end.
    public init(
        executable: String, sizeBytes: Int64, read: @escaping (_ offset: Int64, _ count: Int) throws -> [UInt8]
    ) throws {
        self.read = read
        worker = try WorkerChild(executable)
        do { try worker.socket.send(.film(sizeBytes: sizeBytes), number: 1) } catch {
            worker.end()
            isOver = true
            throw PictureError(.unavailable, "the media-worker ended before it read the file")
        }
    }

    deinit { end() }

    /// Waits for the next step. Throws `PictureError` for a file that cannot be played, and what `read` throws.
    public func next() throws -> Step {
        guard !isOver else { return .end }
        do {
            while true {
                let deadline = ContinuousClock.now.advanced(by: Self.stepLimit)
                let (number, message) = try worker.socket.receive(until: deadline)
                switch message {
                case .read(let offset, let count):
                    try worker.socket.send(.piece(try read(offset, count)), number: number, until: deadline)
                case .track(let track): return .track(track)
                case .sample(let sample): return .sample(sample)
                case .made:
                    end()
                    return .end
                case .failure(let error): throw error
                case .request, .picture, .rendition, .piece, .write, .film, .follow, .packet, .taken:
                    throw PictureError(.unavailable, "the media-worker's answer makes no sense")
                }
            }
        } catch {
            end()
            guard let failure = error as? FrameSocket.Failure else { throw error }
            throw PictureError(
                failure == .overdue ? .overdue : .unavailable, "the media-worker ended, or hangs, over the file")
        }
    }

    /// Ends the worker.
    public func end() {
        guard !isOver else { return }
        isOver = true
        worker.end()
    }
}
