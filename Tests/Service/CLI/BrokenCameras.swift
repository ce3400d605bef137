// Cameras that are broken, each in one way, and what `sightglass probe` has to say of each.

import FakeCamera
import Foundation
import Harness
import Testing

/// One way to be broken.
struct BrokenCamera: Sendable, CustomTestStringConvertible {
    /// Something that listens, or does not, as long as it is held.
    struct Place: Sendable {
        let address: String
        let holder: (any Sendable)?
        var arguments: [String] = []
    }

    let kind: String
    /// The check that fails.
    let subject: String
    /// The one word for programs.
    let code: String
    /// "wrong", or "attention" where it works all the same.
    let verdict: String
    /// Within what was seen.
    let reason: String
    /// Within what to do.
    let advice: String
    let place: @Sendable (TemporaryDirectory) async throws -> Place

    var testDescription: String { kind }

    init(
        _ kind: String, _ subject: String, _ code: String, verdict: String = "wrong", says reason: String,
        advises advice: String, _ place: @escaping @Sendable (TemporaryDirectory) async throws -> Place
    ) {
        (self.kind, self.subject, self.code, self.verdict) = (kind, subject, code, verdict)
        (self.reason, self.advice, self.place) = (reason, advice, place)
    }

    /// A camera that plays H.264 at its own pace, changed by `change`.
    static func camera(
        _ arguments: [String] = [], _ stream: CameraStream = .h264(frames: .max),
        _ change: (inout Scenario) -> Void = { _ in }
    ) throws -> Place {
        let camera = try FakeCamera(
            Scenario([stream]) {
                $0.pace = .realTime
                $0.atEnd = .stays
                change(&$0)
            })
        return Place(address: camera.url, holder: camera, arguments: arguments)
    }

    /// The same with another stream.
    static func camera(stream change: (inout CameraStream) -> Void) throws -> Place {
        try camera([], .h264(frames: .max, change))
    }

    static let canary = "canary-probe-password"

