// The settings in force of a stream: asset defaults, then the stream's own configuration, then the override of the present
// run, checked key by key against the table below; destinations beside them. Pure: the same input gives the same settings.
//
//   task               key                          default          values
//   snapshot-to-mqtt   format                       jpeg             png bmp jpg jpeg tif tiff
//   snapshot-to-fs     format                       png              the same
//   both snapshots     snapshotsPerSecond           1                0 to 60; 0, "" and null: every frame
//                      quality                      75               1 to 100; counts for jpeg
//                      maxWidth, maxHeight          as it comes      16 to 16384 pixels; scaled down to fit, in proportion
//                      frame                        keyframe         keyframe exact
//   clip-to-fs         format                       mkv              avi mp4 mkv mts mjpeg mpg mpeg flv webm; with a roll mp4
//                      duration                     60               1 to 3600 seconds
//                      preRoll, postRoll            0                0 to 600, 0 to 3600 seconds
//   file tasks         path                         ""               absolute folder; "": the volume's layout
//   stream-to-rtsp(s)  mediaServerAddress           see below        name or IP address
//                      mediaServerPort              8554             1 to 65535
//                      mediaServerPath              ""               "": {namespace}/data/{asset}
//                      mediaServerUsernameRef, -PasswordRef  ""      secret; stream-to-rtsps also mediaServerCertificateRef
//                      transcode                    none             {codec: h264 h265, maxWidth, maxHeight,
//                                                                    framesPerSecond: 0.1 to 60, bitRate: 50000 to 100000000}
//   all                autostart                    true             clips and streams also audioEnabled, true
//
// A destination's path comes before `path` and `mediaServer…`: a folder for file tasks, the server's address for streams.

import Wire

struct StreamSettings {
    /// Where the asset's documents put things that a stream does not say itself.
    struct Context: Sendable {
        let asset: String
        let stream: String
        /// The MQTT namespace; the default path on a media server begins with it.
        let namespace: String
    }

    private let context: Context
    private let layer: StreamLayer
    private let destinations: Destinations
    private(set) var issues = IssueList()
    private(set) var settings: TaskSettings?

    /// Where the AIO samples put the media server.
    static let defaultMediaServer = "media-server.media-server.svc.cluster.local"
    /// The port that RTSP media servers listen on by convention of the AIO samples.
    static let defaultMediaServerPort = 8554
    /// The connector's own default: a minute is a small file and few files.
    static let defaultDurationSeconds = 60

    /// Smaller is no picture of anything; larger none that is made.
    private static let sides = 16...16384
    static let snapshotFormats = ["png", "bmp", "jpg", "jpeg", "tif", "tiff"]
    static let clipFormats = ["avi", "mp4", "mkv", "mts", "mjpeg", "mpg", "mpeg", "flv", "webm"]

    static let typeNames: [(String, TaskType)] = [
        ("snapshot-to-mqtt", .snapshotToMqtt), ("snapshot-to-fs", .snapshotToFs), ("clip-to-fs", .clipToFs),
        ("stream-to-rtsp", .streamToRtsp), ("stream-to-rtsps", .streamToRtsps),
    ]

    /// Of the model of 2024 only.
    private static let retiredTypes = [
        "clip-to-mqtt": "clips are files, use clip-to-fs; for pictures by MQTT use snapshot-to-mqtt",
        "hls-to-fs": "use stream-to-rtsp to a media server that serves HLS, or clip-to-fs for files",
    ]

