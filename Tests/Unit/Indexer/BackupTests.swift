// Backups: their names, that each is the whole catalogue by itself, that there is one at a time and that three stay.

import Foundation
import GRDB
import Logging
import RPC
import ServiceKit
import Testing
import Wire

@testable import Indexer

extension TestCatalogue {
    var backupFolder: BackupFolder {
        BackupFolder(path: (catalogue.path as NSString).deletingLastPathComponent + "/backups")
    }

    func backups(freshTime: Duration = .seconds(3600)) -> Backups {
        Backups(
            folder: backupFolder, longReads: LongReads(catalogue: catalogue), clock: clock,
            logger: Logger(label: "test"),
            freshTime: freshTime)
    }

    /// Names in the folder of backups, hidden ones too, in order.
    var backupFiles: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: backupFolder.path)) ?? []).sorted()
    }
}

@Suite struct BackupNameTests {
    private func name(_ us: Int64) throws -> BackupName { try #require(BackupName.next(after: [], nowUs: us)) }

    @Test func onlyOurNamesAreNames() throws {
        let name = try name(1_795_410_662_000_001)
        #expect(name.text == "catalogue-20261123T051102.000001Z.sqlite")
        #expect(BackupName(name.text) == name)
        #expect(name.text.utf8.count <= 64)
        for text in [
            "", "catalogue.sqlite", "catalogue-.sqlite", "../" + name.text, name.text + "-wal", "x" + name.text,
            "catalogue-20261323T051102.000001Z.sqlite", "catalogue-../../20261123T051102.000001Z.sqlite",
            "catalogue-20261123T051102Z.sqlite", ".catalogue.partial",
        ] {
            #expect(BackupName(text) == nil, "\(text)")
        }
    }

    @Test func theNextIsNewerThanAllEvenWhenTheClockWasSetBack() throws {
        let known = [try name(500), try name(900), try name(700)]
        #expect(BackupName.next(after: known, nowUs: 1000)?.time.us == 1000)
        #expect(BackupName.next(after: known, nowUs: 600)?.time.us == 901)
        #expect(BackupName.next(after: [], nowUs: .max) == nil)
    }

    @Test func theOldestAreSurplus() throws {
        let names = try [5, 1, 4, 2, 3].map { try name($0) }
        #expect(BackupName.surplus(of: names, kept: 3).map(\.time.us) == [2, 1])
        #expect(BackupName.surplus(of: Array(names.prefix(3)), kept: 3).isEmpty)
    }
}

@Suite struct BackupTests {
    typealias T = TestCatalogue

    @Test func aBackupIsTheWholeCatalogueByItself() async throws {
        let test = try T()
        try await test.recordFootage(-100, 0)
        try await test.archive("r1", -50, -20)
        let backup = try await test.backups().make()
        #expect(test.backupFiles == [backup.name.text], "no log and nothing half done lies beside it")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: test.backupFolder.path(of: backup.name)))
        #expect(Int64(bytes.count) == backup.sizeBytes)
        #expect(sha256([UInt8](bytes)) == backup.sha256)
        // 1: a rollback journal. 2 would ask for the write-ahead log that stayed with the catalogue.
        #expect(bytes[18] == 1 && bytes[19] == 1)

        let other = test.backupFolder.path + "/restored"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        try bytes.write(to: URL(fileURLWithPath: other + "/catalogue.sqlite"))
        let restored = try Catalogue(path: other + "/catalogue.sqlite", policy: Policy(), clock: test.clock)
        defer { try? restored.close() }
        let cameras = try await test.queries.listCameras()
        #expect(try await QueryCalls(catalogue: restored).listCameras() == cameras)
        #expect(cameras.cameras.map(\.segments) == [10])
        let holds = try await restored.read { db in try db.holds() }
        #expect(holds.map(\.requestID) == ["r1"])
    }

    @Test func itIsOneStateWhileRecordsComeIn() async throws {
        let test = try T()
        try await test.recordFootage(-1000, 0)
        let writing = Task {
            for second in 0..<200 { try await test.record([T.segment(Double(second), Double(second + 1))]) }
        }
        let backup = try await test.backups().make()
        try await writing.value
        let copy = try DatabaseQueue(path: test.backupFolder.path(of: backup.name))
        let (rows, counted) = try await copy.read { db in
            (
                try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM media"),
                try Int.fetchOne(db, sql: "SELECT files FROM volume_usage")
            )
        }
        #expect(rows == counted)
        #expect((rows ?? 0) >= 100)
        #expect(try await test.queries.listCameras().cameras.first?.segments == 300, "nothing written was lost")
    }

