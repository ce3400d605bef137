// Scenarios for service-level suites, benches and the demo, by name. They go on without end, at the pace of a camera.

extension Scenario {
    /// What `named` knows, and what each is for.
    public static let names: [(name: String, purpose: String)] = [
        ("good", "H.264 and G.711, nothing wrong"),
        ("h265", "H.265 and AAC"),
        ("mjpeg", "Motion JPEG, tables of its own for each picture"),
        ("login", "as good, for those who know the user (basic or digest with SHA-256)"),
        ("in-band", "parameter sets only with the keyframes"),
        ("no-markers", "pictures end where the next one's time begins"),
        ("lossy", "each 97th packet is left out"),
        ("long-group", "one keyframe in five minutes"),
        ("reordered", "pictures that are shown in another order than they are sent"),
        ("resolution-change", "another resolution each ten seconds"),
        ("clock-jump", "timestamps jump by an hour each 20 s"),
        ("wrap", "sequence numbers and timestamps wrap after two seconds"),
        ("metadata", "an ONVIF metadata stream beside the pictures"),
        ("garbage", "bytes that are nothing and frames of other channels between the pictures"),
        ("closes", "closes the connection after ten seconds"),
        ("resets", "resets the connection after ten seconds"),
        ("silent", "sends nothing more after ten seconds and keeps the connection"),
        ("busy", "has no room for a session"),
        ("mute", "never answers SETUP"),
    ]

    /// The scenario of that name; nil: there is none.
    ///
    /// - Parameter user: name and password of the camera's user, for `login`.
    public static func named(_ name: String, user: (name: String, password: String)? = nil) -> Scenario? {
        guard names.contains(where: { $0.name == name }) else { return nil }
        var scenario = Scenario(streams(name)) {
            $0.pace = .realTime
            $0.atEnd = .stays
        }
        // 75 units a second: 25 pictures, 50 packets of sound.
        let tenSeconds = 750
        switch name {
        case "login":
            scenario.authentication = Authentication([.basic, .digest(.sha256, qop: true)]) {
                if let user { ($0.user, $0.password) = user }
            }
        case "garbage":
            scenario.interjections = [
                Interjection(.bytes(Array("no frame\r\n".utf8)), everyUnits: 50),
                Interjection(.frame(channel: 99, [1, 2, 3]), everyUnits: 10),
            ]
        case "closes": scenario.faults = [.closesAfter(units: tenSeconds)]
        case "resets": scenario.faults = [.resetsAfter(units: tenSeconds)]
        case "silent": scenario.faults = [.fallsSilentAfter(units: tenSeconds)]
        case "busy": scenario.dialect.refuses = ["SETUP": 453]
        case "mute": scenario.faults = [.neverAnswers("SETUP")]
        default: break
        }
        return scenario
    }

    private static func streams(_ name: String) -> [CameraStream] {
        let sound = CameraStream.pcmu(frames: .max)
        switch name {
        case "h265": return [.h265(frames: .max), .aac(frames: .max)]
        case "mjpeg": return [.mjpeg(frames: .max)]
        case "metadata": return [.h264(frames: .max), .metadata(frames: .max)]
        default: return [.h264(frames: .max) { change(&$0, name) }, sound]
        }
    }

    private static func change(_ stream: inout CameraStream, _ name: String) {
        switch name {
        case "in-band": stream.parameterSets = [.inBand]
        case "no-markers": stream.rtp.marker = .never
        case "lossy": stream.rtp.leavesOut = { $0 % 97 == 96 }
        case "long-group": stream.keyframeEvery = 7_500
        case "reordered":
            stream.picture = { _ in PictureFormat(reorderDepth: 1) }
            stream.shownLaterBy = { $0 % 12 == 0 ? 0 : ($0 % 12 - 1) % 3 == 0 ? 2 : -1 }
        case "resolution-change":
            // A multiple of the distance between keyframes.
            stream.picture = { PictureFormat(widthPx: $0 / 252 % 2 == 0 ? 640 : 1_280) }
        case "clock-jump":
            stream.rtp.timestampJumps = stride(from: 504, through: 504 * 200, by: 504).reduce(into: [:]) {
                $0[$1] = 3_600 * 90_000
            }
        case "wrap":
            stream.rtp.firstSequence = 65_400
            stream.rtp.firstTimestamp = UInt32.max - 180_000
        default: break
        }
    }
}
