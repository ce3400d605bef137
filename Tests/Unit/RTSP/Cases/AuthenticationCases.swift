// Cameras that ask who is there (case 4; go2rtc PR#2344, gortsplib#1074).

import FakeCamera
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct AuthenticationCases {
    private let user = RTSPUser(name: "admin", password: "pass:word \"1\"")

    struct Way: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let authentication: Authentication

        init(_ name: String, _ offers: [Authentication.Scheme], _ change: (inout Authentication) -> Void = { _ in }) {
            (testDescription, authentication) = (name, Authentication(offers, change))
        }
    }

    static let ways = [
        Way("basic", [.basic]),
        Way("digest MD5 as in RFC 2069", [.digest(.md5, qop: false)]),
        Way("digest MD5 that does not name its algorithm", [.digest(.md5, qop: false, named: false)]),
        Way("digest MD5 with qop, counter and nonce", [.digest(.md5, qop: true)]),
        Way("hikvision oem: SHA-256 only", [.digest(.sha256, qop: true)]),
        Way("SHA-256 without qop", [.digest(.sha256, qop: false)]),
        Way("dahua: MD5 then SHA-256, SHA-256 is let in", [.digest(.md5, qop: true), .digest(.sha256, qop: true)]) {
            $0.accepts = [.digest(.sha256, qop: true)]
        },
        Way("SHA-256 then MD5, SHA-256 is let in", [.digest(.sha256, qop: true), .digest(.md5, qop: true)]) {
            $0.accepts = [.digest(.sha256, qop: true)]
        },
        Way("basic then digest in two headers", [.basic, .digest(.md5, qop: false)]) {
            $0.accepts = [.digest(.md5, qop: false)]
        },
        Way("digest then basic in one header", [.digest(.md5, qop: true), .basic]) {
            $0.isOneHeader = true
            $0.accepts = [.digest(.md5, qop: true)]
        },
        Way("basic then digest in one header", [.basic, .digest(.sha256, qop: true)]) {
            $0.isOneHeader = true
            $0.accepts = [.digest(.sha256, qop: true)]
        },
        Way("something unknown first", [.other("Negotiate"), .digest(.md5, qop: true)]),
        Way("asks at OPTIONS already", [.digest(.md5, qop: true)]) { $0.guardsOptions = true },
        Way("nonce too old at SETUP", [.digest(.md5, qop: true)]) { $0.staleAt = ["SETUP"] },
        Way("nonce too old at PLAY", [.digest(.sha256, qop: true)]) { $0.staleAt = ["PLAY"] },
        Way("nonce too old at SETUP and PLAY, and nobody says so", [.digest(.md5, qop: true)]) {
            $0.staleAt = ["SETUP", "PLAY"]
            $0.saysStale = false
        },
        Way("nonce too old at each request", [.digest(.md5, qop: false)]) {
            $0.staleAt = ["DESCRIBE", "SETUP", "PLAY"]
        },
    ]

    @Test(arguments: ways) func userIsLetIn(way: Way) async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 25), .pcmu(frames: 10)]) { $0.authentication = way.authentication })
        check(try await play(camera, user: user), camera)
    }

    @Test func nonceThatRunsOutDuringTheSessionIsRenewed() async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 40)]) {
                $0.pace = .allowed
                $0.authentication = Authentication([.digest(.md5, qop: true)]) { $0.staleAt = ["GET_PARAMETER"] }
            })
        camera.allow(units: 20)
        let viewer = try Viewer(camera.url, user: user)
        await viewer.until(packets: 20)
        viewer.tick(secondsFromNow: 31)
        let record = await camera.until { $0.methods().filter { $0 == "GET_PARAMETER" }.count == 2 }
        #expect(record.requests.suffix(2).map(\.status) == [401, 200])
        camera.allow(units: 20)
        check(await viewer.untilEnd(), camera)
    }

    /// Asking again and again locks the account.
    @Test(arguments: [Authentication.Scheme.basic, .digest(.md5, qop: true), .digest(.sha256, qop: true)])
    func wrongPasswordIsTriedOnce(scheme: Authentication.Scheme) async throws {
        let camera = try FakeCamera(Scenario([.h264()]) { $0.authentication = Authentication([scheme]) })
        let played = try await play(camera, user: RTSPUser(name: "admin", password: "wrong"))
        #expect(played.failure?.cause == .unauthorized && !played.words.contains("wrong"))
        #expect(camera.record.requests.filter { $0.headers["authorization"] != nil }.count == 1)
    }

    @Test func schemeThatNobodyKnowsIsNamed() async throws {
        let camera = try FakeCamera(Scenario([.h264()]) { $0.authentication = Authentication([.other("Negotiate")]) })
        let played = try await play(camera, user: user)
        #expect(played.failure?.cause == .unauthorized && played.words.contains("negotiate"))
        #expect(camera.record.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    /// Without a challenge nobody is told the password.
    @Test func userIsNotShownToACameraThatDoesNotAsk() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 10)]))
        check(try await play(camera, user: user), camera)
        #expect(camera.record.requests.allSatisfy { $0.headers["authorization"] == nil })
    }
}
