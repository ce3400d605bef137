// backup: a consistent copy of the catalogue as a file of the operator's. The indexer makes it while everything goes on.

import ArgumentParser
import JSON
import ServiceKit
import Volume
import Wire

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy the catalogue to a file.",
        discussion: """
            The file is there when it is complete, synced and its SHA-256 is right, else not at all; a file that exists is not \
            replaced. It is an SQLite database: put it in the place of catalogue.sqlite to go back to it.
            """)

    @OptionGroup var connections: Connections
    @Option(name: [.customShort("o"), .long], help: "File to write, which must not exist.") var output: String
    @Flag(help: "Print JSON.") var json = false

    /// A catalogue of ten million files is some gigabytes.
    private static let longestBackup = Duration.seconds(600)
    /// The longest piece that the contract allows.
    private static let pieceBytes: UInt32 = 921_600

    func run() async throws {
        try await reporting {
            let indexer = try connections.client(.indexer)
            // Before the indexer works for minutes: whether the place takes a file.
            let path = output
            let file = try await BlockingLane.disks.run { try NewFile(at: path, isHashed: true) }
            defer { try? file.discard() }
            try await fetch(indexer, into: file)
        }
    }

    private func fetch(_ indexer: Client, into file: NewFile) async throws {
        let line = StatusLine()
        defer { line.clear() }
        line.show("the indexer copies its catalogue")
        let backup = try await indexer.call(
            IndexerMethods.backupCatalogue, BackupCatalogueRequest(), within: Self.longestBackup)
        guard let name = backup.name, let sizeBytes = backup.sizeBytes, let sha256 = backup.sha256 else {
            throw Failure("indexer: the answer names no backup")
        }
        var offset: UInt64 = 0
        while true {
            let piece = try await indexer.call(
                IndexerMethods.readBackup, ReadBackupRequest(name: name, offset: offset, length: Self.pieceBytes))
            guard let data = piece.data, !data.isEmpty else { break }
            offset += UInt64(data.count)
            guard offset <= sizeBytes else { break }
            try await BlockingLane.disks.run { try file.append(data) }
            line.show("\(sizeText(offset)) of \(sizeText(sizeBytes))")
        }
        guard let digest = file.digest else { throw Failure("\(output): it was not hashed") }
        guard offset == sizeBytes, digest.sizeBytes == Int64(clamping: sizeBytes), digest.sha256 == sha256 else {
            throw Failure(
                "\(output): \(name) came as \(offset) bytes with SHA-256 \(digest.hexadecimal), but the indexer made "
                    + "\(sizeBytes) bytes with \(Digest.hexadecimal(sha256)); nothing was written, try again")
        }
        try await BlockingLane.disks.run { try file.publish() }
        line.clear()
        if json {
            print(
                JSONValue.fields([
                    "path": .string(output), "name": .string(name), "size_bytes": .integer(sizeBytes),
                    "sha256": .string(digest.hexadecimal),
                ]).text(.indented))
        } else {
            print(Table.printable("\(output): \(sizeText(sizeBytes)), SHA-256 \(digest.hexadecimal)"))
        }
    }
}
