// The books of the uploads: their order, their totals, how far they are.

import Foundation
import GRDB
import RPC
import Synchronization
import Testing
import Wire

@testable import Indexer

/// What was recorded of `cam1` in 60 s, archived for one request after the other and waiting for an uploader.
func uploadsWaiting(_ requests: [String]) async throws -> TestCatalogue {
    let test = try TestCatalogue()
    try await test.recordFootage(Double(-10 * requests.count), 0)
    for (index, id) in requests.enumerated() {
        let start = Double(10 * (index - requests.count))
        try await test.archive(id, start, start + 10, delivery: .cloud)
    }
    try await test.work(.archive)
    return test
}

extension TestCatalogue {
    func uploads(
        setAsideOnly: Bool? = nil, limit: UInt32? = nil, after token: String? = nil
    ) async throws -> ListUploadsReply {
        try await uploads.listUploads(
            ListUploadsRequest(setAsideOnly: setAsideOnly, limit: limit, pageToken: token))
    }

    @discardableResult func fail(
        _ item: ClaimedItem, _ work: Work = .upload, retryable: Bool = true, retryAfterMs: UInt32? = nil,
        _ reason: String = "the storage is away"
    ) async throws -> ItemState? {
        try await claims.failItem(
            FailItemRequest(
                claim: ItemClaim(itemID: item.itemID, epoch: item.epoch), work: work, worker: "w", reason: reason,
                retryable: retryable, retryAfterMs: retryAfterMs)
        ).state
    }

    /// What the catalogue's own check finds.
    func problems() async throws -> [String] {
        try await CheckCalls(longReads: LongReads(catalogue: catalogue)).checkCatalogue(CheckCatalogueRequest())
            .problems
    }
}

@Suite struct UploadOrderTests {
    typealias T = TestCatalogue

    /// Requests in the order in which they are made, one file each; what goes up comes by priority, then events, then due time,
    /// then age.
    @Test func eventsGoBeforeRoutineThenWhatIsDueThenTheOldest() async throws {
        let test = try T()
        try await test.recordFootage(-80, 0)
        func ask(_ id: String, _ slot: Double, priority: Int32, due: Double? = nil) async throws {
            try await test.archive(
                id, -10 * slot, -10 * slot + 10, delivery: .cloud, priority: priority, due: due.map(T.us))
        }
        func happen(_ key: String, _ slot: Double, priority: Int32, due: Double? = nil) async throws {
            try await test.event(
                key, at: -10 * slot, before: 0, after: 10_000, rule: key, priority: priority, due: due.map(T.us))
        }
        try await ask("routine", 1, priority: 50)
        try await ask("routine-due-late", 2, priority: 50, due: 500)
        try await ask("routine-due-soon", 3, priority: 50, due: 300)
        try await happen("event", 4, priority: 50)
        try await happen("event due", 5, priority: 50, due: 900)
        try await ask("low", 6, priority: 0, due: 1)
        try await happen("urgent", 7, priority: 100)
        try await ask("second-routine", 8, priority: 50)
        let order = [7, 5, 4, 3, 2, 1, 8, 6].map { -10 * Double($0) }
        // The archive is filled in this order, too.
        let archived = try await test.claim(.archive, limit: 64)
        #expect(archived.map { T.seconds($0.window?.startUs) } == order)
        for item in archived { try await test.complete(item, .archive) }
        let listed = try await test.uploads().items.filter { $0.kind == .segment }
        let claimed = try await test.claim(.upload, limit: 64)
        #expect(claimed.map { T.seconds($0.window?.startUs) } == order)
        #expect(listed.map(\.itemID) == claimed.map(\.itemID), "shown as they go up")
        #expect(listed.map { T.seconds($0.dueUs) }.filter { $0 > 0 } == [900, 300, 500, 1])
        #expect(listed.map(\.priority) == [100, 50, 50, 50, 50, 50, 50, 0])
    }

