// Sources that are files: a film played in its own time and over again, a folder that pictures appear in, and every way out of the
// allowed folders.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct FileSourceTests {
    private func prepare() async throws -> (site: CameraSite, root: String) {
        let site = try CameraSite()
        let media = try await runTool(
            "bash", [Executables.repository.path + "/Tests/Support/cameras/make-media"], within: .seconds(180))
        #expect(media.exitCode == 0)
        site.startNeighbours()
        return (site, try site.folder.makeFolder("media"))
    }

    private func film(_ name: String) -> String { Executables.repository.path + "/.build/media/" + name }

    private func configure(_ site: CameraSite, _ address: String, _ streams: [StreamDefinition]) {
        var endpoint = site.endpoint()
        endpoint.address = address
        endpoint.authentication = .anonymous
        (endpoint.username, endpoint.password) = (nil, nil)
        site.registry.configure(endpoints: [endpoint], streams: streams)
    }

    /// B-frames, another container, sound: what is stored is the film, again and again, without a gap.
    @Test(arguments: ["small-h264b-aac.mkv", "small-hevc-pcmu.mkv", "small-mjpeg.mkv"])
    func aFilmIsRecordedAgainAndAgain(name: String) async throws {
        let (site, root) = try await prepare()
        try FileManager.default.copyItem(atPath: film(name), toPath: root + "/film.mkv")
        configure(site, "file://localhost\(root)/film.mkv", [site.clips(seconds: 2)])
        let controller = try site.startController(["--media-roots", root])
        // 4.8 s long: into the third round.
        try await eventually("six files are sealed", within: .seconds(40)) { site.segments.count >= 6 ? true : nil }
        try await controller.terminate()
        let expected = try await CameraSite.pictureHashes(film(name))
        var stored: [Substring] = []
        for segment in site.segments {
            stored += try await CameraSite.pictureHashes(site.volume + "/" + (segment.path ?? ""))
        }
        #expect(stored.count >= 240 && expected.count == 120)
        #expect(stored.indices.allSatisfy { stored[$0] == expected[$0 % 120] })
        for (one, next) in zip(site.segments, site.segments.dropFirst()) { #expect(one.endUs == next.startUs) }
        #expect(Set(site.segments.map(\.runID)).count == 1)
        let sounds = site.segments.map { $0.audioCodec ?? "none" }
        if name.contains("aac") { #expect(sounds.allSatisfy { $0 == "aac" }, "\(sounds)") }
        let first = try #require(site.segments.first?.startUs)
        let last = try #require(site.segments.last?.endUs)
        #expect(abs(Double(last - first) / 1e6 - Double(stored.count) / 25) < 0.1)
    }

    @Test func whatAppearsInAFolderIsThePictures() async throws {
        let (site, root) = try await prepare()
        let made = try await runTool(
            "ffmpeg", ["-v", "error", "-i", film("yard.mkv"), "-frames:v", "6", "-c", "copy", root + "/../%d.jpg"])
        #expect(made.exitCode == 0)
        let old = try FileManager.default.contentsOfDirectory(atPath: site.folder.path("")).filter {
            $0.hasSuffix(".jpg")
        }
        try FileManager.default.moveItem(atPath: site.folder.path("1.jpg"), toPath: root + "/old.jpg")
        #expect(old.count == 6)
        let stills = site.stream(
            "stills", TaskSettings(type: .snapshotToFs, format: "jpeg", snapshotsPerSecond: 0, path: ""))
        configure(site, "file://\(root)/", [stills])
        let controller = try site.startController(["--media-roots", root])
        try await eventually("the folder is watched", within: .seconds(20)) {
            try await site.sourceStatus()?.state == .connecting ? true : nil
        }
        // A note of somebody's is passed over; the pictures behind it are not.
        try site.folder.write("not a picture", to: "media/a-note.txt")
        var sent: Set<[UInt8]> = []
        for number in 2...6 {
            sent.insert([UInt8](try Data(contentsOf: URL(fileURLWithPath: site.folder.path("\(number).jpg")))))
            try FileManager.default.moveItem(atPath: site.folder.path("\(number).jpg"), toPath: root + "/\(number).jpg")
            try await eventually("picture \(number) is stored", within: .seconds(20)) {
                site.files(".jpg").count >= number - 1 ? true : nil
            }
        }
        try await controller.terminate()
        let stored = try site.files(".jpg").map {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: site.volume + "/" + $0)))
        }
        #expect(stored.count == 5 && Set(stored) == sent)
    }

    @Test(arguments: [
        ("file:///etc/passwd", "below none of this controller's media-roots"),
        ("file://ROOT/../secrets/line1/password", "lies outside of media-roots"),
        ("file://ROOT/link", "lies outside of media-roots"),
        ("file://ROOT/folder/password", "lies outside of media-roots"),
        ("file://ROOT/loop", "media-roots"), ("file://ROOT/pipe", "neither a file nor a folder"),
        ("file://ROOT/nothing.mkv", "cannot be opened"), ("file://ROOT/text", "no film that can be read"),
        ("file://ROOT/list.m3u8", "no film that can be read"), ("file://ROOT/concat.txt", "no film that can be read"),
        // The worker freed such a file twice, and died of it.
        ("file://ROOT/voice.mka", "holds no pictures"),
    ])
    func whatIsNotAllowedIsSaidAndNotRead(address: String, reason: String) async throws {
        let (site, root) = try await prepare()
        let files = FileManager.default
        try files.createSymbolicLink(atPath: root + "/link", withDestinationPath: "/etc/passwd")
        try files.createSymbolicLink(atPath: root + "/folder", withDestinationPath: "../secrets/line1")
        try files.createSymbolicLink(atPath: root + "/loop", withDestinationPath: "loop")
        #expect(mkfifo(root + "/pipe", 0o600) == 0)
        try site.folder.write(String(repeating: "words ", count: 1000), to: "media/text")
        // Containers that name other files: a playlist, and the concat demuxer's list.
        try site.folder.write("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", to: "media/list.m3u8")
        try site.folder.write("ffconcat version 1.0\nfile '/etc/passwd'\n", to: "media/concat.txt")
        let voice = try await runTool(
            "ffmpeg", ["-v", "error", "-i", film("small-h264-aac.mkv"), "-vn", "-c", "copy", root + "/voice.mka"])
        #expect(voice.exitCode == 0, "\(voice.error)")
        configure(site, address.replacingOccurrences(of: "ROOT", with: root), [site.clips(seconds: 1)])
        let controller = try site.startController(["--media-roots", root])
        let said = try await eventually("the status says why", within: .seconds(20)) { () -> String? in
            guard let words = try await site.sourceStatus()?.reason, !words.isEmpty else { return nil }
            return words
        }
        #expect(said.contains(reason), "\(said)")
        #expect(!said.contains("root:") && !said.contains(CameraSite.password))
        #expect(site.files().isEmpty)
        try await controller.terminate()
    }
}
