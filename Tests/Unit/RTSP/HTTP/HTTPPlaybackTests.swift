// Pictures of a camera over HTTP, through real connections: every way to answer that cameras have, and each trouble with them.

import FakeCamera
import Media
import Testing

@testable import RTSP

/// JPEG pictures as far as anybody looks who does not decode them: size, a number, an end.
private func film(_ count: Int) -> [[UInt8]] {
    (0..<count).map { number in
        [0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 240, 1, 64, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 2]
            + [UInt8](repeating: UInt8(1 + number % 200), count: 3_000 + 500 * number) + [0xFF, 0xD9]
    }
}

@Suite(.timeLimit(.minutes(1))) struct HTTPPlaybackTests {
    private static let user = RTSPUser(name: "admin", password: "pass:word \"1\"")

    /// Plays until `count` pictures came, or the session ended.
    private func play(
        _ camera: FakeHTTPCamera, _ path: String = "/pic", until count: Int, host: String = "127.0.0.1",
        pollNs: Int64 = 20_000_000, user: RTSPUser? = nil, forbidden: [NetworkRange] = [], silenceNs: Int64? = nil
    ) async throws -> (packets: [MediaPacket], failure: RTSPFailure?, counters: SourceCounters) {
        let client = try RTSPClient(name: "test", forbidden: forbidden)
        defer { client.stop() }
        let (events, tell) = AsyncStream.makeStream(of: SourceEvent.self)
        var settings = RTSPSessionSettings()
        if let silenceNs { settings.silenceNs = silenceNs }
        let url = try #require(HTTPURL("http://\(host):\(camera.port)\(path)"))
        let playback = client.fetch(url, pollNs: pollNs, settings: settings) { () throws(RTSPFailure) in
            user
        } tell: {
            tell.yield($0)
        }
        var packets: [MediaPacket] = []
        for await event in events {
            switch event {
            case .packet(let packet):
                packets.append(packet)
                if packets.count == count { playback.stop() }
            case .ended(let failure, let counters): return (packets, failure, counters)
            default: break
            }
        }
        Issue.record("the session did not tell its end")
        return (packets, nil, SourceCounters())
    }

    /// All that came, in order, is what the camera sent; none twice.
    private func check(_ packets: [MediaPacket], _ film: [[UInt8]], missing: Set<Int> = []) {
        let sent = (0..<packets.count + missing.count + 2).filter { !missing.contains($0) }.map {
            film[$0 % film.count]
        }
        #expect(packets.map(\.bytes.array) == Array(sent.prefix(packets.count)))
        for (one, next) in zip(packets, packets.dropFirst()) { #expect(one.dtsTicks < next.dtsTicks) }
        #expect(packets.allSatisfy { $0.isKeyframe && $0.configuration.codec == .mjpeg })
        #expect(packets.first?.configuration.widthPx == 320 && packets.first?.configuration.heightPx == 240)
    }

    @Test(arguments: [HTTPScenario.Framing.length, .chunks(700), .untilClose])
    func stillPicturesAreAskedForAgainAndAgain(_ framing: HTTPScenario.Framing) async throws {
        var scenario = HTTPScenario(film(5), places: ["/pic": .still])
        scenario.framing = framing
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, counters) = try await play(camera, until: 12)
        check(packets, scenario.pictures)
        #expect(failure == nil && counters == SourceCounters())
        // One connection, where the camera keeps it open.
        if case .untilClose = framing {
            #expect(camera.record.connections >= 12)
        } else {
            #expect(camera.record.connections == 1)
        }
    }

    @Test func aCameraThatClosesWithoutAWordIsAskedAgain() async throws {
        var scenario = HTTPScenario(film(5), places: ["/pic": .still])
        scenario.closesSilently = true
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, _) = try await play(camera, until: 8)
        check(packets, scenario.pictures)
        #expect(failure == nil)
    }

    @Test(arguments: [HTTPScenario.Framing.length, .chunks(900)])
    func aStreamOfPicturesIsTakenAsItComes(_ framing: HTTPScenario.Framing) async throws {
        var scenario = HTTPScenario(film(5), places: ["/pic": .stream(perSecond: 200, ofAnswer: nil)])
        scenario.framing = framing
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, _) = try await play(camera, until: 30)
        check(packets, scenario.pictures)
        #expect(failure == nil && camera.record.requests.count == 1)
    }

    @Test(arguments: [HTTPScenario.Framing.length, .chunks(900)])
    func aStreamThatEndsIsAskedForAtOnce(_ framing: HTTPScenario.Framing) async throws {
        var scenario = HTTPScenario(film(5), places: ["/pic": .stream(perSecond: 200, ofAnswer: 4)])
        scenario.framing = framing
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, _) = try await play(camera, until: 10)
        check(packets, scenario.pictures)
        #expect(failure == nil && camera.record.requests.count >= 3)
    }

    /// Bug: pictures of one read had one time, which was taken for a frozen clock and spread by the length of the stall before.
    @Test func picturesThatCameAtOnceAfterAStallKeepTheTimeOfTheirArrival() throws {
        var times = ArrivalTimes(timescale: 90_000)
        var assembler = VideoAssembler(codec: .mjpeg, timescale: 90_000)
        let picture = PacketBytes(film(1)[0])
        let arrivalsMs: [Int64] = [0, 5, 800, 800, 800, 800, 805, 810]
        var dtsTicks: [Int64] = []
        for arrivalNs in arrivalsMs.map({ $0 * 1_000_000 }) {
            let taken = assembler.take(
                picture: picture, ptsTicks: times.next(arrivalNs: arrivalNs), arrivalNs: arrivalNs)
            let packet = try #require(taken)
            #expect(!packet.startsNewTimeline)
            dtsTicks.append(packet.dtsTicks)
        }
        #expect(dtsTicks == [0, 450, 72_000, 72_001, 72_002, 72_003, 72_450, 72_900])
    }

    @Test(arguments: [
        [Authentication.Scheme.basic], [.digest(.md5, qop: true)], [.digest(.md5, qop: false, named: false)],
        [.basic, .digest(.sha256, qop: true)],
    ])
    func aCameraIsToldWhoAsks(_ offers: [Authentication.Scheme]) async throws {
        var scenario = HTTPScenario(film(3), places: ["/pic": .still])
        scenario.authentication = Authentication(offers)
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, _) = try await play(camera, until: 6, user: Self.user)
        check(packets, scenario.pictures)
        #expect(failure == nil)
        // Asked once; then each request says it by itself.
        #expect(
            camera.record.requests.map(\.status) == [401]
                + [Int](repeating: 200, count: camera.record.requests.count - 1))
    }

    @Test func aWrongPasswordIsSaidAndNotRepeated() async throws {
        var scenario = HTTPScenario(film(3), places: ["/pic": .still])
        scenario.authentication = Authentication([.digest(.md5, qop: true)])
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, _) = try await play(
            camera, until: 1, user: RTSPUser(name: "admin", password: "canary-wrong"))
        #expect(packets.isEmpty && failure?.cause == .unauthorized && camera.record.requests.count == 2)
        #expect(failure?.description.contains("canary") == false)
        let (_, nobody, _) = try await play(camera, until: 1)
        #expect(nobody?.cause == .unauthorized)
    }

    @Test func aTornPictureIsDroppedAndCounted() async throws {
        var scenario = HTTPScenario(film(5), places: ["/pic": .still])
        scenario.tornAt = [2, 5]
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, counters) = try await play(camera, until: 7)
        check(packets, scenario.pictures, missing: [2, 5])
        #expect(failure == nil && counters.unitsTorn == 2)
    }

    @Test func aCameraThatIsBusyForAMomentIsNotGivenUp() async throws {
        var scenario = HTTPScenario(film(5), places: ["/pic": .still])
        scenario.busyAt = [3, 4]
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        let (packets, failure, counters) = try await play(camera, until: 6)
        check(packets, scenario.pictures)
        #expect(failure == nil && counters.unitsTorn == 2)
    }

    @Test func redirectsAreFollowedThreeTimes() async throws {
        let places: [String: HTTPScenario.Place] = [
            "/a": .redirect("/b"), "/b": .redirect("c"), "/c": .redirect("/pic"), "/pic": .still,
            "/circle": .redirect("/circle"), "/file": .redirect("file:///etc/passwd"),
        ]
        let camera = try FakeHTTPCamera(HTTPScenario(film(3), places: places))
        defer { camera.stop() }
        let (packets, failure, _) = try await play(camera, "/a", until: 3)
        // More may come until the session is over.
        #expect(packets.count >= 3 && failure == nil)
        #expect(camera.record.requests.prefix(4).map(\.path) == ["/a", "/b", "/c", "/pic"])
        let (_, circle, _) = try await play(camera, "/circle", until: 1)
        #expect(circle?.description.contains("in a circle") == true)
        let (_, file, _) = try await play(camera, "/file", until: 1)
        #expect(file?.description.contains("may not be followed") == true)
    }

    @Test func aUserIsNotToldToAnotherHost() async throws {
        var stranger = HTTPScenario(film(3), places: ["/pic": .still])
        stranger.authentication = Authentication([.basic])
        let other = try FakeHTTPCamera(stranger)
        defer { other.stop() }
        let leads = HTTPScenario(film(3), places: ["/pic": .redirect("http://localhost:\(other.port)/pic")])
        let camera = try FakeHTTPCamera(leads)
        defer { camera.stop() }
        let (_, failure, _) = try await play(camera, until: 1, user: Self.user)
        #expect(failure?.cause == .unauthorized)
        #expect(
            other.record.requests.allSatisfy { $0.headers["authorization"] == nil } && !other.record.requests.isEmpty)
    }

    @Test func whatIsNoPictureIsSaid() async throws {
        let places: [String: HTTPScenario.Place] = [
            "/page": .text("<html>log in</html>", type: "text/html; charset=utf-8"), "/gone": .status(410),
            "/never": .text("not a picture", type: "image/jpeg"),
        ]
        let camera = try FakeHTTPCamera(HTTPScenario(film(3), places: places))
        defer { camera.stop() }
        let page = try await play(camera, "/page", until: 1).failure
        #expect(page?.cause == .protocolError && page?.description.contains("text/html") == true)
        #expect(try await play(camera, "/gone", until: 1).failure?.cause == .notFound)
        #expect(try await play(camera, "/nothing", until: 1).failure?.cause == .notFound)
        let never = try await play(camera, "/never", until: 1, silenceNs: 300_000_000)
        #expect(never.failure?.cause == .silent && never.counters.unitsTorn > 1)
    }

    @Test func aForbiddenNetworkIsNotReachedByNameOrNumber() async throws {
        let camera = try FakeHTTPCamera(HTTPScenario(film(3), places: ["/pic": .still]))
        defer { camera.stop() }
        let forbidden = ["127.0.0.0/8", "::1"].compactMap { NetworkRange($0) }
        for host in ["127.0.0.1", "localhost"] {
            let (_, failure, _) = try await play(camera, until: 1, host: host, forbidden: forbidden)
            #expect(failure?.description.contains("this site does not allow") == true)
        }
        #expect(camera.record.connections == 0)
    }
}
