// Descriptions and header fields as cameras write them. Fixtures are named for brand and quirk.

import Testing

@testable import RTSP

private func description(_ text: String) -> SessionDescription { SessionDescription(Array(text.utf8)) }

@Suite struct SessionDescriptionTests {
    @Test func hikvisionStreamsWithSoundAndMetadata() {
        let sdp = description(
            "v=0\r\no=- 1109162014219182 1109162014219192 IN IP4 x.y.z.w\r\ns=Media Presentation\r\ne=NONE\r\nb=AS:5100\r\n"
                + "t=0 0\r\na=control:rtsp://10.0.0.9/Streaming/Channels/101/\r\nm=video 0 RTP/AVP 96\r\nb=AS:5000\r\n"
                + "a=control:rtsp://10.0.0.9/Streaming/Channels/101/trackID=1\r\na=rtpmap:96 H264/90000\r\n"
                + "a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AHpWoKA9k,aO48gA==\r\n"
                + "m=audio 0 RTP/AVP 0\r\na=control:trackID=2\r\nm=application 0 RTP/AVP 107\r\n"
                + "a=rtpmap:107 vnd.onvif.metadata/90000\r\n")
        #expect(sdp.control == "rtsp://10.0.0.9/Streaming/Channels/101/")
        #expect(sdp.media.map(\.kind) == ["video", "audio", "application"])
        #expect(sdp.media.map(\.encoding) == ["H264", "PCMU", "VND.ONVIF.METADATA"])
        #expect(sdp.media[0].parameter("packetization-mode") == "1")
        #expect(sdp.media[0].parameterSets.map(\.count) == [9, 4])
        #expect(sdp.media[1].clockRateHz == 8_000)
    }

    @Test func aDescriptionWithoutOriginAndWithLineFeedsOnly() {
        let sdp = description("s=x\nm=video 0 RTP/AVP 26\na=control:track1\n")
        #expect(sdp.media.first?.encoding == "JPEG")
        #expect(sdp.media.first?.control == "track1")
    }

    @Test func reolinkControlBeforeEverythingElseAndTrailingSpaces() {
        let sdp = description(
            "m=video 0 RTP/AVP 97 \r\na=control:track1 \r\na=rtpmap:97 H265/90000 \r\na=fmtp:97 sprop-vps=QAE=;sprop-sps=QgE=;sprop-pps=RAE=; \r\n"
        )
        #expect(sdp.media[0].encoding == "H265")
        #expect(sdp.media[0].clockRateHz == 90_000)
        #expect(sdp.media[0].parameterSets == [[0x40, 1], [0x42, 1], [0x44, 1]])
    }

    @Test func axisSoundSaysRateAndChannels() {
        let sdp = description(
            "m=audio 0 RTP/AVP 97\r\na=fmtp:97 streamtype=5;profile-level-id=2;mode=AAC-hbr;config=1210;SizeLength=13\r\n"
                + "a=rtpmap:97 mpeg4-generic/44100/2\r\n")
        #expect(sdp.media[0].encoding == "MPEG4-GENERIC")
        #expect(sdp.media[0].clockRateHz == 44_100)
        #expect(sdp.media[0].channels == 2)
        #expect(sdp.media[0].parameter("sizelength") == "13")
    }

    @Test func v380ParameterSetsThatAreNoBase64AreLeftOut() {
        let sdp = description(
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=!!!,aO48gA==\r\n")
        #expect(sdp.media[0].parameterSets == [[0x68, 0xEE, 0x3C, 0x80]])
    }

    @Test(arguments: [
        "", "m=", "m=video", "a=rtpmap:96", "m=video 0 RTP/AVP 300\r\na=rtpmap:x H264/0\r\na=fmtp:",
        "=\r\n==\r\nm==\r\n",
    ])
    func whatSaysNothingIsNothing(_ text: String) {
        #expect(description(text).media.allSatisfy { $0.encoding == nil && $0.parameterSets.isEmpty })
    }

    @Test func moreStreamsThanAnyCameraHasArePassedOver() {
        #expect(description(String(repeating: "m=video 0 RTP/AVP 96\r\n", count: 500)).media.count == 32)
    }
}

@Suite struct RTSPURLTests {
    @Test(arguments: [
        ("rtsp://camera/main", false, "camera", 554 as UInt16, "rtsp://camera/main"),
        ("RTSPS://camera:8322", true, "camera", 8_322, "rtsps://camera:8322"),
        ("rtsp://admin:p@ss@10.0.0.9:8554/a?b=c#d", false, "10.0.0.9", 8_554, "rtsp://10.0.0.9:8554/a?b=c"),
        ("rtsps://[fe80::1]/x", true, "fe80::1", 322, "rtsps://[fe80::1]/x"),
    ])
    func urlsAreRead(_ text: String, isSecure: Bool, host: String, port: UInt16, sent: String) throws {
        let url = try #require(RTSPURL(text))
        #expect(url.isSecure == isSecure && url.host == host && url.port == port && url.text == sent)
    }