    /// Works out the settings. `settings` is nil where an issue is an error.
    /// - Parameter shared: keys of the asset's defaults; one that the stream's task does not use is no mistake.
    init(context: Context, shared: StreamLayer, own: StreamLayer, override: StreamLayer?, destinations: Destinations) {
        self.context = context
        self.layer = shared.overlaid(by: own).overlaid(by: override ?? .empty)
        self.destinations = destinations
        guard let type = readType() else { return }
        var result = TaskSettings()
        result.type = type
        result.autostart = bool(.autostart, default: true)
        switch type {
        case .snapshotToMqtt:
            readSnapshot(&result, defaultFormat: "jpeg")
            result.mqtt =
                destinations.mqtt ?? MqttDestination(qos: 1, retain: false, ttlS: Destinations.defaultTTLSeconds)
            checkDefaultTopic(result)
        case .snapshotToFs:
            readSnapshot(&result, defaultFormat: "png")
            result.path = folder()
        case .clipToFs:
            readRolls(&result)
            result.durationS = UInt32(integer(.duration, default: Self.defaultDurationSeconds, 1...3600, "seconds"))
            result.path = folder()
            result.audioEnabled = bool(.audioEnabled, default: true)
        default:
            readMediaServer(&result, type: type)
            readTranscode(&result)
            result.audioEnabled = bool(.audioEnabled, default: true)
        }
        // A run with another task type leaves the stream's own keys unused on purpose.
        noteUnusual(own, unusedBy: override?[.taskType] == nil ? type : nil)
        if let override { noteUnusual(override, unusedBy: type) }
        issues.add(contentsOf: destinations.issues.issues)
        if !issues.hasErrors { settings = result }
    }

    // MARK: Keys

    private mutating func readType() -> TaskType? {
        let names = Self.typeNames.map(\.0).joined(separator: ", ")
        guard let entry = layer[.taskType], !entry.value.isNull else {
            fail(.missingTaskType, "streamConfiguration.taskType", "taskType is missing: give one of \(names)")
            return nil
        }
        guard let text = entry.value.string, let known = Self.typeNames.first(where: { $0.0 == text }) else {
            let given = entry.value.string.map(\.quotedForMessage) ?? entry.value.kindName
            let advice = entry.value.string.flatMap { Self.retiredTypes[$0] } ?? "the task types are \(names)"
            fail(.unknownTaskType, entry.field, "\(entry.field) is \(given): \(advice)")
            return nil
        }
        return known.1
    }

    private mutating func readSnapshot(_ result: inout TaskSettings, defaultFormat: String) {
        result.format = word(.format, default: defaultFormat, allowed: Self.snapshotFormats)
        result.jpegQuality = number(.quality, 1...100, "100 is the best")
        result.maxWidthPx = number(.maxWidth, Self.sides, "pixels")
        result.maxHeightPx = number(.maxHeight, Self.sides, "pixels")
        if word(.frame, default: "keyframe", allowed: ["keyframe", "exact"]) == "exact" { result.frame = .exact }
        result.snapshotsPerSecond = 1
        guard let entry = layer[.snapshotsPerSecond] else { return }
        if entry.value.isNull || entry.value.string == "" {
            result.snapshotsPerSecond = 0
        } else if let rate = entry.value.number, (0...60).contains(rate) {
            result.snapshotsPerSecond = rate
        } else {
            invalid(entry, "must be a number from 0 (every frame) to 60; 0.5 is one picture in two seconds")
        }
    }

    /// An exact clip is cut by its edit list, which only MP4 has.
    private mutating func readRolls(_ result: inout TaskSettings) {
        result.preRollS = number(.preRoll, 0...600, "seconds")
        result.postRollS = number(.postRoll, 0...3600, "seconds")
        let isRolled = (result.preRollS ?? 0) + (result.postRollS ?? 0) > 0
        result.format = word(.format, default: isRolled ? "mp4" : "mkv", allowed: Self.clipFormats)
        if isRolled, result.format != "mp4" {
            invalid(layer[.format], "must be mp4 where preRoll or postRoll is given: leave it out, or leave those out")
        }
    }

