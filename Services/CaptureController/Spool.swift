// The durable queue of records on their way to the indexer: rows of `spool`, oldest first, gone when acknowledged.
import Foundation
import GRDB
import RPC
import Wire

struct Spool: Sendable {
    let store: StateStore
    /// Rows that may wait. Beyond it the oldest are dropped: files rebuild their own records when the volume is reconciled.
    let bound: Int

    /// Appends records in their order. Returns how many old ones were dropped for them. Blocks: call it on an own thread.
    func append(_ records: [MediaRecord]) throws -> Int {
        try store.database.write { database in
            for record in records {
                try database.execute(
                    sql: "INSERT INTO spool (record) VALUES (?)", arguments: [record.withinBounds.encoded().data])
            }
            let waiting = try Int.fetchOne(database, sql: "SELECT count(*) FROM spool") ?? 0
            guard waiting > bound else { return 0 }
            try database.execute(
                sql: "DELETE FROM spool WHERE id IN (SELECT id FROM spool ORDER BY id LIMIT ?)",
                arguments: [waiting - bound])
            return waiting - bound
        }
    }

    /// The oldest records, with their ids set: at most `limit`, and at most `maximumBytes` together (but always one).
    func oldest(limit: Int, maximumBytes: Int) async throws -> [MediaRecord] {
        try await store.database.read { database in
            var records: [MediaRecord] = []
            var bytes = 0
            let rows = try Row.fetchCursor(
                database, sql: "SELECT id, record FROM spool ORDER BY id LIMIT ?", arguments: [limit])
            while let row = try rows.next() {
                let data: [UInt8] = [UInt8](row["record"] as Foundation.Data? ?? Foundation.Data())
                let id: Int64 = row["id"]
                // A damaged row is sent empty: the indexer rejects it by its id, and it is logged and forgotten.
                var record = (try? MediaRecord(wire: data)) ?? MediaRecord()
                record.spoolID = UInt64(id)
                bytes += data.count + 16
                if !records.isEmpty, bytes > maximumBytes { break }
                records.append(record)
            }
            return records
        }
    }

    /// Forgets records that the indexer has, or will never take.
    func remove(_ ids: [UInt64]) async throws {
        try await store.database.write { database in
            for id in ids {
                try database.execute(sql: "DELETE FROM spool WHERE id = ?", arguments: [Int64(clamping: id)])
            }
        }
    }

    /// How many wait.
    func count() async throws -> Int {
        try await store.database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM spool") ?? 0 }
    }
}

extension MediaRecord {
    /// With the texts for people cut to what the contract takes: a camera may answer with words of any length, and the indexer
    /// would refuse the record for good.
    fileprivate var withinBounds: MediaRecord {
        var record = self
        record.run?.endReason = run?.endReason?.prefixed(1024)
        record.gap?.reason = gap?.reason?.prefixed(1024)
        return record
    }
}

extension [UInt8] {
    var data: Foundation.Data { Foundation.Data(self) }
}
