// A site without a line for a week, in virtual time against the real catalogue: events come all along, uploaders try all along, and
// when the line is back everything goes up, once each and in its order.

import Foundation
import GRDB
import RPC
import Synchronization
import Testing
import Wire

@testable import Indexer

@Suite struct OfflineWeekTests {
    typealias T = TestCatalogue

    private static let cameras = (1...16).map { "cam\($0)" }
    private static let hourS = 3600.0
    private static let weekS = 7 * 24 * hourS
    /// Each camera has an event so often: one in four minutes for the site.
    private static let everyS = hourS
    private static let filesOfAnEvent = 4
    private static let uploaders = ["u1", "u2", "u3"]

    private static func rules() -> ClaimOrder {
        ClaimOrder(
            work: .upload, worker: "", limit: 8, leaseUs: 30 * Micro.second,
            kinds: Set([ItemKind.segment, .snapshot, .clip, .manifest].map(\.rawValue)))
    }

    /// Footage of 40 s before now and an event of each camera; somebody asks for a look twice a day, once with a due time.
    private func happen(_ test: T, atS now: Double) async throws {
        test.now(now)
        try await test.record(
            Self.cameras.flatMap { camera in
                (1...Self.filesOfAnEvent).reversed().map { place in
                    T.segment(now - 10 * Double(place), now - 10 * Double(place - 1), camera: camera)
                }
            })
        let calls = test.requests
        try await withThrowingTaskGroup(of: Void.self) { group in
            for camera in Self.cameras {
                group.addTask {
                    let reply = try await test.event(
                        "\(camera) \(now)", at: now, before: -40_000, after: 0, rule: "alerts",
                        cameras: [T.camera(camera)])
                    #expect(reply.receipt == .accepted)
                }
            }
            try await group.waitForAll()
        }
        let halfDays = now / (12 * Self.hourS)
        guard halfDays == halfDays.rounded() else { return }
        let isDue = Int(halfDays) % 2 == 0
        _ = try await calls.submitArchive(
            SubmitArchiveRequest(
                requestID: "look-\(Int(halfDays))", window: T.window(now - 9, now - 1), cameras: [T.camera("cam1")],
                requestedBy: "ops", delivery: .cloud, mode: .clip, priority: 100,
                dueUs: isDue ? T.us(now + 60) : nil))
    }

    /// The archiver does all that there is.
    private func archive(_ test: T) async throws {
        let left = Mutex(true)
        while left.withLock({ $0 }) {
            try await test.catalogue.write { turn in
                var order = Self.rules()
                (order.work, order.worker, order.limit) = (.archive, "a", 64)
                let items = try turn.claim(order)
                for item in items {
                    _ = try turn.complete(
                        HeldClaim(itemID: Int64(item.itemID ?? 0), epoch: Int64(item.epoch ?? 0)), work: .archive,
                        ItemResult(
                            sizeBytes: Int64(item.sizeBytes ?? 1000), sha256: T.digest(item), archiveVolumeID: "arch"))
                }
                left.withLock { $0 = !items.isEmpty }
            }
        }
    }

    /// Each uploader takes some and finds the storage away.
    private func tryInVain(_ test: T) async throws {
        try await test.catalogue.write { turn in
            for name in Self.uploaders {
                var order = Self.rules()
                order.worker = name
                for item in try turn.claim(order) {
                    let state = try turn.fail(
                        HeldClaim(itemID: Int64(item.itemID ?? 0), epoch: Int64(item.epoch ?? 0)), work: .upload,
                        reason: "the storage does not answer", retryable: true, retryAfterUs: 60 * Micro.second)
                    #expect(state == .archived)
                }
            }
        }
    }

    /// What goes up when the line is back, in its order.
    private func drain(_ test: T) async throws -> [ClaimedItem] {
        var all: [ClaimedItem] = []
        while true {
            let items = try await test.catalogue.write { turn in
                var order = Self.rules()
                (order.worker, order.limit) = ("u1", 64)
                let items = try turn.claim(order)
                for item in items {
                    _ = try turn.complete(
                        HeldClaim(itemID: Int64(item.itemID ?? 0), epoch: Int64(item.epoch ?? 0)), work: .upload,
                        ItemResult(blobURL: "https://a.blob/c/x"))
                }
                return items
            }
            if items.isEmpty { return all }
            all += items
        }
    }

    private func count(_ test: T, _ sql: String) async throws -> Int64 {
        try await test.catalogue.read { db in try db.number(sql) ?? 0 }
    }

