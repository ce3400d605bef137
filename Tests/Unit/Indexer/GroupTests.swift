// Jobs that share a commit: one that fails undoes its part and no other's, and each that succeeds is stored once.

import GRDB
import RPC
import Testing

@testable import Indexer

@Suite struct GroupTests {
    @Test func aJobThatFailsUndoesItsPartAlone() async throws {
        let test = try TestCatalogue()
        // They come at once, so that they wait for one commit; how many share one is not ours to say.
        let failed = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask {
                    do {
                        try await test.catalogue.write { turn in
                            try turn.run(
                                "INSERT INTO sources (device, endpoint) VALUES (?, 'main')", ["device-\(number)"])
                            if number % 50 == 7 { throw RPCError.internal("no") }
                            // A row that the schema refuses.
                            if number % 50 == 8 {
                                try turn.run("INSERT INTO sources (device, endpoint) VALUES (NULL, 'main')")
                            }
                        }
                        return false
                    } catch is RPCError {
                        return true
                    }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(failed == 8)
        let stored = try await test.catalogue.read { db in try String.fetchAll(db, sql: "SELECT device FROM sources") }
        let due = (0..<200).filter { ![7, 8].contains($0 % 50) }.map { "device-\($0)" }
        #expect(stored.sorted() == due.sorted())
    }

    @Test func aJobThatFailsAloneLeavesNothing() async throws {
        let test = try TestCatalogue()
        await #expect(throws: RPCError.self) {
            try await test.catalogue.write { turn in
                try turn.run("INSERT INTO sources (device, endpoint) VALUES ('device', 'main')")
                throw RPCError.internal("no")
            }
        }
        #expect(try await test.catalogue.read { try $0.number("SELECT COUNT(*) FROM sources") } == 0)
    }
}
