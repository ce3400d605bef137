// One piece of work inside a write transaction: the connection, the time, the rules, and what the world is to be told once
// the transaction is safe. Every …Table.swift file extends it; Catalogue.swift makes it.

import GRDB

/// What a committed transaction makes known (Herald.swift does it).
struct Effects: Sendable, Equatable {
    /// Requests that changed, for hints "requests/".
    var requests: Set<String> = []
    /// Cameras with new media, for hints "media/".
    var cameras: Set<String> = []
    /// There is new work to claim.
    var archiveWork = false
    var uploadWork = false
    /// Something may fall due earlier than the timer knows.
    var timing = false
    /// The newest cursor of Changes.
    var cursor: Int64 = 0

    mutating func merge(_ other: Effects) {
        requests.formUnion(other.requests)
        cameras.formUnion(other.cameras)
        archiveWork = archiveWork || other.archiveWork
        uploadWork = uploadWork || other.uploadWork
        timing = timing || other.timing
        cursor = max(cursor, other.cursor)
    }
}

/// Lives on the writer's queue for the length of one job; never leaves it.
final class Turn {
    let db: Database
    let nowUs: Int64
    let policy: Policy
    /// When this process started.
    let startedUs: Int64
    var effects = Effects()
    /// What records told, until `settle` stores it.
    var intake = MediaIntake()

    init(db: Database, nowUs: Int64, startedUs: Int64, policy: Policy) {
        self.db = db
        self.nowUs = nowUs
        self.startedUs = startedUs
        self.policy = policy
    }

    /// Runs a statement; statements are compiled once per connection.
    func run(_ sql: String, _ arguments: StatementArguments = []) throws {
        try db.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    /// How many rows the last statement touched.
    var changedRows: Int { db.changesCount }

    func rows(_ sql: String, _ arguments: StatementArguments = []) throws -> [Row] { try db.rows(sql, arguments) }
    func row(_ sql: String, _ arguments: StatementArguments = []) throws -> Row? { try db.row(sql, arguments) }
    func number(_ sql: String, _ arguments: StatementArguments = []) throws -> Int64? { try db.number(sql, arguments) }
}

extension Database {
    func rows(_ sql: String, _ arguments: StatementArguments = []) throws -> [Row] {
        try SQLRequest<Row>(sql: sql, arguments: arguments, cached: true).fetchAll(self)
    }

    func row(_ sql: String, _ arguments: StatementArguments = []) throws -> Row? {
        try SQLRequest<Row>(sql: sql, arguments: arguments, cached: true).fetchOne(self)
    }

    func number(_ sql: String, _ arguments: StatementArguments = []) throws -> Int64? {
        try SQLRequest<Int64>(sql: sql, arguments: arguments, cached: true).fetchOne(self)
    }
}
