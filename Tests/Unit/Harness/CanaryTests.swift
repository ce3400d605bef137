// The scanner for credentials finds each one that is planted, however it is spelled, and nothing in what is harmless. A scanner that
// finds nothing would let every suite pass.
import Foundation
import Harness
import Testing

@Suite struct CanaryTests {
    private static let secret = "canary-broker-password"
    private let scanner = CanaryScanner(secrets: ["Tr0ub4dor&3/x+y", "q2Wf+8/Zk1A3bLx09uYh7TgRjPqMnVsXcEo5iKdH4lw="])

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    private static func hexadecimal(_ text: String) -> String {
        text.utf8.map { String(format: "%02x", $0) }.joined()
    }

    private static func percent(_ text: String) -> String { text.utf8.map { String(format: "%%%02X", $0) }.joined() }

    private static let planted: [String] = [
        secret, "level=error msg=\"open rtsp://viewer:\(secret)@cam/1\"", "password=\(secret)&x=1",
        // Percent-encoded: the hyphen, everything, twice.
        "canary%2Dbroker", percent(secret), percent(percent(secret)), "x=%63anary%2dbroker",
        // Escapes of JSON, of Swift and of Python.
        #"{"reason": "canary\u002dbroker"}"#, #"{"a": "\u0063\u0061nary-\/"}"#, #"can\x61ry-"#, #""can\u{61}ry-""#,
        #"{"line": "can\nary-"}"#, "a log that wraps: can\nary-broker",
        // Base64, by what stands before it, for URLs too, wrapped.
        base64(secret), base64("x" + secret), base64("xy" + secret), base64("viewer:" + secret),
        base64("::::" + secret),
        "Basic " + base64("admin:" + secret), "Y2Fu\nYXJ5\nLWJyb2tlcg==", #"{"k": "Y2Fu\r\nYXJ5LWJyb2tlcg=="}"#,
        percent(base64(secret)), "Y2FuYXJ5LWJyb2tlcg%3D%3D",
        hexadecimal(secret), hexadecimal("ab" + secret).uppercased(),
        // What cannot carry the marker.
        "Tr0ub4dor&3/x+y", "Tr0ub4dor%263%2Fx%2By", #"Tr0ub4dor&3\/x+y"#, base64("z" + "Tr0ub4dor&3/x+y"),
        "q2Wf+8/Zk1A3bLx09uYh7TgRjPqMnVsXcEo5iKdH4lw=", "q2Wf%2B8%2FZk1A3bLx09uYh7TgRjPqMnVsXcEo5iKdH4lw%3D",
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    ]

    /// No test with arguments: the list of tests, which is looked through too, would show them.
    @Test func findsEachPlanted() {
        for (number, text) in Self.planted.enumerated() {
            let finds = scanner.finds(in: "2026-11-23T05:00:00Z info \(text) end\n", place: "a log", shapes: false)
            #expect(!finds.isEmpty, "number \(number)")
            for find in finds {
                let isTold = find.description.contains(Self.secret)
                #expect(find.description.hasPrefix("credential in a log: ") && !isTold, "number \(number)")
            }
        }
    }

