// Every method of the contract with input that is wrong: a clear error that names the field, and nothing changed. What is sent
// stands in BadInputTables.swift and BadWorkTables.swift; records, which are refused one by one, stand here.

import Harness
import RPC
import Testing
import Wire

extension IndexerContract {
    @Suite struct IndexerBadInputTests {
        @Test func everyMethodRefusesWhatTheContractForbids() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("taken", 900, 910))
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
                let item = try #require(try await bench.claim(.archive, limit: 1).first)
                let backup = try await bench.call(IndexerMethods.backupCatalogue, BackupCatalogueRequest()).name
                let tables =
                    bench.badQueries + bench.badRequests + bench.badRetention + bench.badClaims(of: item)
                    + bench.badUploads + bench.badVolumesAndBackups(backup)
                let complaints = await BadRequests.complaints(
                    tables, of: IndexerMethods.all, to: bench.client)
                #expect(complaints.isEmpty)
                // The claim that all of it was about is still the worker's, and the catalogue as it was.
                #expect(try await bench.complete(item, .archive).state == .archived)
                let files = try await bench.call(
                    IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID)
                ).files
                #expect(files.count == 3)
                let holds = try await bench.call(IndexerMethods.listHolds, ListHoldsRequest()).holds
                #expect(!holds.contains { $0.kind == .legal && $0.source == bench.source("cam") })
                try await bench.cleanUp()
            }
        }

        @Test func aSignatureIsNeverRepeated() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
                let item = try #require(try await bench.claim(.archive, limit: 1).first)
                var signed = bench.completion(item, .upload)
                signed.blobURL = "https://a.blob.example/x?sv=1&sig=canary-signature"
                let refused = try await bench.client.refusal(of: IndexerMethods.completeItem, signed)
                #expect(refused.field == "blob_url")
                #expect(!refused.message.contains("canary"))
                try await bench.cleanUp()
            }
        }

        @Test func aFootageStateOfALaterVersionCostsNoEvent() async throws {
            try await withIndexer { bench in
                let event = bench.event("e", at: 900, footage: .unrecognized(77))
                let reply = try await bench.call(IndexerMethods.submitEvent, event)
                #expect(reply.receipt == .accepted)
                #expect(reply.request?.cameras.map(\.footage) == [.unrecognized(77)])
                try await bench.cleanUp()
            }
        }

        @Test func aBadRecordIsRejectedByItsFieldAndCostsTheOthersNothing() async throws {
            try await withIndexer { bench in
                let good = bench.segment(10, 20, spool: 2)
                for (base, spoilers) in bench.badRecords {
                    for (field, changes) in spoilers {
                        for (place, change) in changes.enumerated() {
                            var bad = base
                            change(&bad)
                            let reply = try await bench.record([bad, good])
                            let what = "\(field) \(place): \(reply)"
                            #expect(reply.acknowledged == [2], "\(what)")
                            #expect(reply.rejected.map(\.spoolID) == [bad.spoolID], "\(what)")
                            let path = field.isEmpty ? "records[0] " : "records[0].\(field) "
                            #expect(reply.rejected.first?.message?.hasPrefix(path) == true, "\(what)")
                        }
                    }
                }
                let files = try await bench.call(
                    IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID)
                ).files
                #expect(files == [good.file])
            }
        }

        @Test func theLargestFilesCanBeCountedTogether() async throws {
            try await withIndexer { bench in
                var records = [bench.segment(0, 10, spool: 1), bench.segment(10, 20, spool: 2)]
                for index in records.indices { records[index].file?.sizeBytes = 1 << 40 }
                #expect(try await bench.record(records).acknowledged == [1, 2])
                let coverage = try await bench.call(
                    IndexerMethods.coverage,
                    CoverageRequest(source: bench.source("cam"), window: bench.window(0, 20)))
                #expect(coverage.bytes == 2 << 40)
            }
        }
    }
}
