// Packets of one stream to a media-worker that decodes them on, in a thread of its own. A worker that dies or is too slow costs
// frames up to the next keyframe, never the camera: whoever hands packets over does not wait.
import Media
import MediaWork
import Synchronization

/// Feeds one worker for as long as its task runs.
final class LiveFeed: Sendable {
    /// A packet on its way, with what its owner must know when something comes of it.
    struct Item: Sendable {
        let packet: MediaPacket
        let startsAnew: Bool
        let isWanted: Bool
        let timeUs: Int64
        let runID: String
    }

    enum Event: Sendable {
        case picture(Item, Picture)
        case sample(FilmSample)
        /// No picture of this one.
        case failed(Item, PictureError)
        /// This and what follows up to the next keyframe is not decoded.
        case lost(Item, String)
    }

    /// What is older is passed over: a live view, or the picture of a moment, is not worth more.
    static let mostBehindNs: Int64 = 3_000_000_000
    /// Some seconds of the largest cameras.
    private static let mostWaitingBytes = 32 << 20
    /// Between two starts of a worker: a stream that kills each one must not keep the machine busy.
    private static let pauseUs: Int64 = 1_000_000

    private let items = Mailbox<Item>(maximumBytes: mostWaitingBytes)
    private let gate = Mutex(GroupGate())
    private let executable: String
    private let order: LiveOrder
    private let tell: @Sendable (Event) -> Void

    /// `tell` is called on the feed's thread, and for what it refuses on that of `put`.
    init(_ name: String, executable: String, _ order: LiveOrder, tell: @escaping @Sendable (Event) -> Void) {
        self.executable = executable
        self.order = order
        self.tell = tell
        startThread(name) { [self] in run() }
    }

    /// Hands a packet over; never waits.
    func put(_ item: Item) {
        let isTaken = gate.withLock { gate in
            guard gate.admits(isVideoKeyframe: item.packet.isKeyframe) else { return false }
            if items.put(item, bytes: item.packet.sizeBytes) { return true }
            gate.refused()
            return false
        }
        if !isTaken { tell(.lost(item, "more waits for the media-worker than may wait")) }
    }

    func stop() { items.close() }

    private func run() {
        var coder: LiveCoder?
        var waiting: [UInt32: Item] = [:]
        var awaitsKeyframe = false
        // What came before the next keyframe was not all decoded, whatever its owner believes.
        var isBroken = false
        var startUs = Int64.min
        while let taken = items.take(waitingAtMost: 3600) {
            for item in taken {
                if item.packet.isKeyframe { awaitsKeyframe = false }
                if !awaitsKeyframe, monotonicUs() * 1000 - item.packet.arrivalNs > Self.mostBehindNs {
                    awaitsKeyframe = true
                }
                guard !awaitsKeyframe else {
                    isBroken = true
                    tell(.lost(item, "the media-worker is too slow for the stream"))
                    continue
                }
                // A new worker can only begin with a keyframe, and not too often.
                if coder == nil {
                    guard item.packet.isKeyframe, monotonicUs() >= startUs else {
                        isBroken = true
                        tell(.lost(item, "the media-worker is being started again"))
                        continue
                    }
                    startUs = monotonicUs() + Self.pauseUs
                }
                do throws(PictureError) {
                    let running = if let coder { coder } else { try LiveCoder(executable: executable, order) }
                    coder = running
                    try feed(item, startsAnew: item.startsAnew || isBroken, running, &waiting)
                    if item.packet.isKeyframe { isBroken = false }
                } catch {
                    coder = nil
                    for lost in waiting.values { tell(.lost(lost, error.description)) }
                    waiting = [:]
                    tell(.lost(item, error.description))
                    awaitsKeyframe = true
                }
            }
        }
    }

    private func feed(
        _ item: Item, startsAnew: Bool, _ coder: LiveCoder, _ waiting: inout [UInt32: Item]
    ) throws(PictureError) {
        guard
            let packet = LivePacket(
                item.packet, startsAnew: startsAnew && item.packet.isKeyframe, isWanted: item.isWanted)
        else { return tell(.failed(item, PictureError(.limit, "the packet is larger than any decoder takes"))) }
        if item.isWanted { waiting[coder.nextNumber] = item }
        for outcome in try coder.take(packet) {
            switch outcome {
            case .picture(let number, let picture):
                if let item = waiting.removeValue(forKey: number) { tell(.picture(item, picture)) }
            case .failure(let number, let error):
                if let item = waiting.removeValue(forKey: number) { tell(.failed(item, error)) }
            case .sample(let sample): tell(.sample(sample))
            }
        }
    }
}
