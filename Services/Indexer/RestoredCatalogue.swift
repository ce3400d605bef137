// A catalogue that somebody put in place from a backup, while the log of the catalogue before still lay beside it. SQLite applies
// whatever log it finds, to whatever file: the two would become one that is damaged.

import Foundation

enum RestoredCatalogue {
    /// Before the database is opened. A catalogue in use says in its header that it has a write-ahead log; a backup says that it
    /// has none, so a log beside it is another's. True where there was one; it is kept as "…-wal.replaced".
    static func setForeignLogAside(_ path: String) throws -> Bool {
        let files = FileManager.default
        guard files.fileExists(atPath: path + "-wal"), let file = FileHandle(forReadingAtPath: path) else {
            return false
        }
        defer { try? file.close() }
        let header = [UInt8](try file.read(upToCount: 20) ?? Data())
        // https://www.sqlite.org/fileformat.html: bytes 18 and 19 are the versions for writing and reading, 1 without a log.
        guard header.count == 20, header.starts(with: "SQLite format 3\0".utf8), header[18] == 1, header[19] == 1 else {
            return false
        }
        let kept = path + "-wal.replaced"
        if files.fileExists(atPath: kept) { try files.removeItem(atPath: kept) }
        try files.moveItem(atPath: path + "-wal", toPath: kept)
        if files.fileExists(atPath: path + "-shm") { try files.removeItem(atPath: path + "-shm") }
        return true
    }
}
