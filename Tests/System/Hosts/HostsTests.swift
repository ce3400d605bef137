// What must hold of 24 cameras and three controllers on hosts of their own: one that dies, stands still or is cut off leaves its cameras
// without footage for 5 s and the wait for a keyframe at most; one that comes back, or is stopped for an upgrade, for no moment; a
// registry that is away changes nothing; and a run that was started by command is the same run all the time.

import Foundation
import Harness
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: HostNetwork.isAllowed, "network namespaces need root"))
struct HostsTests {
    /// One site for all of it, because putting it up and looking at its footage takes longer than most of what is done to it.
    @Test func camerasAreRecordedWhateverHappensToTheirControllers() async throws {
        try await play { story in
            try await oneDiesAndComesBack(story)
            try await oneStandsStill(story)
            try await oneIsCutOff(story)
            try await theRegistryIsCutOff(story)
            try await allAreRestartedInTurn(story)
        } verdict: { verdict in
            // What waits in the sockets of one that stands still, or is cut off, may come later; what one that dies had, does not.
            #expect((verdict.gaps["kill"] ?? 0) > 0)
        }
    }

    private func oneDiesAndComesBack(_ story: Story) async throws {
        let (victim, cameras) = try await story.holder()
        try await story.event("kill", mayMiss: cameras) {
            try await story.site.process(victim).kill()
            try await story.site.balanced(Self.others(victim))
        }
        try await story.event("return") {
            try story.site.startController(victim)
            try await story.site.balanced()
        }
    }

    private func oneStandsStill(_ story: Story) async throws {
        let (victim, cameras) = try await story.holder()
        try await story.event("pause", mayMiss: cameras) {
            try story.site.process(victim).signal(SIGSTOP)
            try await story.site.balanced(Self.others(victim))
            try story.site.process(victim).signal(SIGCONT)
            try await story.site.balanced()
        }
    }

    private func oneIsCutOff(_ story: Story) async throws {
        let network = story.site.network
        let (victim, cameras) = try await story.holder()
        try await story.event("host cut off", mayMiss: cameras) {
            for link in HostNetwork.Link.allCases { try await network.set(victim, link, isUp: false) }
            try await story.site.balanced(Self.others(victim))
            for link in HostNetwork.Link.allCases { try await network.set(victim, link, isUp: true) }
            try await story.site.balanced()
        }
        // From the registry alone: it records on, and so does another.
        let (other, held) = try await story.holder()
        try await story.event("controller cut off from the registry") {
            try await network.set(other, .control, isUp: false)
            try await story.site.balanced(Self.others(other))
            #expect(try await story.site.recorded(by: other).count == held.count, "it records on")
            try await network.set(other, .control, isUp: true)
            try await story.site.balanced()
        }
    }

    /// Nothing moves, however long it takes.
    private func theRegistryIsCutOff(_ story: Story) async throws {
        let before = try await story.site.holders().mapValues { Set($0.compactMap(\.device)) }
        try await story.event("registry cut off") {
            let sinceUs = ThreeControllers.nowUs()
            let known = ThreeControllers.controllers.map { story.site.timesWithoutRegistry($0) }
            try await story.site.network.set("core", .control, isUp: false)
            // For longer than a lease.
            try await eventually("everybody notices", within: .seconds(20)) {
                let now = ThreeControllers.controllers.map { story.site.timesWithoutRegistry($0) }
                let haveNoticed = zip(now, known).allSatisfy { $0 > $1 }
                return haveNoticed && ThreeControllers.nowUs() - sinceUs > 4_000_000 ? true : nil
            }
            try await story.site.network.set("core", .control, isUp: true)
            try await story.site.balanced()
        }
        #expect(try await story.site.holders().mapValues { Set($0.compactMap(\.device)) } == before)
    }

    private func allAreRestartedInTurn(_ story: Story) async throws {
        for name in ThreeControllers.controllers {
            try await story.event("restart of \(name)") {
                let process = try story.site.process(name)
                process.signal(SIGTERM)
                #expect(try await process.exitCode(within: .seconds(20)) == 0)
                try await story.site.balanced(Self.others(name))
                try story.site.startController(name)
                try await story.site.balanced()
            }
        }
    }

    // MARK: Parts

    /// What is done to a site, in order.
    private actor Story {
        let site: ThreeControllers
        let run: String
        private(set) var events: [Event] = []

        init(_ site: ThreeControllers, run: String) { (self.site, self.run) = (site, run) }

        /// Does something. Only `mayMiss` may have a gap by it; the run by command is the same afterwards.
        func event(_ name: String, mayMiss cameras: [SourceName] = [], _ body: () async throws -> Void) async throws {
            let sinceUs = ThreeControllers.nowUs()
            try await body()
            events.append(
                Event(name: name, cameras: Set(cameras), fromUs: sinceUs, toUs: ThreeControllers.nowUs()))
            let status = try await site.commandedStatus()
            #expect(status?.runID == run && status?.state == .running, "the run by command after \(name)")
        }

        /// The one that has the camera whose run was started by command, and all that it has.
        func holder() async throws -> (String, [SourceName]) {
            let found = try await site.holders().first { $0.value.contains(ThreeControllers.source(0)) }
            guard let found else { throw HarnessError("nobody has \(ThreeControllers.source(0))") }
            return (found.key, found.value)
        }
    }

    private static func others(_ name: String) -> [String] { ThreeControllers.controllers.filter { $0 != name } }

    private func play(
        _ body: (Story) async throws -> Void, verdict check: (FootageVerdict) -> Void = { _ in }
    ) async throws {
        let site = try await ThreeControllers()
        do {
            try await site.apply()
            let story = Story(site, run: try await site.command())
            try await site.balanced()
            let fromUs = ThreeControllers.nowUs()
            try await body(story)
            check(try await judge(site, await story.events, fromUs: fromUs))
        } catch {
            Issue.record("\(error)\n\(site.logs)")
        }
        try await site.end()
    }

    private func judge(_ site: ThreeControllers, _ events: [Event], fromUs: Int64) async throws -> FootageVerdict {
        let toUs = ThreeControllers.nowUs()
        var verdict = FootageVerdict()
        for number in 0..<ThreeControllers.cameraCount {
            let files = try await eventually("the catalogue has all of camera \(number)", within: .seconds(30)) {
                let files = try await site.footage(number)
                return (files.last?.endUs ?? 0) >= toUs ? files : nil
            }
            verdict.look(at: ThreeControllers.source(number), files, events: events, coverUs: fromUs..<toUs)
        }
        for event in events {
            let gap = verdict.gaps[event.name].map { "longest gap \(Double($0) / 1e6) s" } ?? "no gap"
            print("hosts: \(event.name), \(Double(event.toUs - event.fromUs) / 1e6) s: \(gap)")
        }
        print("hosts: longest seam elsewhere \(Double(verdict.longestSeamUs) / 1e6) s")
        #expect(verdict.complaints == [])
        return verdict
    }
}
