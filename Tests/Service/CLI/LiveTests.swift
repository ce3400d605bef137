// live, events, and a snapshot that is shown: what they ask, print, and say where it does not work.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite struct LiveTests {
    private static let live = StreamName(asset: "line1", stream: "live")

    private func addLive(_ bench: CommandBench) {
        bench.registry.configure(
            endpoints: [InboundEndpoint(source: CommandBench.source, enabled: true)],
            streams: [
                StreamDefinition(
                    name: Self.live, source: CommandBench.source, enabled: true,
                    settings: TaskSettings(type: .streamToRtsp, mediaServerURL: "rtsp://media:8554/line1"))
            ])
    }

    @Test func aLiveStreamIsStartedAndItsAddressPrinted() async throws {
        try await withCommands { bench in
            addLive(bench)
            bench.controller.listStatus.answer { [asked = bench.controller.listStatus] _ in
                // The controller hears of the wish a moment later.
                guard asked.requests.count > 2 else { return ListStatusReply(controllerID: "cc-0") }
                return ListStatusReply(
                    controllerID: "cc-0",
                    tasks: [
                        TaskStatus(
                            stream: Self.live, type: .streamToRtsp, state: .running, produced: 5,
                            lastOutput: "rtsp://media:8554/line1")
                    ])
            }
            let result = try await bench.run("live", "line1", "--for", "2m")
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(result.output == "rtsp://media:8554/line1\n")
            #expect(result.error.contains("sightglass stop line1/live"))
            let wish = try #require(bench.registry.setDesiredState.requests.first)
            #expect(wish.stream == Self.live && wish.running == true && wish.endsAfterMs == 120_000)
        }
    }

    @Test func whyALiveStreamDoesNotRunIsSaid() async throws {
        try await withCommands { bench in
            #expect(try await bench.run("live", "line1").error.contains("no asset has one"))
            addLive(bench)
            bench.controller.listStatus.answer { _ in
                ListStatusReply(
                    controllerID: "cc-0",
                    tasks: [
                        TaskStatus(
                            stream: Self.live, type: .streamToRtsp, state: .failed,
                            error: "the media server refuses ANNOUNCE (403 Forbidden)")
                    ])
            }
            let result = try await bench.run("live", "line1/live")
            #expect(result.exitCode == 1)
            #expect(result.error.contains("403 Forbidden") && result.error.contains("sightglass probe line1"))
        }
    }

    @Test(arguments: [
        ("kitty", "png", "\u{1B}_Ga=T,f=100,m=0;/9j/2Q==\u{1B}\\\n"),
        ("iterm", "jpeg", "\u{1B}]1337;File=inline=1;size=4:/9j/2Q==\u{07}\n"),
    ])
    func aPictureIsShown(way: String, format: String, bytes: String) async throws {
        try await withCommands { bench in
            let result = try await bench.run("snapshot", "line1/clips", "--show", way)
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(result.output == bytes)
            let asked = try #require(bench.controller.takeSnapshot.requests.first)
            #expect(asked.format == format && asked.maxWidthPx == 800)
        }
    }

    @Test func whatCannotBeShownIsSaidAndWithoutATerminalItIsAFile() async throws {
        try await withCommands { bench in
            // Four bytes are no bitmap.
            let sixel = try await bench.run("snapshot", "line1/clips", "--show", "sixel")
            #expect(sixel.exitCode == 1 && sixel.error.contains("write it to a file with -o"))
            #expect(try await bench.run("snapshot", "line1/clips", "--show", "kitty", "-o", "x.png").exitCode == 64)
            let path = bench.folder.path("now.jpg")
            let file = try await bench.run("snapshot", "line1/clips", "-o", path)
            #expect(file.output.hasPrefix("\(path): 4 B"))
        }
    }

    @Test func eventsAreToldInTheirOrderAndFollowed() async throws {
        try await withCommands { bench in
            let nowUs = Int64(Date().timeIntervalSince1970 * 1e6)
            let all = [
                AuditEntry(atUs: nowUs - 30_000_000, who: "mqtt:alerts", action: "requested", subject: "r-1"),
                AuditEntry(atUs: nowUs - 10_000_000, action: "delivered", subject: "r-1", detail: "3 files"),
            ]
            bench.indexer.listAudit.answer { request in
                ListAuditReply(entries: all.filter { ($0.atUs ?? 0) >= (request.fromUs ?? 0) })
            }
            bench.registry.changes.answer { request in
                RegistryChangesReply(
                    changes: [RegistryChange(cursor: 1, what: "desired", name: "line1/clips", atUs: nowUs - 20_000_000)]
                        .filter { ($0.cursor ?? 0) > (request.after ?? 0) }, newest: 1)
            }
            let result = try await bench.run("events", "--from", "-10m")
            #expect(result.exitCode == 0, "\(result.error)")
            let lines = Screen(result.output).text.split(separator: "\n").map(String.init)
            #expect(
                lines == [
                    "TIME  requested  r-1  mqtt:alerts", "TIME  desired changed  line1/clips",
                    "TIME  delivered  r-1  3 files",
                ])
            let process = try ServiceProcess(
                "sightglass", ["events", "--from", "-10m", "--watch", "--json"],
                environment: ["SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path], logs: bench.folder)
            try await eventually("what was there is told") {
                process.standardOutput.contains("delivered") ? true : nil
            }
            let next = AuditEntry(atUs: nowUs + 1, action: "requested", subject: "r-2")
            bench.indexer.listAudit.answer { request in
                ListAuditReply(entries: (all + [next]).filter { ($0.atUs ?? 0) >= (request.fromUs ?? 0) })
            }
            try await eventually("what comes then is told") { process.standardOutput.contains("r-2") ? true : nil }
            #expect(process.standardOutput.split(separator: "\n").count == 4, "each once")
            try await process.kill()
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func completionsAreThere(shell: String) async throws {
        let result = try await runTool("sightglass", ["--generate-completion-script", shell])
        #expect(result.exitCode == 0)
        #expect(["probe", "doctor", "events", "live"].allSatisfy { result.output.contains($0) })
    }
}
