// probe: cameras that are broken in many ways, each named rightly; configured ones, of which the controller is asked.

import FakeCamera
import Foundation
import Harness
import Testing
import Wire

/// What `probe --json` prints of a camera.
private struct Probed: Decodable {
    let camera: String
    let verdict: String
    let checks: [ShownCheck]
}

// One after the other: what they look at is time, and each has processes of its own.
@Suite(.serialized) struct ProbeTests {
    private func probe(_ place: BrokenCamera.Place, _ more: [String] = []) async throws -> ToolResult {
        try await runTool(
            "sightglass", ["probe", place.address, "--for", "2500ms", "--within", "1s"] + place.arguments + more)
    }

    @Test(arguments: BrokenCamera.all) func theReasonAndWhatToDo(camera: BrokenCamera) async throws {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        let place = try await camera.place(folder)
        let result = try await probe(place)
        #expect(result.exitCode == (camera.verdict == "wrong" ? 1 : 0), "\(result.error)")
        let parts = result.output.components(separatedBy: "\nWhat to do\n")
        try #require(parts.count == 2, "\(result.output)")
        // One thing is broken, and one thing is named, with its reason and what to do.
        let bad = parts[0].split(separator: "\n").filter { $0.contains("  \(camera.verdict)  ") }
        #expect(bad.count == 1 && bad.first?.hasPrefix(camera.subject + "  ") == true, "\(bad)")
        #expect(bad.first?.contains(camera.reason) == true, "\(bad)")
        #expect(parts[1].split(separator: "\n").count == 1)
        #expect(parts[1].hasPrefix("  \(camera.subject): ") && parts[1].contains(camera.advice), "\(parts[1])")
        let screen = Screen(result.output)
        #expect(try screen.text == screen.recorded(as: "probe/\(camera.code)"))
        withExtendedLifetime(place) {}
    }

    @Test func theCodeIsForPrograms() async throws {
        let place = BrokenCamera.Place(address: "rtsp://127.0.0.1:\(try freePort())/main", holder: nil)
        let probed = try #require(try shown(try await probe(place, ["--json"]), as: [Probed].self).first)
        #expect(probed.camera == place.address && probed.verdict == "wrong")
        #expect(probed.checks.map(\.code) == ["refused"])
        #expect(probed.checks.first?.advice?.contains("check the port") == true)
    }

    @Test func aGoodCameraHasNothingWrong() async throws {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        try folder.write("admin\n", to: "press4/username")
        try folder.write(BrokenCamera.canary, to: "press4/password")
        let camera = try FakeCamera(
            Scenario([.h264(frames: .max), .pcmu(frames: .max)]) {
                $0.pace = .realTime
                $0.authentication = Authentication([.digest(.sha256, qop: true)]) {
                    $0.password = BrokenCamera.canary
                }
            })
        let place = BrokenCamera.Place(
            address: camera.url, holder: camera,
            arguments: [
                "--secrets-directory", folder.url.path, "--username-ref", "press4/username", "--password-ref",
                "press4/password",
            ])
        let result = try await probe(place)
        #expect(result.exitCode == 0, "\(result.output)\(result.error)")
        let screen = Screen(result.output)
        #expect(try screen.text == screen.recorded(as: "probe/good"))
        // It has room for the next one again.
        let record = await camera.until { $0.requests.contains { $0.method == "TEARDOWN" } }
        #expect(record.connections == 1)
    }

    @Test func aCertificateOfTheTrustListIsTrusted() async throws {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        let place = try await BrokenCamera.secure(folder)
        let result = try await probe(place, ["--json", "--trust", folder.path("trusted")])
        let probed = try #require(try shown(result, as: [Probed].self).first)
        #expect(probed.checks.map(\.subject) == ["connection, TLS", "session"])
        #expect(probed.checks.map(\.code) == [nil, "not_rtsp"], "what listens there gives lines back reversed")
        withExtendedLifetime(place) {}
    }

