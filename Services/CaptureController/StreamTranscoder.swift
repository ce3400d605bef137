// A camera's pictures coded anew for a push, by a media-worker. What comes out are packets like a camera's, some milliseconds later; where
// the worker does not keep up, whole groups of pictures are left out of this push and nothing else suffers.
import Media
import MediaWork
import Synchronization

final class StreamTranscoder: Sendable {
    private struct State {
        /// The next keyframe begins another run of the camera.
        var beginsRun = true
        var assembler: VideoAssembler
    }

    private let state: Mutex<State>
    private let feed: Mutex<LiveFeed?> = Mutex(nil)

    /// `deliver` is called on a thread of the transcoder's own. `failed` tells how many pictures were left out, and why.
    init(
        _ name: String, executable: String, _ coding: StreamCoding, deliver: @escaping @Sendable (MediaPacket) -> Void,
        failed: @escaping @Sendable (Int, String) -> Void
    ) {
        state = Mutex(State(assembler: VideoAssembler(codec: coding.codec, timescale: LivePacket.timescale)))
        let made = LiveFeed(name, executable: executable, .stream(coding)) { [weak self] event in
            guard let self else { return }
            switch event {
            case .sample(let sample): if let packet = assemble(sample) { deliver(packet) }
            case .lost(_, let why): failed(1, why)
            case .failed(_, let error): failed(1, error.description)
            case .picture: break
            }
        }
        feed.withLock { $0 = made }
    }

    /// Takes a packet of video; never waits.
    func put(_ packet: MediaPacket) {
        let startsAnew = state.withLock { state in
            defer { if packet.isKeyframe { state.beginsRun = false } }
            return packet.isKeyframe && state.beginsRun
        }
        feed.withLock { $0 }?.put(
            LiveFeed.Item(packet: packet, startsAnew: startsAnew, isWanted: false, timeUs: 0, runID: ""))
    }

    /// The camera's run ended: what comes next follows nothing.
    func restart() { state.withLock { $0.beginsRun = true } }

    func stop() { feed.withLock { $0?.stop() } }

    /// A sample is a whole access unit.
    private func assemble(_ sample: FilmSample) -> MediaPacket? {
        state.withLock { state in
            let arrivalNs = monotonicUs() * 1000
            let before = sample.bytes.withUnsafeBytes {
                state.assembler.append($0, ptsTicks: sample.ptsTicks, arrivalNs: arrivalNs)
            }
            return before ?? state.assembler.flush()
        }
    }
}