    @Test func aSharedFileHasTheEarliestDueTimeAndTheHighestPriorityOfItsRequests() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("never", -20, -10, delivery: .cloud, priority: 10)
        try await test.archive("late", -20, -10, delivery: .cloud, priority: 0, due: T.us(200))
        try await test.archive("soon", -20, -10, delivery: .cloud, priority: 5, due: T.us(100))
        try await test.work(.archive)
        let item = try #require(try await test.uploads().items.first)
        #expect(item.dueUs == T.us(100) && item.priority == 10)
        #expect(item.requestIDs == ["late", "never", "soon"])
        let shown = try await test.request("late")
        #expect(shown.dueUs == T.us(200))
        #expect(try await test.request("never").dueUs == nil)
    }

    @Test func anExtensionKeepsTheEarliestDueTime() async throws {
        let test = try T()
        for (key, due, expected) in [("a", nil, nil), ("b", 90, 90), ("c", 300, 90), ("d", 60, 60), ("e", nil, 60)]
            as [(String, Double?, Double?)]
        {
            let reply = try await test.event(key, at: 0, due: due.map(T.us))
            #expect(reply.request?.dueUs == expected.map(T.us), "\(key)")
        }
    }

    @Test func noDueTimeMeansNoneAndAWrongOneIsRefused() async throws {
        let test = try T()
        #expect(try await test.archive("r", -20, -10, due: 0).request?.dueUs == nil)
        for due in [-1, Int64.min, .max] {
            await #expect {
                try await test.archive("x", -20, -10, due: due)
            } throws: {
                ($0 as? RPCError)?.field == "due_us"
            }
        }
    }

    /// What waited when the catalogue had neither due times nor totals.
    @Test func aCatalogueOfAnOlderSchemaKeepsItsQueue() throws {
        let database = try DatabaseQueue()
        try Schema.migrator.migrate(database, upTo: "4-clips")
        try database.write { db in
            for (id, rule) in [("event", "'alerts'"), ("look", "NULL")] {
                try db.execute(
                    sql: """
                        INSERT INTO requests (request_id, state, start_us, end_us, maximum_end_us, delivery, mode, kinds, priority,
                          requested_by, why, rule, camera_key, accepted_us)
                        VALUES ('\(id)', 4, 1, 2, 2, 2, 1, 1, 50, '', '', \(rule), '', 1)
                        """)
            }
            // Waits, is on its way, is to be archived, was set aside after and before it was archived.
            for (id, state, work, worker, archived) in [
                (1, 4, 2, "NULL", "5"), (2, 4, 2, "'u'", "5"), (3, 1, 1, "NULL", "NULL"), (4, 8, 0, "NULL", "5"),
                (5, 8, 0, "NULL", "NULL"),
            ] {
                try db.execute(
                    sql: """
                        INSERT INTO items (item_id, kind, state, camera, start_us, end_us, archive_path, archive_stem, size_bytes,
                          work, priority, worker, created_us, archived_us)
                        VALUES (\(id), 1, \(state), 'c', 1, 2, 'p\(id)', 's\(id)', 100, \(work), 50, \(worker), 1, \(archived))
                        """)
            }
            try db.execute(
                sql: "INSERT INTO request_items SELECT 'look', item_id, 0, 1 FROM items WHERE item_id <> 4")
            try db.execute(sql: "INSERT INTO request_items SELECT 'event', item_id, 0, 1 FROM items WHERE item_id > 1")
        }
        try Schema.migrator.migrate(database)
        try database.read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT is_routine, due_us FROM items ORDER BY item_id")
            #expect(rows.map { $0["is_routine"] as Int } == [1, 0, 0, 0, 0])
            #expect(rows.allSatisfy { $0["due_us"] == Schema.neverDueUs })
            let totals = try Row.fetchOne(db, sql: "SELECT * FROM item_totals")
            #expect(totals.map { Array($0.databaseValues) } == [1, 1, 2, 200, 1, 100, 1, 100].map(\.databaseValue))
        }
    }

    /// Statements of the queue, the list and the totals look things up; none walks all items or sorts them.
    @Test func noStatementOfTheQueueReadsAllItems() async throws {
        let test = try await uploadsWaiting((1...20).map { "r\($0)" })
        let claimed = try await test.claim(.upload, limit: 5)
        for item in claimed.prefix(2) { try await test.complete(item, .upload) }
        try await test.fail(claimed[2], retryable: false)
        let asked = Mutex<[String]>([])
        _ = try await test.catalogue.write { [progress = test.progress, clock = test.clock] turn in
            turn.db.trace { event in
                if case .statement(let statement) = event { asked.withLock { $0.append(statement.expandedSQL) } }
            }
            defer { turn.db.trace(options: []) }
            _ = try turn.db.hasWork(.upload, nowUs: clock.nowUs())
            _ = try turn.claim(ClaimOrder(work: .upload, worker: "w", limit: 2, leaseUs: Micro.second, kinds: []))
            var reply = try turn.db.uploadTotals(nowUs: clock.nowUs())
            let middle = UploadPlace.Key(priority: 50, isRoutine: true, itemID: 3)
            for part in [UploadPlace.Part.active, .waiting, .aside] {
                for last in [nil, middle] {
                    var place = UploadPlace(part)
                    place.last = last
                    try turn.db.listUploads(from: place, limit: 100, nowUs: clock.nowUs(), progress, into: &reply)
                    reply.items = []
                }
            }
            try turn.expireClaims()
            return try turn.db.nextDueUs()
        }
        let plans = try await test.catalogue.read { db in
            try Set(asked.withLock { $0 }.filter { $0.hasPrefix("SELECT") && $0.contains("items") }).map { sql in
                (sql, try db.rows("EXPLAIN QUERY PLAN " + sql).map { $0["detail"] as String })
            }
        }
        #expect(plans.count > 15)
        for (sql, plan) in plans {
            // An index of one part of the items may be walked from its beginning: the statements have a limit. The few rows of
            // one item may be sorted.
            let isOfOneItem = sql.contains("WHERE item_id = ")
            let isGood = plan.allSatisfy { step in
                (isOfOneItem || !step.contains("TEMP B-TREE"))
                    && (step.contains("USING") || step.contains("item_totals") || step.contains("TEMP B-TREE"))
            }
            #expect(isGood, "\(sql)\n\(plan)")
        }
    }
}