    @Test func whoAsksMeanwhileOrSoonAfterGetsTheSame() async throws {
        let test = try T()
        try await test.recordFootage(-100, 0)
        let backups = test.backups()
        let names = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<5 { group.addTask { try await backups.make().name.text } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(names.count == 1)
        #expect(test.backupFiles == Array(names))
        #expect(try await backups.make().name.text == names.first)
    }

    @Test func threeStayAndTheNewestIsAmongThem() async throws {
        let test = try T()
        let backups = test.backups(freshTime: .zero)
        var made: [String] = []
        // The clock is set back twice.
        for seconds in [0.0, 10, 5, 20, -100] {
            test.now(seconds)
            made.append(try await backups.make().name.text)
        }
        #expect(made == made.sorted() && Set(made).count == 5)
        #expect(test.backupFiles == Array(made.suffix(3)))
    }

    @Test func whatAKilledAttemptLeftIsRemoved() async throws {
        let test = try T()
        let folder = test.backupFolder
        try folder.make()
        for ending in ["", "-wal", "-shm", "-journal"] {
            try Data(repeating: 1, count: 10).write(to: URL(fileURLWithPath: folder.temporaryPath + ending))
        }
        try Data().write(to: URL(fileURLWithPath: folder.path + "/notes.txt"))
        try await test.backups().tidy()
        #expect(test.backupFiles == ["notes.txt"], "what is not ours stays")
    }

    @Test func aFullDiskIsSaidWithItsNumbers() throws {
        let test = try T()
        try test.backupFolder.make()
        #expect {
            try test.backupFolder.checkRoom(for: 1 << 60)
        } throws: { error in
            let error = error as? RPCError
            return error?.code == .unavailable && error?.message.contains("\((1 << 60) + (1 << 60) / 10)") == true
        }
        try test.backupFolder.checkRoom(for: 1)
    }

    @Test func aBackupIsReadInPieces() async throws {
        let test = try T()
        try await test.recordFootage(-100, 0)
        let calls = BackupCalls(backups: test.backups())
        let made = try await calls.backupCatalogue()
        var bytes: [UInt8] = []
        while true {
            let piece =
                try await calls.readBackup(
                    ReadBackupRequest(name: made.name, offset: UInt64(bytes.count), length: 5000)
                ).data ?? []
            if piece.isEmpty { break }
            bytes += piece
        }
        #expect(sha256(bytes) == made.sha256)
        let beyond = ReadBackupRequest(name: made.name, offset: 1 << 40)
        #expect(try await calls.readBackup(beyond).data == [])
        for (name, code) in [
            ("catalogue-20200101T000000.000000Z.sqlite", Code.notFound), ("catalogue.sqlite", .notFound),
            ("../catalogue.sqlite", .invalidArgument), ("..", .invalidArgument),
        ] {
            await #expect {
                try await calls.readBackup(ReadBackupRequest(name: name))
            } throws: {
                ($0 as? RPCError)?.code == code
            }
        }
    }

    @Test func theLogOfTheCatalogueBeforeIsNotAppliedToARestoredOne() async throws {
        let test = try T()
        try await test.recordFootage(-100, 0)
        let backup = try await test.backups().make()
        // The catalogue goes on, and is killed: what came after the backup stands in its log.
        try await test.recordFootage(0, 500)
        let place = test.backupFolder.path + "/restored"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let restored = place + "/catalogue.sqlite"
        try FileManager.default.copyItem(atPath: test.catalogue.path + "-wal", toPath: restored + "-wal")
        try FileManager.default.copyItem(atPath: test.backupFolder.path(of: backup.name), toPath: restored)
        #expect(try RestoredCatalogue.setForeignLogAside(restored))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: place).sorted()
                == ["catalogue.sqlite", "catalogue.sqlite-wal.replaced"])
        let opened = try Catalogue(path: restored, policy: Policy(), clock: test.clock)
        #expect(try await QueryCalls(catalogue: opened).listCameras().cameras.map(\.segments) == [10])
        // From now on it has a log of its own, which stays.
        #expect(try !RestoredCatalogue.setForeignLogAside(restored))
        try opened.close()
        #expect(try !RestoredCatalogue.setForeignLogAside(test.catalogue.path))
        #expect(try !RestoredCatalogue.setForeignLogAside(place + "/nothing.sqlite"))
    }

    @Test func theUpkeepLeavesTheLogAloneDuringALongRead() async throws {
        let test = try T()
        let longReads = LongReads(catalogue: test.catalogue)
        let lane = BlockingLane("test")
        let upkeep = UpkeepLoop(catalogue: test.catalogue, longReads: longReads, logger: Logger(label: "test"))
        #expect(!longReads.areUnderWay)
        let (began, begin) = AsyncStream.makeStream(of: Void.self)
        let end = DispatchSemaphore(value: 0)
        let reading = Task {
            try await longReads.run(on: lane) { read in
                try read.read { db in
                    let before = try db.number("SELECT COUNT(*) FROM media")
                    begin.yield()
                    end.wait()
                    return before == (try db.number("SELECT COUNT(*) FROM media"))
                }
            }
        }
        for await _ in began { break }
        #expect(longReads.areUnderWay)
        // Neither waits for the reader.
        try await test.recordFootage(0, 100)
        try await upkeep.turn()
        #expect(try await test.queries.listCameras().cameras.first?.segments == 10)
        end.signal()
        #expect(try await reading.value, "it saw one state")
        #expect(!longReads.areUnderWay)
    }
}
