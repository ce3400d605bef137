// A running stream-to-rtsp task: a publication at the media server, begun again when it ends. A server that is slow or away costs
// whole groups of pictures of this push and nothing else. Driven by the packets themselves; nothing here waits.
import Logging
import Media
import RTSP
import Synchronization

final class PushTask: Sendable {
    /// Sound that a camera has comes within so much of its pictures; what comes later is not announced.
    private static let soundWithinUs: Int64 = 300_000

    let plan: PushPlan
    let counters = TaskCounters()
    private let equipment: Equipment
    private let logger: Logger
    private struct State {
        var reconnect = ReconnectMachine()
        var publisher: RTSPPublisher?
        /// Counts the publications; events of one before say nothing any more.
        var number: UInt64 = 0
        var isPublishing = false
        /// The pictures that are announced.
        var video: CodecConfiguration?
        /// The group of pictures that the next publication begins with.
        var waiting: [MediaPacket] = []
        /// Packets that earlier publications sent.
        var sentBefore: UInt64 = 0
        var sent: UInt64 = 0
        var groupsDropped: UInt64 = 0
        var stopped = false
    }
    private let state = Mutex(State())
    private let transcoder: Mutex<StreamTranscoder?> = Mutex(nil)

    init(_ plan: PushPlan, source: SourceKey, equipment: Equipment) {
        self.plan = plan
        self.equipment = equipment
        var logger = equipment.logger
        logger[metadataKey: "stream"] = "\(plan.stream)"
        self.logger = logger
        state.withLock { $0.reconnect.setWanted(true, nowUs: monotonicUs()) }
        guard let coding = plan.coding else { return }
        let made = StreamTranscoder(
            "transcode \(plan.stream)", executable: equipment.mediaWorker, coding
        ) { [weak self] in
            self?.offer($0)
        } failed: { [weak self] count, why in
            self?.counters.dropped(count, error: "pictures were left out: \(why)")
        }
        transcoder.withLock { $0 = made }
    }

    /// Offers a packet of the camera; never waits.
    func put(_ packet: MediaPacket) {
        if packet.kind == .video, let transcoder = transcoder.withLock({ $0 }) { return transcoder.put(packet) }
        offer(packet)
    }

    /// Offers a packet as it is pushed.
    private func offer(_ packet: MediaPacket) {
        guard packet.kind == .video || plan.audioEnabled else { return }
        state.withLock { state in
            guard !state.stopped else { return }
            if packet.kind == .video, let video = state.video, video != packet.configuration { end(&state) }
            if state.isPublishing {
                state.publisher?.send([packet])
                return
            }
            if packet.kind == .video, packet.isKeyframe { state.waiting = [] }
            guard !state.waiting.isEmpty || (packet.kind == .video && packet.isKeyframe) else { return }
            state.waiting.append(packet)
            // A group that does not fit is not begun with.
            if state.waiting.reduce(0, { $0 + $1.sizeBytes }) > equipment.pushQueueBytes { state.waiting = [] }
            begin(&state)
        }
    }

    /// The camera's run ended: the next keyframe begins a new publication.
    func restart() {
        transcoder.withLock { $0?.restart() }
        state.withLock { end(&$0) }
    }

    func stop() {
        transcoder.withLock { $0?.stop() }
        state.withLock { state in
            state.stopped = true
            end(&state)
        }
    }

    /// Ends the publication, if there is one, as nobody's failure.
    private func end(_ state: inout State) {
        state.publisher?.stop()
        state.sentBefore += state.sent
        state.sent = 0
        state.publisher = nil
        state.number += 1
        state.isPublishing = false
        state.video = nil
        state.waiting = []
        if case .waiting = state.reconnect.state { return }
        state.reconnect.settingsChanged(nowUs: monotonicUs())
    }

    /// Begins a publication when it is time and clear whether there is sound.
    private func begin(_ state: inout State) {
        let nowUs = monotonicUs()
        guard state.publisher == nil, state.reconnect.isDue(nowUs: nowUs), let first = state.waiting.first,
            let last = state.waiting.last
        else { return }
        let sound = state.waiting.first { $0.kind == .audio }?.configuration
        let waitedUs = (last.arrivalNs - first.arrivalNs) / 1000
        guard sound != nil || !plan.audioEnabled || waitedUs > Self.soundWithinUs,
            state.reconnect.takeAttempt(nowUs: nowUs)
        else { return }
        state.number += 1
        let (number, plan, secrets) = (state.number, plan, equipment.secrets)
        guard let url = RTSPURL(plan.url) else {
            return failed(ConnectionFailure(cause: .protocolError, reason: "its address is no rtsp URL"), &state)
        }
        var settings = RTSPPublisherSettings()
        do {
            settings.trust = try PeerTrust.read(
                plan.certificateReference, isSecure: url.isSecure, certificates: equipment.certificates)
        } catch {
            return failed(FailureWords.failure(error), &state)
        }
        settings.maximumUnsentBytes = equipment.pushQueueBytes
        state.video = first.configuration
        state.publisher = equipment.mediaServers.publish(
            url, tracks: [first.configuration] + (sound.map { [$0] } ?? []), settings: settings
        ) { () throws(RTSPFailure) in
            try CameraCredentials.read(plan.usernameReference, plan.passwordReference, secrets: secrets)
        } tell: { [self] event in
            take(event, number)
        }
    }

    private func take(_ event: RTSPPublicationEvent, _ number: UInt64) {
        state.withLock { state in
            guard state.number == number, !state.stopped else { return }
            switch event {
            case .publishing:
                state.isPublishing = true
                state.groupsDropped = 0
                state.reconnect.streaming(nowUs: monotonicUs())
                state.publisher?.send(state.waiting)
                state.waiting = []
                logger.info("push: media server takes the stream")
                counters.pushed(state.sentBefore, url: plan.url, atUs: wallClockUs())
            case .counters(let now):
                state.sent = now.packetsSent
                counters.dropped(Int(clamping: now.groupsDropped - state.groupsDropped))
                state.groupsDropped = now.groupsDropped
                counters.pushed(state.sentBefore + state.sent, url: plan.url, atUs: wallClockUs())
                return
            case .ended(let failure, let last):
                state.sent = last.packetsSent
                let failure = FailureWords.failure(failure ?? RTSPFailure(.silent, "the push was ended"))
                failed(failure, &state)
            }
            equipment.statusChanged()
        }
    }

    private func failed(_ failure: ConnectionFailure, _ state: inout State) {
        state.sentBefore += state.sent
        state.sent = 0
        state.publisher = nil
        state.isPublishing = false
        state.video = nil
        state.waiting = []
        // A media server that restarts says "not found" or closes for a moment; it must be back within 2 s.
        let cause: FailureCause = failure.cause == .unauthorized ? .unauthorized : .refused
        let reason = words(failure)
        state.reconnect.failed(
            ConnectionFailure(cause: cause, reason: reason), nowUs: monotonicUs(), jitter: .random(in: 0...1))
        if counters.now.error != reason { logger.warning("push: \(reason)") }
        counters.failed(reason)
    }

    private func words(_ failure: ConnectionFailure) -> String {
        let server = RTSPURL(plan.url)?.hostAndPort ?? plan.url
        return switch failure.cause {
        case .unauthorized: "media server \(server) refuses the user name or password"
        case .refused: "media server \(server): connection refused"
        default: "media server \(server): \(failure.reason)"
        }
    }
}
