// One session with a camera from the operator's machine, to see how far it comes.

import Foundation
import RTSP
import Synchronization

struct CameraProbe {
    let address: ProbeAddress
    let user: RTSPUser?
    let trust: TLSTrust
    /// How long the camera may take to its next step.
    let patience: Duration
    /// How long its pictures are looked at.
    let watch: Duration

    /// What was seen. Throws where the kernel has no room for a session.
    func run() async throws -> ProbeRecord {
        let client: RTSPClient
        do { client = try RTSPClient(name: "probe") } catch { throw Failure("no session can be begun: \(error)") }
        defer { client.stop() }
        let record = SharedRecord()
        let session = begin(client, record)
        var stop: ContinuousClock.Instant?
        var seen = (progress: -1, at: ContinuousClock.now)
        while true {
            // A person watches; this costs nothing that matters.
            try await Task.sleep(for: .milliseconds(20))
            let (hasEnded, progress, hasPictures) = record.state.withLock {
                ($0.hasEnded, $0.progress, $0.pictures.count > 0)
            }
            let now = ContinuousClock.now
            if hasEnded { break }
            if hasPictures, stop == nil { stop = now + watch }
            if let stop, now >= stop { break }
            if progress != seen.progress { seen = (progress, now) }
            // The session's own limits come first, and know the words.
            if now - seen.at > patience + .milliseconds(500) {
                record.state.withLock { $0.gaveUp = true }
                break
            }
        }
        var result = record.state.withLock { $0 }
        // A camera that hears TEARDOWN has room for the next one; one that does not listen is not waited for.
        session.stop()
        let last = ContinuousClock.now + .seconds(1)
        while !record.state.withLock({ $0.hasEnded }), ContinuousClock.now < last {
            try await Task.sleep(for: .milliseconds(10))
        }
        // What was passed over is told every few seconds, and at the end.
        result.counters = record.state.withLock { $0.counters }
        return result
    }

    private func begin(_ client: RTSPClient, _ record: SharedRecord) -> any SourcePlayback {
        var settings = RTSPSessionSettings()
        settings.isLive = true
        settings.trust = trust
        settings.connectNs = patience.microseconds * 1000
        settings.silenceNs = patience.microseconds * 1000
        settings.follow = { step in record.state.withLock { $0.take(step, wallUs: WindowArguments.nowUs()) } }
        let user = user
        let whoAsks: @Sendable () throws(RTSPFailure) -> RTSPUser? = { () throws(RTSPFailure) in user }
        let tell: @Sendable (SourceEvent) -> Void = { event in record.state.withLock { $0.take(event) } }
        switch address {
        case .rtsp(let url): return client.play(url, settings: settings, user: whoAsks, tell: tell)
        case .http(let url):
            // A still picture that is asked for as seldom as it may be late would be called silence.
            let pollNs = min(1_000_000_000, settings.silenceNs / 3)
            return client.fetch(url, pollNs: pollNs, settings: settings, user: whoAsks, tell: tell)
        }
    }
}

/// What the thread of the session writes and the command reads.
private final class SharedRecord: Sendable {
    let state = Mutex(ProbeRecord())
}
