// Volumes, counts per day, backups and the check, by the real executable: what each method answers and refuses, and that a backup
// put in the catalogue's place is the catalogue.

import Foundation
import Harness
import RPC
import Testing
import Wire

extension IndexerContract {
    @Suite struct VolumeAndBackupTests {
        @Test func volumesAreListedWithWhatTheyHold() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                let status = VolumeStatus(
                    volumeID: bench.volumeID, role: "recording", writable: true, totalBytes: 1 << 40, freeBytes: 1 << 39
                )
                _ = try await bench.call(
                    IndexerMethods.reportVolume,
                    ReportVolumeRequest(volume: status, owner: "cc-0", ownerAddress: "ipc:///run/cc-0.rpc"))
                let volumes = try await bench.call(IndexerMethods.listVolumes, ListVolumesRequest()).volumes
                let known = try #require(volumes.first { $0.volume?.volumeID == bench.volumeID })
                #expect(known.volume == status)
                #expect(known.owner == "cc-0" && known.ownerAddress == "ipc:///run/cc-0.rpc")
                #expect(known.files == 3 && known.bytes == 3000)
                #expect((known.reportedUs ?? 0) > bench.zeroUs)
            }
        }

        @Test func daysAreCountedPerCamera() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                try await bench.recordFootage(camera: "other")
                // The test may run around midnight, so the two days that it touches are added up.
                let days = try await bench.call(
                    IndexerMethods.countDays, CountDaysRequest(asset: bench.asset("cam"), window: bench.window(0, 30)))
                #expect(days.days.allSatisfy { $0.camera == bench.asset("cam") && $0.source == bench.source("cam") })
                #expect(days.days.allSatisfy { ($0.dayUs ?? 1) % 86_400_000_000 == 0 })
                #expect(days.days.reduce(0) { $0 + ($1.segments ?? 0) } == 3)
                #expect(days.days.reduce(0) { $0 + ($1.bytes ?? 0) } == 3000)
                #expect(days.more == false)
                let ofSource = try await bench.call(
                    IndexerMethods.countDays,
                    CountDaysRequest(source: bench.source("other"), window: bench.window(0, 30)))
                #expect(ofSource.days.reduce(0) { $0 + ($1.segments ?? 0) } == 3)
            }
        }

        @Test func aBackupIsFetchedInPiecesAndIsTheCatalogueWhereItIsPut() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                let backup = try await bench.call(IndexerMethods.backupCatalogue, BackupCatalogueRequest())
                let again = try await bench.call(IndexerMethods.backupCatalogue, BackupCatalogueRequest())
                #expect(again == backup, "asked again at once, it is the same")
                let bytes = try await fetch(backup.name, from: bench, pieceBytes: 100_000)
                #expect(UInt64(bytes.count) == backup.sizeBytes)
                #expect(bytes == (try await fetch(backup.name, from: bench, pieceBytes: nil)))
                let file = bench.folder.path("fetched.sqlite")
                try Data(bytes).write(to: URL(fileURLWithPath: file))
                let sum = try await runTool("sha256sum", [file])
                #expect(sum.output.hasPrefix(hexadecimal(backup.sha256 ?? [])))

                let other = try IndexerBench()
                guard ownsProcess else { return }
                try FileManager.default.createDirectory(
                    atPath: other.folder.path("state"), withIntermediateDirectories: true)
                try FileManager.default.copyItem(atPath: file, toPath: other.folder.path("state") + "/catalogue.sqlite")
                let process = try #require(try other.start())
                try await eventually("it is ready") { try await other.client.health().ready == true ? true : nil }
                let cameras = try await other.call(IndexerMethods.listCameras, ListCamerasRequest())
                #expect(cameras == (try await bench.call(IndexerMethods.listCameras, ListCamerasRequest())))
                let check = try await other.call(
                    IndexerMethods.checkCatalogue, CheckCatalogueRequest(level: .full), timeout: .seconds(30))
                #expect(check.problems.isEmpty)
                #expect(try await process.terminate() == 0)
            }
        }

        @Test func aWholeCatalogueHasNoProblems() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 20))
                for item in try await bench.claim(.archive, limit: 2) { try await bench.complete(item, .archive) }
                for level in [nil, CheckLevel.quick, .full] {
                    let check = try await bench.call(
                        IndexerMethods.checkCatalogue, CheckCatalogueRequest(level: level), timeout: .seconds(30))
                    #expect(check.problems.isEmpty)
                    #expect((check.rows ?? 0) > 10)
                }
                try await bench.cleanUp()
            }
        }

        private func fetch(_ name: String?, from bench: IndexerBench, pieceBytes: UInt32?) async throws -> [UInt8] {
            var bytes: [UInt8] = []
            while true {
                let piece =
                    try await bench.call(
                        IndexerMethods.readBackup,
                        ReadBackupRequest(name: name, offset: UInt64(bytes.count), length: pieceBytes)
                    ).data ?? []
                if piece.isEmpty { return bytes }
                #expect(piece.count <= pieceBytes ?? 921_600)
                bytes += piece
            }
        }

        private func hexadecimal(_ bytes: [UInt8]) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }
}

