// archive --wait and request --watch: to the end, and what Ctrl-C says.

import Fakes
import Foundation
import Harness
import Testing
import Wire

@Suite struct WatchTests {
    @Test func aRequestIsWatchedToItsEnd() async throws {
        try await withCommands { bench in
            let states = [RequestState.waiting, .copying, .done]
            bench.indexer.getRequest.answer { [requests = bench.indexer.getRequest] request in
                ArchiveRequest(
                    requestID: request.requestID, state: states[min(requests.requests.count, states.count) - 1])
            }
            let result = try await bench.run("request", "r-1", "--watch")
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(bench.indexer.getRequest.requests.count == 3)
            // No terminal, so a line for each state and no bar.
            let lines = result.error.split(separator: "\n").map(String.init)
            #expect(lines == states.map { "sightglass: r-1: \($0.name)" })
            #expect(result.output.contains("done"))
        }
    }

    @Test(arguments: [["request", "r-1", "--watch"], ["archive", "line1", "--start", "now", "--duration", "5s"]])
    func interruptedItSaysHowToGoOn(arguments: [String]) async throws {
        try await withCommands { bench in
            bench.indexer.show(ArchiveRequest(requestID: "r-1", state: .copying))
            let isArchive = arguments.first == "archive"
            let process = try ServiceProcess(
                "sightglass", arguments + (isArchive ? ["--request-id", "r-1", "--wait"] : []),
                environment: ["SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path], logs: bench.folder)
            try await process.waitForLog("r-1: copying")
            process.signal(SIGINT)
            #expect(try await process.exitCode(within: .seconds(10)) == 130)
            #expect(process.standardError.contains("request r-1 goes on"))
            #expect(process.standardError.contains("sightglass request r-1 --watch"))
            #expect(process.standardError.contains("sightglass cancel r-1"))
            #expect(bench.indexer.cancelRequest.requests.isEmpty)
        }
    }

    @Test func whoWaitsNotLongEnoughIsToldTheSame() async throws {
        try await withCommands { bench in
            bench.indexer.show(ArchiveRequest(requestID: "r-1", state: .copying))
            let result = try await bench.run(
                "archive", "line1", "--start", "now", "--duration", "5s", "--request-id", "r-1", "--wait",
                "--wait-at-most", "100ms")
            #expect(result.exitCode == 1)
            #expect(result.error.contains("has not ended yet") && result.error.contains("cancel r-1"))
        }
    }

    @Test func anIndexerThatIsAwayIsWaitedForAndNamedOnce() async throws {
        try await withCommands { bench in
            await bench.indexer.server.stop()
            let process = try ServiceProcess(
                "sightglass", ["request", "r-1", "--watch", "--answer-within", "200ms"],
                environment: ["SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path], logs: bench.folder)
            try await process.waitForLog("Start indexer")
            bench.indexer.show(ArchiveRequest(requestID: "r-1", state: .done))
            bench.indexer.server.start()
            #expect(try await process.exitCode(within: .seconds(20)) == 0)
            #expect(process.standardError.components(separatedBy: "Start indexer").count == 2)
        }
    }

    /// `script` gives the command a terminal of its own and prints what came there.
    @Test func onATerminalThereIsABarThatGoesAgain() async throws {
        try await withCommands { bench in
            let mebibyte: UInt64 = 1 << 20
            bench.indexer.getRequest.answer { [requests = bench.indexer.getRequest] request in
                let isFirst = requests.requests.count == 1
                return ArchiveRequest(
                    requestID: request.requestID, state: isFirst ? .uploading : .done, delivery: .cloud,
                    files: [DeliveredFile(state: .uploaded), DeliveredFile(state: isFirst ? .archived : .uploaded)],
                    bytesTotal: 2 * mebibyte, bytesArchived: 2 * mebibyte,
                    bytesUploaded: (isFirst ? 1 : 2) * mebibyte)
            }
            let command = try Executables.path(of: "sightglass").path + " request r-1 --watch"
            let result = try await runTool(
                "script", ["-qec", command, "/dev/null"],
                environment: [
                    "SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path, "COLUMNS": "80", "LC_ALL": "C.UTF-8",
                ], within: .seconds(20))
            #expect(result.exitCode == 0, "\(result.output)")
            let shown = result.output.split(separator: "\u{1B}[K").map { $0.drop { $0.isWhitespace } }
            let first = try #require(shown.first)
            #expect(first.hasPrefix("uploading  █") && first.contains("█▒") && first.count < 80, "\(first)")
            #expect(first.contains("50.0 %  1 of 2 files, uploaded 1.0 MiB of 2.0 MiB"))
            #expect(!result.output.contains("sightglass: r-1:"), "no lines of states beside the bar")
            #expect(shown.last?.hasPrefix("request:") == true, "the bar is gone: \(result.output)")
        }
    }
}
