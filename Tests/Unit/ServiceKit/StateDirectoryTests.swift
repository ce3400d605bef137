// The folder of a database with one writer.

import Foundation
import ServiceKit
import Testing

@Suite struct StateDirectoryTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("state-\(UUID().uuidString)")
        .path

    private func open(_ path: String) throws -> StateDirectory {
        try StateDirectory(path, database: "a.sqlite", lockFile: "a.lock", role: "indexer")
    }

    @Test func aSecondProcessIsKeptOutAndTheFirstLetsGo() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        do {
            let first = try open(folder)
            #expect(first.databasePath == folder + "/a.sqlite")
            let error = #expect(throws: StateDirectoryError.self) { _ = try open(folder) }
            #expect(error?.description.contains("in use by another indexer") == true)
            withExtendedLifetime(first) {}
        }
        _ = try open(folder)
    }

    @Test func aFolderThatCannotBeMadeIsNamed() throws {
        let error = #expect(throws: StateDirectoryError.self) { _ = try open("/dev/null/state") }
        #expect(error?.description.contains("/dev/null/state") == true)
        #expect(error?.description.contains("'state-directory'") == true)
    }
}
