// The life of a request as facts and states.

import Testing
import Wire

@testable import Indexer

@Suite struct RequestMachineTests {
    private static func facts(
        cameras: Int = 1, fixed: Int = 1, _ items: [ItemProgress: Int] = [:], manifest: ManifestProgress = .none,
        gaps: Bool = false, because: [String] = []
    ) -> RequestFacts {
        RequestFacts(
            cameras: cameras, fixedCameras: fixed, items: items, manifest: manifest, hasGaps: gaps, shortfalls: because)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        var from: RequestState = .copying
        var delivery: Delivery = .cloud
        let facts: RequestFacts
        let to: RequestState
        var actions: [RequestAction] = []
        var testDescription: String { name }
    }

    static let table: [Row] = [
        Row(name: "waits for footage", from: .accepted, facts: facts(fixed: 0), to: .waiting),
        Row(name: "goes on waiting", from: .waiting, facts: facts(cameras: 2, fixed: 1), to: .waiting),
        Row(
            name: "nothing recorded at all fails", from: .accepted, facts: facts(cameras: 2, fixed: 2), to: .failed,
            actions: [.finish]),
        Row(
            name: "copies what one camera has while another waits", from: .waiting,
            facts: facts(cameras: 2, fixed: 1, [.open: 3]), to: .copying),
        Row(
            name: "no manifest before all cameras are fixed", facts: facts(cameras: 2, fixed: 1, [.archived: 3]),
            to: .copying),
        Row(name: "no manifest while a file is open", facts: facts([.open: 1, .archived: 2]), to: .copying),
        Row(
            name: "shared files that are archived already lead straight to the manifest", from: .accepted,
            facts: facts([.archived: 2]), to: .copying, actions: [.makeManifest]),
        Row(name: "waits for the manifest", facts: facts([.archived: 2], manifest: .open), to: .copying),
        Row(
            name: "delivery archive ends with the manifest", delivery: .archive,
            facts: facts([.archived: 2], manifest: .archived), to: .done, actions: [.finish]),
        Row(name: "delivery cloud uploads", facts: facts([.archived: 2], manifest: .archived), to: .uploading),
        Row(
            name: "the manifest follows its media", from: .uploading,
            facts: facts([.delivered: 2], manifest: .archived), to: .uploading, actions: [.uploadManifest]),
        Row(
            name: "a file not in the cloud holds the manifest back", from: .uploading,
            facts: facts([.delivered: 2, .archived: 1], manifest: .archived), to: .uploading),
        Row(
            name: "all in the cloud is done", from: .uploading, facts: facts([.delivered: 2], manifest: .delivered),
            to: .done, actions: [.finish]),
        Row(
            name: "a volume that uploads by itself is done at once",
            facts: facts([.delivered: 2], manifest: .delivered),
            to: .done, actions: [.finish]),
        Row(
            name: "gaps make it partial", from: .uploading,
            facts: facts([.delivered: 2], manifest: .delivered, gaps: true), to: .partial, actions: [.finish]),
        Row(
            name: "a poisoned file makes it partial, the manifest is made", facts: facts([.archived: 1, .poisoned: 1]),
            to: .copying, actions: [.makeManifest]),
        Row(
            name: "a poisoned file makes it partial in the end", from: .uploading,
            facts: facts([.delivered: 1, .poisoned: 1], manifest: .delivered), to: .partial, actions: [.finish]),
        Row(name: "all files poisoned fails", facts: facts([.poisoned: 2]), to: .failed, actions: [.finish]),
        Row(
            name: "no upload succeeded fails", from: .uploading,
            facts: facts([.poisonedUpload: 2], manifest: .archived), to: .failed, actions: [.finish]),
        Row(
            name: "a failed upload of another request does not matter to an archived one", delivery: .archive,
            facts: facts([.poisonedUpload: 1], manifest: .archived), to: .done, actions: [.finish]),
        Row(
            name: "a poisoned manifest makes it partial", from: .uploading,
            facts: facts([.delivered: 2], manifest: .poisoned), to: .partial, actions: [.finish]),
        Row(name: "nothing leaves done", from: .done, facts: facts([.open: 2]), to: .done),
        Row(name: "nothing leaves cancelled", from: .cancelled, facts: facts([.delivered: 2]), to: .cancelled),
    ]

    @Test(arguments: table) func followsTheTable(_ row: Row) {
        var machine = RequestMachine(state: row.from, delivery: row.delivery)
        let actions = machine.advance(row.facts, nowUs: 7)
        #expect(machine.state == row.to)
        #expect(actions == row.actions)
        #expect((machine.finishedUs == 7) == (actions.contains(.finish)))
    }

    @Test func theReasonNamesWhatIsMissing() {
        var machine = RequestMachine(delivery: .cloud)
        _ = machine.advance(Self.facts(because: ["cam2: not recorded", "x"]), nowUs: 1)
        #expect(machine.reason == "cam2: not recorded; x")
        var bare = RequestMachine(delivery: .cloud)
        _ = bare.advance(Self.facts(), nowUs: 1)
        #expect(bare.reason == "not recorded")
    }

    @Test func firstTimesAreKept() {
        var machine = RequestMachine(delivery: .cloud)
        _ = machine.advance(Self.facts([.open: 1]), nowUs: 10)
        _ = machine.advance(Self.facts([.archived: 1], manifest: .archived), nowUs: 20)
        _ = machine.advance(Self.facts([.delivered: 1], manifest: .delivered), nowUs: 30)
        #expect([machine.copyingUs, machine.archivedUs, machine.finishedUs] == [10, 20, 30])
    }

    @Test func cancelEndsAnOpenRequestOnce() {
        var machine = RequestMachine(state: .copying, delivery: .cloud)
        let isCancelled1 = machine.cancel(by: "ops", nowUs: 5)
        #expect(isCancelled1)
        #expect(machine.state == .cancelled)
        let isCancelled2 = machine.cancel(by: "ops", nowUs: 6)
        #expect(!isCancelled2)
        #expect(machine.finishedUs == 5)
    }

    @Test func evictionIsPartialWhereSomethingWasDelivered() {
        var some = RequestMachine(state: .copying, delivery: .cloud)
        let isEvicted3 = some.evict(nowUs: 5, because: "full", facts: Self.facts([.archived: 1, .open: 1]))
        #expect(isEvicted3)
        #expect(some.state == .partial)
        #expect(some.reason == "evicted: full")
        var none = RequestMachine(state: .waiting, delivery: .cloud)
        let isEvicted4 = none.evict(nowUs: 5, because: "full", facts: Self.facts(fixed: 0))
        #expect(isEvicted4)
        #expect(none.state == .failed)
    }
}
