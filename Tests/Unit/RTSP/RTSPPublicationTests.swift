// A publication over a real connection to a small media server of the test.

import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct RTSPPublicationTests {
    /// What a server got, read as a player would.
    private struct Player {
        var readers: [UInt8: RTSPTrackReader] = [:]
        var packets: [MediaPacket] = []
        var reports: [UInt8: RTCPPacket] = [:]
        var requests: [RTSPRequest] = []

        mutating func take(_ heard: Heard) {
            switch heard {
            case .request(let request):
                requests.append(request)
                guard request.method == "ANNOUNCE" else { return }
                for (index, media) in SessionDescription(request.body).media.enumerated() {
                    readers[SmallMediaServer.firstChannel + 2 * UInt8(index)] = RTSPTrackReader(
                        media, isInOrder: true, ssrc: 1)
                }
            case .frame(let channel, let content):
                content.withUnsafeBytes { bytes in
                    if readers[channel] == nil {
                        reports[channel] = RTCPPacket(bytes)
                    } else {
                        var made: [MediaPacket] = []
                        let isKnown = readers[channel]?.take(
                            bytes, arrivalNs: 0, video: RTSPVideoTime(newestUs: 0, newestArrivalNs: 0)
                        ) {
                            made.append($0)
                        }
                        #expect(isKnown == true)
                        packets += made
                    }
                }
            case .closed: break
            }
        }

        func packets(_ kind: TrackKind) -> [MediaPacket] { packets.filter { $0.kind == kind } }
        var packetsLost: UInt64 { readers.values.reduce(0) { $0 + $1.packetsLost + $1.unitsTorn } }
    }

    /// Byte for byte; a failure need not print them.
    private func areEqual(_ left: some Sequence<MediaPacket>, _ right: some Sequence<MediaPacket>) -> Bool {
        left.map(\.bytes.array) == right.map(\.bytes.array)
    }

    private func picture(_ number: Int, _ configuration: CodecConfiguration, bytes: Int, group: Int = 10) -> MediaPacket
    {
        let isKey = number % group == 0
        let unit =
            [isKey ? 0x65 : 0x41, 0x80, UInt8(number & 0xFF) | 1, UInt8(number >> 8 & 0xFF) | 1]
            + [UInt8](repeating: UInt8(number % 251 + 1), count: bytes)
        return .picture([unit], configuration, ptsTicks: Int64(number) * 3_600, isKeyframe: isKey)
    }

    @Test func everythingComesToTheServerInOrder() async throws {
        let (video, sound) = (try Tracks.h264(), try Tracks.aac())
        let server = try SmallMediaServer()
        let publication = try RunningPublication(at: server.url, tracks: [video, sound])
        #expect(await publication.published() == nil)
        let pictures = (0..<40).map { picture($0, video, bytes: 3_000) }
        let sounds = (0..<41).map { number in
            MediaPacket.of([UInt8](repeating: UInt8(number + 1), count: 300), sound, ptsTicks: Int64(number) * 1_024)
        }
        // Sound from before the first picture is left out.
        publication.take([sounds[0]])
        for (picture, sound) in zip(pictures, sounds.dropFirst()) { publication.take([picture, sound]) }
        var player = Player()
        var isStopped = false
        for await heard in server.heard {
            player.take(heard)
            if !isStopped, player.reports.count == 2, player.packets.count == 80 {
                isStopped = true
                publication.stop()
            }
        }
        #expect(player.requests.map(\.method) == ["OPTIONS", "ANNOUNCE", "SETUP", "SETUP", "RECORD", "TEARDOWN"])
        #expect(areEqual(player.packets(.video), pictures) && areEqual(player.packets(.audio), sounds.dropFirst()))
        #expect(player.packets(.video).map(\.isKeyframe) == pictures.map(\.isKeyframe))
        #expect(player.packets(.video).allSatisfy { $0.configuration == video } && player.packetsLost == 0)
        for kind in [TrackKind.video, .audio] {
            let times = player.packets(kind).map(\.ptsTicks)
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == (kind == .video ? 3_600 : 1_024) })
        }
        #expect(player.reports.keys.sorted() == [7, 9])
        #expect(player.reports.values.allSatisfy { $0.senderReports.count == 1 && $0.ignored == 1 && !$0.isCut })
        let end = try #require(await publication.end())
        #expect(end.0 == nil)
        #expect(end.1 == RTSPPublicationCounters(packetsSent: 80, packetsLeftOut: 1, groupsDropped: 0))
        publication.loop.stop()
    }

    @Test func aServerThatReadsTooSlowlyCostsWholeGroups() async throws {
        let video = try Tracks.h264()
        let server = try SmallMediaServer(.init(pauses: true))
        let publication = try RunningPublication(at: server.url, tracks: [video], maximumUnsentBytes: 200_000)
        #expect(await publication.published() == nil)
        var sent: [MediaPacket] = []
        func send() {
            sent.append(picture(sent.count, video, bytes: 20_000))
            publication.take([sent[sent.count - 1]])
        }
        // Until the kernel and the bound are full, and then two groups more.
        while await publication.counters().groupsDropped < 3 { send() }
        server.goOn()
        // The room that comes is given to whole groups again.
        let before = await publication.counters().packetsSent
        while await publication.counters().packetsSent < before + 30 { send() }
        publication.stop()
        var player = Player()
        for await heard in server.heard { player.take(heard) }
        #expect(player.packetsLost == 0)
        let end = try #require(await publication.end())
        #expect(end.1.groupsDropped >= 3 && Int(end.1.packetsSent + end.1.packetsLeftOut) == sent.count)
        let got = player.packets
        let base = try #require(got.first).ptsTicks
        let numbers = got.map { Int(($0.ptsTicks - base) / 3_600) }
        #expect(areEqual(got, numbers.map { sent[$0] }))
        // What was left out ends before a keyframe.
        for (last, next) in zip(numbers, numbers.dropFirst()) where next != last + 1 { #expect(sent[next].isKeyframe) }
        #expect(numbers.count < sent.count)
        publication.loop.stop()
    }

    @Test func picturesBeforeTheServerIsReadyAreLeftOut() async throws {
        let video = try Tracks.h264()
        let server = try SmallMediaServer(.init(refuses: ["RECORD": 500]))
        let publication = try RunningPublication(at: server.url, tracks: [video])
        publication.take([picture(0, video, bytes: 10)])
        let end = try #require(await publication.end())
        #expect(end.0 == RTSPFailure(.protocolError, "the media server refuses RECORD (500 No)"))
        #expect(end.1.packetsSent == 0)
        publication.loop.stop()
    }

    @Test func theUserIsShownToAServerThatAsks() async throws {
        let server = try SmallMediaServer(.init(challenge: #"Digest realm="c", nonce="n", qop="auth""#))
        let user = RTSPUser(name: "u", password: "p")
        let publication = try RunningPublication(at: server.url, tracks: [try Tracks.h264()], user: user)
        #expect(await publication.published() == nil)
        publication.loop.stop()
    }

    @Test func withoutAUserTheReasonIsSaid() async throws {
        let server = try SmallMediaServer(.init(challenge: #"Basic realm="c""#))
        let publication = try RunningPublication(at: server.url, tracks: [try Tracks.h264()])
        let reason = "the media server asks for a user, and none is configured"
        #expect(await publication.published() == RTSPFailure(.unauthorized, reason))
        publication.loop.stop()
    }

    @Test func aServerThatLeavesIsSaid() async throws {
        let server = try SmallMediaServer(.init(leaves: true))
        let publication = try RunningPublication(at: server.url, tracks: [try Tracks.h264()])
        #expect(await publication.published() == nil)
        #expect(await publication.end()?.0 == RTSPFailure(.silent, "the media server ended the connection"))
        publication.loop.stop()
    }

    @Test func otherPicturesMustBeAnnouncedAnew() async throws {
        let (video, other) = (try Tracks.h264(), try Tracks.hevc())
        let server = try SmallMediaServer()
        let publication = try RunningPublication(at: server.url, tracks: [video])
        #expect(await publication.published() == nil)
        // Sound that nobody announced changes nothing.
        publication.take([picture(0, video, bytes: 10), .of([1], try Tracks.aac())])
        publication.take([.picture([[0x26, 1, 0x80]], other, isKeyframe: true)])
        let end = try #require(await publication.end())
        #expect(end.0?.description == "the pictures' parameters changed; the stream must be announced anew")
        #expect(end.1 == RTSPPublicationCounters(packetsSent: 1, packetsLeftOut: 1, groupsDropped: 0))
        publication.loop.stop()
    }

    @Test func aPictureThatCannotBeSentEndsItWithWords() async throws {
        let video = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 32)
        let server = try SmallMediaServer()
        let publication = try RunningPublication(at: server.url, tracks: [video])
        #expect(await publication.published() == nil)
        publication.take([.of([0xFF, 0xD8, 0xFF, 0xC2, 0, 4, 0, 0], video)])
        let end = try #require(await publication.end())
        #expect(end.0?.description.contains("it is not coded as baseline JPEG") == true)
        publication.loop.stop()
    }
}
