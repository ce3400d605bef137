// The planner against a simple model (field lessons, test 30): sites drawn from seeds, with cameras of other sizes, holds,
// ages, quotas and full disks. What the model says is worked out from the files alone, without the planner's own words.

import Harness
import Testing

@testable import Indexer

@Suite struct RetentionModelTests {
    static let now: Int64 = 1_000_000 * Micro.hour

    /// A volume with all that retention knows of it.
    struct Scene {
        var files: [DeletionCandidate] = []
        var holds: [PlannedHold] = []
        var policy = Policy()
        var room = VolumeRoom()
        var limit = 1000

        init(seed: UInt64) {
            var random = SplitMix64(seed: seed)
            for source in 1...Int64(random.within(1...4)) { draw(source, &random) }
            files.sort { ($0.span.startUs, $0.mediaID) < ($1.span.startUs, $1.mediaID) }
            let bytes = files.reduce(0) { $0 + $1.sizeBytes }
            policy.retentionUs = Int64(random.chance(50) ? 0 : random.within(10...90)) * Micro.hour
            policy.maximumAgeUs = Int64(random.chance(50) ? 0 : random.within(40...100)) * Micro.hour
            policy.quotaBytes = random.chance(50) ? 0 : bytes * Int64(random.within(20...110)) / 100
            policy.sourceQuotaBytes = random.chance(50) ? 0 : Int64(random.within(200...1500))
            policy.freeFloorBytes = random.chance(50) ? 0 : Int64(random.within(1...500))
            room = VolumeRoom(
                totalBytes: 10_000, freeBytes: Int64(random.below(600)), usedBytes: bytes,
                aheadBytes: Int64(random.chance(50) ? 0 : random.within(1...400)), isKnown: random.chance(70))
            if random.chance(25) { limit = random.within(1...10) }
        }

        /// A camera of four days: segments of some hours, a picture now and then, and who holds what.
        private mutating func draw(_ source: Int64, _ random: inout SplitMix64) {
            var at = now - Int64(random.within(20...100)) * Micro.hour
            while at < now {
                let end = at + Int64(random.within(1...4)) * Micro.hour
                add(source, Span(at, end), bytes: random.within(1...100))
                if random.chance(30) {
                    let moment = at + Int64(random.below(3600)) * Micro.second
                    add(source, Span(moment, moment), bytes: 1)
                }
                at = end + Int64(random.chance(20) ? random.within(1...10) : 0) * Micro.hour
            }
            for _ in 0..<random.below(5) {
                let start = now - Int64(random.within(-2...100)) * Micro.hour
                let end = start + Int64(random.within(1...30)) * Micro.hour
                holds.append(PlannedHold(sourceID: source, span: Span(start, end), isLegal: random.chance(40)))
            }
        }

        private mutating func add(_ source: Int64, _ span: Span, bytes: Int) {
            let id = Int64(files.count + 1)
            files.append(
                DeletionCandidate(mediaID: id, path: "f\(id)", sourceID: source, span: span, sizeBytes: Int64(bytes)))
        }

        // MARK: - The model

        private func isHeld(_ file: DeletionCandidate, legally: Bool) -> Bool {
            holds.contains { hold in
                let (window, span) = (hold.span, file.span)
                guard hold.sourceID == file.sourceID, hold.isLegal == legally else { return false }
                return span.startUs == span.endUs
                    ? window.startUs <= span.startUs && span.startUs < window.endUs
                    : window.startUs < span.endUs && span.startUs < window.endUs
            }
        }

        private func isOlder(_ file: DeletionCandidate, _ ageUs: Int64) -> Bool {
            ageUs > 0 && file.span.endUs < RetentionModelTests.now - ageUs
        }

        /// Whether it may be deleted at all.
        func isFree(_ file: DeletionCandidate) -> Bool {
            if isHeld(file, legally: true) { return false }
            return isOlder(file, policy.maximumAgeUs) || !isHeld(file, legally: false)
        }

        /// Whether its age alone says that it must go.
        func isOld(_ file: DeletionCandidate) -> Bool {
            isOlder(file, policy.maximumAgeUs) || isOlder(file, policy.retentionUs)
        }

