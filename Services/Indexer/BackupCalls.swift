// BackupCatalogue, ReadBackup: a copy of the catalogue, and how it gets to where it is safe. Backups.swift makes it.

import RPC
import ServiceKit
import Wire

struct BackupCalls: Sendable {
    let backups: Backups
    /// Not the lane that makes a backup: who fetches one does not wait for the next.
    private let reading = BlockingLane("backup-reads", maximumWaiting: 64)

    /// With the envelope below the 1 MiB of a message.
    static let mostBytes = 921_600

    init(backups: Backups) { self.backups = backups }

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.backupCatalogue) { _, _ in try await backupCatalogue() }
        server.handle(IndexerMethods.readBackup) { request, _ in try await readBackup(request) }
    }

    func backupCatalogue() async throws -> BackupCatalogueReply {
        let backup = try await backups.make()
        return BackupCatalogueReply(
            name: backup.name.text, sizeBytes: UInt64(clamping: backup.sizeBytes), sha256: backup.sha256)
    }

    func readBackup(_ request: ReadBackupRequest) async throws -> ReadBackupReply {
        let given = try FieldCheck.identifier(request.name, "name")
        let offset = try FieldCheck.fileSize(request.offset, "offset")
        let count = try FieldCheck.bounded(request.length, "length", default: Self.mostBytes, 1...Self.mostBytes)
        guard let name = BackupName(given) else {
            throw RPCError.notFound("there is no backup \(given): names are as BackupCatalogue gave them")
        }
        let folder = backups.folder
        do {
            return ReadBackupReply(data: try await reading.run { try folder.read(name, at: offset, count: count) })
        } catch let error as BlockingLaneError {
            throw RPCError.resourceExhausted("\(error)")
        }
    }
}
