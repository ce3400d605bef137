// What must hold for every clip of every recording: scenes from seeds, read back by a reader that knows nothing of how they were made.
//
//   swift test --filter ClipPropertyTests                                        150 scenes
//   SIGHTGLASS_CLIP_SEEDS=5000 swift test --filter ClipPropertyTests             the long form, some minutes
//   SIGHTGLASS_CLIP_SEED=17 swift test --filter ClipPropertyTests                one scene again
import Foundation
import Media
import Testing

@Suite struct ClipPropertyTests {
    private static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["SIGHTGLASS_CLIP_SEED"].flatMap({ UInt64($0) }) { return [seed] }
        return Array(1...max(1, environment["SIGHTGLASS_CLIP_SEEDS"].flatMap { UInt64($0) } ?? 150))
    }()

    @Test func aClipShowsWhatWasSentInItsWindow() throws {
        for seed in Self.seeds {
            var trial = try ClipTrial(seed: seed)
            for _ in 0..<6 { trial.cutAWindow() }
            #expect(trial.problems.isEmpty, "\(trial.scene.description)\n\(trial.problems.joined(separator: "\n"))")
        }
    }

    @Test func clipsThatFollowEachOtherAreOneClip() throws {
        for seed in Self.seeds {
            var trial = try ClipTrial(seed: seed)
            for _ in 0..<4 { trial.cutInTwo() }
            #expect(trial.problems.isEmpty, "\(trial.scene.description)\n\(trial.problems.joined(separator: "\n"))")
        }
    }

    /// A damaged disk, or a hostile hand: an error or a clip, never a trap.
    @Test func damagedFilesAreErrorsOrClips() throws {
        for seed in Self.seeds {
            var trial = try ClipTrial(seed: seed)
            for _ in 0..<6 { trial.damage() }
            #expect(trial.problems.isEmpty, "\(trial.scene.description)\n\(trial.problems.joined(separator: "\n"))")
        }
    }

    /// Times at the ends of their range, in a box that is otherwise in order.
    @Test func timesThatNoRecordingHasAreErrorsOrClips() throws {
        let far: [Int64] = [.max, .min, .max / 2, .min / 2, 1 << 54, -1 << 54, 1 << 50, 0]
        for (first, second) in far.flatMap({ one in far.map { (one, $0) } }) {
            for wallUs in [0, 1_764_000_000_000_000, second] {
                let files = try [first, second].map { try Self.file(mediaUs: $0, wallUs: wallUs) }
                for fromUs in [wallUs, 0, first] where fromUs.magnitude < 1 << 60 {
                    do {
                        let read = try files.map { try ClipFile(MemoryBytes($0)) }
                        let clip = try ExactClip(of: read, fromUs: fromUs, toUs: fromUs + 10_000_000, createdUs: 0)
                        #expect(clip.frames > 0)
                    } catch is MediaError {}
                }
            }
        }
    }

    private static func file(mediaUs: Int64, wallUs: Int64) throws -> [UInt8] {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 48, timescale: 10_000_000)
        var writer = FragmentedMP4Writer(tracks: [configuration], createdUs: 0)
        var info = SegmentInfo(device: "gate", endpoint: "main", runID: "run")
        info.mediaStartUs = mediaUs
        info.anchor = MediaAnchor(mediaUs: mediaUs, wallUs: wallUs, ratePpm: 500)
        (info.startUs, info.endUs) = (wallUs, wallUs)
        let header = writer.header(info: info)
        for number in 0..<3 {
            let ticks = Int64(number) * 400_000
            try writer.append(
                MediaPacket(
                    configuration: configuration, bytes: PacketBytes([UInt8(number)]), ptsTicks: ticks, dtsTicks: ticks,
                    durationTicks: 400_000, isKeyframe: true, arrivalNs: 0))
        }
        return header + (writer.takeFragment(newest: .write) ?? []) + FragmentedMP4Writer.trailer(info: info)
    }

    /// The scenes are worth something only where they have what they are for.
    @Test func theScenesHaveEverything() throws {
        let scenes = try (1...150).map { try ClipScene(seed: $0) }
        #expect(scenes.contains { $0.codec == .mjpeg } && scenes.contains { $0.isOpenGroup })
        #expect(scenes.contains { $0.sound?.codec == .aac } && scenes.contains { $0.sound?.codec == .pcma })
        #expect(scenes.contains { $0.files.count > 20 } && scenes.contains { $0.files.count == 1 })
        #expect(scenes.contains { Set($0.model.pictures.map(\.stretch)).count > 3 })
        #expect(scenes.contains { Set($0.model.pictures.map(\.decoderConfiguration)).count > 2 })
        #expect(scenes.contains { scene in scene.model.pictures.contains { $0.isLost } })
        let reordered = scenes.filter { scene in
            zip(scene.model.pictures, scene.model.pictures.dropFirst()).contains { $0.wallUs > $1.wallUs }
        }
        #expect(reordered.count > 30)
    }
}
