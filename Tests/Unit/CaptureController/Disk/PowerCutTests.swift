// Power cuts and kills while cameras are recorded, on an emulated disk.
import Foundation
import Glibc
import Harness
import Synchronization
import Testing

@testable import CaptureController
@testable import Volume

/// A failure shows the first violations, each with the seed and step that it happened at.
func expectNone(_ violations: [String], _ location: SourceLocation = #_sourceLocation) {
    let shown = violations.prefix(12).joined(separator: "\n")
    #expect(violations.count == 0, "\(shown)", sourceLocation: location)
}

struct PowerCutTests {
    /// Cuts that the unit suite makes; SIGHTGLASS_POWER_CUTS=5000 makes more.
    private static let cuts = ProcessInfo.processInfo.environment["SIGHTGLASS_POWER_CUTS"].flatMap { Int($0) } ?? 200
    /// SIGHTGLASS_POWER_CUT_SEED plays the scene of a failure again, with all of its cuts.
    private static let firstSeed =
        ProcessInfo.processInfo.environment["SIGHTGLASS_POWER_CUT_SEED"].flatMap { UInt64($0) } ?? 1
    private static let cutsOfAScene = 10

    @Test func aPowerCutCostsAtMostASecondAndLeavesNoTornFile() throws {
        var made = 0
        var wrong: [String] = []
        var seed = Self.firstSeed
        while made < Self.cuts {
            let cuts = try Self.cutScene(seed: seed)
            for (number, cut) in cuts.enumerated() where made < Self.cuts {
                made += 1
                var random = SplitMix64(seed: seed << 8 | UInt64(number))
                // Two of three cuts are of the power, the third kills the process first and cuts the power in its next life.
                let isPower = number % 3 != 2
                let left = isPower ? cut.image.afterPowerCut(&random) : cut.image
                let next = SceneCut(name: cut.name, image: left, books: cut.books, nowUs: cut.nowUs)
                wrong += next.violations(graceUs: 1_000_000, cuts: isPower ? random.below(3) : 1, &random)
            }
            seed += 1
        }
        #expect(made == Self.cuts)
        expectNone(wrong)
    }

    /// Plays a scene and takes the disk at random steps.
    private static func cutScene(seed: UInt64) throws -> [SceneCut] {
        let scene = try RecordedScene(seed: seed)
        let cuts = Mutex<[SceneCut]>([])
        let random = Mutex(SplitMix64(seed: ~seed))
        let steps = StepCounter()
        scene.disk.onStep { [ledger = scene.ledger] call, _, image in
            let number = steps.next()
            if call == .sync || call == .datasync {
                ledger.pass(us: 500 + Int64(random.withLock { $0.below(8_000) }))
            }
            if random.withLock({ $0.below(60) }) == 0 {
                let cut = SceneCut(
                    name: "seed \(seed) step \(number) (\(call.rawValue))", image: image,
                    books: ledger.books.withLock { $0 }, nowUs: ledger.nowUs)
                cuts.withLock { if $0.count < cutsOfAScene { $0.append(cut) } }
            }
            // Some file systems cannot rename without replacing: there it is a link and an unlink.
            return call == .rename && seed % 4 == 3 ? EINVAL : 0
        }
        scene.play(frames: 150) { cuts.withLock { $0.count >= cutsOfAScene } }
        scene.disk.onStep(nil)
        return cuts.withLock { $0 }
    }

    @Test func aKillAtAnyStepCostsNothingThatWasWritten() throws {
        let scene = try RecordedScene(seed: 7)
        let cuts = Mutex<[SceneCut]>([])
        let steps = StepCounter()
        scene.disk.onStep { [ledger = scene.ledger] call, _, image in
            let cut = SceneCut(
                name: "kill before step \(steps.next()) (\(call.rawValue))", image: image,
                books: ledger.books.withLock { $0 }, nowUs: ledger.nowUs)
            cuts.withLock { $0.append(cut) }
            return 0
        }
        scene.play(frames: 100)
        scene.end()
        scene.disk.onStep(nil)
        let all = cuts.withLock { $0 }
        #expect(all.count > 200)
        var random = SplitMix64(seed: 7)
        // Of what write(2) took a kill loses nothing: only the fragment at hand may be missing.
        let wrong = all.flatMap { $0.violations(graceUs: 0, &random) }
        expectNone(wrong)
    }
}