@Suite struct UploadListTests {
    typealias T = TestCatalogue

    @Test func totalsFollowEachStepOfAFile() async throws {
        let test = try await uploadsWaiting(["r1", "r2", "r3"])
        var reply = try await test.uploads()
        #expect(reply.waitingFiles == 3 && reply.waitingBytes == 3000 && reply.activeFiles == 0)
        #expect(reply.oldestUs == T.startUs && reply.newestUploadedUs == nil)
        test.now(5)
        let claimed = try await test.claim(.upload, limit: 2)
        reply = try await test.uploads()
        #expect(reply.waitingFiles == 3 && reply.activeFiles == 2 && reply.activeBytes == 2000)
        try await test.complete(claimed[0], .upload)
        try await test.fail(claimed[1], retryable: false, "refused: 403")
        reply = try await test.uploads()
        // The first one's manifest waits too.
        #expect(reply.waitingFiles == 2 && reply.activeFiles == 0 && reply.activeBytes == 0)
        #expect(reply.setAsideFiles == 1 && reply.setAsideBytes == 1000)
        #expect(reply.minuteFiles == 1 && reply.minuteBytes == 1000 && reply.hourFiles == 1)
        #expect(reply.newestUploadedUs == T.us(5))
        test.now(66)
        reply = try await test.uploads()
        #expect(reply.minuteFiles == 0 && reply.hourFiles == 1 && reply.hourBytes == 1000)
        test.now(3606)
        #expect(try await test.uploads().hourFiles == 0)
        #expect(try await test.problems().isEmpty)
        _ = try await test.requests.cancelRequest(CancelRequestRequest(requestID: "r3"), caller: "ops")
        #expect(try await test.uploads().waitingFiles == 1, "what nobody wants does not wait")
        #expect(try await test.problems().isEmpty)
    }

    @Test func anAbandonedClaimIsNotActiveAnyMore() async throws {
        let test = try await uploadsWaiting(["r1"])
        _ = try await test.claim(.upload)
        test.now(31)
        try await test.tick()
        let reply = try await test.uploads()
        #expect(reply.activeFiles == 0 && reply.waitingFiles == 1)
        #expect(reply.items.first?.worker == nil && reply.items.first?.error == "w did not renew its claim")
        #expect(try await test.problems().isEmpty)
    }

