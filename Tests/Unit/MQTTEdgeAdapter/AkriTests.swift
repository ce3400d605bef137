// A connector under Akri, its pure parts: names of mounts, documents, status, health, variables.

import Foundation
import JSON
import ServiceKit
import Testing
import Wire

@testable import MQTTEdgeAdapter

private func json(_ text: String) throws -> JSONValue { try JSONReader.read(text, .registry) }

@Suite struct AkriResourcesTests {
    @Test func aNameWithUnderscoresMeansOneOfSeveral() {
        let pairs = AkriResources.candidates("cam_1_main").map { "\($0.device)|\($0.endpoint)" }
        #expect(pairs == ["cam|1_main", "cam_1|main"])
        #expect(AkriResources.candidates("cam").isEmpty && AkriResources.candidates("_cam").isEmpty)
    }

    @Test func theFolderIsReadWithoutKubernetesOwnLinks() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("..data"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try "line1\n\nline2\r\nline1\n".write(
            to: folder.appendingPathComponent("cam_main"), atomically: true, encoding: .utf8)
        #expect(AkriResources.read(folder.path)?.assets == ["cam_main": ["line1", "line2"]])
        #expect(AkriResources.read(folder.path + "/none") == nil)
    }
}

@Suite struct AkriDocumentTests {
    @Test func aDeviceHasTheEndpointsThatAreServed() throws {
        let both = try json(
            #"{"enabled": true, "version": 4, "endpoints": {"inbound": {"a": {"address": "rtsp://h/a"}, "b": {}}}}"#)
        // What is told for one endpoint may hold no other.
        let third = try json(#"{"enabled": false, "version": 5, "endpoints": {"inbound": {"c": {}}}}"#)
        let document = AkriDocuments.device("cam", served: [("a", both), ("c", third)], origin: "akri:me")
        #expect(document["kind"]?.string == "Device" && document["metadata"]?["name"]?.string == "cam")
        #expect(AkriDocuments.origin(of: document) == "akri:me")
        #expect(document["properties"]?["endpoints"]?["inbound"]?.members?.map(\.key) == ["a", "c"])
        #expect(document["properties"]?["enabled"] == .bool(false))
        #expect(AkriDocuments.version(both) == 4 && AkriDocuments.endpoints(both) == ["a", "b"])
    }

    @Test func anAssetsStatusHasTheErrorOfEachStream() throws {
        let bad = Issue(severity: .error, code: "invalid_value", message: "duration is 0", field: "streams[1].duration")
        let status = AkriDocuments.assetStatus(
            version: 7,
            issues: [bad, Issue(severity: .warning, code: "alias", message: "fps is accepted")],
            streams: [
                StreamDefinition(name: StreamName(asset: "a", stream: "good")),
                StreamDefinition(name: StreamName(asset: "a", stream: "bad"), issues: [bad]),
            ], names: ["good", "bad"], atUs: 1_763_870_706_000_000)
        #expect(status["config"]?["version"]?.integer == 7 && status["config"]?["error"] == nil)
        #expect(status["config"]?["lastTransitionTime"]?.string == "2025-11-23T04:05:06.000Z")
        let streams = status["streams"]?.elements ?? []
        #expect(streams.map { $0["name"]?.string } == ["good", "bad"])
        #expect(streams[0]["error"] == nil && streams[1]["error"]?["message"]?.string == "duration is 0")
    }

    @Test func whatIsWrongWithTheWholeIsAnErrorOfTheConfiguration() {
        let issue = Issue(severity: .error, code: "not_found", message: "no such device", field: "deviceRef")
        let status = AkriDocuments.assetStatus(version: 1, issues: [issue], streams: [], names: [], atUs: 1)
        #expect(status["config"]?["error"]?["message"]?.string == "no such device")
        let endpoint = Issue(
            severity: .error, code: "x", message: "bad address", field: "endpoints.inbound.main.address")
        let device = AkriDocuments.deviceStatus(version: 1, endpoint: "main", issues: [endpoint], atUs: 1)
        #expect(device["endpoints"]?["inbound"]?["main"]?["error"]?["message"]?.string == "bad address")
        #expect(device["config"]?["error"] == nil)
        // "main2" is another endpoint.
        let other = Issue(severity: .error, code: "x", message: "bad", field: "endpoints.inbound.main2.address")
        let well = AkriDocuments.deviceStatus(version: 1, endpoint: "main", issues: [other], atUs: 1)
        #expect(well["endpoints"]?["inbound"]?["main"]?["error"] == nil)
    }

    /// A restart once took the cameras of the other endpoints out of the registry until each had been asked for.
    @Test func endpointsThatCouldNotBeAskedForStayAsTheyAre() throws {
        let stored = try json(
            #"{"properties": {"version": 9, "endpoints": {"inbound": {"a": {"address": "x"}, "b": {"address": "y"}}}}}"#
        )
        let others = AkriDocuments.others(in: stored, beside: ["a"])
        #expect(others.map(\.endpoint) == ["b"])
        let fresh = try json(#"{"version": 2, "enabled": true, "endpoints": {"inbound": {"a": {"address": "z"}}}}"#)
        let document = AkriDocuments.device("cam", served: [("a", fresh)] + others, origin: "akri:me")
        let inbound = document["properties"]?["endpoints"]?["inbound"]
        #expect(inbound?["a"]?["address"]?.string == "z" && inbound?["b"]?["address"]?.string == "y")
        #expect(document["properties"]?["version"]?.integer == 2)
    }
}

@Suite struct HealthBoardTests {
    private let camera = HealthSubject.endpoint(SourceName(device: "cam", endpoint: "main"))
    private let now = ContinuousClock.now
    private let well = RuntimeHealth(isAvailable: true)
    private let dark = RuntimeHealth(
        SourceStatus(state: .backingOff, reason: "no picture for 5 s", cause: "no_keyframe"))

    private func board() -> HealthBoard {
        var board = HealthBoard(interval: .seconds(600))
        board.defined(camera, version: 3)
        board.saw(camera, well, now: now)
        return board
    }

    @Test func itIsToldAtAChangeAndRepeatedAtTheInterval() {
        var board = board()
        #expect(board.due(now: now).map(\.version) == [3])
        board.saw(camera, well, now: now + .seconds(599))
        #expect(board.due(now: now + .seconds(599)).isEmpty)
        #expect(board.due(now: now + .seconds(600)).map(\.health) == [well])
        board.saw(camera, dark, now: now + .seconds(601))
        #expect(board.due(now: now + .seconds(601)).map(\.health.reasonCode) == ["CameraNoKeyframe"])
    }

    @Test func aNewDefinitionIsSilentUntilItsStateIsKnown() {
        var board = board()
        _ = board.due(now: now)
        board.defined(camera, version: 4)
        #expect(board.due(now: now + .seconds(700)).isEmpty)
        board.saw(camera, well, now: now + .seconds(700))
        #expect(board.due(now: now + .seconds(700)).map(\.version) == [4])
        board.tellAgain()
        #expect(board.due(now: now + .seconds(701)).count == 1)
        board.forget(camera)
        board.saw(camera, dark)
        #expect(board.due(now: now + .seconds(2_000)).isEmpty)
    }

    /// A controller that is dead says nothing: what it said last must not be repeated as new.
    @Test func whatNobodyReportsOnIsNotWell() {
        var board = board()
        _ = board.due(now: now)
        #expect(board.due(now: now + .seconds(179)).isEmpty)
        let due = board.due(now: now + .seconds(181))
        #expect(due.map(\.health.isAvailable) == [false] && due.map(\.health.reasonCode) == ["NoReport"])
        board.saw(camera, well, now: now + .seconds(200))
        #expect(board.due(now: now + .seconds(201)).map(\.health) == [well])
    }

    @Test func itReadsAsTheRegistryTakesIt() {
        let json = dark.json(version: 3, atUs: 1_763_870_706_000_000)
        #expect(json["status"]?.string == "Unavailable" && json["version"]?.integer == 3)
        #expect(json["reasonCode"]?.string == "CameraNoKeyframe" && json["message"]?.string == "no picture for 5 s")
        #expect(RuntimeHealth(TaskStatus(state: .stopped)).isAvailable)
        #expect(RuntimeHealth(TaskStatus(state: .failed, error: "x")).reasonCode == "TaskFailed")
    }
}

@Suite struct ConnectorEnvironmentTests {
    private func adapted(_ given: [String: String], _ file: String = "") throws(SettingsError) -> [String: String] {
        try ConnectorEnvironment.adapted(given) { _ in file }
    }

    @Test func withoutTheirVariablesNothingChanges() throws {
        #expect(try adapted(["AIO_MQTT_KEEP_ALIVE": "5", "HOME": "/"]) == ["AIO_MQTT_KEEP_ALIVE": "5", "HOME": "/"])
    }

    @Test func eachVariableOfTheSessionClientHasItsSetting() throws {
        let given = [
            "AIO_BROKER_HOSTNAME": "broker", "AIO_BROKER_TCP_PORT": "18883", "AIO_MQTT_USE_TLS": "true",
            "AIO_TLS_CA_FILE": "/ca", "AIO_MQTT_CLEAN_START": "true", "AIO_MQTT_KEEP_ALIVE": "30",
            "AIO_MQTT_CLIENT_ID": "c1", "AIO_MQTT_SESSION_EXPIRY": "600", "AIO_TLS_CERT_FILE": "/cert",
            "AIO_TLS_KEY_FILE": "/key", "AIO_TLS_KEY_PASSWORD_FILE": "/kp", "AIO_SAT_FILE": "/sat",
            "SIGHTGLASS_CLIENT_ID": "own",
        ]
        let found = try adapted(given)
        let expected = [
            "BROKER_HOST": "broker", "BROKER_PORT": "18883", "BROKER_TLS": "on", "BROKER_CA_FILE": "/ca",
            "CLEAN_START": "true", "KEEPALIVE_S": "30", "SESSION_EXPIRY_S": "600", "BROKER_CERTIFICATE": "/cert",
            "BROKER_KEY": "/key", "BROKER_KEY_PASSWORD_FILE": "/kp", "BROKER_TOKEN_FILE": "/sat",
            // Ours is stronger.
            "CLIENT_ID": "own",
        ]
        for (name, value) in expected { #expect(found["SIGHTGLASS_\(name)"] == value, "\(name)") }
        let least = try adapted(["AIO_BROKER_HOSTNAME": "b", "AIO_MQTT_USERNAME": "u", "AIO_MQTT_PASSWORD_FILE": "/p"])
        #expect(least["SIGHTGLASS_BROKER_PORT"] == "8883" && least["SIGHTGLASS_BROKER_TLS"] == "on")
        #expect(least["SIGHTGLASS_USERNAME"] == "u" && least["SIGHTGLASS_PASSWORD_FILE"] == "/p")
        #expect(throws: SettingsError.self) {
            try adapted(["AIO_BROKER_HOSTNAME": "b", "AIO_MQTT_USE_TLS": "perhaps"])
        }
    }

    @Test func underAkriTheMountsSayWhereTheBrokerIs() throws {
        let given = [
            "ADR_RESOURCES_NAME_MOUNT_PATH": "/res", "CONNECTOR_ID": "pod-0", "BROKER_SAT_MOUNT_PATH": "/sat",
            "CONNECTOR_CONFIGURATION_MOUNT_PATH": "/conf", "BROKER_TLS_TRUST_BUNDLE_CACERT_MOUNT_PATH": "/ca",
        ]
        let file =
            #"{"host": "aio-broker:18883", "keepAliveSeconds": 60, "sessionExpirySeconds": 600, "tls": {"mode": "Enabled"}}"#
        let found = try adapted(given, file)
        let expected = [
            "AKRI_RESOURCES_DIRECTORY": "/res", "CLIENT_ID": "pod-0", "BROKER_TOKEN_FILE": "/sat",
            "BROKER_CA_FILE": "/ca", "BROKER_HOST": "aio-broker", "BROKER_PORT": "18883", "BROKER_TLS": "on",
            "KEEPALIVE_S": "60", "SESSION_EXPIRY_S": "600",
        ]
        for (name, value) in expected { #expect(found["SIGHTGLASS_\(name)"] == value, "\(name)") }
        #expect(throws: SettingsError.self) { try adapted(["ADR_RESOURCES_NAME_MOUNT_PATH": "/res"]) }
        #expect(throws: SettingsError.self) { try adapted(given, #"{"host": "nowhere"}"#) }
        #expect(throws: SettingsError.self) { try adapted(given, "{") }
    }
}