        /// What is wrong with grants, in words.
        func faults(of grants: [PlannedGrant]) -> [String] {
            var faults: [String] = []
            func must(_ holds: Bool, _ what: String) { if !holds { faults.append(what) } }
            let ids = Set(grants.map(\.candidate.mediaID))
            must(ids.count == grants.count, "a file is granted twice")
            must(grants.count <= limit, "more than the limit")
            must(grants.allSatisfy { isFree($0.candidate) }, "a held file is granted")
            must(grants.allSatisfy { $0.cause == "age" || !isOld($0.candidate) }, "an old file goes for another cause")
            must(grants.allSatisfy { $0.cause != "age" || isOld($0.candidate) }, "a young file goes for its age")
            let free = files.filter(isFree)
            for grant in grants where grant.cause != "age" {
                let older = free.prefix { $0.mediaID != grant.candidate.mediaID }.filter {
                    policy.sourceQuotaBytes == 0 || $0.sourceID == grant.candidate.sourceID
                }
                must(older.allSatisfy { ids.contains($0.mediaID) }, "\(grant.candidate.path) goes before an older one")
            }
            guard grants.count < limit else { return faults }
            must(free.filter(isOld).allSatisfy { ids.contains($0.mediaID) }, "an old file stays")
            let gone = grants.filter(\.isNow).map(\.candidate)
            let goneIDs = Set(gone.map(\.mediaID))
            let left = free.filter { !goneIDs.contains($0.mediaID) }
            let used = room.usedBytes - gone.reduce(0) { $0 + $1.sizeBytes }
            must(policy.quotaBytes == 0 || used <= policy.quotaBytes || left.isEmpty, "the quota is not kept")
            for source in Set(files.map(\.sourceID)) where policy.sourceQuotaBytes > 0 {
                let has = files.filter { $0.sourceID == source && !goneIDs.contains($0.mediaID) }
                let bytes = has.reduce(0) { $0 + $1.sizeBytes }
                let isEmpty = !left.contains { $0.sourceID == source }
                must(bytes <= policy.sourceQuotaBytes || isEmpty, "source \(source) keeps more than its quota")
            }
            if room.isKnown {
                let floor = min(policy.freeFloorBytes, room.totalBytes / 10)
                must(room.freeBytes + room.usedBytes - used >= floor || left.isEmpty, "too little is free")
                let ahead = grants.filter { !$0.isNow }
                let aheadBytes = ahead.reduce(0) { $0 + $1.candidate.sizeBytes }
                must(aheadBytes >= room.aheadBytes || ahead.count == left.count, "too little is granted ahead")
            }
            let onlyQuota = policy.retentionUs == 0 && policy.maximumAgeUs == 0 && policy.sourceQuotaBytes == 0
            if onlyQuota, !room.isKnown, let last = gone.last {
                must(used + last.sizeBytes > policy.quotaBytes, "more goes than the quota asks for")
            }
            return faults
        }
    }

    /// As RetentionTable.swift asks it.
    private func plan(_ scene: Scene) -> [PlannedGrant] {
        var bytes: [Int64: Int64] = [:]
        for file in scene.files { bytes[file.sourceID, default: 0] += file.sizeBytes }
        var planner = RetentionPlanner(
            policy: scene.policy, room: scene.room, holds: scene.holds, sourceBytes: bytes, limit: scene.limit,
            nowUs: Self.now)
        for source in planner.sourcesBeyondQuota {
            for file in scene.files where file.sourceID == source && planner.wantsMore(ofSource: source) {
                planner.consider(file)
            }
        }
        for file in scene.files {
            guard planner.wantsMore(nextStartUs: file.span.startUs) else { break }
            planner.consider(file)
        }
        return planner.grants
    }

    @Test(arguments: [UInt64](0..<10)) func whateverASiteLooksLikeTheRightFilesGo(group: UInt64) {
        for seed in group * 100..<group * 100 + 100 {
            let scene = Scene(seed: seed)
            #expect(scene.faults(of: plan(scene)) == [], "seed \(seed)")
        }
    }

    /// The model must be able to say no: each of these is a plan with one thing wrong.
    @Test func theModelSeesWrongPlans() throws {
        var kinds: Set<String> = []
        for seed in UInt64(0)..<200 {
            let scene = Scene(seed: seed)
            let good = plan(scene)
            if let held = scene.files.first(where: { !scene.isFree($0) }) {
                kinds.formUnion(
                    scene.faults(of: good + [PlannedGrant(candidate: held, cause: "quota", isNow: true)]))
            }
            if good.count > 1, good.count < scene.limit { kinds.formUnion(scene.faults(of: Array(good.dropFirst()))) }
        }
        #expect(kinds.isSuperset(of: ["a held file is granted", "an old file stays", "the quota is not kept"]))
    }

    /// Sixteen cameras write on while the volume's owner asks and deletes: never more than the quota and one segment of each.
    @Test func theQuotaIsExceededByAtMostASegmentOfEachCamera() {
        var random = SplitMix64(seed: 16)
        let (quota, largest): (Int64, Int64) = (20_000, 100)
        var files: [DeletionCandidate] = []
        var most: Int64 = 0
        for round in 0..<400 {
            for source in 1...16 {
                let start = Self.now + Int64(round) * Micro.hour
                let id = Int64(round * 16 + source)
                files.append(
                    DeletionCandidate(
                        mediaID: id, path: "f\(id)", sourceID: Int64(source), span: Span(start, start + Micro.hour),
                        sizeBytes: Int64(random.within(1...Int(largest)))))
            }
            let used = files.reduce(0) { $0 + $1.sizeBytes }
            most = max(most, used)
            var policy = Policy()
            (policy.quotaBytes, policy.retentionUs) = (quota, 0)
            var planner = RetentionPlanner(
                policy: policy, room: VolumeRoom(usedBytes: used), holds: [], limit: 1000,
                nowUs: Self.now + Int64(round) * Micro.hour)
            for file in files where planner.wantsMore(nextStartUs: file.span.startUs) { planner.consider(file) }
            let gone = Set(planner.grants.map(\.candidate.mediaID))
            files.removeAll { gone.contains($0.mediaID) }
        }
        #expect(most > quota && most <= quota + 16 * largest)
        #expect(files.reduce(0) { $0 + $1.sizeBytes } <= quota)
    }
}
