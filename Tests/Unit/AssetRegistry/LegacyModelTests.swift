// The model of 2024 and the forms of published samples: aio-compatibility sections 1.5 and 1.6.

import JSON
import RPC
import Testing
import Wire

@testable import AssetRegistry

@Suite struct LegacyModelTests {
    private static let profile = """
        apiVersion: deviceregistry.microsoft.com/v1
        kind: AssetEndpointProfile
        metadata:
          name: cam1-aep
        spec:
          targetAddress: rtsp://192.0.2.10:554/main
          endpointProfileType: Microsoft.Media
          additionalConfiguration: '{"@schema": "https://aiobrokers.blob.core.windows.net/aio-media-connector/1.0.0.json"}'
          authentication:
            method: UsernamePassword
            usernamePasswordCredentials:
              usernameSecretName: cam1/user
              passwordSecretName: cam1/pass
        """

    private func device(_ text: String) throws -> DeviceDocument {
        let document = try #require(try DocumentReading.read(text).first)
        guard case .device(let device) = document.body else { throw JSONError("no device") }
        return device
    }

    private func asset(_ text: String) throws -> AssetDocument {
        let document = try #require(try DocumentReading.read(text).first)
        guard case .asset(let asset) = document.body else { throw JSONError("no asset") }
        return asset
    }

    private struct JSONError: Error {
        init(_ text: String) {}
    }

    @Test func aProfileIsADeviceWithOneEndpoint() throws {
        let device = try device(Self.profile)
        let endpoint = try #require(device.endpoints.first)
        #expect(device.name == "cam1-aep" && device.enabled && device.endpoints.count == 1)
        #expect(endpoint.error == nil)
        #expect(endpoint.definition.source == SourceName(device: "cam1-aep", endpoint: "default"))
        #expect(endpoint.definition.address == "rtsp://192.0.2.10:554/main")
        #expect(endpoint.definition.authentication == .usernamePassword)
        #expect(endpoint.definition.username?.path == "cam1/user" && endpoint.definition.password?.path == "cam1/pass")
        #expect(device.issues.map(\.code) == ["Alias"])
    }

    @Test(arguments: [
        ("targetAddress: rtsp://192.0.2.10:554/main", "targetAddress: ftp://192.0.2.10/x", "targetAddress"),
        ("Microsoft.Media", "Microsoft.OpcUa", "endpointProfileType"),
        ("method: UsernamePassword", "method: Certificate", "authentication.method"),
    ])
    func aProfilesMistakesAreNamedByItsOwnKeys(part: String, wrong: String, field: String) throws {
        let device = try device(Self.profile.replacing(part, with: wrong))
        #expect(device.issues.filter { $0.severity == .error }.map(\.field) == [field])
        #expect(device.endpoints.first?.error?.contains(field) == true)
    }

