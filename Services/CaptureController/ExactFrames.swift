// Which packets a decoder must see so that the pictures of single frames come out of it. Pure: packets go in, with what is wanted of
// them; those that are to be sent come out.
//
//   E1  Packets are held from a keyframe on, and sent when a picture is wanted: all up to that frame, in order. A group of pictures
//       of which none is wanted is never decoded, and none is decoded twice.
//   E2  While a picture has not come out yet (frames are shown in another order than they are decoded), each packet is sent as it comes.
//   E3  A group that is larger than `mostHeldBytes` before a picture of it is wanted is given up: what comes of it is unknown.
import Media

struct ExactFrames: Sendable {
    /// A packet for the decoder.
    struct Sent: Sendable {
        let job: ExactJob
        /// Those before it were not sent.
        let startsAnew: Bool
    }

    /// A minute of 4 Mbit/s without a keyframe: no camera that pictures are wanted of.
    static let mostHeldBytes = 32 << 20

    private var held: [ExactJob] = []
    private var heldBytes = 0
    /// The packet before the held ones, or before the next one, was sent.
    private var isContinuous = false
    private var awaitsKeyframe = true
    /// Pictures that have not come out.
    private(set) var awaited = 0

    /// Takes a packet. nil: a picture of it was wanted, and none can be made.
    mutating func take(_ job: ExactJob) -> [Sent]? {
        if job.packet.isKeyframe {
            if !held.isEmpty { isContinuous = false }
            held = []
            heldBytes = 0
            awaitsKeyframe = false
        }
        guard !awaitsKeyframe else { return job.isWanted ? nil : [] }
        held.append(job)
        heldBytes += job.packet.sizeBytes
        if job.isWanted { awaited += 1 }
        guard job.isWanted || awaited > 0 else {
            if heldBytes > Self.mostHeldBytes { giveUp() }
            return []
        }
        let sent = held.enumerated().map { index, held in Sent(job: held, startsAnew: index == 0 && !isContinuous) }
        held = []
        heldBytes = 0
        isContinuous = true
        return sent
    }

    /// A picture came out, or is known not to.
    mutating func came() { awaited = max(0, awaited - 1) }

    /// What was sent is lost: the next keyframe begins anew.
    mutating func giveUp() {
        self = ExactFrames()
    }
}
