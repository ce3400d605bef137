// Every method of the contract, once as it should be called. BadInputTests.swift has the other half.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite struct RegistryMethodTests {
    @Test func applyStoresAndReportsEachDocument() async throws {
        try await withRegistry { bench in
            let again = try await bench.applyDocuments()
            #expect(again.documents.map(\.changed) == [false, false])
            #expect(again.documents.map(\.kind) == [.device, .asset])
            #expect(again.documents[1].issues.map(\.stream) == ["wrong"])
            let dry = try await bench.client.call(
                AssetRegistryMethods.apply,
                ApplyRequest(text: bench.documents.replacing("\"duration\":10", with: "\"duration\":11"), dryRun: true))
            #expect(dry.documents.map(\.changed) == [false, true])
            #expect(try await bench.definition("clips").settings?.durationS == 10)
        }
    }

    @Test(arguments: [
        ("kind: Device\nname: x\n  properties: {}", "line 3"), ("kind: Device\nname: [", "line 3"),
        ("{\"kind\": }", "line 1, column 10"),
        ("kind: Device\nname: x\nname: y\nproperties: {}", "line 2"),
        ("kind: Camera\nname: x\nproperties: {}", "Device or Asset"),
        ("a: &a [x]\nb: [*a, *a]\n", "line 2, column 5"),
    ])
    func applyRefusesBrokenTextWithItsPlace(text: String, place: String) async throws {
        try await withRegistry { bench in
            let error = try await bench.client.refusal(of: AssetRegistryMethods.apply, ApplyRequest(text: text))
            #expect(error.code == .invalidArgument)
            #expect(error.message.contains(place), "\(error)")
        }
    }

    /// As clusters of 2024 still have them.
    @Test func applyTakesAProfileAndDataPoints() async throws {
        try await withRegistry { bench in
            let text = """
                kind: AssetEndpointProfile
                metadata: {name: \(bench.device)}
                spec: {endpointProfileType: Microsoft.Media, targetAddress: "rtsp://192.0.2.1/main"}
                ---
                kind: Asset
                metadata: {name: \(bench.asset)}
                spec:
                  assetEndpointProfileRef: \(bench.device)
                  datasets:
                    - name: dataset1
                      dataPoints:
                        - {name: clips, dataPointConfiguration: '{"taskType":"clip-to-fs","duration":3}'}
                        - {name: old, dataPointConfiguration: '{"taskType":"clip-to-mqtt"}'}
                """
            let reply = try await bench.client.call(AssetRegistryMethods.apply, ApplyRequest(text: text))
            #expect(
                reply.documents.map(\.kind) == [.device, .asset] && reply.documents.map(\.changed) == [true, true])
            let errors = reply.documents.flatMap(\.issues).filter { $0.severity == .error }
            #expect(errors.map(\.stream) == ["old"])
            let clips = try await bench.definition("clips")
            #expect(clips.source == SourceName(device: bench.device, endpoint: "default"))
            #expect(clips.enabled == true && clips.settings?.durationS == 3 && clips.desired?.running == true)
            // The same document as a device takes its place.
            _ = try await bench.applyDocuments()
            #expect(try await bench.definition("clips").source == bench.source)
        }
    }

    @Test func getConfigurationGivesAllOrNothingNew() async throws {
        try await withRegistry { bench in
            let all = try await bench.client.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
            #expect(all.endpoints.contains { $0.source == bench.source && $0.standby == .ring && $0.enabled == true })
            let same = try await bench.client.call(
                AssetRegistryMethods.getConfiguration, GetConfigurationRequest(knownRevision: all.revision))
            #expect(same.revision == all.revision && same.streams.isEmpty && same.endpoints.isEmpty)
            // A number that was never given is no reason to say "nothing new".
            let odd = try await bench.client.call(
                AssetRegistryMethods.getConfiguration, GetConfigurationRequest(knownRevision: .max))
            #expect(odd == all)
        }
    }

    @Test func getDocumentsFindsByKindAndName() async throws {
        try await withRegistry { bench in
            let found = try await bench.client.call(
                AssetRegistryMethods.getDocuments, GetDocumentsRequest(kind: .asset, name: bench.asset))
            #expect(found.documents.map(\.name) == [bench.asset])
            #expect(found.documents.first?.json?.contains("clip-to-fs") == true)
            let missing = try await bench.client.refusal(
                of:
                    AssetRegistryMethods.getDocuments, GetDocumentsRequest(kind: .device, name: bench.asset))
            #expect(missing.code == .notFound)
        }
    }

    @Test func deleteDocumentIsIdempotent() async throws {
        try await withRegistry { bench in
            let request = DeleteDocumentRequest(kind: .device, name: bench.device)
            for existed in [true, false] {
                let reply = try await bench.client.call(AssetRegistryMethods.deleteDocument, request)
                #expect(reply.existed == existed)
            }
            let clips = try await bench.definition("clips")
            #expect(clips.enabled == false)
        }
    }

    @Test func setDesiredStateStartsStopsAndKeepsItsAnswer() async throws {
        try await withRegistry { bench in
            let request = SetDesiredStateRequest(
                stream: bench.stream("live"), running: true, overrideJSON: #"{"mediaServerAddress":"ms"}"#,
                startedBy: "mqtt:operator")
            let first = try await bench.client.call(
                AssetRegistryMethods.setDesiredState, request, idempotencyKey: bench.asset)
            #expect(first.changed == true)
            #expect(first.stream?.settings?.mediaServerURL?.hasPrefix("rtsp://ms:8554/") == true)
            _ = try await bench.client.call(
                AssetRegistryMethods.setDesiredState,
                SetDesiredStateRequest(stream: bench.stream("live"), running: false))
            let repeated = try await bench.client.call(
                AssetRegistryMethods.setDesiredState, request, idempotencyKey: bench.asset)
            #expect(repeated == first)
            #expect(try await bench.definition("live").desired?.running == false)
        }
    }

    @Test func changesFollowACursor() async throws {
        try await withRegistry { bench in
            let before = try await bench.client.call(AssetRegistryMethods.changes, ChangesRequest(after: 0, limit: 1))
                .newest
            _ = try await bench.client.call(
                AssetRegistryMethods.setDesiredState,
                SetDesiredStateRequest(stream: bench.stream("clips"), running: false))
            let after = try await bench.client.call(AssetRegistryMethods.changes, ChangesRequest(after: before))
            #expect(after.changes.contains { $0.what == "desired" && $0.name == "\(bench.asset)/clips" })
        }
    }

    @Test func leasesAreAcquiredListedRenewedAndReleased() async throws {
        try await withRegistry { bench in
            let holder = "cc-\(bench.device)"
            var request = AcquireLeasesRequest(
                holder: holder, holderAddress: "ipc:///run/\(holder).rpc", capacity: 10_000)
            let first = try await bench.client.call(AssetRegistryMethods.acquireLeases, request)
            let lease = try #require(first.leases.first { $0.source == bench.source })
            request.held = first.leases
            let renewed = try await bench.client.call(AssetRegistryMethods.acquireLeases, request)
            #expect(renewed.leases.first { $0.source == bench.source }?.epoch == lease.epoch)
            let listed = try await bench.client.call(AssetRegistryMethods.listLeases, ListLeasesRequest())
            #expect(listed.leases.first { $0.source == bench.source }?.holder == holder)
            _ = try await bench.client.call(
                AssetRegistryMethods.releaseLeases, ReleaseLeasesRequest(holder: holder, leases: first.leases))
            let after = try await bench.client.call(AssetRegistryMethods.listLeases, ListLeasesRequest())
            #expect(!after.leases.contains { $0.source == bench.source })
        }
    }

    @Test func aRunEndsByItself() async throws {
        try await withRegistry { bench in
            _ = try await bench.client.call(
                AssetRegistryMethods.setDesiredState,
                SetDesiredStateRequest(stream: bench.stream("live"), running: true, endsAfterMs: 300))
            try await eventually("the run ends") {
                try await bench.definition("live").desired?.running == false ? true : nil
            }
            #expect(try await bench.definition("live").desired?.startedBy == "timer")
        }
    }
}
