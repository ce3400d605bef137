// A running stream-to-rtsp task: an own thread that publishes at the media server, a bounded queue in front of it. A server that
// is slow or away costs whole groups of pictures of this push and nothing else.
import LibAV
import Logging
import Media
import Synchronization
import Wire

final class PushTask: Sendable {
    let plan: PushPlan
    let counters = TaskCounters()
    private let equipment: Equipment
    private let logger: Logger
    private let packets: Mailbox<MediaPacket>
    private struct State {
        var gate = GroupGate()
        var interrupt: AVInterrupt?
        var restart = false
        var stopped = false
    }
    private let state = Mutex(State())

    init(_ plan: PushPlan, source: SourceKey, equipment: Equipment) {
        self.plan = plan
        self.equipment = equipment
        var logger = equipment.logger
        logger[metadataKey: "stream"] = "\(plan.stream)"
        self.logger = logger
        packets = Mailbox(maximumBytes: equipment.pushQueueBytes)
        startThread("push \(plan.stream)") { [self] in run() }
    }

    /// Offers a packet; never waits.
    func put(_ packet: MediaPacket) {
        guard packet.kind == .video || plan.audioEnabled else { return }
        state.withLock { state in
            guard state.gate.admits(isVideoKeyframe: packet.kind == .video && packet.isKeyframe) else { return }
            if !packets.put(packet, bytes: packet.sizeBytes + 1) {
                state.gate.refused()
                counters.dropped(1)
            }
        }
    }

    /// The camera's run ended: the next keyframe begins a new session at the server.
    func restart() {
        state.withLock {
            $0.gate.restart()
            $0.restart = true
        }
    }

    func stop() {
        packets.close()
        state.withLock {
            $0.stopped = true
            $0.interrupt?.stop()
        }
    }

    private func run() {
        var reconnect = ReconnectMachine()
        reconnect.setWanted(true, nowUs: monotonicUs())
        while !state.withLock({ $0.stopped }) {
            guard reconnect.takeAttempt(nowUs: monotonicUs()) else {
                // What comes while the server is away is of no use to a live view.
                guard packets.take(waitingAtMost: 0.1) != nil else { return }
                continue
            }
            do {
                try session(&reconnect)
            } catch {
                guard !state.withLock({ $0.stopped }) else { return }
                let failure = FailureWords.failure(error, address: plan.url)
                // A media server that restarts says "not found" or closes for a moment; it must be back within 2 s.
                let cause: FailureCause = failure.cause == .unauthorized ? .unauthorized : .refused
                let reason = Self.words(failure, plan.url)
                reconnect.failed(
                    ConnectionFailure(cause: cause, reason: reason), nowUs: monotonicUs(), jitter: .random(in: 0...1))
                if counters.now.error != reason { logger.warning("push: \(reason)") }
                counters.failed(reason)
                equipment.statusChanged()
            }
        }
    }

    private static func words(_ failure: ConnectionFailure, _ url: String) -> String {
        let server = FailureWords.hostAndPort(url)
        return switch failure.cause {
        case .unauthorized: "media server \(server) refuses the user name or password"
        case .refused: "media server \(server): connection refused"
        default: "media server \(server): \(failure.reason)"
        }
    }

    /// One session at the server, from the first keyframe on until it fails, the run ends or the task stops.
    private func session(_ reconnect: inout ReconnectMachine) throws {
        let interrupt = AVInterrupt()
        state.withLock {
            $0.interrupt = interrupt
            $0.restart = false
            if $0.stopped { interrupt.stop() }
        }
        var push: RTSPPush?
        defer { push?.close() }
        var waiting: [MediaPacket] = []
        var sentBefore: UInt64 = 0
        var reportedUs: Int64 = 0
        while let taken = packets.take(waitingAtMost: 1) {
            if state.withLock({ $0.restart }) {
                state.withLock { $0.restart = false }
                sentBefore += push?.packetsSent ?? 0
                push?.close()
                push = nil
                waiting = []
            }
            for packet in taken {
                if push == nil {
                    // Sound's description is known once its first packet came; half a second of packets tells.
                    if waiting.isEmpty, !(packet.kind == .video && packet.isKeyframe) { continue }
                    waiting.append(packet)
                    guard let opened = try open(&waiting, interrupt: interrupt) else { continue }
                    push = opened
                    reconnect.streaming(nowUs: monotonicUs())
                    logger.info("push: media server takes the stream")
                    counters.pushed(sentBefore, url: plan.url, atUs: wallClockUs())
                    equipment.statusChanged()
                    for early in waiting { try opened.send(early) }
                    waiting = []
                    continue
                }
                guard let open = push else { continue }
                if packet.kind == .video, open.needsNewSession(for: packet) {
                    sentBefore += open.packetsSent
                    open.close()
                    push = nil
                    waiting = packet.isKeyframe ? [packet] : []
                    continue
                }
                if packet.kind == .audio, open.needsNewSession(for: packet) { continue }
                try open.send(packet)
            }
            let nowUs = wallClockUs()
            if let push, nowUs - reportedUs > 500_000 {
                reportedUs = nowUs
                counters.pushed(sentBefore + push.packetsSent, url: plan.url, atUs: nowUs)
            }
        }
    }

    /// Opens the push once it is clear whether there is sound. Nil: not yet.
    private func open(_ waiting: inout [MediaPacket], interrupt: AVInterrupt) throws -> RTSPPush? {
        guard let first = waiting.first, let last = waiting.last else { return nil }
        let audio = waiting.first { $0.kind == .audio }?.configuration
        let waitedUs = (last.arrivalNs - first.arrivalNs) / 1000
        guard audio != nil || !plan.audioEnabled || waitedUs > 300_000 else { return nil }
        let credentials = try CameraCredentials.read(
            plan.usernameReference, plan.passwordReference, secrets: equipment.secrets)
        let push = RTSPPush(settings: RTSPPushSettings(url: plan.url, credentials: credentials), interrupt: interrupt)
        try push.open([first.configuration] + (audio.map { [$0] } ?? []))
        return push
    }
}