    @Test func picturesOverHTTPAreLookedAtToo() async throws {
        // A picture as far as anybody looks who does not decode it: its size, something, its end.
        let picture: [UInt8] =
            [0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 240, 1, 64, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 2, 1, 0xFF, 0xD9]
        let camera = try FakeHTTPCamera(
            HTTPScenario([picture], places: ["/now.jpg": .still, "/page": .text("<html>", type: "text/html")]))
        defer { camera.stop() }
        let good = try await probe(
            .init(address: "http://127.0.0.1:\(camera.port)/now.jpg", holder: nil), ["--json"])
        #expect(good.exitCode == 0, "\(good.output)\(good.error)")
        let missing = try await probe(
            .init(address: "http://127.0.0.1:\(camera.port)/later.jpg", holder: nil), ["--json"])
        #expect(try shown(missing, as: [Probed].self).first?.checks.last?.code == "not_found")
        let page = try await probe(.init(address: "http://127.0.0.1:\(camera.port)/page", holder: nil), ["--json"])
        #expect(try shown(page, as: [Probed].self).first?.checks.last?.code == "protocol")
        #expect(page.output.contains("which is no JPEG picture"))
    }

    @Test func ofAConfiguredCameraItsControllerIsAsked() async throws {
        try await withCommands { bench in
            bench.controller.listStatus.answer { _ in
                ListStatusReply(
                    controllerID: "cc-0",
                    sources: [
                        SourceStatus(
                            source: CommandBench.source, state: .backingOff,
                            reason: "camera answers but refuses the user name", cause: "unauthorized", attempts: 7)
                    ])
            }
            let result = try await bench.run("probe", "line1")
            #expect(result.exitCode == 1, "\(result.error)")
            #expect(try Screen(result.output).text == Screen(result.output).recorded(as: "probe/configured"))
            let same = try await bench.run("probe", "cam1/main", "--json")
            let probed = try #require(try shown(same, as: [Probed].self).first)
            #expect(probed.checks.last?.code == "unauthorized")
            let unknown = try await bench.run("probe", "line9")
            #expect(unknown.exitCode == 1 && unknown.error.contains("known are line1"))
            await bench.registry.server.stop()
            #expect(try await bench.run("probe", "line1", "--answer-within", "300ms").exitCode == 69)
        }
    }

    @Test func aConfiguredCameraIsTriedFromHereWhereThatIsAskedFor() async throws {
        let secrets = try TemporaryDirectory(holdsSecrets: true)
        try secrets.write("admin", to: "cam1/username")
        try secrets.write(BrokenCamera.canary, to: "cam1/password")
        let camera = try FakeCamera(
            Scenario([.h264(frames: .max)]) {
                $0.pace = .realTime
                $0.authentication = Authentication([.digest(.md5, qop: true)]) { $0.password = BrokenCamera.canary }
            })
        try await withCommands { bench in
            bench.registry.configure(
                endpoints: [
                    InboundEndpoint(
                        source: CommandBench.source, address: camera.url,
                        username: SecretReference(path: "cam1/username"),
                        password: SecretReference(path: "cam1/password"), enabled: true)
                ], streams: [])
            let result = try await bench.run(
                "probe", "cam1/main", "--direct", "--for", "2s", "--secrets-directory", secrets.url.path, "--json")
            let probed = try shown(result, as: [Probed].self)
            #expect(probed.map(\.camera) == ["cam1/main", camera.url])
            #expect(probed.last?.verdict == "ok", "\(result.output)")
            #expect(probed.last?.checks.map(\.subject).contains("login") == true)
        }
    }

    @Test(arguments: [
        ["probe", "rtsp://admin:secret@camera/main"], ["probe", "ftp://camera/main"], ["probe", "rtsp://"],
        ["probe", "line1", "--username-ref", "a/b"], ["probe", "rtsp://camera/main", "--direct"],
        ["probe", "rtsp://camera/main", "--password-ref", "a/b"], ["probe"],
    ])
    func wrongUsageIs64(arguments: [String]) async throws {
        let result = try await runTool("sightglass", arguments)
        #expect(result.exitCode == 64, "\(result.error)")
        #expect(!result.error.isEmpty)
    }

    @Test func aSecretThatIsNotThereIsNamed() async throws {
        let folder = try TemporaryDirectory()
        let result = try await runTool(
            "sightglass",
            [
                "probe", "rtsp://127.0.0.1:1/main", "--username-ref", "press4/username", "--secrets-directory",
                folder.url.path,
            ])
        #expect(result.exitCode == 1)
        #expect(result.error.contains("press4/username") && result.error.contains("--secrets-directory"))
    }
}
