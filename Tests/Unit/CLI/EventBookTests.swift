// What is told of the books of indexer and registry, once each.

import Testing
import Wire

@testable import CLI

@Suite struct EventBookTests {
    private func entry(_ atUs: Int64, _ subject: String) -> AuditEntry {
        AuditEntry(atUs: atUs, who: "mqtt:x", action: "requested", subject: subject)
    }

    @Test func nothingIsToldTwiceAndNothingIsMissed() {
        var book = EventBook(fromUs: 5)
        #expect(book.take([entry(5, "a"), entry(7, "b")]).map(\.subject) == ["a", "b"])
        #expect(book.auditFromUs == 7)
        // The indexer is asked from 7 on: what it told comes again, beside what came at the same moment.
        #expect(book.take([entry(7, "b"), entry(7, "c")]).map(\.subject) == ["c"])
        #expect(book.take([entry(7, "b"), entry(7, "c"), entry(9, "d")]).map(\.subject) == ["d"])
        #expect(book.take([entry(9, "d")]).isEmpty)
        #expect(book.take([AuditEntry]()).isEmpty && book.auditFromUs == 9)
    }

    @Test func changesOfLeasesAndOfThePastAreNoNews() {
        var book = EventBook(fromUs: 100)
        let changes = [
            RegistryChange(cursor: 1, what: "asset", name: "old", atUs: 99),
            RegistryChange(cursor: 2, what: "lease", name: "cam1/main", atUs: 100),
            RegistryChange(cursor: 3, what: "desired", name: "line1/clips", atUs: 101),
        ]
        let news = book.take(changes)
        #expect(news.map(\.line) == ["1970-01-01T00:00:00.000Z  desired changed  line1/clips"])
        #expect(book.cursor == 3)
    }

    @Test func theStreamToLookAtIsChosen() throws {
        func stream(_ name: String, _ type: TaskType, enabled: Bool = true) -> StreamDefinition {
            StreamDefinition(
                name: StreamName(asset: "line1", stream: name), enabled: enabled, settings: TaskSettings(type: type),
                issues: enabled ? [] : [Issue(severity: .error, message: "mediaServerAddress is missing")])
        }
        func chosen(_ name: String, _ streams: [StreamDefinition]) -> String {
            do { return try LiveCommand.choose(name, of: streams).name?.text ?? "" } catch { return error.message }
        }
        let clips = stream("clips", .clipToFs)
        let live = stream("live", .streamToRtsp)
        #expect(chosen("line1", [clips, live]) == "line1/live")
        #expect(chosen("line1/live", [clips, live]) == "line1/live")
        #expect(chosen("line1/clips", [clips, live]).contains("there are line1/live"))
        #expect(chosen("line1", [clips]).contains("no asset has one"))
        #expect(chosen("line1", [live, stream("wall", .streamToRtsps)]).contains("line1/live, line1/wall"))
        #expect(
            chosen("line1", [stream("live", .streamToRtsp, enabled: false)]).contains("mediaServerAddress is missing"))
    }
}