    private mutating func readTranscode(_ result: inout TaskSettings) {
        guard let entry = layer[.transcode], !entry.value.isNull else { return }
        guard let members = entry.value.members else {
            return invalid(entry, "must be an object such as {\"codec\":\"h264\",\"maxWidth\":1280}")
        }
        var transcode = Transcode()
        for member in members {
            let at = StreamLayer.Entry(value: member.value, field: "\(entry.field).\(member.key)")
            func integer(_ range: ClosedRange<Int>, _ unit: String) -> UInt32? {
                if let value = member.value.integer, range.contains(value) { return UInt32(value) }
                invalid(at, "must be a whole number from \(range.lowerBound) to \(range.upperBound) (\(unit))")
                return nil
            }
            switch member.key {
            case "codec":
                transcode.codec = member.value.string?.lowercased()
                if !["h264", "h265"].contains(transcode.codec) { invalid(at, "must be h264 or h265") }
            case "maxWidth": transcode.maxWidthPx = integer(Self.sides, "pixels")
            case "maxHeight": transcode.maxHeightPx = integer(Self.sides, "pixels")
            case "bitRate": transcode.bitRateBps = integer(50_000...100_000_000, "bits per second")
            case "framesPerSecond":
                transcode.framesPerSecond = member.value.number
                if !(0.1...60).contains(transcode.framesPerSecond ?? 0) {
                    invalid(at, "must be a number from 0.1 to 60 (pictures per second)")
                }
            default:
                issues.warn(
                    .unknownKey, at.field, "\(at.field) is not a known key and has no effect", stream: context.stream)
            }
        }
        result.transcode = transcode
    }

    private mutating func bool(_ key: StreamKey, default standard: Bool) -> Bool {
        guard let entry = layer[key], !entry.value.isNull else { return standard }
        if let value = entry.value.bool { return value }
        invalid(entry, "must be true or false")
        return standard
    }

    /// Nil where the document says nothing, so that whoever makes the pictures decides.
    private mutating func number(_ key: StreamKey, _ range: ClosedRange<Int>, _ unit: String) -> UInt32? {
        guard let entry = layer[key], !entry.value.isNull else { return nil }
        return UInt32(integer(key, default: range.upperBound, range, unit))
    }

    private mutating func integer(
        _ key: StreamKey, default standard: Int, _ range: ClosedRange<Int>, _ unit: String
    ) -> Int {
        guard let entry = layer[key], !entry.value.isNull else { return standard }
        if let value = entry.value.integer, range.contains(value) { return value }
        invalid(entry, "must be a whole number from \(range.lowerBound) to \(range.upperBound) (\(unit))")
        return standard
    }

    private mutating func word(_ key: StreamKey, default standard: String, allowed: [String]) -> String {
        guard let entry = layer[key], !entry.value.isNull, entry.value.string != "" else { return standard }
        if let value = entry.value.string?.lowercased(), allowed.contains(value) { return value }
        invalid(entry, "must be one of \(allowed.joined(separator: ", "))")
        return standard
    }

    private mutating func text(_ key: StreamKey) -> String? {
        guard let entry = layer[key], !entry.value.isNull else { return nil }
        guard let text = entry.value.string else {
            invalid(entry, "must be a text")
            return nil
        }
        return text.isEmpty ? nil : text
    }

    private mutating func folder() -> String {
        if let path = destinations.storagePath, !path.value.isEmpty {
            if let problem = Names.folderProblem(path.value) {
                fail(.invalidValue, path.field, "\(path.field) \(problem)")
            }
            return path.value
        }
        guard let path = text(.path) else { return "" }
        if let problem = Names.folderProblem(path) { invalid(layer[.path], problem) }
        return path
    }

    private mutating func secret(_ key: StreamKey) -> SecretReference? {
        guard let path = text(key) else { return nil }
        if let problem = Names.secretProblem(path) {
            invalid(layer[key], problem)
            return nil
        }
        return SecretReference(path: path)
    }

    private mutating func checkDefaultTopic(_ result: TaskSettings) {
        guard result.mqtt?.topic == nil,
            let problem = Names.topicProblem("\(context.namespace)/data/\(context.asset)/\(context.stream)")
        else { return }
        fail(.invalidValue, "name", "the default topic made of asset and stream name \(problem); give a topic")
    }

    // MARK: Media server

    private mutating func readMediaServer(_ result: inout TaskSettings, type: TaskType) {
        let scheme = type == .streamToRtsps ? "rtsps" : "rtsp"
        result.mediaServerURL = mediaServerURL(scheme: scheme)
        result.mediaServerUsername = secret(.mediaServerUsernameRef)
        result.mediaServerPassword = secret(.mediaServerPasswordRef)
        if type == .streamToRtsps { result.mediaServerCertificate = secret(.mediaServerCertificateRef) }
        if (result.mediaServerUsername == nil) != (result.mediaServerPassword == nil) {
            let field =
                layer[.mediaServerUsernameRef]?.field ?? layer[.mediaServerPasswordRef]?.field ?? "streamConfiguration"
            fail(
                .invalidValue, field,
                "mediaServerUsernameRef and mediaServerPasswordRef belong together: give both or none")
        } else if type == .streamToRtsp, result.mediaServerUsername != nil {
            issues.warn(
                .unprotectedCredentials, "streamConfiguration.mediaServerUsernameRef",
                "credentials for a media server travel unencrypted by stream-to-rtsp: use stream-to-rtsps",
                stream: context.stream)
        }
    }

