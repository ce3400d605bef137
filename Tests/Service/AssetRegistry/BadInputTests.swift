// Every method of the contract with input that is wrong: an error that names the field, and the registry goes on.

import Harness
import RPC
import Testing
import Wire

@Suite struct RegistryBadInputTests {
    @Test func everyMethodRefusesWhatTheContractForbids() async throws {
        try await withRegistry { bench in
            let before = try await bench.client.call(AssetRegistryMethods.getDocuments, GetDocumentsRequest())
            let complaints = await BadRequests.complaints(
                documents(bench) + desiredState(bench) + queries(bench) + leases(bench),
                of: AssetRegistryMethods.all, to: bench.client)
            #expect(complaints.isEmpty)
            let after = try await bench.client.call(AssetRegistryMethods.getDocuments, GetDocumentsRequest())
            #expect(after == before, "nothing of what was refused is stored")
        }
    }

    private func documents(_ bench: RegistryBench) -> [BadRequests] {
        let comment = "\n# "
        let room = 1_000_000 - bench.documents.utf8.count - comment.utf8.count
        let kinds: [DocumentKind?] = [nil, .unspecified, .unrecognized(9)]
        return [
            BadRequests(
                AssetRegistryMethods.apply, like: ApplyRequest(text: bench.documents, origin: "test", dryRun: true),
                [
                    "text": Bad.each([nil, "", "- 1", "kind: [", Bad.text(1_000_001)]) { $0.text = $1 },
                    "text.kind": [{ $0.text = "kind: Camera\nname: x\nproperties: {}" }],
                    "text.name": [{ $0.text = "kind: Device\nname: a/b\nproperties: {}" }],
                    "text.properties": [{ $0.text = "kind: Device\nname: x" }],
                    "origin": [{ $0.origin = Bad.text(257) }],
                ],
                taken: [{ $0.origin = Bad.text(256) }, { $0.text = bench.documents + comment + Bad.text(room) }]),
            BadRequests(
                AssetRegistryMethods.getDocuments, like: GetDocumentsRequest(kind: .asset, name: bench.asset),
                [
                    "kind": [{ $0.kind = .unrecognized(9) }],
                    "name": Bad.each(Bad.namesIfAny) { $0.name = $1 },
                ], taken: [{ $0.kind = .unspecified }]),
            BadRequests(
                AssetRegistryMethods.getDocuments, like: GetDocumentsRequest(), code: .notFound,
                ["": [{ $0.name = Bad.text(128) }]]),
            BadRequests(
                AssetRegistryMethods.deleteDocument, like: DeleteDocumentRequest(kind: .asset, name: bench.asset),
                [
                    "kind": Bad.each(kinds) { $0.kind = $1 },
                    "name": Bad.each(Bad.names) { $0.name = $1 },
                ], taken: [{ $0.name = Bad.text(128) }]),
        ]
    }

    private func desiredState(_ bench: RegistryBench) -> [BadRequests] {
        let good = SetDesiredStateRequest(stream: bench.stream("clips"), running: true)
        let overrides = [
            "{", "[]", Bad.text(16_385), String(repeating: " ", count: 16_385) + "{}", #"{"path":"rtsp://u:p@h"}"#,
        ]
        return [
            BadRequests(
                AssetRegistryMethods.setDesiredState, like: good,
                [
                    "stream": [{ $0.stream = nil }],
                    "stream.asset": Bad.each(Bad.names) { $0.stream?.asset = $1 },
                    "stream.stream": Bad.each(Bad.names) { $0.stream?.stream = $1 },
                    "running": [{ $0.running = nil }],
                    "override_json": Bad.each(overrides) { $0.overrideJSON = $1 },
                    "override_json.duration": [{ $0.overrideJSON = #"{"duration":99999}"# }],
                    "override_json.taskType": [{ $0.overrideJSON = #"{"taskType":"x"}"# }],
                    "ends_after_ms": Bad.each([0, 604_800_001, .max]) { $0.endsAfterMs = $1 },
                    "started_by": [{ $0.startedBy = Bad.text(129) }],
                ],
                taken: [
                    { $0.endsAfterMs = 604_800_000 }, { $0.startedBy = Bad.text(128) },
                    { $0.overrideJSON = "{" + String(repeating: " ", count: 16_382) + "}" },
                ]),
            BadRequests(
                AssetRegistryMethods.setDesiredState, like: good, code: .notFound,
                ["": [{ $0.stream?.stream = "none" }, { $0.stream?.asset = "none" }]]),
            BadRequests(
                AssetRegistryMethods.setDesiredState, like: good, code: .failedPrecondition,
                ["": [{ $0.stream?.stream = "wrong" }]]),
        ]
    }

    private func queries(_ bench: RegistryBench) -> [BadRequests] {
        [
            BadRequests(
                AssetRegistryMethods.getConfiguration, like: GetConfigurationRequest(), [:],
                taken: [{ $0.knownRevision = .max }]),
            BadRequests(
                AssetRegistryMethods.changes, like: ChangesRequest(),
                ["limit": Bad.each([0, 1001, .max]) { $0.limit = $1 }],
                taken: [{ $0.limit = 1 }, { $0.limit = 1000 }]),
            BadRequests(
                AssetRegistryMethods.changes, like: ChangesRequest(), code: .outOfRange,
                ["": [{ $0.after = .max }]]),
            BadRequests(withoutFields: AssetRegistryMethods.listLeases),
        ]
    }

    private func leases(_ bench: RegistryBench) -> [BadRequests] {
        let lease = Lease(source: bench.source, epoch: 1)
        let many = Array(repeating: lease, count: 10_001)
        let addresses = [nil, "", "x", "ipc://relative", "http://h:1", "tcp://h", "ipc:///" + Bad.text(510)]
        return [
            BadRequests(
                AssetRegistryMethods.acquireLeases,
                like: AcquireLeasesRequest(
                    holder: "cc-\(bench.device)", holderAddress: "ipc:///run/cc-0.rpc", capacity: 0, held: [lease]),
                [
                    "holder": Bad.each(Bad.names + [".cc"]) { $0.holder = $1 },
                    "holder_address": Bad.each(addresses) { $0.holderAddress = $1 },
                    "capacity": Bad.each([nil, 10_001, .max]) { $0.capacity = $1 },
                    "held": [{ $0.held = many }],
                    "held[0].source": [{ $0.held[0].source = nil }],
                    "held[0].source.device": Bad.each(Bad.names) { $0.held[0].source?.device = $1 },
                    "held[0].source.endpoint": Bad.each(Bad.names) { $0.held[0].source?.endpoint = $1 },
                    "held[0].epoch": [{ $0.held[0].epoch = nil }],
                ], taken: [{ $0.holder = Bad.text(128) }, { $0.held[0].epoch = .max }]),
            BadRequests(
                AssetRegistryMethods.releaseLeases,
                like: ReleaseLeasesRequest(holder: "cc-\(bench.device)", leases: [lease]),
                [
                    "holder": Bad.each(Bad.names) { $0.holder = $1 },
                    "leases": [{ $0.leases = many }],
                    "leases[0].source": [{ $0.leases[0].source = nil }],
                    "leases[0].source.device": Bad.each(Bad.names) { $0.leases[0].source?.device = $1 },
                    "leases[0].source.endpoint": Bad.each(Bad.names) { $0.leases[0].source?.endpoint = $1 },
                    "leases[0].epoch": [{ $0.leases[0].epoch = nil }],
                ], taken: [{ $0.leases = [] }]),
        ]
    }
}
