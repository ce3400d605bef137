// What may be deleted, what never.

import Testing

@testable import Indexer

@Suite struct RetentionPlannerTests {
    static let now: Int64 = 1_000_000 * Micro.hour

    /// A file of one hour and 10 bytes that ended so many hours ago.
    private func file(_ id: Int64, endedHoursAgo hours: Int64, source: Int64 = 1) -> DeletionCandidate {
        let end = Self.now - hours * Micro.hour
        return DeletionCandidate(
            mediaID: id, path: "f\(id)", sourceID: source, span: Span(end - Micro.hour, end), sizeBytes: 10)
    }

    private func hold(_ hoursAgo: ClosedRange<Int64>, source: Int64 = 1, legal: Bool = false) -> PlannedHold {
        PlannedHold(
            sourceID: source,
            span: Span(Self.now - hoursAgo.upperBound * Micro.hour, Self.now - hoursAgo.lowerBound * Micro.hour),
            isLegal: legal)
    }

    private func plan(
        _ files: [DeletionCandidate], holds: [PlannedHold] = [], room: VolumeRoom = VolumeRoom(), limit: Int = 100,
        _ change: (inout Policy) -> Void = { _ in }
    ) -> [String] {
        var policy = Policy()
        policy.freeFloorBytes = 0
        change(&policy)
        var planner = RetentionPlanner(policy: policy, room: room, holds: holds, limit: limit, nowUs: Self.now)
        for file in files where planner.wantsMore(nextStartUs: file.span.startUs) { planner.consider(file) }
        return planner.grants.map { "\($0.candidate.path) \($0.cause)\($0.isNow ? "" : " ahead")" }
    }

    @Test func ageDeletesWhatIsOlder() {
        #expect(
            plan([file(1, endedHoursAgo: 80), file(2, endedHoursAgo: 73), file(3, endedHoursAgo: 72)]) == [
                "f1 age", "f2 age",
            ])
        #expect(plan([file(1, endedHoursAgo: 800)]) { $0.retentionUs = 0 }.isEmpty)
    }

    @Test func whatAnOpenRequestHoldsStays() {
        let files = [file(1, endedHoursAgo: 82), file(2, endedHoursAgo: 80), file(3, endedHoursAgo: 78)]
        #expect(plan(files, holds: [hold(80...81)]) == ["f1 age", "f3 age"])
        #expect(plan(files, holds: [hold(80...81, source: 2)]) == ["f1 age", "f2 age", "f3 age"])
    }

    @Test func aFileThatAHoldOnlyTouchesIsNotHeld() {
        #expect(plan([file(1, endedHoursAgo: 80)], holds: [hold(79...80), hold(81...82)]) == ["f1 age"])
    }

    @Test func aHeldSnapshotStays() {
        let at = Self.now - 80 * Micro.hour
        let picture = DeletionCandidate(mediaID: 1, path: "p", sourceID: 1, span: Span(at, at), sizeBytes: 1)
        #expect(plan([picture], holds: [hold(79...80)]).isEmpty)
        #expect(plan([picture], holds: [hold(80...81)]) == ["p age"])
    }

    @Test func theMaximumAgeBeatsRequestsButNotTheLaw() {
        let files = [file(1, endedHoursAgo: 200), file(2, endedHoursAgo: 150)]
        #expect(plan(files, holds: [hold(140...210)]) { $0.maximumAgeUs = 180 * Micro.hour } == ["f1 age"])
        #expect(plan(files, holds: [hold(140...210, legal: true)]) { $0.maximumAgeUs = 180 * Micro.hour }.isEmpty)
    }

    @Test func theQuotaTakesTheOldestUnheldUntilItFits() {
        let files = (1...5).map { file(Int64($0), endedHoursAgo: 20 - Int64($0) * 2) }
        let room = VolumeRoom(usedBytes: 50)
        #expect(plan(files, room: room) { $0.quotaBytes = 35 } == ["f1 quota", "f2 quota"])
        #expect(plan(files, holds: [hold(16...17)], room: room) { $0.quotaBytes = 35 } == ["f1 quota", "f3 quota"])
        #expect(plan(files, room: room) { $0.quotaBytes = 50 }.isEmpty)
    }

    @Test func whatAgeDeletesCountsForTheQuota() {
        let files = [file(1, endedHoursAgo: 100), file(2, endedHoursAgo: 20), file(3, endedHoursAgo: 10)]
        let room = VolumeRoom(usedBytes: 30)
        #expect(plan(files, room: room) { $0.quotaBytes = 20 } == ["f1 age"])
    }

    @Test func tooLittleFreeSpaceTakesTheOldest() {
        let files = (1...5).map { file(Int64($0), endedHoursAgo: 20 - Int64($0) * 2) }
        let room = VolumeRoom(totalBytes: 1000, freeBytes: 5, usedBytes: 50, isKnown: true)
        #expect(plan(files, room: room) { $0.freeFloorBytes = 20 } == ["f1 free_space", "f2 free_space"])
        var unknown = room
        unknown.isKnown = false
        #expect(plan(files, room: unknown) { $0.freeFloorBytes = 20 }.isEmpty)
    }

    @Test func theFloorIsAtMostATenthOfASmallVolume() {
        #expect(RetentionPlanner.floorBytes(Policy(), VolumeRoom(totalBytes: 1000)) == 100)
        #expect(RetentionPlanner.floorBytes(Policy(), VolumeRoom(totalBytes: 1 << 40)) == 2 << 30)
    }

    @Test func sixHoursAreGrantedAhead() {
        let files = (1...5).map { file(Int64($0), endedHoursAgo: 20 - Int64($0) * 2) }
        let room = VolumeRoom(totalBytes: 1000, freeBytes: 500, usedBytes: 50, aheadBytes: 15, isKnown: true)
        #expect(plan(files, room: room) == ["f1 free_space ahead", "f2 free_space ahead"])
    }

    @Test func theLimitHolds() {
        let files = (1...9).map { file(Int64($0), endedHoursAgo: 200 - Int64($0)) }
        #expect(plan(files, limit: 3) == ["f1 age", "f2 age", "f3 age"])
    }

    @Test func holdsThatTakeTooMuchGiveWayByPriorityThenByAge() {
        let holders = [
            HoldShare.Holder(requestID: "event", priority: 100, acceptedUs: 1, heldBytes: 30),
            HoldShare.Holder(requestID: "old", priority: 0, acceptedUs: 1, heldBytes: 30),
            HoldShare.Holder(requestID: "new", priority: 0, acceptedUs: 2, heldBytes: 30),
            HoldShare.Holder(requestID: "empty", priority: 0, acceptedUs: 3, heldBytes: 0),
        ]
        #expect(HoldShare.evicted(holders, totalBytes: 200).isEmpty)
        #expect(HoldShare.evicted(holders, totalBytes: 100) == ["new"])
        #expect(HoldShare.evicted(holders, totalBytes: 60) == ["new", "old"])
        #expect(HoldShare.evicted(holders, totalBytes: 0).isEmpty)
    }
}