    /// Statements that an uploader's claim runs.
    private func statementsOfAClaim(_ test: T) async throws -> Int {
        let asked = Mutex(0)
        try await test.catalogue.write { turn in
            turn.db.trace { _ in asked.withLock { $0 += 1 } }
            defer { turn.db.trace(options: []) }
            let before = try turn.claim(Self.rules())
            for item in before {
                _ = try turn.fail(
                    HeldClaim(itemID: Int64(item.itemID ?? 0), epoch: Int64(item.epoch ?? 0)), work: .upload,
                    reason: "away", retryable: true, retryAfterUs: Micro.second)
            }
        }
        return asked.withLock { $0 }
    }

    @Test func afterAWeekWithoutALineNothingIsForgottenAndTheOrderHolds() async throws {
        let test = try T { $0.keptChanges = 5000 }
        var now = 0.0
        var events = 0
        var first: Int?
        while now < Self.weekS {
            try await happen(test, atS: now)
            events += Self.cameras.count
            try await archive(test)
            try await tryInVain(test)
            // Back-offs end, as the timer sees it.
            test.now(now + 61)
            try await test.tick()
            if first == nil { first = try await statementsOfAClaim(test) }
            test.now(now + 70)
            try await test.tick()
            now += Self.everyS
        }
        test.now(now)
        // What happens last goes first.
        try await test.record([T.segment(now - 20, now - 10, camera: "cam1")])
        try await test.event(
            "urgent", at: now - 10, before: -10_000, after: 0, rule: "alarm", cameras: [T.camera("cam1")], priority: 200
        )
        try await archive(test)

        let looks = 14
        let files = Self.filesOfAnEvent * events + looks + 1
        #expect(files > 10_000)
        let offline = try await test.uploads(limit: 1)
        #expect(offline.waitingFiles == UInt64(files) && offline.setAsideFiles == 0 && offline.activeFiles == 0)
        #expect(offline.oldestUs == T.us(0))
        #expect(offline.items.first?.priority == 200)
        // Rows: one for each file and manifest, one hold for each open request, and nothing for all the attempts.
        #expect(try await count(test, "SELECT COUNT(*) FROM items") == Int64(files + events + looks + 1))
        #expect(try await count(test, "SELECT COUNT(*) FROM holds") == Int64(events + looks + 1))
        #expect(try await count(test, "SELECT COUNT(*) FROM changes") <= 6000)
        #expect(try await count(test, "SELECT COUNT(*) FROM items WHERE work > 0 AND ready_us > 0") == 0)
        #expect(try await count(test, "SELECT MAX(epoch) FROM items") > 150, "the oldest were tried all along")
        // A claim does as much as it did in the first hour; each thousandth change cuts old ones off.
        #expect(try await statementsOfAClaim(test) <= (first ?? 0) + 1)
        test.now(now + 70)
        try await test.tick()

        let sent = try await drain(test)
        #expect(sent.count == files + events + looks + 1, "each file and each manifest, once")
        #expect(Set(sent.map(\.itemID)).count == sent.count)
        let media = sent.filter { $0.kind != .manifest }
        #expect(media.first?.window == T.window(now - 20, now - 10))
        let segments = media.dropFirst().filter { $0.kind == .segment }.map(\.itemID)
        #expect(segments.count == Self.filesOfAnEvent * events)
        #expect(segments == segments.sorted { ($0 ?? 0) < ($1 ?? 0) }, "events, the oldest first")
        let rounds = media.dropFirst().filter { $0.kind == .segment }.map { item in
            Int((T.seconds(item.window?.endUs) / Self.everyS).rounded())
        }
        #expect(rounds == rounds.sorted())
        #expect(media.suffix(looks).allSatisfy { $0.kind == .clip }, "events before what somebody only looks at")
        let order = media.suffix(looks).map { T.seconds($0.window?.startUs) / (12 * Self.hourS) }.map {
            Int($0.rounded())
        }
        #expect(
            order == (0..<looks).filter { $0 % 2 == 0 } + (0..<looks).filter { $0 % 2 == 1 },
            "what is due, then the rest"
        )
        #expect(try await count(test, "SELECT COUNT(*) FROM requests WHERE state <> 5") == 0, "all are done")
        let online = try await test.uploads()
        #expect(online.waitingFiles == 0 && online.waitingBytes == 0 && online.items.isEmpty)
        #expect(try await test.problems().isEmpty)
    }
}
