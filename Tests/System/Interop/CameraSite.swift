// The cameras of the suite: GStreamer's RTSP server (Tests/Support/cameras/rtspcam), once for each way in; each has a camera for
// each film. They live as long as the suite runs.

import Foundation
import Harness
import RTSP
import Testing

/// A film of Tests/Support/cameras/make-media: 320x240 at 25 pictures per second, 4.8 s long, over and over.
struct Film: Sendable, CustomTestStringConvertible {
    /// As the file says it; h264b and hevc have B-frames.
    enum Pictures: String, CaseIterable { case h264, h264b, hevc, mjpeg }
    enum Sound: String, CaseIterable { case none, aac, pcmu }

    let pictures: Pictures
    let sound: Sound

    static let all = Pictures.allCases.flatMap { pictures in
        Sound.allCases.map { Film(pictures: pictures, sound: $0) }
    }
    static let pictureUs: Int64 = 40_000
    static let picturesPerGroup = 24
    static let lengthUs: Int64 = 4_800_000

    /// Length of one packet of sound in microseconds: 1024 samples at 48 kHz, 160 at 8 kHz.
    var soundUs: Double { sound == .aac ? 1_024e6 / 48_000 : 20_000 }
    var name: String { "small-\(pictures.rawValue)\(sound == .none ? "" : "-\(sound.rawValue)")" }
    var path: String { "\(Executables.repository.path)/.build/media/\(name).mkv" }
    var testDescription: String { name }
}

/// A way to the cameras.
enum Access: String, CaseIterable, CustomTestStringConvertible {
    case open, basic, digest
    /// rtsps, and Basic inside it.
    case secure
    /// rtsps with a certificate that names another host.
    case misnamed
    /// Packets in UDP datagrams, and no other way; a user is asked for by Digest.
    case datagrams

    /// All that lead to pictures.
    static let usable: [Access] = [.open, .basic, .digest, .secure, .datagrams]
    var testDescription: String { rawValue }
    var isSecure: Bool { self == .secure || self == .misnamed }

    fileprivate var method: String? {
        switch self {
        case .open: nil
        case .basic, .secure, .misnamed: "basic"
        case .digest, .datagrams: "digest"
        }
    }
}

/// The cameras and their certificates.
final class CameraSite: Sendable {
    static let user = RTSPUser(name: "cam", password: "p:a ss")
    /// Nil outside of the suite.
    @TaskLocal static var current: CameraSite?

    let folder: TemporaryDirectory
    let sources = Sources()
    /// Carries all sessions of the suite.
    let client: RTSPClient
    private let ports: [Access: UInt16]
    private let servers: [ServiceProcess]

    init() async throws {
        for script in ["build", "make-media"] {
            try await tool(
                "bash", ["\(Executables.repository.path)/Tests/Support/cameras/\(script)"], within: .seconds(180))
        }
        folder = try TemporaryDirectory()
        try folder.write("cam:p:a ss\n", to: "users")
        try await Self.makeCertificates(in: folder)
        var ports: [Access: UInt16] = [:]
        var servers: [ServiceProcess] = []
        for access in Access.allCases {
            let port = try freePort()
            var arguments = ["-p", "\(port)", "-P", access == .datagrams ? "udp" : "tcp", "-u", folder.path("users")]
            for film in Film.all { arguments += ["-f", film.path] }
            if let method = access.method { arguments += ["-A", method] }
            if access.isSecure {
                let name = folder.path(access.rawValue)
                arguments += ["-c", "\(name).pem", "-k", "\(name).key"]
            }
            let program = "\(Executables.repository.path)/.build/cameras/rtspcam"
            // `Executables` looks on PATH, where it is not.
            servers.append(
                try ServiceProcess(
                    "bash", ["-c", "exec \"$0\" \"$@\"", program] + arguments, logs: folder, label: access.rawValue))
            ports[access] = port
        }
        for server in servers {
            try await eventually("a camera listens") { server.standardOutput.contains("ready") ? true : nil }
        }
        (self.ports, self.servers) = (ports, servers)
        client = try RTSPClient(name: "interop")
    }

    /// Ends all of it.
    func end() async throws {
        client.stop()
        for server in servers { try await server.kill() }
    }

    func url(_ film: Film, _ access: Access) throws -> RTSPURL {
        let number = try #require(Film.all.firstIndex { $0.name == film.name })
        let port = try #require(ports[access])
        return try #require(RTSPURL("rtsp\(access.isSecure ? "s" : "")://127.0.0.1:\(port)/cam\(number)"))
    }

    /// The certificates that a session trusts.
    ///
    /// - Parameter authority: "authority" issued those of the cameras, "stranger" did not.
    func trust(_ authority: String = "authority") throws -> TLSTrust {
        TLSTrust(trustedPEM: [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.path("\(authority).pem")))))
    }

    private static func makeCertificates(in folder: TemporaryDirectory) async throws {
        func make(_ name: String, _ extra: [String]) async throws {
            try await tool(
                "openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=\(name)", "-keyout", folder.path("\(name).key"), "-out", folder.path("\(name).pem"),
                ] + extra)
        }
        for name in ["authority", "stranger"] { try await make(name, []) }
        for (access, host) in [(Access.secure, "IP:127.0.0.1"), (.misnamed, "DNS:camera.test")] {
            try await make(
                access.rawValue,
                [
                    "-CA", folder.path("authority.pem"), "-CAkey", folder.path("authority.key"), "-addext",
                    "basicConstraints=CA:FALSE", "-addext", "subjectAltName=\(host)",
                ])
        }
    }
}

/// Starts the cameras before the first test of a suite, and ends them behind the last.
struct WithCameras: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let site = try await CameraSite()
        do {
            try await CameraSite.$current.withValue(site) { try await function() }
        } catch {
            try await site.end()
            throw error
        }
        try await site.end()
    }
}

/// Runs a tool, which must succeed.
@discardableResult
func tool(_ name: String, _ arguments: [String], within limit: Duration = .seconds(60)) async throws -> ToolResult {
    let result = try await runTool(name, arguments, within: limit)
    guard result.exitCode == 0 else { throw HarnessError("\(name) \(arguments): \(result.error)") }
    return result
}