    @Test func thoseOnTheirWayComeFirstWithWhatTheirUploaderSaid() async throws {
        let test = try await uploadsWaiting(["r1", "r2", "r3"])
        let claimed = try await test.claim(.upload, limit: 2)
        // The first of the queue backs off.
        try await test.fail(claimed[0], retryAfterMs: 60_000)
        func renew(_ bytes: UInt64?) async throws {
            _ = try await test.claims.renewClaims(
                RenewClaimsRequest(
                    worker: "w",
                    claims: [ItemClaim(itemID: claimed[1].itemID, epoch: claimed[1].epoch, doneBytes: bytes)],
                    leaseMs: 30_000))
        }
        #expect(try await test.uploads().items.first?.sentBytes == 0, "it has begun, and has said nothing yet")
        for (said, shown) in [(400, 400), (nil, 400), (5000, 1000)] as [(UInt64?, UInt64)] {
            try await renew(said)
            let items = try await test.uploads().items
            #expect(items.map(\.itemID) == [claimed[1].itemID, claimed[0].itemID, items[2].itemID])
            #expect(items[0].sentBytes == shown && items[0].worker == "w")
            #expect(items[1].sentBytes == nil && items[1].worker == nil)
            #expect(items[1].retryUs == T.us(60) && items[1].error == "the storage is away")
            #expect(items[2].retryUs == nil && items[2].error == nil)
        }
        // Who lost the claim says nothing of the next one.
        test.now(31)
        let again = try await test.claim(.upload, limit: 2)
        try await renew(700)
        #expect(again.contains { $0.itemID == claimed[1].itemID })
        #expect(try await test.uploads().items.allSatisfy { $0.sentBytes ?? 0 == 0 })
    }

    @Test func aRenewalThatSaysHowFarItIsChangesNoTotalAndNoChange() async throws {
        let test = try await uploadsWaiting(["r1"])
        let item = try #require(try await test.claim(.upload).first)
        let before = try await test.queries.changes(IndexerChangesRequest(after: 0, limit: 1)).newest
        let reply = try await test.claims.renewClaims(
            RenewClaimsRequest(
                worker: "w", claims: [ItemClaim(itemID: item.itemID, epoch: item.epoch, doneBytes: 10)]))
        #expect(reply.lost.isEmpty)
        #expect(try await test.queries.changes(IndexerChangesRequest(after: 0, limit: 1)).newest == before)
    }

    @Test(arguments: [1, 2, 3, 7, 100] as [UInt32]) func pagesShowEachFileOnce(limit: UInt32) async throws {
        let test = try await uploadsWaiting((1...12).map { "r\($0)" })
        let claimed = try await test.claim(.upload, limit: 6)
        for item in claimed.prefix(3) { try await test.fail(item, retryable: false) }
        let all = try await test.uploads(limit: 1000)
        #expect(
            all.items.map { $0.worker == nil ? ($0.state == .poisoned ? 2 : 1) : 0 } == [0, 0, 0]
                + Array(repeating: 1, count: 6) + [2, 2, 2])
        #expect(all.nextPageToken == nil)
        var paged: [UploadItem] = []
        var token: String?
        repeat {
            let page = try await test.uploads(limit: limit, after: token)
            #expect(page.items.count <= Int(limit) && page.waitingFiles == all.waitingFiles)
            paged += page.items
            token = page.nextPageToken
            #expect((token?.utf8.count ?? 0) <= 128)
        } while token != nil
        #expect(paged == all.items)
        var aside: [UploadItem] = []
        repeat {
            let page = try await test.uploads(setAsideOnly: true, limit: limit, after: token)
            aside += page.items
            token = page.nextPageToken
        } while token != nil
        #expect(aside == Array(all.items.suffix(3)))
        #expect(aside.allSatisfy { $0.error == "the storage is away" && $0.state == .poisoned })
        let none = try await test.uploads(limit: 0)
        #expect(none.items.isEmpty && none.nextPageToken == nil && none.waitingFiles == 9)
    }

    @Test(arguments: ["", "x", "w:", "w:1:0:2", "w:1:2:3:4", "w:1:0:3:x", "a:1:0:3:4:5", "q:1:0:3:4"])
    func aTokenThatNoReplyGaveIsRefused(token: String) async throws {
        let test = try T()
        await #expect {
            try await test.uploads(after: token)
        } throws: {
            ($0 as? RPCError)?.field == "page_token"
        }
    }
}
