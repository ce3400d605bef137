// Publishing at a real media server (Tests/Support/cameras/rtsprelay, on GStreamer) and playing it back from there: what a
// player gets must be what was published, byte for byte.

import Foundation
import Media
import Testing

@testable import RTSP

/// The server, as long as the object lives.
private final class Relay {
    static let executable = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "../../../.build/cameras/rtsprelay"
    ).standardized.path
    static var isBuilt: Bool { FileManager.default.isExecutableFile(atPath: executable) }
    static let user = RTSPUser(name: "cam", password: "p:a ss")

    let url: String
    let trust: TLSTrust?
    private let process = Process()
    private let commands = Pipe()
    private let certificate: TestCertificate?
    private let folder = try? TestFolder()

    init(isSecure: Bool) throws {
        let folder = try #require(folder)
        let port = try Listener.freePort()
        try "cam:p:a ss\n".write(toFile: folder.file("users"), atomically: true, encoding: .utf8)
        certificate = isSecure ? try TestCertificate(names: "IP:127.0.0.1") : nil
        trust = certificate.map { TLSTrust(trustedPEM: $0.pem) }
        url = "rtsp\(isSecure ? "s" : "")://127.0.0.1:\(port)/live"
        process.executableURL = URL(fileURLWithPath: Self.executable)
        process.arguments =
            ["-p", "\(port)", "-A", isSecure ? "basic" : "digest", "-u", folder.file("users")]
            + (certificate.map { ["-c", $0.path, "-k", $0.keyPath] } ?? [])
        let output = Pipe()
        process.standardInput = commands
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        // It says "ready" when it listens, or ends.
        var said = Data()
        while !said.contains(UInt8(ascii: "\n")) {
            let more = output.fileHandleForReading.availableData
            try #require(!more.isEmpty, "the relay ended")
            said += more
        }
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

@Suite(
    .serialized, .timeLimit(.minutes(2)),
    .enabled(if: Relay.isBuilt, "the media server is not built: run Tests/Support/cameras/build"))
struct RelayTests {
    /// What a player got: it begins at the first keyframe that comes.
    private struct Played: Sendable {
        var pictures: [[UInt8]] = []
        var sound: [UInt8] = []
        var end: (RTSPFailure?, SourceCounters)?
    }

    /// Plays until so many pictures came, or the server has nothing to play.
    private func play(_ relay: Relay, pictures: Int) async throws -> Played {
        let client = try RTSPClient(name: "player")
        defer { client.stop() }
        let (events, tell) = AsyncStream.makeStream(of: SourceEvent.self)
        var settings = RTSPSessionSettings()
        settings.isLive = true
        if let trust = relay.trust { settings.trust = trust }
        let playback = client.play(
            try #require(RTSPURL(relay.url)), settings: settings, user: { Relay.user },
            tell: { event in
                tell.yield(event)
                if case .ended = event { tell.finish() }
            })
        var played = Played()
        for await event in events {
            switch event {
            case .packet where played.pictures.count == pictures: break
            case .packet(let packet) where packet.kind == .video: played.pictures.append(packet.bytes.array)
            case .packet(let packet): played.sound += packet.bytes.array
            case .ended(let failure, let counters): played.end = (failure, counters)
            default: break
            }
            if played.pictures.count == pictures { playback.stop() }
        }
        return played
    }

    /// A publication, and what it told.
    private struct Publication {
        let client: RTSPClient
        let publisher: RTSPPublisher
        let events: AsyncStream<RTSPPublicationEvent>

        init(at relay: Relay, tracks: [CodecConfiguration], user: RTSPUser = Relay.user) throws {
            let (events, tell) = AsyncStream.makeStream(of: RTSPPublicationEvent.self)
            self.events = events
            client = try RTSPClient(name: "publisher")
            var settings = RTSPPublisherSettings()
            if let trust = relay.trust { settings.trust = trust }
            publisher = client.publish(
                try #require(RTSPURL(relay.url)), tracks: tracks, settings: settings, user: { user },
                tell: { event in
                    tell.yield(event)
                    if case .ended = event { tell.finish() }
                })
        }

        /// Waits until packets are taken; nil: why it ended instead.
        func refusal() async -> RTSPFailure? {
            for await event in events {
                if case .publishing = event { return nil }
                if case .ended(let failure, _) = event { return failure }
            }
            return RTSPFailure(.silent, "nothing was told")
        }

        /// Ends it, and waits for the end.
        func end() async -> (RTSPFailure?, RTSPPublicationCounters)? {
            publisher.stop()
            defer { client.stop() }
            for await event in events {
                if case .ended(let failure, let counters) = event { return (failure, counters) }
            }
            return nil
        }
    }

    /// Publishes a film, and plays 80 pictures of it from the server.
    private func played(_ film: Film, on relay: Relay) async throws -> Played {
        let tracks = [film.pictures[0].configuration, film.sounds[0].configuration]
        let publication = try Publication(at: relay, tracks: tracks)
        #expect(await publication.refusal() == nil)
        let filming = Filming(film, to: publication.publisher)
        // The server has nothing to play until both tracks have come, and says so in several ways.
        var played = Played()
        while played.pictures.isEmpty {
            played = try await play(relay, pictures: 80)
            if played.pictures.isEmpty {
                let refusal = try #require(played.end?.0)
                try #require([.notFound, .busy, .protocolError].contains(refusal.cause), "\(refusal)")
            }
        }
        let sent = filming.end()
        let end = try #require(await publication.end())
        #expect(end.0 == nil)
        #expect(end.1 == RTSPPublicationCounters(packetsSent: sent, packetsLeftOut: 0, groupsDropped: 0))
        // A player joins and leaves where it wants, so the pictures at its two edges may be torn; that none is between them is
        // what the callers compare.
        #expect(played.end?.0 == nil && played.end?.1.packetsLost == 0)
        #expect(played.pictures.count == 80)
        return played
    }

    @Test(arguments: [(Codec.h264, Codec.aac, false), (.h264, .pcmu, true), (.hevc, .pcma, false)])
    func whatIsPublishedIsWhatAPlayerGets(video: Codec, sound: Codec, isSecure: Bool) async throws {
        let film = try Film(video, sound: sound)
        let played = try await played(film, on: try Relay(isSecure: isSecure))
        let first = try #require(film.pictures.firstIndex { $0.bytes.array == played.pictures.first })
        #expect(film.pictures[first].isKeyframe)
        let pictures = played.pictures.indices.map { film.picture(first + $0).bytes.array }
        #expect(areEqual(pictures, played.pictures))
        // Sound as long as the pictures, without a gap.
        let once = film.sounds.flatMap(\.bytes.array)
        let head = try #require(played.sound.count > 200 ? Array(played.sound.prefix(200)) : nil)
        let start = try #require(once.indices.first { once[$0...].starts(with: head) })
        #expect(areEqual((once + once)[start...].prefix(played.sound.count), played.sound))
        #expect(played.sound.count * 5 > once.count * 2)
    }

    @Test func picturesOfMotionJPEGComeWithTheirDataAndTables() async throws {
        let film = try Film(.mjpeg, sound: .pcmu)
        let played = try await played(film, on: try Relay(isSecure: false))
        // Their header is made anew by each receiver; what it must keep is what JPEGScan reads.
        func content(_ picture: [UInt8]) throws -> [UInt8] {
            let scan = try picture.withUnsafeBytes { try JPEGScan($0) }
            return [scan.type, scan.precision, UInt8(scan.widthPx / 8), UInt8(scan.heightPx / 8)] + scan.tables
                + picture[scan.data]
        }
        let sent = try film.pictures.map { try content($0.bytes.array) }
        let got = try played.pictures.map(content)
        let first = try #require(sent.firstIndex { $0 == got.first })
        #expect(areEqual(got.indices.map { sent[(first + $0) % sent.count] }, got))
    }

    /// A failure need not print all of both.
    private func areEqual<T: Equatable>(_ left: some Sequence<T>, _ right: some Sequence<T>) -> Bool {
        left.elementsEqual(right)
    }

    @Test func thePathIsFreeAgainAfterwards() async throws {
        let relay = try Relay(isSecure: false)
        for _ in 0..<2 {
            // The server lets go of the path a moment after TEARDOWN.
            var publication: Publication
            var refusal: RTSPFailure?
            repeat {
                publication = try Publication(at: relay, tracks: [try Tracks.h264()])
                refusal = await publication.refusal()
                if let refusal { try #require(refusal.cause == .notFound) }
            } while refusal != nil
            #expect(try #require(await publication.end()).0 == nil)
        }
    }

    @Test func aWrongPasswordIsSaid() async throws {
        let relay = try Relay(isSecure: false)
        let publication = try Publication(
            at: relay, tracks: [try Tracks.h264()], user: RTSPUser(name: "cam", password: "no"))
        let failure = await publication.refusal()
        #expect(failure?.cause == .unauthorized)
        #expect(
            failure?.description.hasPrefix("the media server answers but refuses the user name or password") == true)
        publication.client.stop()
    }
}
