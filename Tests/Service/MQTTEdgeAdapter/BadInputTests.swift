// Every method of the contract with input that is wrong: an error that names the field, nothing on a topic, and the adapter
// goes on.

import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct BadInputTests {
    @Test func everyMethodRefusesWhatTheContractForbids() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let watcher = try await site.subscriber(["data/#", "asset-status/#", "volume-status/#"], format: "%l")
        let client = try site.client()
        defer { client.close() }
        let complaints = await BadRequests.complaints(
            [picture, status],
            of: MqttEdgeAdapterMethods.all, to: client)
        #expect(complaints.isEmpty)
        let last = ReportStatusRequest(tasks: [
            TaskStatus(stream: StreamName(asset: "line1", stream: "last"), state: .running)
        ])
        _ = try await client.call(MqttEdgeAdapterMethods.reportStatus, last)
        try await eventually("the status after all of it is published") {
            watcher.standardOutput.contains("asset-status/line1/last|") ? true : nil
        }
        let topics = Set(watcher.standardOutput.split(separator: "\n").compactMap { $0.split(separator: "|").first })
        #expect(
            topics == [
                "harness/subscribed", "\(AdapterSite.namespace)/asset-status/line1/last",
                "\(AdapterSite.namespace)/asset-status/line1/clips", "\(AdapterSite.namespace)/data/line1/pictures",
            ])
        #expect(try await adapter.terminate() == 0)
    }

    private var picture: BadRequests {
        let largest = (32 << 20) - (64 << 10)
        let topics = [
            "a/#", "+/a", "$SYS/a", "a\u{1}", Bad.text(1025),
            // Topics that the adapter takes commands from.
            "\(AdapterSite.namespace)/asset-operations/line1/clips/start",
            "\(AdapterSite.namespace)/media-sync/archive",
        ]
        return BadRequests(
            MqttEdgeAdapterMethods.publishSnapshot,
            like: PublishSnapshotRequest(
                stream: StreamName(asset: "line1", stream: "pictures"),
                source: SourceName(device: "dev1", endpoint: "main"), picture: [1, 2, 3], contentType: "image/jpeg",
                capturedUs: 1_763_870_706_789_000, destination: MqttDestination(qos: 1, ttlS: 30), expiresInMs: 5000),
            [
                "stream": [{ $0.stream = nil }],
                "stream.asset": Bad.each(Bad.names) { $0.stream?.asset = $1 },
                "stream.stream": Bad.each(Bad.names) { $0.stream?.stream = $1 },
                "source.device": Bad.each(Bad.names) { $0.source?.device = $1 },
                "source.endpoint": Bad.each(Bad.names) { $0.source?.endpoint = $1 },
                "picture": Bad.each([nil, 0, largest + 1]) { $0.picture = $1.map { [UInt8](repeating: 1, count: $0) } },
                "captured_us": Bad.each(Bad.timesIfAny) { $0.capturedUs = $1 },
                "destination.topic": Bad.each(topics) { $0.destination?.topic = $1 },
                "destination.qos": Bad.each([2, .max]) { $0.destination?.qos = $1 },
                "destination.ttl_s": [{ $0.destination?.ttlS = 0 }],
                "run_id": [{ $0.runID = Bad.text(129) }],
            ],
            taken: [
                { $0.destination = nil }, { $0.destination?.ttlS = .max }, { $0.destination?.qos = 0 },
                { $0.source = nil }, { $0.runID = Bad.text(128) }, { $0.contentType = "text/odd\u{1}" },
            ])
    }

    private var status: BadRequests {
        let source = SourceName(device: "dev1", endpoint: "main")
        return BadRequests(
            MqttEdgeAdapterMethods.reportStatus,
            like: ReportStatusRequest(
                controllerID: "cc-0", sources: [SourceStatus(source: source, state: .streaming)],
                tasks: [
                    TaskStatus(stream: StreamName(asset: "line1", stream: "clips"), source: source, state: .running)
                ], volumes: [VolumeStatus(role: "recording", writable: false)]),
            [
                "controller_id": [{ $0.controllerID = Bad.text(129) }],
                "sources[0].source": [{ $0.sources[0].source = nil }],
                "sources[0].source.device": Bad.each(Bad.names) { $0.sources[0].source?.device = $1 },
                "sources[0].source.endpoint": Bad.each(Bad.names) { $0.sources[0].source?.endpoint = $1 },
                "sources[0].last_packet_us": Bad.each(Bad.timesIfAny) { $0.sources[0].lastPacketUs = $1 },
                "sources[0].synced_to_us": Bad.each(Bad.timesIfAny) { $0.sources[0].syncedToUs = $1 },
                "sources[0].ring_from_us": Bad.each(Bad.timesIfAny) { $0.sources[0].ringFromUs = $1 },
                "tasks[0].stream": [{ $0.tasks[0].stream = nil }],
                "tasks[0].stream.asset": Bad.each(Bad.names) { $0.tasks[0].stream?.asset = $1 },
                "tasks[0].stream.stream": Bad.each(Bad.names) { $0.tasks[0].stream?.stream = $1 },
                "tasks[0].source.device": Bad.each(Bad.names) { $0.tasks[0].source?.device = $1 },
                "tasks[0].source.endpoint": Bad.each(Bad.names) { $0.tasks[0].source?.endpoint = $1 },
                "tasks[0].last_output_us": Bad.each(Bad.timesIfAny) { $0.tasks[0].lastOutputUs = $1 },
                "volumes[0].volume_id": Bad.each(["", Bad.text(129)]) { $0.volumes[0].volumeID = $1 },
            ],
            // Of a later version: told, not refused.
            taken: [{ $0.tasks[0].state = .unrecognized(9) }, { $0.sources[0].state = .unrecognized(9) }, { _ in }])
    }
}