    static let all: [BrokenCamera] = [
        BrokenCamera(
            "its name does not resolve", "name", "name_unknown", says: "the name no-such-camera.invalid is not known",
            advises: "check the spelling of the address, and the name service"
        ) { _ in Place(address: "rtsp://no-such-camera.invalid/main", holder: nil) },
        BrokenCamera(
            "nothing listens", "connection", "refused", says: "connection refused at 127.0.0.1:",
            advises: "nothing listens at this port: check the port"
        ) { _ in Place(address: "rtsp://127.0.0.1:\(try freePort())/main", holder: nil) },
        BrokenCamera(
            "its packets are dropped on the way", "connection", "no_answer", says: "does not answer: no answer",
            advises: "nothing on the way drops packets to this address and port"
        ) { _ in
            let deaf = try DeafListener()
            return Place(address: "rtsp://127.0.0.1:\(deaf.port)/main", holder: deaf)
        },
        BrokenCamera(
            "its certificate is its own", "connection, TLS", "untrusted",
            says: "the server's certificate is not trusted: self-signed certificate",
            advises: "put the certificate that the camera shows, or its authority, as PEM into the secrets folder"
        ) { folder in try await secure(folder) },
        BrokenCamera(
            "it asks for a user", "login", "no_user", says: "the camera asks for a user, and none was given",
            advises: "name the files that hold user and password: --username-ref and --password-ref"
        ) { _ in try camera { $0.authentication = Authentication([.digest(.md5, qop: true)]) } },
        BrokenCamera(
            "the password is wrong", "login", "unauthorized",
            says: "refuses the user name or password (401 Unauthorized)",
            advises: "compare user and password with those in the camera's own pages"
        ) { folder in
            try folder.write("admin\n", to: "press4/username")
            try folder.write(canary + "\n", to: "press4/password")
            return try camera([
                "--secrets-directory", folder.url.path, "--username-ref", "press4/username", "--password-ref",
                "press4/password",
            ]) { $0.authentication = Authentication([.digest(.md5, qop: true)]) }
        },
        BrokenCamera(
            "there is nothing at the path", "session", "not_found",
            says: "the camera knows no stream at this path (404 Not Found)", advises: "the path is wrong: look up"
        ) { _ in try camera { $0.dialect.refuses = ["DESCRIBE": 404] } },
        BrokenCamera(
            "it has no room", "session", "busy", says: "no room for another session (453 Not Enough Bandwidth)",
            advises: "end other viewers and recorders of this camera"
        ) { _ in try camera { $0.dialect.refuses = ["SETUP": 453] } },
        BrokenCamera(
            "it is a web server", "session", "http", says: "a web server answers at 127.0.0.1:",
            advises: "RTSP has another port, mostly 554"
        ) { _ in
            let web = try FakeHTTPCamera(HTTPScenario([[]], places: [:]))
            return Place(address: "rtsp://127.0.0.1:\(web.port)/main", holder: WebServer(web))
        },
        BrokenCamera(
            "it speaks something else", "session", "not_rtsp", says: #"speaks no RTSP: it says "SSH-2.0-dropbear""#,
            advises: "something else listens at this port"
        ) { _ in
            try camera {
                $0.dialect.prelude = Array("SSH-2.0-dropbear\r\n".utf8)
                $0.faults = [.neverAnswers("OPTIONS")]
            }
        },
        BrokenCamera(
            "it hangs up", "session", "hangs_up", says: "takes the connection and ends it without an answer",
            advises: "it may be starting, serve as many as it can, or allow other addresses only"
        ) { _ in try camera { $0.faults = [.closesOn("OPTIONS")] } },
        BrokenCamera(
            "it does not answer SETUP", "session", "silent", says: "describes its streams and does not answer then",
            advises: "restart the camera"
        ) { _ in try camera { $0.faults = [.neverAnswers("SETUP")] } },
        BrokenCamera(
            "its codec is none of ours", "session", "codec",
            says: "no pictures that can be recorded: it offers video MP4V-ES, audio PCMU",
            advises: "set this stream to H.264, H.265 or Motion JPEG"
        ) { _ in
            try camera {
                $0.dialect.description =
                    "v=0\r\ns=old\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\nm=audio 0 RTP/AVP 0\r\n"
            }
        },
        BrokenCamera(
            "it sends nothing", "pictures", "no_media", says: "accepted the session and sent no media for 1000 ms",
            advises: "takes the session and sends nothing: restart it"
        ) { _ in
            let camera = try FakeCamera(Scenario([.h264(frames: 0)]) { $0.atEnd = .stays })
            return Place(address: camera.url, holder: camera)
        },
        BrokenCamera(
            "its connection breaks", "pictures", "breaks", says: "the camera ended the connection",
            advises: "look at the camera's load and log"
        ) { _ in try camera { $0.faults = [.closesAfter(units: 40)] } },
        BrokenCamera(
            "packets are lost", "line", "loss", verdict: "attention", says: "lost,",
            advises: "look for a full or bad line on the way"
        ) { _ in try camera(stream: { $0.rtp.leavesOut = { $0 % 23 == 22 } }) },
        BrokenCamera(
            "no keyframe ever comes", "keyframes", "no_keyframe", says: "none came in",
            advises: "nothing can be decoded or cut before a keyframe"
        ) { _ in try camera(stream: { $0.firstKeyframe = .max }) },
        BrokenCamera(
            "keyframes are too rare", "keyframes", "keyframe_interval", says: "one came, and no second in",
            advises: "set the camera's keyframe interval"
        ) { _ in try camera(stream: { $0.keyframeEvery = 7_500 }) },
        BrokenCamera(
            "its time jumps", "clock", "clock_jumps", says: "the pictures' times jumped once",
            advises: "each jump ends a file and begins another: set the camera's time by NTP"
        ) { _ in try camera(stream: { $0.rtp.timestampJumps = [36: 3_600 * 90_000] }) },
        BrokenCamera(
            "its time goes twice as fast", "clock", "clock_pace", says: "times as fast as time",
            advises: "the times that the camera gives its pictures are wrong"
        ) { _ in try camera(stream: { $0.rtp.fastPPM = 1_000_000 }) },
        BrokenCamera(
            "its clock is wrong", "clock", "clock_wrong", verdict: "attention", says: "behind this machine's",
            advises: "set the camera's time by NTP, so that what it writes into its pictures is true"
        ) { _ in
            let since1900S = Date().timeIntervalSince1970 + 2_208_988_800
            return try camera {
                $0.interjections = [
                    Interjection(.senderReports(wallS: since1900S - 10_800, aheadS: [:]), everyUnits: 10)
                ]
            }
        },
    ]

    /// A server with a certificate that vouches for itself.
    static func secure(_ folder: TemporaryDirectory) async throws -> Place {
        let certificate = folder.path("trusted/camera.pem")
        let key = folder.path("camera.key")
        try folder.makeFolder("trusted")
        let made = try await runTool(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=camera", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
            ])
        guard made.exitCode == 0 else { throw HarnessError("no certificate: \(made.error)") }
        let port = try freePort()
        // Gives back each line, reversed.
        let server = try ServiceProcess(
            "openssl", ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-rev"],
            logs: folder)
        try await eventually("the TLS server listens") { server.standardOutput.contains("ACCEPT") ? true : nil }
        return Place(address: "rtsps://127.0.0.1:\(port)/main", holder: server)
    }
}

/// Ends the server with the test.
private final class WebServer: Sendable {
    private let server: FakeHTTPCamera
    init(_ server: FakeHTTPCamera) { self.server = server }
    deinit { server.stop() }
}

/// A port whose host drops what comes, as a firewall does: nobody takes its connections, and there is no room for more.
final class DeafListener: Sendable {
    let port: UInt16
    private let descriptors: [Int32]

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // Sound: sockaddr_in is what these calls read and write through sockaddr for AF_INET.
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(listener, generic, length) == 0 && listen(listener, 0) == 0
                    && getsockname(listener, generic, &length) == 0
            }
        }
        guard isBound else { throw HarnessError("no listener") }
        port = UInt16(bigEndian: address.sin_port)
        // One waits for accept; the kernel drops what comes then (listen(2), tcp_abort_on_overflow being 0).
        var all = [listener]
        for _ in 0..<4 {
            let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = connect(client, $0, length) }
            }
            all.append(client)
        }
        descriptors = all
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