    @Test(arguments: [
        ("rtsp://camera/main?x=1", "camera:554"), ("rtsp://user:word@camera:8554/main", "camera:8554"),
        ("rtsp://[2001:db8::1]/a", "[2001:db8::1]:554"),
    ])
    func namesHostAndPortWithoutTheUser(_ text: String, _ expected: String) {
        #expect(RTSPURL(text)?.hostAndPort == expected)
    }

    @Test(arguments: [
        "", "http://a/b", "rtsp://", "rtsp://:554/x", "rtsp://a:0/", "rtsp://a:99999/", "rtsp://[::1/x", "rtsp://a/b c",
    ])
    func whatIsNoURLIsRefused(_ text: String) { #expect(RTSPURL(text) == nil) }

    @Test(arguments: [
        ("trackID=1", nil as String?, "rtsp://c/main?ch=1/trackID=1"),
        ("trackID=1", "rtsp://c/main/", "rtsp://c/main/trackID=1"),
        ("trackID=1", "rtsp://c/main", "rtsp://c/main/trackID=1"),
        ("/trackID=1", "rtsp://c/main/", "rtsp://c/main/trackID=1"),
        ("*", "rtsp://c/main/", "rtsp://c/main/"),
        ("rtsp://10.0.0.9/x/trackID=2", "rtsp://c/main/", "rtsp://10.0.0.9/x/trackID=2"),
        ("trackID=1", "10.0.0.9:554/main", "rtsp://c/main?ch=1/trackID=1"),
    ])
    func controlsAreJoinedAsCamerasMeanThem(_ control: String, base: String?, whole: String) throws {
        let url = try #require(RTSPURL("rtsp://user:secret@c/main?ch=1"))
        #expect(url.joining(control: control, base: base) == whole)
    }

    @Test func aRedirectNeverLeadsOutOfTLS() throws {
        let secure = try #require(RTSPURL("rtsps://a/x"))
        let plain = try #require(RTSPURL("rtsp://a/x"))
        #expect(secure.redirected(to: "rtsp://b/x") == nil)
        #expect(secure.redirected(to: "rtsps://b/x")?.host == "b")
        #expect(plain.redirected(to: " rtsps://b/x ")?.isSecure == true)
        #expect(plain.redirected(to: "http://b/x") == nil)
    }
}

@Suite struct RTSPFieldsTests {
    @Test func startsOfStreamsAreReadWithTheirQuirks() {
        let usual = "url=rtsp://camera/a,b;seq=27408;rtptime=3171828046, url=rtsp://camera/2;rtptime=7; SEQ=1"
        #expect(
            RTSPStart.all(in: usual) == [
                RTSPStart(sequenceNumber: 27_408, timestamp: 3_171_828_046), RTSPStart(sequenceNumber: 1, timestamp: 7),
            ])
        for odd in ["", "seq=1", "rubbish;;;=,", "url=;seq=99999999;rtptime=1", "seq=1;rtptime=-1", "seq;rtptime=2"] {
            #expect(RTSPStart.all(in: odd) == [])
        }
    }

    @Test func transportsAreReadWithTheirQuirks() {
        let usual = RTSPTransport("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=4D87E4A0;mode=\"play\"")
        #expect(usual.isInterleaved && usual.channels?.0 == 2 && usual.channels?.1 == 3 && usual.ssrc == 0x4D87_E4A0)
        let spaced = RTSPTransport("RTP/AVP/TCP;ssrc= 30A98EE7;interleaved=4;unicast")
        #expect(spaced.channels?.0 == 4 && spaced.channels?.1 == 5 && spaced.ssrc == 0x30A9_8EE7)
        let udp = RTSPTransport("RTP/AVP;unicast;source=10.0.0.9;client_port=5000-5001;server_port=6970-6971")
        #expect(
            !udp.isInterleaved && udp.channels == nil && udp.serverPorts == [6_970, 6_971] && udp.source == "10.0.0.9")
        let odd = RTSPTransport("RTP/AVP/TCP;interleaved=255;ssrc=zz")
        #expect(odd.channels?.0 == 255 && odd.ssrc == nil)
    }

    @Test(arguments: [
        ("12345678;timeout=10", "12345678", 10), ("abc", "abc", 60), ("abc ; Timeout = 90", "abc", 90),
        ("abc;timeout=0", "abc", 2), ("abc;timeout=x", "abc", 60),
    ])
    func sessionsHaveANameAndATime(_ text: String, name: String, timeoutS: Int) {
        #expect(RTSPSessionID(text)?.text == name)
        #expect(RTSPSessionID(text)?.timeoutS == timeoutS)
        #expect(RTSPSessionID(" ;timeout=5") == nil)
    }

    @Test func aServerIsOnlyAskedByMethodsThatItNames() {
        #expect(RTSPKeepalive.ways(publicMethods: nil) == [.options])
        #expect(RTSPKeepalive.ways(publicMethods: "OPTIONS, DESCRIBE, get_parameter") == [.getParameter, .options])
        #expect(RTSPKeepalive.ways(publicMethods: "SET_PARAMETER") == [.options, .setParameter])
    }
}
