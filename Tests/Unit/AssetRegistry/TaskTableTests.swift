// The tables of tasks in aio-compatibility section 2.1, row by row: what a key is where nothing is said, what it may be, and what is
// said of what it may not be.

import Testing
import Wire

@testable import AssetRegistry

/// A row of a table.
struct TaskRow: Sendable, CustomTestStringConvertible {
    let task: String
    let key: String
    /// What the settings in force have of it.
    let value: @Sendable (TaskSettings) -> String?
    /// Where the key is absent, null or, where it is a text, empty.
    let standard: String
    /// Values as they stand in JSON, and what the settings have then.
    let taken: [(json: String, value: String)]
    let refused: [String]
    /// A part of what is said of each refused value.
    let advice: String

    var testDescription: String { "\(task) \(key)" }
}

@Suite struct TaskTableTests {
    static let rows: [TaskRow] =
        [
            pictureFormat("snapshot-to-mqtt", standard: "jpeg"), rate("snapshot-to-mqtt"),
            pictureFormat("snapshot-to-fs", standard: "png"), rate("snapshot-to-fs"), path("snapshot-to-fs"),
            TaskRow(
                task: "clip-to-fs", key: "format", value: \.format, standard: "mkv",
                taken: ["avi", "mp4", "mkv", "mts", "mjpeg", "mpg", "mpeg", "flv", "webm"].map { ("\"\($0)\"", $0) },
                refused: [#""mov""#, #""jpeg""#, "1", "true"],
                advice: "must be one of avi, mp4, mkv, mts, mjpeg, mpg, mpeg, flv, webm"),
            TaskRow(
                task: "clip-to-fs", key: "duration", value: { $0.durationS.map { "\($0)" } }, standard: "60",
                taken: [("1", "1"), ("3600", "3600")], refused: ["0", "3601", "-5", "1.5", #""30""#],
                advice: "must be a whole number from 1 to 3600 (seconds)"), path("clip-to-fs"),
        ]
        + ["rtsp", "rtsps"].flatMap { scheme in
            let task = "stream-to-\(scheme)"
            let standard = "\(scheme)://media-server.media-server.svc.cluster.local:8554/aio/data/cam"
            func server(_ host: String, _ port: Int, _ path: String) -> String { "\(scheme)://\(host):\(port)/\(path)" }
            let host = "media-server.media-server.svc.cluster.local"
            return [
                TaskRow(
                    task: task, key: "mediaServerAddress", value: \.mediaServerURL, standard: standard,
                    taken: [
                        (#""ms""#, server("ms", 8554, "aio/data/cam")),
                        (#""192.0.2.7""#, server("192.0.2.7", 8554, "aio/data/cam")),
                        (#""fd00::1""#, server("[fd00::1]", 8554, "aio/data/cam")),
                    ], refused: [#""a b""#, #""ms:8554""#, #""rtsp://ms""#, #""u:p@ms""#],
                    advice: "must be a host name or IP address"),
                TaskRow(
                    task: task, key: "mediaServerPort", value: \.mediaServerURL, standard: standard,
                    taken: [
                        ("1", server(host, 1, "aio/data/cam")), ("65535", server(host, 65535, "aio/data/cam")),
                    ], refused: ["0", "65536", "-1", #""8554""#],
                    advice: "must be a whole number from 1 to 65535"),
                TaskRow(
                    task: task, key: "mediaServerPath", value: \.mediaServerURL, standard: standard,
                    taken: [
                        (#""live/x""#, server(host, 8554, "live/x")), (#""/live/x""#, server(host, 8554, "live/x")),
                    ],
                    refused: [#""a b""#], advice: "percent-encoded"),
            ]
        } + [
            TaskRow(
                task: "stream-to-rtsps", key: "mediaServerCertificateRef", value: { $0.mediaServerCertificate?.path },
                standard: "", taken: [(#""ms-ca""#, "ms-ca")], refused: [#""../ca""#],
                advice: "must name a secret as secretName/key")
        ]
        + StreamSettings.typeNames.map { name, _ in
            TaskRow(
                task: name, key: "autostart", value: { $0.autostart.map { "\($0)" } }, standard: "true",
                taken: [("true", "true"), ("false", "false")], refused: [#""yes""#, "1"],
                advice: "must be true or false")
        }

    private static func pictureFormat(_ task: String, standard: String) -> TaskRow {
        TaskRow(
            task: task, key: "format", value: \.format, standard: standard,
            taken: ["png", "bmp", "jpg", "jpeg", "tif", "tiff"].map { ("\"\($0)\"", $0) } + [(#""JPEG""#, "jpeg")],
            refused: [#""gif""#, #""mp4""#, "1"], advice: "must be one of png, bmp, jpg, jpeg, tif, tiff")
    }

    private static func rate(_ task: String) -> TaskRow {
        TaskRow(
            task: task, key: "snapshotsPerSecond", value: { $0.snapshotsPerSecond.map { "\($0)" } }, standard: "1.0",
            taken: [
                ("0", "0.0"), (#""""#, "0.0"), ("0.5", "0.5"), ("0.016666", "0.016666"), ("60", "60.0"),
            ], refused: ["-1", "60.1", #""fast""#, "true"], advice: "must be a number from 0 (every frame) to 60")
    }

    private static func path(_ task: String) -> TaskRow {
        TaskRow(
            task: task, key: "path", value: \.path, standard: "", taken: [(#""/data/clips""#, "/data/clips")],
            refused: [#""clips""#, "1"], advice: "must be ")
    }

    private func settings(_ row: TaskRow, _ json: String?) throws -> StreamSettings {
        let member = json.map { ",\"\(row.key)\":\($0)" } ?? ""
        return try evaluate(#"{"taskType":"\#(row.task)"\#(member)}"#)
    }

    @Test(arguments: rows) func aRow(row: TaskRow) throws {
        let absent = try #require(try settings(row, nil).settings)
        #expect(row.value(absent) ?? "" == row.standard)
        for (json, value) in row.taken {
            let result = try settings(row, json)
            #expect(result.settings.flatMap(row.value) == value, "\(json): \(result.issues.issues)")
        }
        for json in row.refused {
            let result = try settings(row, json)
            #expect(result.settings == nil, "\(json)")
            let errors = result.issues.issues.filter { $0.severity == .error }
            let error = try #require(errors.first, "\(json)")
            #expect(errors.count == 1 && error.stream == "s")
            #expect(error.field == "streams[0].streamConfiguration.\(row.key)")
            #expect(error.message?.contains(row.advice) == true, "\(error.message ?? "")")
        }
    }

    /// The rows of a user at a media server belong together.
    @Test(arguments: ["stream-to-rtsp", "stream-to-rtsps"]) func userAndPassword(task: String) throws {
        let both = #"{"taskType":"\#(task)","mediaServerUsernameRef":"ms-user","mediaServerPasswordRef":"ms-pass"}"#
        let settings = try #require(try evaluate(both).settings)
        #expect(settings.mediaServerUsername?.path == "ms-user" && settings.mediaServerPassword?.path == "ms-pass")
        let none = try #require(try evaluate(#"{"taskType":"\#(task)"}"#).settings)
        #expect(none.mediaServerUsername == nil && none.mediaServerPassword == nil)
        for key in ["mediaServerUsernameRef", "mediaServerPasswordRef"] {
            let one = try evaluate(#"{"taskType":"\#(task)","\#(key)":"ms-user"}"#)
            #expect(one.settings == nil)
            #expect(one.issues.issues.first { $0.severity == .error }?.message?.contains("belong together") == true)
        }
    }

    /// A plain connection needs no certificate.
    @Test func aCertificateForRTSPIsNotUsed() throws {
        let result = try evaluate(#"{"taskType":"stream-to-rtsp","mediaServerCertificateRef":"ms-ca"}"#)
        #expect(result.settings != nil && result.settings?.mediaServerCertificate == nil)
        #expect(result.issues.issues.map(\.code) == ["NotUsed"])
    }

    /// What is now given as the destination of a stream.
    @Test(arguments: ["stream-to-rtsp", "stream-to-rtsps"]) func theServerAsDestination(task: String) throws {
        let scheme = String(task.dropFirst("stream-to-".count))
        let storage = #"[{"target":"Storage","configuration":{"path":"\#(scheme)://ms:9554/line1"}}]"#
        let result = try evaluate(
            #"{"taskType":"\#(task)","mediaServerUsernameRef":"u","mediaServerPasswordRef":"p"}"#, destinations: storage
        )
        #expect(result.settings?.mediaServerURL == "\(scheme)://ms:9554/line1")
    }
}
