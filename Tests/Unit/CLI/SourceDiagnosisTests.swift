// What is said of a configured camera, by what registry and controller say of it.

import Testing
import Wire

@testable import CLI

@Suite struct SourceDiagnosisTests {
    private static let source = SourceName(device: "cam1", endpoint: "main")
    private static let nowUs: Int64 = 1_795_410_000_000_000

    /// A camera that is well, changed by `change`; what is not well of it.
    private func bad(
        enabled: Bool = true, streams: [StreamDefinition]? = nil, hasLease: Bool = true, hasStatus: Bool = true,
        tasks: [TaskStatus] = [], _ change: (inout SourceStatus) -> Void = { _ in }
    ) -> [String] {
        var status = SourceStatus(
            source: Self.source, state: .streaming, videoCodec: "h264", widthPx: 640, heightPx: 480, packets: 100,
            lastPacketUs: Self.nowUs - 40_000, syncedToUs: Self.nowUs - 900_000)
        change(&status)
        let diagnosis = SourceDiagnosis(
            endpoint: InboundEndpoint(source: Self.source, address: "rtsp://192.0.2.10/main", enabled: enabled),
            streams: streams ?? [StreamDefinition(source: Self.source, enabled: true)],
            lease: hasLease ? Lease(source: Self.source, holder: "cc-0", holderAddress: "ipc:///x") : nil,
            status: hasStatus ? status : nil, tasks: tasks, nowUs: Self.nowUs)
        let bad = diagnosis.checks.checks.filter { $0.verdict != .good }
        #expect(bad.allSatisfy { !$0.advice.isEmpty && !$0.seen.isEmpty })
        return bad.map(\.code)
    }

    @Test func aCameraThatIsWellHasNothingWrong() { #expect(bad().isEmpty) }

    @Test func whatIsConfiguredWrongComesFirst() {
        #expect(bad(enabled: false) == ["disabled"])
        #expect(bad(streams: []) == ["no_streams"])
        let wrong = StreamDefinition(
            source: Self.source, enabled: true, issues: [Issue(severity: .error, message: "duration is wrong")])
        #expect(bad(streams: [wrong]) == ["issues"])
    }

    @Test func whoHoldsItIsNamed() {
        #expect(bad(hasLease: false) == ["no_lease"])
        #expect(bad(hasStatus: false) == ["controller_away"])
    }

    @Test(arguments: [
        "unauthorized", "refused", "unreachable", "silent", "no_keyframe", "busy", "not_found", "protocol",
    ])
    func theControllersCauseIsTheCode(cause: String) {
        let codes = bad {
            ($0.state, $0.cause, $0.reason, $0.attempts) = (.backingOff, cause, "why", 3)
        }
        #expect(codes == [cause])
    }

    @Test func aSourceThatIsJustConnectingIsNotWrongYet() {
        #expect(bad { ($0.state, $0.cause) = (.connecting, nil) } == ["connecting"])
        #expect(bad { ($0.state, $0.cause) = (.idle, nil) }.isEmpty)
    }

    @Test func silenceAndADiskThatStoppedAreSeenByTheirAge() {
        #expect(bad { $0.lastPacketUs = Self.nowUs - 6_000_000 } == ["silent"])
        #expect(bad { $0.syncedToUs = Self.nowUs - 6_000_000 } == ["not_synced"])
        #expect(bad { $0.syncedToUs = nil }.isEmpty, "nothing shall be recorded")
    }

    @Test func aTaskThatFailedIsNamed() {
        let task = TaskStatus(stream: StreamName(asset: "line1", stream: "live"), state: .failed, error: "no such host")
        #expect(bad(tasks: [task]) == ["task"])
    }
}
