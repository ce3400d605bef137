// Has a media-worker decode on: packet by packet, each answered by what came of it. Blocking: on a thread of its own, which lives as
// long as the worker shall.
import Media

/// One worker that follows one stream.
public final class LiveCoder {
    /// What came of a packet, or of one before it: frames are shown in another order than they are decoded.
    public enum Outcome: Sendable {
        /// The picture that the packet of this number wanted.
        case picture(UInt32, Picture)
        /// None could be made of the packet of this number.
        case failure(UInt32, PictureError)
        /// A sample of the new stream, as Annex B.
        case sample(FilmSample)
    }

    /// A frame of the largest pictures takes a second; a worker that needs longer hangs.
    public static let stepLimit: Duration = .seconds(10)

    private let worker: WorkerChild
    private var number: UInt32 = 0
    private var isOver = false

    /// Starts a worker. Throws `unavailable`.
    public init(executable: String, _ order: LiveOrder) throws(PictureError) {
        worker = try WorkerChild(executable)
        do throws(FrameSocket.Failure) { try worker.socket.send(.follow(order), number: 0) } catch {
            worker.end()
            isOver = true
            throw PictureError(.unavailable, "the media-worker ended before the first packet")
        }
    }

    deinit { end() }

    /// The number that the next packet will have.
    public var nextNumber: UInt32 { number &+ 1 }

    /// Hands a packet over and waits for what comes of it. After an error the worker is gone.
    public func take(_ packet: LivePacket) throws(PictureError) -> [Outcome] {
        guard !isOver else { throw PictureError(.unavailable, "the media-worker has ended") }
        number &+= 1
        let deadline = ContinuousClock.now.advanced(by: Self.stepLimit)
        var outcomes: [Outcome] = []
        do throws(FrameSocket.Failure) {
            try worker.socket.send(.packet(packet), number: number, until: deadline)
            while true {
                let (number, message) = try worker.socket.receive(until: deadline)
                switch message {
                case .picture(let picture): outcomes.append(.picture(number, picture))
                case .failure(let error): outcomes.append(.failure(number, error))
                case .sample(let sample): outcomes.append(.sample(sample))
                case .taken where number == self.number: return outcomes
                default: throw .nonsense(WorkProtocolError("an answer to something else"))
                }
            }
        } catch {
            isOver = true
            let how = worker.end()
            throw error == .overdue
                ? PictureError(.overdue, "the media-worker took longer than \(Self.stepLimit) over a frame")
                : PictureError(.unavailable, "the media-worker ended over a stream (\(how))")
        }
    }

    /// Ends the worker.
    public func end() {
        guard !isOver else { return }
        isOver = true
        worker.end()
    }
}
