// Descriptions as brands write them (case 7; shapes after retina's fixtures). The camera answers SETUP only for the URI that it
// means, so a control that is joined wrongly is a session that does not begin.

import FakeCamera
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct DescriptionCases {
    struct Brand: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let scenario: Scenario

        /// - Parameters:
        ///   - setup: the only URI that is answered, with "{host}".
        ///   - lines: the description; "{sets}" are the parameter sets.
        init(
            _ name: String, setup: String, base: Dialect.ContentBase = .missing, _ lines: [String],
            lineEnd: String = "\r\n", _ change: (inout Scenario) -> Void = { _ in }
        ) {
            testDescription = name
            var scenario = Scenario([.h264(frames: 15) { $0.setupURI = setup }])
            scenario.dialect.description = lines.map { $0 + lineEnd }.joined()
            scenario.dialect.contentBase = base
            change(&scenario)
            self.scenario = scenario
        }
    }

    private static let sets = "a=fmtp:96 packetization-mode=1; sprop-parameter-sets={sets}"

    static let brands = [
        Brand(
            "hikvision: absolute controls with a slash at the end, metadata behind",
            setup: "rtsp://{host}/Streaming/Channels/101/trackID=1",
            base: .other("rtsp://{host}/Streaming/Channels/101/"),
            [
                "v=0", "o=- 1109162014219182 1109162014219192 IN IP4 x.y.z.w", "s=Media Presentation", "e=NONE",
                "b=AS:5100",
                "t=0 0", "a=control:rtsp://{host}/Streaming/Channels/101/", "m=video 0 RTP/AVP 96", "b=AS:5000",
                "a=control:rtsp://{host}/Streaming/Channels/101/trackID=1", "a=rtpmap:96 H264/90000",
                "a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets={sets}",
                "a=Media_header:MEDIAINFO=494D4B48010100000400010000000000;", "a=appversion:1.0",
            ]),
        Brand(
            "dahua: the base has a query, which the control goes behind",
            setup: "rtsp://{host}/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif/trackID=0",
            base: .other("rtsp://{host}/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif/"),
            [
                "v=0", "o=- 2252310609 2252310609 IN IP4 0.0.0.0", "s=Media Server", "c=IN IP4 0.0.0.0", "t=0 0",
                "a=control:*",
                "a=packetization-supported:DH", "a=rtppayload-supported:DH", "a=range:npt=now-", "m=video 0 RTP/AVP 96",
                "a=control:trackID=0", "a=framerate:15.000000", "a=rtpmap:96 H264/90000", sets, "a=recvonly",
            ]),
        Brand(
            "reolink: relative control below the base", setup: "rtsp://{host}/h264Preview_01_main/trackID=1",
            base: .other("rtsp://{host}/h264Preview_01_main/"),
            [
                "v=0", "o=- 1586804563 1 IN IP4 192.168.5.206", "s=Session streamed by \"preview\"", "t=0 0",
                "a=tool:LIVE555 Streaming Media v2013.04.08", "a=type:broadcast", "a=control:*", "a=range:npt=0-",
                "m=video 0 RTP/AVP 96", "c=IN IP4 0.0.0.0", "b=AS:500", "a=rtpmap:96 H264/90000", "a=range:npt=0-",
                sets,
                "a=control:trackID=1",
            ]),
        Brand(
            "foscam: control before all others", setup: "rtsp://{host}/main/track1", base: .absolute,
            [
                "v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=IP Camera Video", "t=0 0", "m=video 0 RTP/AVP 96",
                "a=control:track1", "a=rtpmap:96 H264/90000", sets,
            ]),
        Brand(
            "vstarcam: no origin, no name, no time", setup: "rtsp://{host}/main/track0",
            ["v=0", "m=video 0 RTP/AVP 96", "a=control:track0", "a=rtpmap:96 H264/90000", sets]),
        Brand(
            "tenda: spaces at the ends of lines", setup: "rtsp://{host}/main/trackID=0", base: .absolute,
            [
                "v=0 ", "o=- 1 1 IN IP4 0.0.0.0 ", "s=tenda ", "t=0 0 ", "a=control:* ", "m=video 0 RTP/AVP 96 ",
                "a=rtpmap:96 H264/90000 ", "a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets} ",
                "a=control:trackID=0 ",
            ]),
        Brand(
            "geovision: a base without scheme, no type of content", setup: "rtsp://{host}/main/track1",
            base: .withoutScheme,
            [
                "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=x", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", sets,
                "a=control:track1",
            ]
        ) { $0.dialect.statesContentType = false },
        Brand(
            "axis: absolute control with a query", setup: "rtsp://{host}/axis-media/media.amp/stream=0?videocodec=h264",
            base: .other("rtsp://{host}/axis-media/media.amp/?videocodec=h264"),
            [
                "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=Session streamed with GStreamer", "t=0 0",
                "a=control:rtsp://{host}/axis-media/media.amp?videocodec=h264", "m=video 0 RTP/AVP 96",
                "a=rtpmap:96 H264/90000", sets,
                "a=control:rtsp://{host}/axis-media/media.amp/stream=0?videocodec=h264", "a=framerate:30.000000",
            ]),
        Brand(
            "a camera behind address translation: absolute controls name its inner address",
            setup: "rtsp://192.168.1.88:554/live/video",
            [
                "v=0", "s=x", "a=control:rtsp://192.168.1.88:554/live", "m=video 0 RTP/AVP 96",
                "a=rtpmap:96 H264/90000", sets,
                "a=control:rtsp://192.168.1.88:554/live/video",
            ]),
        Brand(
            "one stream and no control at all", setup: "rtsp://{host}/main",
            ["v=0", "s=x", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", sets]),
        Brand(
            "Content-Location instead of Content-Base", setup: "rtsp://{host}/main/video", base: .contentLocation,
            ["v=0", "s=x", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", sets, "a=control:video"]),
        Brand(
            "lines that end with LF, header lines too", setup: "rtsp://{host}/main/video", base: .absolute,
            ["v=0", "s=x", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", sets, "a=control:video"], lineEnd: "\n"
        ) { $0.dialect.lineEnd = "\n" },
        Brand(
            "tapo: a semicolon behind the last parameter, encoding in lower case", setup: "rtsp://{host}/main/track1",
            base: .absolute,
            [
                "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=x", "t=0 0", "m=video 0 RTP/AVP 96", "c=IN IP4 0.0.0.0",
                "a=rtpmap:96 h264/90000",
                "a=fmtp:96 packetization-mode=1;profile-level-id=640016;sprop-parameter-sets={sets};",
                "a=control:track1",
            ]),
        Brand(
            "lines without a meaning, and a line that is none", setup: "rtsp://{host}/main/v", base: .absolute,
            [
                "v=0", "c=0", "garbage", "x", "=", "a=", "a=rtpmap:", "m=video 0 RTP/AVP 96", "a=rtpmap:96",
                "a=rtpmap:96 H264/90000",
                "a=fmtp:96", sets, "a=control:v", "a=framesize:96 640-480", "",
            ]),
        Brand(
            "sets that are no Base64, the right ones come with the pictures", setup: "rtsp://{host}/main/v",
            base: .absolute,
            [
                "v=0", "s=x", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000",
                "a=fmtp:96 sprop-parameter-sets=%%%,AAAA;packetization-mode=1", "a=control:v",
            ]),
        Brand(
            "sets behind start codes, with bytes after them", setup: "rtsp://{host}/main/v", base: .absolute,
            [
                "v=0", "s=x", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000",
                "a=fmtp:96 sprop-parameter-sets=AAAAAWdCAB6VqCgPZA==,AAAAAWjuPIA=", "a=control:v",
            ]),
    ]

    @Test(arguments: brands) func descriptionIsUnderstood(brand: Brand) async throws {
        let camera = try FakeCamera(brand.scenario)
        check(try await play(camera), camera)
    }

    /// ubiquiti: two kinds of sound and one picture, in this order; ONVIF metadata and a back channel are nothing to record.
    @Test func streamsThatCannotBeRecordedAreNotSetUp() async throws {
        let camera = try FakeCamera(
            Scenario([
                .metadata { $0.control = "trackID=9" }, .pcmu(frames: 20) { $0.control = "trackID=8" },
                .h264(frames: 20),
            ]))
        let played = try await play(camera)
        check(played, camera, stream: 2)
        #expect(played.tracks.map(\.media.kind) == ["audio", "video"])
        #expect(
            camera.record.requests.filter { $0.method == "SETUP" }.map { $0.uri.suffix(9) } == [
                "trackID=8", "trackID=1",
            ])
    }

    @Test func cameraWithNothingToRecordSaysSo() async throws {
        let camera = try FakeCamera(Scenario([.metadata()]))
        let played = try await play(camera)
        #expect(played.failure?.cause == .protocolError && played.words.contains("no pictures"))
    }

    /// TP-Link, Hikvision DS-2CD2032: what RTP-Info says of numbers is not believed.
    @Test(arguments: ["url=trackID=1;seq=0;rtptime=0", "seq=1", "rubbish;;;=,", "url=;seq=99999999;rtptime=-1"])
    func numbersOfPlaysAnswerAreNotBelieved(info: String) async throws {
        try await playAndCheck(Scenario([.h264(frames: 15)]) { $0.dialect.rtpInfo = info })
    }

    /// Answers without Range, without CSeq, and with more lines than anybody needs.
    @Test func answersThatLackAndAnswersThatHaveTooMuch() async throws {
        try await playAndCheck(Scenario([.h264(frames: 15)]) { $0.dialect.statesRange = false })
        try await playAndCheck(Scenario([.h264(frames: 15)]) { $0.dialect.statesCSeq = false })
        try await playAndCheck(
            Scenario([.h264(frames: 15)]) {
                $0.dialect.extraHeaders = ["Date: whenever", "no colon here", "X-Folded: a", "  b", "Server:"]
            })
    }

    @Test func cameraThatRefusesOptionsServesAllTheSame() async throws {
        try await playAndCheck(Scenario([.h264(frames: 15)]) { $0.dialect.refuses = ["OPTIONS": 501] })
    }

    /// A camera that names another session with each SETUP means the last one.
    @Test func sessionThatChangesBetweenSetUps() async throws {
        let scenario = Scenario([.h264(frames: 15), .pcmu(frames: 15)]) { $0.dialect.sessions = ["first", "second"] }
        let (_, record) = try await playAndCheck(scenario)
        #expect(record.requests.filter { $0.method == "PLAY" }.map { $0.headers["session"] } == ["second"])
    }
}
