// uploads, uploads revive and verify --deep: what they ask, print and end with.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite struct UploadsTests {
    private static let mebibyte: UInt64 = 1 << 20

    private static func item(_ id: UInt64, _ state: ItemState = .archived, sent: UInt64? = nil) -> UploadItem {
        UploadItem(
            itemID: id, kind: .segment, state: state, camera: "line1", archivePath: "line1/\(id).mp4",
            sizeBytes: 2 * mebibyte, sentBytes: sent, worker: sent == nil ? nil : "cloud-uploader/0", attempts: 1,
            error: state == .poisoned ? "given up after 8 attempts: 403" : nil, archivedUs: 1_795_410_000_000_000,
            priority: 100, dueUs: id == 2 ? 1_795_413_600_000_000 : nil, requestIDs: ["r-\(id)"])
    }

    private static func reply(aside: UInt64 = 0, _ items: [UploadItem], waiting: UInt64 = 2) -> ListUploadsReply {
        ListUploadsReply(
            items: items, waitingFiles: waiting, waitingBytes: waiting * 2 * mebibyte, activeFiles: 1,
            activeBytes: 2 * mebibyte, setAsideFiles: aside, setAsideBytes: aside * 2 * mebibyte,
            oldestUs: waiting > 0 ? 1_795_410_000_000_000 : nil, minuteFiles: 60, minuteBytes: 60 * mebibyte,
            hourFiles: 70, hourBytes: 70 * mebibyte, newestUploadedUs: 1_795_410_001_000_000)
    }

    @Test func uploadsShowsTotalsBarsAndWhatComesNext() async throws {
        try await withCommands { bench in
            bench.indexer.listUploads.answer { _ in
                Self.reply([Self.item(1, sent: Self.mebibyte), Self.item(2)])
            }
            let result = try await bench.run("uploads")
            #expect(result.exitCode == 0, "\(result.error)")
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(lines[0].hasPrefix("to upload: 2 files, 4.0 MiB; the oldest since 2026-11-23T05:00:00.000Z, "))
            #expect(lines[1] == "on its way: 1 file, 2.0 MiB")
            #expect(
                lines[2].hasPrefix(
                    "uploaded: 1.0 MiB/s, 70 files in the last hour, about 3.000s left; the last one at 2026"))
            #expect(lines[3].contains("####") && lines[3].contains(" 50.0 %  1.0 MiB of 2.0 MiB  line1/1.mp4"))
            #expect(
                lines[5].hasPrefix("2 ") && lines[5].contains("2026-11-23T06:00:00.000Z")
                    && lines[5].contains("line1/2.mp4"))
            #expect(bench.indexer.listUploads.requests == [ListUploadsRequest(setAsideOnly: false, limit: 20)])
        }
    }

    @Test func jsonHasTheContractsNamesRateAndEstimate() async throws {
        try await withCommands { bench in
            bench.indexer.listUploads.answer { _ in Self.reply([Self.item(2)]) }
            struct Shown: Decodable {
                struct Item: Decodable { let itemId: Int, dueUs: Int64, requestIds: [String] }
                let waitingFiles: Int, bytesPerSecond: Int, secondsLeft: Int, items: [Item]
            }
            let json: Shown = try shown(try await bench.run("uploads", "--json", "--limit", "7"))
            #expect(json.waitingFiles == 2 && json.bytesPerSecond == Int(Self.mebibyte) && json.secondsLeft == 4)
            #expect(json.items.map(\.itemId) == [2] && json.items[0].requestIds == ["r-2"])
            #expect(bench.indexer.listUploads.requests.last?.limit == 7)
        }
    }

    @Test func whatWasSetAsideIsNamedWithItsReasonAndTheStatusIs1() async throws {
        try await withCommands { bench in
            bench.indexer.listUploads.answer { request in
                Self.reply(aside: 1, request.setAsideOnly == true ? [Self.item(9, .poisoned)] : [])
            }
            let totals = try await bench.run("uploads")
            #expect(totals.exitCode == 1)
            #expect(totals.output.contains("set aside: 1 file, 2.0 MiB; `sightglass uploads --failed` says why"))
            let failed = try await bench.run("uploads", "--failed")
            #expect(failed.exitCode == 1)
            #expect(failed.output.contains("given up after 8 attempts: 403") && failed.output.contains("r-9"))
            bench.indexer.listUploads.answer { _ in Self.reply([]) }
            let none = try await bench.run("uploads", "--failed")
            #expect(none.exitCode == 0 && none.output == "nothing is set aside\n")
        }
    }

    @Test func watchingEndsWhenNothingWaits() async throws {
        try await withCommands { bench in
            bench.indexer.listUploads.answer { [calls = bench.indexer.listUploads] _ in
                Self.reply([], waiting: UInt64(max(0, 2 - (calls.requests.count - 1))))
            }
            let result = try await bench.run("uploads", "--watch")
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(bench.indexer.listUploads.requests.count == 3)
            // No terminal, so a line for each change.
            let lines = result.error.split(separator: "\n")
            #expect(
                lines.map { $0.prefix(23) } == [
                    "sightglass: 2 files to ", "sightglass: 1 file to u", "sightglass: 0 files to ",
                ])
            #expect(result.output.hasPrefix("to upload: nothing\n"))
        }
    }

    @Test func anIndexerThatIsAwayIsWaitedFor() async throws {
        try await withCommands { bench in
            await bench.indexer.server.stop()
            let process = try ServiceProcess(
                "sightglass", ["uploads", "--watch", "--answer-within", "200ms"],
                environment: ["SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path], logs: bench.folder)
            try await process.waitForLog("Start indexer")
            bench.indexer.server.start()
            #expect(try await process.exitCode(within: .seconds(20)) == 0)
            #expect(process.standardError.components(separatedBy: "Start indexer").count == 2)
        }
    }

    /// `script` gives the command a terminal of its own and prints what came there.
    @Test func onATerminalTheBarsTakeTheirPlaceAgain() async throws {
        try await withCommands { bench in
            bench.indexer.listUploads.answer { [calls = bench.indexer.listUploads] _ in
                calls.requests.count == 1 ? Self.reply([Self.item(1, sent: Self.mebibyte)]) : Self.reply([], waiting: 0)
            }
            let command = try Executables.path(of: "sightglass").path + " uploads --watch"
            let result = try await runTool(
                "script", ["-qec", command, "/dev/null"],
                environment: [
                    "SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path, "COLUMNS": "100", "LC_ALL": "C.UTF-8",
                ], within: .seconds(20))
            #expect(result.exitCode == 0, "\(result.output)")
            #expect(result.output.contains("██") && result.output.contains(" 50.0 %  1.0 MiB of 2.0 MiB  line1/1.mp4"))
            // Four lines, then three in their place, then none.
            #expect(result.output.contains("\r\u{1B}[3A") && result.output.contains("\r\u{1B}[2A\u{1B}[J"))
            #expect(result.output.contains("to upload: nothing"))
        }
    }

    @Test func reviveNamesItemsOrAll() async throws {
        try await withCommands { bench in
            let some = try await bench.run("uploads", "revive", "5", "7")
            #expect(some.exitCode == 0 && some.output == "revived 2 files\n", "\(some.error)")
            let all = try await bench.run("uploads", "revive", "--all", "--work", "archive", "--json")
            #expect(all.exitCode == 0 && all.output.contains("\"revived\": 0"), "\(all.output)")
            let requests = bench.indexer.reviveItems.requests
            #expect(requests.map(\.itemIDs) == [[5, 7], []])
            #expect(requests.map(\.all) == [nil, true] && requests.map(\.work) == [nil, .archive])
            #expect(requests.allSatisfy { $0.requestedBy?.hasPrefix("cli:") == true })
            for wrong in [
                ["revive"], ["revive", "--all", "5"], ["revive", "x"], ["--limit", "1001"], ["--watch", "--failed"],
            ] {
                #expect(try await bench.run(["uploads"] + wrong).exitCode == 64, "\(wrong)")
            }
        }
    }

    @Test func manyItemsAreNamedInSeveralQuestions() async throws {
        try await withCommands { bench in
            let result = try await bench.run(["uploads", "revive"] + (1...1001).map(String.init))
            #expect(result.output == "revived 1001 files\n")
            #expect(bench.indexer.reviveItems.requests.map(\.itemIDs.count) == [1000, 1])
        }
    }

    @Test func archiveTakesADueTime() async throws {
        try await withCommands { bench in
            let arguments = ["archive", "line1", "--start", "2026-11-23T05:00:00Z", "--duration", "30s"]
            #expect(try await bench.run(arguments + ["--due", "2026-11-23T06:00:00Z"]).exitCode == 0)
            #expect(bench.indexer.submitArchive.requests.last?.dueUs == 1_795_413_600_000_000)
            let before = Int64(Date().timeIntervalSince1970 * 1_000_000)
            #expect(try await bench.run(arguments + ["--due", "+30m"]).exitCode == 0)
            let due = try #require(bench.indexer.submitArchive.requests.last?.dueUs)
            #expect(due >= before + 1_800_000_000 && due < before + 1_900_000_000)
            #expect(try await bench.run(arguments).exitCode == 0)
            #expect(bench.indexer.submitArchive.requests.last?.dueUs == nil)
            #expect(try await bench.run(arguments + ["--due", "soon"]).exitCode == 64)
        }
    }
}

@Suite struct DeepVerifyTests {
    private static func file(_ name: String, _ state: ItemState, bytes: UInt64 = 1024) -> DeliveredFile {
        DeliveredFile(
            itemID: 1, kind: .segment, state: state, archivePath: "line1/\(name).mp4", sizeBytes: bytes,
            sha256: [UInt8](repeating: 7, count: 32), error: state == .poisoned ? "403" : nil)
    }

    private func show(_ bench: CommandBench, _ files: [DeliveredFile], uploadedBytes: UInt64? = nil) {
        let uploaded = files.filter { [.uploaded, .evicted, .handedOver].contains($0.state) }
        bench.indexer.show(
            ArchiveRequest(
                requestID: "r-1", state: .done, delivery: .cloud, files: files,
                bytesUploaded: uploadedBytes ?? uploaded.reduce(0) { $0 + ($1.sizeBytes ?? 0) }))
    }

    @Test func eachBlobOfARequestIsReadBack() async throws {
        try await withCommands { bench in
            show(bench, [Self.file("a", .uploaded), Self.file("b", .evicted), Self.file("c", .archived)])
            let result = try await bench.run("verify", "--deep", "r-1")
            #expect(result.exitCode == 0, "\(result.output)\(result.error)")
            #expect(result.output == "1 request, 2 blobs, 2.0 KiB read back: all is right; 1 file not uploaded\n")
            let asked = bench.uploader.verifyBlob.requests
            #expect(asked.map(\.archivePath) == ["line1/a.mp4", "line1/a.mp4", "line1/b.mp4", "line1/b.mp4"])
            #expect(asked.map(\.deep) == [false, true, false, true], "the properties first")
            #expect(asked.allSatisfy { $0.sizeBytes == 1024 && $0.sha256?.count == 32 })
        }
    }

    @Test func aBlobThatDiffersOrWasNeverThereIsAFinding() async throws {
        try await withCommands { bench in
            show(bench, [Self.file("a", .uploaded), Self.file("b", .uploaded), Self.file("c", .poisoned)])
            bench.uploader.verifyBlob.answer { request in
                let isGood = request.archivePath == "line1/a.mp4" || request.deep != true
                return VerifyBlobReply(
                    matches: isGood, reason: isGood ? nil : "it has another SHA-256", readBytes: 1024)
            }
            struct Shown: Decodable { let ok: Bool, blobs: Int, readBytes: Int, counts: [String: Int] }
            let json = try await bench.run("verify", "--deep", "r-1", "--json")
            #expect(json.exitCode == 1)
            let seen = try shown(json, as: Shown.self)
            #expect(!seen.ok && seen.blobs == 2 && seen.readBytes == 2048 && seen.counts == ["blob": 2])
            let text = try await bench.run("verify", "--deep", "r-1")
            #expect(
                text.output.contains("it has another SHA-256") && text.output.contains("it was never uploaded: 403"))
            #expect(text.output.hasSuffix("not all is right\n"))
        }
    }

    @Test func aManifestNamesWhatTheIndexersAnswerHasNoRoomFor() async throws {
        try await withCommands { bench in
            let archive = try ArchiveOnDisk(bench.folder)
            let facts = ["a", "b"].map { name -> [String: Any] in
                ["path": "line1/\(name).mp4", "size_bytes": 5, "sha256": String(repeating: "0a", count: 32)]
            }
            let manifest = try archive.manifest("r-1", facts)
            show(bench, [Self.file("a", .uploaded)], uploadedBytes: 1029)
            let byID = try await bench.run("verify", "--deep", "r-1")
            #expect(byID.exitCode == 1 && byID.error.contains("5 B of more files did not fit"))
            let byManifest = try await bench.run("verify", "--deep", manifest)
            #expect(byManifest.exitCode == 0, "\(byManifest.output)\(byManifest.error)")
            #expect(byManifest.output.hasPrefix("1 request, 2 blobs, "))
            let last = try #require(bench.uploader.verifyBlob.requests.last)
            #expect(last.archivePath == "line1/b.mp4" && last.sha256 == [UInt8](repeating: 10, count: 32))
        }
    }

    @Test func aTargetThatIsAFolderIsSaidInWords() async throws {
        try await withCommands { bench in
            show(bench, [Self.file("a", .uploaded)])
            bench.uploader.verifyBlob.answer { _ in throw RPCError.failedPrecondition("the target is a folder") }
            let result = try await bench.run("verify", "--deep", "r-1")
            #expect(result.exitCode == 1 && result.error.contains("its target is a folder, from which another system"))
            show(bench, [Self.file("a", .handedOver)])
            let handedOver = try await bench.run("verify", "--deep", "r-1")
            #expect(handedOver.exitCode == 1 && handedOver.output.contains("nothing to look at; 1 handed over"))
        }
    }

    @Test func whoIsAwayOrUnknownIsNamed() async throws {
        try await withCommands { bench in
            let unknown = try await bench.run("verify", "--deep", "r-9")
            #expect(unknown.exitCode == 1 && unknown.error.contains("r-9"))
            #expect(try await bench.run("verify", "--deep", "no/such.json").error.contains("no such file or folder"))
            show(bench, [Self.file("a", .uploaded)])
            bench.uploader.verifyBlob.answer { _ in throw RPCError.unavailable("the storage does not answer") }
            let away = try await bench.run("verify", "--deep", "r-1", "--answer-within", "300ms")
            #expect(away.exitCode == 69 && away.error.contains("the storage does not answer"))
            #expect(try await bench.run("verify", "--deep", "--offline", "r-1").exitCode == 64)
        }
    }
}
