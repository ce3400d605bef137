// Recording from a real RTSP server, GStreamer's: what is stored is what the camera filmed, picture for picture and sound for sound,
// whatever it is coded with and whichever way leads to it. ffmpeg is the judge.
//
//   CameraSite    the cameras, their films and certificates
//   Recording     a session, written into a file
//   Footage       what ffmpeg reads in a file

import Foundation
import Harness
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(5)), WithCameras())
struct InteropTests {
    /// Longer than the film, so that each picture of it is stored, and some twice.
    private static let groups = 6

    private let site: CameraSite

    init() throws { site = try #require(CameraSite.current) }

    /// Records a film.
    private func record(
        _ film: Film, _ access: Access, groups: Int = groups, checksHostName: Bool = true,
        prefersDatagrams: Bool? = nil
    ) async throws -> Recording {
        var trust = try site.trust()
        trust.checksHostName = checksHostName
        // A busy machine drops datagrams, which is declared and not what is looked at here: then again.
        var attempts = 3
        while true {
            attempts -= 1
            let recording = await Recording(
                try site.url(film, access), on: site.client, groupsOf: Film.picturesPerGroup, count: groups,
                trust: trust,
                prefersDatagrams: prefersDatagrams ?? (access == .datagrams), user: { CameraSite.user })
            guard access == .datagrams, recording.counters.packetsLost > 0, attempts > 0 else { return recording }
        }
    }

    /// All films at the same time, one way after the other: with all ways at once the machine is too busy to keep time.
    @Test(arguments: Film.all) func whatIsStoredIsWhatTheCameraFilmed(film: Film) async throws {
        for access in Access.usable {
            try await checkWhatIsStored(film, access)
        }
    }

    private func checkWhatIsStored(_ film: Film, _ access: Access) async throws {
        let recording = try await record(film, access)
        #expect(recording.failure == nil, "\(access)")
        #expect(recording.tracks.allSatisfy { $0.isDatagrams == (access == .datagrams) })
        // The end of a session may cut a picture.
        #expect(recording.counters.unitsTorn <= 1, "\(access)")
        var counters = recording.counters
        counters.unitsTorn = 0
        #expect(counters == SourceCounters(), "\(access)")
        #expect(recording.tracks.count == (film.sound == .none ? 1 : 2))
        let path = site.folder.path("\(film.name)-\(access).mp4")
        try recording.write(to: path)
        let source = try await site.sources.footage(of: film, in: site.folder)
        let stored = try await Footage(path, of: film, in: site.folder)
        #expect(stored.warnings == "", "\(access)")
        checkPictures(stored, source, access)
        if film.sound != .none { try checkSound(stored, source, film, access) }
        if film.sound == .none { #expect(stored.sounds.isEmpty) }
    }

    private func checkPictures(_ stored: Footage, _ source: Footage, _ access: Access) {
        let count = Self.groups * Film.picturesPerGroup
        #expect(stored.pictures.count == count && stored.decoded.count == count, "\(access)")
        let place = source.pictures.place(of: stored.pictures)
        #expect(place.map { $0 % Film.picturesPerGroup } == 0, "as they came, \(access)")
        #expect(source.decoded.place(of: stored.decoded) == place, "as they look, \(access)")
        let times = stored.decoded.map(\.ptsUs)
        let steps = zip(times, times.dropFirst()).map { $1 - $0 }
        // RTP counts time in 1/90000 s.
        #expect(steps.allSatisfy { abs($0 - Film.pictureUs) < 100 }, "\(access): \(steps)")
    }

    private func checkSound(_ stored: Footage, _ source: Footage, _ film: Film, _ access: Access) throws {
        // Found first: a failure need not print all of them.
        let (foundSound, foundPictures) = (
            source.sounds.place(of: stored.sounds), source.pictures.place(of: stored.pictures)
        )
        let place = try #require(foundSound, "\(access): not the source's packets in their order")
        let pictures = try #require(foundPictures)
        let times = stored.sounds.map { Double($0.ptsUs) }
        let first = try #require(times.first)
        #expect(
            zip(times.indices, times).allSatisfy { abs($1 - first - Double($0) * film.soundUs) < 1_000 }, "\(times)")
        // As long as the pictures, but for what came before the first of them.
        let lengthUs = Double(stored.sounds.count) * film.soundUs
        #expect(lengthUs > Double(Film.pictureUs) * Double(stored.pictures.count) - 1_500_000)
        let shownUs = Double(try #require(stored.decoded.first).ptsUs)
        let sourceUs = Double(place) * film.soundUs - Double(pictures) * Double(Film.pictureUs)
        let apartUs = (first - shownUs - sourceUs).remainder(dividingBy: Double(Film.lengthUs))
        #expect(abs(apartUs) <= 100_000, "\(access): sound is \(apartUs) µs from its pictures")
    }

    @Test func aPlayerFindsTheTracksAndTheLengthOfAFile() async throws {
        let film = Film(pictures: .h264b, sound: .aac)
        let path = site.folder.path("probed.mp4")
        // Where a person said that the name does not matter.
        let recording = try await record(film, .misnamed, groups: 2, checksHostName: false)
        try recording.write(to: path)
        let probe = try await tool(
            "ffprobe",
            [
                "-v", "warning", "-show_entries",
                "format=start_time,duration:stream=codec_name,width,height,sample_rate,channels,r_frame_rate", "-of",
                "flat", path,
            ])
        #expect(probe.error == "")
        let lines = Set(probe.output.split(separator: "\n").map(String.init))
        let wanted = [
            "streams.stream.0.codec_name=\"h264\"", "streams.stream.0.width=320", "streams.stream.0.height=240",
            "streams.stream.0.r_frame_rate=\"25/1\"", "streams.stream.1.codec_name=\"aac\"",
            "streams.stream.1.sample_rate=\"48000\"", "streams.stream.1.channels=1",
        ]
        #expect(lines.isSuperset(of: wanted), "\(lines)")
        // A file begins with the decoding of its first picture.
        let pictures = recording.packets(.video)
        let sounds = recording.packets(.audio)
        let zeroUs = try #require(pictures.first).dtsUs
        let startUs = try #require(recording.packets.map(\.ptsUs).min())
        let endUs = try #require(recording.packets.map { $0.ptsUs + $0.durationUs }.max())
        // A server that is slow to start sends the first sound late, and libav counts that twice: it adds a track's end, which
        // is told from the beginning of the file, to the track's start.
        let lateUs = max(0, try #require(sounds.first).ptsUs - startUs)
        let expectedUs = endUs - zeroUs + lateUs
        let lengthUs = try seconds("duration", in: lines) * 1e6
        #expect(abs(lengthUs - Double(expectedUs)) < 50_000, "\(lines), \(expectedUs) µs, sound late by \(lateUs) µs")
        #expect(try abs(seconds("start_time", in: lines) * 1e6 - Double(startUs - zeroUs)) < 50_000, "\(lines)")
    }

    /// A value of the file as a whole that ffprobe printed.
    private func seconds(_ name: String, in lines: Set<String>) throws -> Double {
        let value = lines.first { $0.hasPrefix("format.\(name)=") }?.split(separator: "\"").last
        return try #require(value.flatMap { Double($0) }, "no \(name) in \(lines)")
    }

    /// What came of a session that is to be refused.
    private struct Refusal {
        let failure: RTSPFailure
        let wasAskedForUser: Bool
    }

    private func refusal(
        _ access: Access, trusting authority: String = "authority", user: RTSPUser = CameraSite.user
    ) async throws -> Refusal {
        let asked = AsyncStream.makeStream(of: Void.self)
        let recording = await Recording(
            try site.url(Film(pictures: .h264, sound: .none), access), on: site.client, groupsOf: 1, count: 1,
            trust: try site.trust(authority), prefersDatagrams: access == .datagrams,
            user: {
                asked.continuation.yield()
                return user
            })
        asked.continuation.finish()
        #expect(recording.packets.isEmpty)
        return Refusal(
            failure: try #require(recording.failure), wasAskedForUser: await asked.stream.contains { true })
    }

    /// A camera that has only the other way than the one that it is asked for first.
    @Test(arguments: [(Access.digest, true), (.open, true), (.datagrams, false)])
    func theOtherWayIsTakenWhereThePreferredOneIsRefused(access: Access, prefersDatagrams: Bool) async throws {
        let film = Film(pictures: .h264b, sound: .pcmu)
        let recording = try await record(film, access, groups: 2, prefersDatagrams: prefersDatagrams)
        #expect(recording.failure == nil)
        #expect(recording.tracks.map(\.isDatagrams) == [!prefersDatagrams, !prefersDatagrams])
        #expect(recording.packets(.video).count == 2 * Film.picturesPerGroup)
        #expect(!recording.packets(.audio).isEmpty)
    }

    /// Over TLS packets stay in the connection, whatever is preferred: datagrams would show the pictures to everybody.
    @Test func datagramsAreNotAskedForOverTLS() async throws {
        let film = Film(pictures: .h264, sound: .aac)
        let recording = try await record(film, .secure, groups: 2, prefersDatagrams: true)
        #expect(recording.failure == nil)
        #expect(recording.tracks.map(\.isDatagrams) == [false, false])
        #expect(recording.packets(.video).count == 2 * Film.picturesPerGroup)
    }

    @Test(arguments: [Access.basic, .digest, .secure, .datagrams])
    func aWrongPasswordIsRefused(access: Access) async throws {
        let refusal = try await refusal(access, user: RTSPUser(name: "cam", password: "wrong"))
        #expect(refusal.failure.cause == .unauthorized)
        #expect(refusal.wasAskedForUser)
    }

    @Test func aCertificateOfAnotherAuthorityIsRefusedBeforeAUserIsNamed() async throws {
        let refusal = try await refusal(.secure, trusting: "stranger")
        #expect(refusal.failure.cause == .protocolError)
        #expect(refusal.failure.description.contains("the server's certificate is not trusted"), "\(refusal.failure)")
        #expect(!refusal.wasAskedForUser)
    }

    @Test func aCertificateForAnotherHostIsRefusedBeforeAUserIsNamed() async throws {
        let refusal = try await refusal(.misnamed)
        #expect(refusal.failure.cause == .protocolError)
        #expect(
            refusal.failure.description.contains("the server's certificate is not for 127.0.0.1"), "\(refusal.failure)")
        #expect(!refusal.wasAskedForUser)
    }
}