    @Test func aProfileWithItsSecretsInItIsRefused() {
        let text = Self.profile.replacing("usernameSecretName: cam1/user", with: "password: hunter2")
        let error = #expect(throws: RPCError.self) { try DocumentReading.read(text) }
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test func dataPointsAreStreams() throws {
        let asset = try asset(
            #"""
            {"kind": "Asset", "metadata": {"name": "cam1"}, "spec": {"assetEndpointProfileRef": "cam1-aep", "enabled": true,
              "datasets": [{"name": "dataset1", "dataPoints": [
                {"name": "snapshot-to-mqtt", "dataSource": "snapshot-to-mqtt",
                 "dataPointConfiguration": "{\"taskType\":\"snapshot-to-mqtt\",\"autostart\":true,\"realtime\":true,\"loop\":true,\"format\":\"jpeg\",\"fps\":1}"},
                {"name": "clips", "dataSource": "clips",
                 "dataPointConfiguration": "{\"taskType\":\"clip-to-fs\",\"format\":\"avi\",\"duration\":3,\"audioEnabled\":false}"},
                {"name": "live", "dataSource": "live",
                 "dataPointConfiguration": "{\"taskType\":\"stream-to-rtsp\",\"media_server_address\":\"ms\"}"},
                {"name": "old", "dataSource": "old", "dataPointConfiguration": "{\"taskType\":\"clip-to-mqtt\"}"},
                {"name": "hls", "dataSource": "hls", "dataPointConfiguration": "{\"taskType\":\"hls-to-fs\"}"}]}]}}
            """#)
        #expect(asset.source == SourceName(device: "cam1-aep", endpoint: "default"))
        #expect(asset.streams.map(\.name) == ["clips", "hls", "live", "old", "snapshot-to-mqtt"])
        #expect(asset.issues.allSatisfy { $0.severity == .warning && $0.code == "Alias" } && asset.issues.count == 6)
        let all = asset.streams.map { asset.settings(of: $0, override: nil, namespace: "aio") }
        let clips = try #require(all[0].settings)
        #expect(clips.format == "avi" && clips.durationS == 3 && clips.audioEnabled == false)
        #expect(all[2].settings?.mediaServerURL == "rtsp://ms:8554/aio/data/cam1")
        let pictures = try #require(all[4].settings)
        #expect(pictures.format == "jpeg" && pictures.snapshotsPerSecond == 1 && pictures.autostart == true)
        #expect(Set(all[4].issues.issues.compactMap(\.code)) == ["Alias", "UnknownKey"])
        // What is no more says what to use in its place; its siblings run.
        #expect(all[1].settings == nil && all[3].settings == nil)
        #expect(all[1].issues.issues.first?.message?.contains("stream-to-rtsp") == true)
        #expect(all[3].issues.issues.first?.message?.contains("snapshot-to-mqtt") == true)
        #expect(all[3].issues.issues.first?.field == "datasets[0].dataPoints[3].dataPointConfiguration.taskType")
    }

    @Test func aDatasetWithATaskIsAStream() throws {
        let asset = try asset(
            #"""
            kind: Asset
            name: cam1
            properties:
              device_ref: { device_name: cam1, endpoint_name: main }
              datasets:
                - name: snaps
                  dataset_configuration: '{"taskType":"snapshot-to-mqtt","intervalSeconds":5,"quality":80}'
                  destinations: [{ target: Mqtt, configuration: { topic: a/b, qos: Qos0, retain: Never, ttl: 30 } }]
                - name: clips
                  dataset_configuration: '{"taskType":"clip-to-fs","durationSeconds":30,"storagePath":"/data/clips"}'
                - name: live
                  dataset_configuration: '{"taskType":"stream-to-rtsp","mediaServerEndpoint":"rtsp://ms:8554/live/cam1"}'
            """#)
        #expect(asset.source == SourceName(device: "cam1", endpoint: "main"))
        let all = asset.streams.map { asset.settings(of: $0, override: nil, namespace: "aio").settings }
        #expect(all.count == 3)
        #expect(all[0]?.durationS == 30 && all[0]?.path == "/data/clips")
        #expect(all[1]?.mediaServerURL == "rtsp://ms:8554/live/cam1")
        #expect(all[2]?.snapshotsPerSecond == 0.2 && all[2]?.jpegQuality == 80 && all[2]?.mqtt?.topic == "a/b")
    }

    @Test func theFirstOfTwoFormsWithTheSameNameCounts() throws {
        let asset = try asset(
            #"""
            {"kind":"Asset","name":"cam1","properties":{"deviceRef":{"deviceName":"d","endpointName":"e"},
              "streams":[{"name":"clips","streamConfiguration":"{\"taskType\":\"clip-to-fs\",\"duration\":5}"}],
              "datasets":[{"name":"clips","datasetConfiguration":"{\"taskType\":\"clip-to-fs\",\"duration\":6}"}]}}
            """#)
        #expect(asset.streams.count == 1)
        let only = try #require(asset.streams.first)
        #expect(asset.settings(of: only, override: nil, namespace: "aio").settings?.durationS == 5)
        let error = try #require(asset.issues.first { $0.severity == .error })
        #expect(error.code == "DuplicateName" && error.field == "datasets[0].name")
    }

    @Test func aDatasetWithoutATaskIsNone() throws {
        let asset = try asset(
            #"{"kind":"Asset","name":"c","properties":{"deviceRef":{"deviceName":"d","endpointName":"e"},"datasets":[{"name":"x"}]}}"#
        )
        #expect(asset.streams.isEmpty && asset.issues.isEmpty)
        let wrong = try self.asset(
            #"{"kind":"Asset","name":"c","properties":{"deviceRef":{"deviceName":"d","endpointName":"e"},"datasets":{"a":1}}}"#
        )
        #expect(wrong.issues.map(\.field) == ["datasets"])
    }

    /// What the bicep sample of edge-ai sets by default.
    @Test func unknownDefaultsAreTolerated() throws {
        let settings = try evaluate(
            #"{"taskType":"clip-to-fs"}"#, defaults: #"{"bufferSize":1,"compressionEnabled":true}"#)
        #expect(settings.settings != nil)
    }
}
