// events: what happened at the site, from the books of indexer and asset-registry.

import ArgumentParser
import JSON
import RPC
import Wire

/// One thing that happened.
struct SiteEvent: Sendable, Equatable {
    let atUs: Int64
    /// "requested", "delivered", "desired changed".
    let what: String
    let subject: String
    let who: String
    let detail: String

    init(_ entry: AuditEntry) {
        (atUs, what) = (entry.atUs ?? 0, entry.action ?? "")
        (subject, who, detail) = (entry.subject ?? "", entry.who ?? "", entry.detail ?? "")
    }

    init(_ change: RegistryChange) {
        (atUs, what) = (change.atUs ?? 0, (change.what ?? "") + " changed")
        (subject, who, detail) = (change.name ?? "", "", "")
    }

    /// In one line.
    var line: String {
        Table.printable(
            [TimeText.show(atUs), what, subject, who, detail].filter { !$0.isEmpty }.joined(separator: "  "))
    }

    var json: JSONValue {
        .fields([
            "at_us": .integer(atUs), "what": .string(what), "subject": .string(subject),
            "who": who.isEmpty ? nil : .string(who), "detail": detail.isEmpty ? nil : .string(detail),
        ])
    }
}

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "What happened: events, requests, deliveries, changes of the configuration.",
        discussion: """
            The oldest comes first. With --watch it goes on with what happens, until Ctrl-C. With --json each line is an object.
            """)

    @OptionGroup var connections: Connections
    @Option(parsing: .unconditional, help: "From when on: 2026-11-23T05:11:02Z, -1d, \"10m ago\".") var from = "-1h"
    @Flag(help: "Go on with what happens, until Ctrl-C.") var watch = false
    @Flag(help: "Print JSON, an object per line.") var json = false

    func validate() throws {
        if TimeText.parse(from, nowUs: WindowArguments.nowUs()) == nil {
            throw ValidationError("--from \(from): write 2026-11-23T05:11:02Z (with zone), -1d or \"10m ago\".")
        }
    }

    func run() async throws {
        try await reporting {
            let fromUs = max(1, TimeText.parse(from, nowUs: WindowArguments.nowUs()) ?? 1)
            let indexer = try connections.client(.indexer)
            let registry = try connections.client(.assetRegistry)
            var book = EventBook(fromUs: fromUs)
            let screen = LiveScreen()
            repeat {
                var news = try await audit(&book, indexer)
                news += try await changes(&book, registry)
                for event in news.sorted(by: { $0.atUs < $1.atUs }) {
                    screen.line(json ? event.json.text() : event.line)
                }
                if watch { try await Task.sleep(for: .seconds(1)) }
            } while watch
        }
    }

    private func audit(_ book: inout EventBook, _ indexer: Client) async throws -> [SiteEvent] {
        var news: [SiteEvent] = []
        while true {
            let entries = try await indexer.call(
                IndexerMethods.listAudit, ListAuditRequest(fromUs: book.auditFromUs, limit: EventBook.page)
            ).entries
            let before = book.auditFromUs
            news += book.take(entries)
            if entries.count < Int(EventBook.page) || book.auditFromUs == before { return news }
        }
    }

    private func changes(_ book: inout EventBook, _ registry: Client) async throws -> [SiteEvent] {
        var news: [SiteEvent] = []
        while true {
            let reply: RegistryChangesReply
            do {
                reply = try await registry.rpc.call(
                    AssetRegistryMethods.changes, ChangesRequest(after: book.cursor, limit: EventBook.page),
                    timeout: connections.answerWithin.duration)
            } catch let error where error.code == .outOfRange {
                // What is no longer kept cannot be told: on from the oldest that is.
                reply = try await registry.call(
                    AssetRegistryMethods.changes, ChangesRequest(after: 0, limit: EventBook.page))
            } catch {
                throw registry.failure(error)
            }
            news += book.take(reply.changes)
            if reply.changes.count < Int(EventBook.page) { return news }
        }
    }
}

/// How far the two books were read. Pure.
struct EventBook: Sendable {
    static let page: UInt32 = 500
    private let fromUs: Int64
    private(set) var auditFromUs: Int64
    private(set) var cursor: UInt64 = 0
    /// What was told of the last moment, which may have more.
    private var told: [AuditEntry] = []

    init(fromUs: Int64) { (self.fromUs, auditFromUs) = (fromUs, fromUs) }

    /// What of the entries from `auditFromUs` on is new.
    mutating func take(_ entries: [AuditEntry]) -> [SiteEvent] {
        let news = entries.filter { !told.contains($0) }
        if let last = entries.compactMap(\.atUs).max(), last >= auditFromUs {
            auditFromUs = last
            told = entries.filter { $0.atUs == last } + (told.filter { $0.atUs == last && !entries.contains($0) })
        }
        return news.map { SiteEvent($0) }
    }

    /// What of the changes after `cursor` is not too old. Leases move all the time and are no news.
    mutating func take(_ changes: [RegistryChange]) -> [SiteEvent] {
        cursor = max(cursor, changes.compactMap(\.cursor).max() ?? 0)
        return changes.filter { ($0.atUs ?? 0) >= fromUs && $0.what != "lease" }.map { SiteEvent($0) }
    }
}