    @Test(arguments: [
        ("https://a/b?sv=1&sig=\(String(repeating: "a%2F", count: 12))&se=2", "a shared access signature"),
        ("sv%3D1%26sig%3D\(String(repeating: "ab", count: 24))", "a shared access signature"),
        ("DefaultEndpointsProtocol=https;AccountKey=\(String(repeating: "QUJD", count: 8))==", "an account key"),
        ("Authorization: SharedKey acc:\(String(repeating: "A", count: 43))=", "a signature"),
        ("SharedKeyLite acc:\(String(repeating: "A", count: 43))=", "a signature"),
        ("authorization: Bearer \(String(repeating: "x", count: 30))", "a bearer token"),
        ("eyJhbGciOiJSUzI1NiJ9.\(String(repeating: "eyJh", count: 16)).x", "a token"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHcC", "a private key"), ("-----BEGIN PRIVATE KEY-----", "a private key"),
        ("open rtsp://admin:hunter2@10.0.0.1/x", "a password in a URL"), ("mqtt://u:p@h", "a password in a URL"),
    ])
    func findsWhatHasTheShapeOfACredential(_ text: String, _ what: String) {
        #expect(scanner.finds(in: "x " + text, place: "a log").map(\.what) == [what])
    }

    @Test(arguments: [
        "", "plain text of a log", "the canary is alive", "canary", "canary_", "a mine's canary - dead", "sig=***&se=1",
        "sig=abc&sv=1",
        "rtsp://***@cam/1", "rtsp://cam:554/a@b", "http://127.0.0.1:10000/devstoreaccount1 @",
        "ipc:///run/a.rpc, user@host",
        "rtsp://cam:554, mail to a:b@c", "Bearer ***", "the bearer of this token must be renewed", "SharedKey demo:***",
        "public key -----BEGIN PUBLIC KEY-----", "AccountKey=***;", "100 % of 5 \\ and %zz %2", "%", "\\", "\\u",
        "\\u{", "\\x4",
        "eyJ is how they begin",
    ])
    func passesWhatIsHarmless(_ text: String) {
        #expect(scanner.finds(in: text, place: "a log") == [])
    }

    @Test func findsInsideBinaryFiles() {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.replaceSubrange(700_000..<700_000 + Self.secret.utf8.count, with: Self.secret.utf8)
        #expect(scanner.finds(in: bytes, place: "a database").map(\.what) == ["a canary"])
        // A row of a small database, percent-encoded as in a stored URL.
        let row = [0, 0, 7] + Array("http://a/canary%2Dx".utf8) + [0]
        #expect(scanner.finds(in: row, place: "a database").map(\.what) == ["a canary"])
    }

    @Test func looksAtAllFilesButThoseOfCredentials() throws {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        let files = [
            "logs/a.log", "state/x.sqlite", "secrets/camera/password", "clients/mosquitto_pub", "spared/key",
            "deep/er/z",
        ]
        for file in files { try folder.write("x \(Self.secret)\n", to: file) }
        try folder.write("nothing", to: "a-canary-name")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path("link"), withDestinationPath: folder.path("secrets"))
        let finds = CanaryFiles(sparing: [folder.path("spared/key")]).finds(at: folder.url.path)
        #expect(
            Set(finds.map(\.place)) == [
                folder.path("logs/a.log"), folder.path("state/x.sqlite"), folder.path("deep/er/z"),
                "the name of a file in \(folder.url.path)",
            ])
    }

    @Test func looksAtTheEndsOfLargeFiles() throws {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        let path = folder.path("large.log")
        var bytes = Data(repeating: 0x61, count: 33 << 20)
        bytes.append(contentsOf: Self.secret.utf8)
        try bytes.write(to: URL(fileURLWithPath: path))
        #expect(CanaryFiles().finds(at: path).map(\.what) == ["a canary"])
    }

    /// A process that shows one in its arguments, in its environment or in what it writes cannot end unnoticed.
    @Test func noProcessShowsOne() async throws {
        let code = ["-c", "import time; time.sleep(60)"]
        let cases: [(arguments: [String], environment: [String: String], place: String)] = [
            (code + ["canary-argument"], [:], "the arguments of python3"),
            (code, ["KEY": "canary-environment"], "the environment of python3"),
        ]
        for (arguments, environment, place) in cases {
            let folder = try TemporaryDirectory(holdsSecrets: true)
            let process = try ServiceProcess("python3", arguments, environment: environment, logs: folder)
            let error = await #expect(throws: HarnessError.self) { try await process.kill() }
            #expect(error?.description.contains(place) == true, "\(place)")
        }
    }

    @Test func noProcessWritesOne() async throws {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        let file = try folder.write("level=info canary%2Dvalue\n", to: "text")
        let process = try ServiceProcess("cat", [file], logs: folder)
        let error = await #expect(throws: HarnessError.self) { try await process.exitCode(within: .seconds(5)) }
        #expect(error?.description.contains("a canary") == true)
    }

    /// What Tests/run reads at the end of a suite.
    @Test func aFolderThatIsLeftTellsOfIt() throws {
        let path: String
        let finds: [CanaryFind]
        do {
            let folder = try TemporaryDirectory(holdsSecrets: true)
            path = folder.path("log")
            // Not by `write`: a service wrote it.
            try Data("canary-left".utf8).write(to: URL(fileURLWithPath: path))
            finds = CanaryFiles().finds(at: folder.url.path)
        }
        #expect(finds.map(\.place) == [path])
        #expect(!FileManager.default.fileExists(atPath: path))
        let told = try TemporaryDirectory()
        for _ in 0..<2 { Canary.report(finds, to: told.path("leaks")) }
        Canary.report([], to: told.path("nothing"))
        let text = try String(contentsOfFile: told.path("leaks"), encoding: .utf8)
        #expect(text.split(separator: "\n").count == 2 && text.contains(path) && !text.contains(Canary.marker))
        #expect(!FileManager.default.fileExists(atPath: told.path("nothing")))
    }

    @Test func rememberedSecretsAreCanaries() {
        let secret = "remembered-\(UUID().uuidString)"
        #expect(Canary.scanner.finds(in: "x\(secret)x", place: "a log") == [])
        Canary.remember(secret)
        #expect(Canary.scanner.finds(in: "x\(secret)x", place: "a log").map(\.what) == ["a secret of the test"])
    }
}