    private mutating func mediaServerURL(scheme: String) -> String? {
        let defaultPath = "/\(context.namespace)/data/\(context.asset)"
        if let destination = destinations.storagePath, !destination.value.isEmpty {
            do {
                let url =
                    try destination.value.contains("://")
                    ? StreamURL(parsing: destination.value, schemes: [scheme])
                    : StreamURL(scheme: scheme, afterScheme: destination.value[...])
                return completed(url, defaultPath: defaultPath).text
            } catch {
                let advice =
                    if case .unsupportedScheme = error {
                        "has another scheme than the task: stream-to-\(scheme) needs \(scheme)://"
                    } else { error.advice }
                fail(.invalidValue, destination.field, "\(destination.field) \(advice)")
                return nil
            }
        }
        var host = text(.mediaServerAddress) ?? Self.defaultMediaServer
        if host.filter({ $0 == ":" }).count > 1, !host.hasPrefix("[") { host = "[\(host)]" }
        let port = integer(.mediaServerPort, default: Self.defaultMediaServerPort, 1...65535, "a TCP port")
        let path = text(.mediaServerPath).map { $0.hasPrefix("/") ? $0 : "/" + $0 }
        guard StreamURL.isHost(host[...]) else {
            invalid(
                layer[.mediaServerAddress],
                "must be a host name or IP address; port and path have keys of their own, credentials go into secrets")
            return nil
        }
        do {
            return completed(
                try StreamURL(scheme: scheme, afterScheme: "\(host):\(port)\(path ?? "")"), defaultPath: defaultPath
            ).text
        } catch {
            invalid(layer[.mediaServerPath], error.advice)
            return nil
        }
    }

    private func completed(_ url: StreamURL, defaultPath: String) -> StreamURL {
        StreamURL(
            scheme: url.scheme, host: url.host, port: url.port ?? Self.defaultMediaServerPort,
            path: url.path.isEmpty || url.path == "/" ? Self.percentEncoded(defaultPath) : url.path)
    }

    /// Asset names may hold any character; a URL may not.
    private static func percentEncoded(_ path: String) -> String {
        var text = ""
        for byte in path.utf8 {
            let character = Character(Unicode.Scalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~/".contains(character) {
                text.append(character)
            } else {
                let hex = String(byte, radix: 16, uppercase: true)
                text += "%" + (hex.count == 1 ? "0" : "") + hex
            }
        }
        return text
    }

    // MARK: Issues

    /// Aliases, unknown keys, and keys that the task has no use for.
    private mutating func noteUnusual(_ upper: StreamLayer, unusedBy type: TaskType?) {
        for warning in upper.warnings {
            issues.warn(warning.code, warning.field, warning.message, stream: context.stream)
        }
        for unknown in upper.unknownKeys {
            issues.warn(
                .unknownKey, unknown.field, "\(unknown.field) is not a known key and has no effect",
                stream: context.stream)
        }
        guard let type else { return }
        let unused = upper.entries.filter { key, _ in StreamKey(rawValue: key).map { !$0.isUsed(by: type) } ?? false }
        for field in unused.values.map(\.field).sorted() {
            issues.warn(.notUsed, field, "\(field) is not used by this task type", stream: context.stream)
        }
    }

    private mutating func fail(_ code: IssueCode, _ field: String, _ message: String) {
        issues.fail(code, field, message, stream: context.stream)
    }

    private mutating func invalid(_ entry: StreamLayer.Entry?, _ rule: String) {
        let field = entry?.field ?? "streamConfiguration"
        fail(.invalidValue, field, "\(field) \(rule)")
    }
}