extension IndexerBench {
    func call<Q, R>(_ method: RPCMethod<Q, R>, _ request: Q, timeout: Duration) async throws -> R {
        try await client.call(method, request, timeout: timeout)
    }

    /// `backup`: the name of one that is there.
    func badVolumesAndBackups(_ backup: String?) -> [BadRequests] {
        let dayUs: Int64 = 86_400_000_000
        let midnightUs = zeroUs / dayUs * dayUs
        let oneDayMore = Window(startUs: midnightUs, endUs: midnightUs + 366 * dayUs + 1)
        let names: [String?] = ["", Bad.text(65), "../catalogue.sqlite", ".catalogue.partial", "a b", nil]
        let absent = ["catalogue-20200101T000000.000000Z.sqlite", "catalogue.sqlite", "indexer.lock"]
        return [
            BadRequests(withoutFields: IndexerMethods.listVolumes),
            BadRequests(withoutFields: IndexerMethods.backupCatalogue),
            BadRequests(
                IndexerMethods.countDays, like: CountDaysRequest(source: source("cam"), window: window(0, 10)),
                [
                    "asset": Bad.each(Bad.namesIfAny) { $0.asset = $1 },
                    "source.device": Bad.each(Bad.names) { $0.source?.device = $1 },
                    "source.endpoint": Bad.each(Bad.names) { $0.source?.endpoint = $1 },
                    "window": Bad.each([nil, oneDayMore]) { $0.window = $1 },
                    "window.start_us": Bad.each(Bad.times) { $0.window?.startUs = $1 },
                    "window.end_us": Bad.each(Bad.times + [us(0)]) { $0.window?.endUs = $1 },
                ],
                taken: [
                    { $0.source = nil },
                    { $0.window = Window(startUs: midnightUs, endUs: midnightUs + 366 * dayUs) },
                ]),
            BadRequests(
                IndexerMethods.readBackup, like: ReadBackupRequest(name: backup),
                [
                    "name": Bad.each(names) { $0.name = $1 },
                    "offset": Bad.each([(1 << 40) + 1, .max]) { $0.offset = $1 },
                    "length": Bad.each([0, 921_601, .max]) { $0.length = $1 },
                ], taken: [{ $0.length = 1 }, { $0.length = 921_600 }, { $0.offset = 1 << 40 }]),
            BadRequests(
                IndexerMethods.readBackup, like: ReadBackupRequest(), code: .notFound,
                ["": Bad.each(absent) { $0.name = $1 }]),
            BadRequests(
                IndexerMethods.checkCatalogue, like: CheckCatalogueRequest(),
                ["level": [{ $0.level = .unrecognized(9) }]],
                taken: [{ $0.level = .quick }, { $0.level = .full }]),
        ]
    }
}
