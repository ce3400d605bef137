// The commands that look into the indexer's catalogue, against a socket that answers just these methods.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite struct CatalogueCommandTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func run(
        _ arguments: [String], _ register: (RPCServer) -> Void
    ) async throws -> ToolResult {
        let server = RPCServer(addresses: [try RPCAddress(parsing: "ipc://\(folder.path("indexer.rpc"))")])
        register(server)
        let serving = Task { try await server.run() }
        let result = try await runTool(
            "sightglass", arguments, environment: ["SIGHTGLASS_RUN_DIRECTORY": folder.url.path], within: .seconds(20))
        serving.cancel()
        _ = await serving.result
        return result
    }

    @Test func footageShowsWhatIsMissingAndWhy() async throws {
        let result = try await run(
            ["footage", "line1", "--start", "2026-11-23T05:00:00+00:00", "--end", "2026-11-23T06:00:30+01:00"]
        ) { server in
            server.handle(IndexerMethods.coverage) { request, _ in
                let start = request.window?.startUs ?? 0
                guard request.asset == "line1", request.source == nil else { throw RPCError.notFound("no camera") }
                return CoverageReply(
                    covered: [Window(startUs: start, endUs: start + 20_000_000)],
                    gaps: [
                        Gap(
                            window: Window(startUs: start + 20_000_000, endUs: request.window?.endUs), cause: "dark",
                            reason: "camera refuses the user name")
                    ], segments: 2, bytes: 3 << 20)
            }
        }
        #expect(result.exitCode == 1, "\(result.error)")
        #expect(
            result.output.contains(
                "line1   2026-11-23T05:00:20.000Z  2026-11-23T05:00:30.000Z  10.000s  missing  dark: camera refuses"))
        #expect(result.output.contains("2 segments, 3.0 MiB"))
        // No terminal, so ASCII: two thirds are there. Which cell is which: TimelineTests.
        let bar = result.output.split(separator: "\n").first { $0.hasPrefix("line1  #") }
        #expect(bar?.hasSuffix(" 66.6 %") == true)
        #expect(!result.output.contains("█"))
    }

    @Test func severalCamerasAreLinesOfOneTimeline() async throws {
        let register: (RPCServer) -> Void = { server in
            server.handle(IndexerMethods.coverage) { request, _ in
                let window = request.window ?? Window()
                return request.asset == "line1"
                    ? CoverageReply(covered: [window], segments: 1, bytes: 1024)
                    : CoverageReply(gaps: [Gap(window: window, cause: "dark")])
            }
        }
        let window = ["--start", "2026-11-23T05:00:00Z", "--duration", "1m"]
        let text = try await run(["footage", "line1", "dock"] + window, register)
        #expect(text.exitCode == 1, "\(text.error)")
        #expect(text.output.contains("line1  ##########") && text.output.contains("dock   .........."))
        #expect(text.output.contains("line1: 1 segment, 1.0 KiB") && text.output.contains("dock: nothing of this"))
        let json = try await run(["footage", "line1", "dock", "--json"] + window, register)
        struct Shown: Decodable { let camera: String }
        #expect(try shown(json, as: [Shown].self).map(\.camera) == ["line1", "dock"])
    }

    @Test func daysAreCountedPerCameraUntilThereAreNoMore() async throws {
        let dayUs: Int64 = 86_400_000_000
        let firstUs = 1_795_410_000_000_000 / dayUs * dayUs
        let register: (RPCServer) -> Void = { server in
            server.handle(IndexerMethods.countDays) { request, _ in
                // Two days fit into one message; the second is cut.
                let start = (request.window?.startUs ?? 0) / dayUs * dayUs
                let isFirst = start == firstUs
                let days = [start, start + dayUs].filter { $0 < request.window?.endUs ?? 0 }
                return CountDaysReply(
                    days: days.map { day in
                        DayCount(
                            camera: "line1", source: SourceName(device: "cam1", endpoint: "main"), dayUs: day,
                            segments: 10, snapshots: 2, bytes: 1 << 20)
                    }, more: isFirst)
            }
        }
        let arguments = ["cameras", "--days", "--start", "2026-11-23T05:00:00Z", "--duration", "2d"]
        let text = try await run(arguments, register)
        #expect(text.exitCode == 0, "\(text.error)")
        let rows = text.output.split(separator: "\n").filter { $0.contains("line1") }.map { $0.prefix(10) }
        #expect(rows == ["2026-11-23", "2026-11-24", "2026-11-25"])
        #expect(text.output.contains("30 segments, 6 snapshots, 3.0 MiB"))
        let json = try await run(arguments + ["--json"], register)
        struct Shown: Decodable { let dayUs: Int64 }
        #expect(
            try shown(json, as: [Shown].self).map(\.dayUs)
                == [firstUs, firstUs + dayUs, firstUs + 2 * dayUs])
    }

    @Test(arguments: [
        ["--start", "-1d"], ["--days", "--duration", "1d"], ["--days", "--start", "soon"],
        ["--days", "--start", "2020-01-01T00:00:00Z", "--duration", "367d"],
    ])
    func daysNeedATimeThatMakesSense(arguments: [String]) async throws {
        let result = try await run(["cameras"] + arguments) { _ in }
        #expect(result.exitCode == 64, "\(result.error)")
    }

    @Test func aSourceIsAskedForAsSourceAndFullCoverageIsWell() async throws {
        let result = try await run(["footage", "cam1/main", "--start", "10m ago", "--duration", "1m", "--json"]) {
            server in
            server.handle(IndexerMethods.coverage) { request, _ in
                guard request.source == SourceName(device: "cam1", endpoint: "main") else {
                    throw RPCError.notFound("no")
                }
                return CoverageReply(covered: [request.window].compactMap(\.self), segments: 1, bytes: 1)
            }
        }
        #expect(result.exitCode == 0, "\(result.error)")
        struct Coverage: Decodable { let segments: Int }
        #expect(try JSONDecoder().decode(Coverage.self, from: Data(result.output.utf8)).segments == 1)
    }

    @Test func camerasHoldsAndAuditAreListed() async throws {
        let register: (RPCServer) -> Void = { server in
            server.handle(IndexerMethods.listCameras) { _, _ in
                ListCamerasReply(cameras: [
                    CameraSummary(camera: "line1", oldestUs: 1_795_410_000_000_000, segments: 7, bytes: 1536)
                ])
            }
            server.handle(IndexerMethods.listHolds) { _, _ in
                ListHoldsReply(holds: [Hold(holdID: "h-1", kind: .legal, camera: "line1", reason: "case\u{1B}[2J 7")])
            }
            server.handle(IndexerMethods.listAudit) { request, _ in
                ListAuditReply(entries: [
                    AuditEntry(atUs: request.fromUs, who: "cli:root", action: "held", subject: "h-1")
                ])
            }
        }
        let cameras = try await run(["cameras"], register)
        #expect(cameras.exitCode == 0, "\(cameras.error)")
        #expect(cameras.output.contains("2026-11-23T05:00:00.000Z") && cameras.output.contains("1.5 KiB"))
        let holds = try await run(["holds"], register)
        #expect(holds.output.contains("h-1") && holds.output.contains("legal"))
        #expect(!holds.output.contains("\u{1B}"), "what comes from outside moves no cursor")
        let audit = try await run(["audit", "--from", "2026-11-23T05:11:02.5Z"], register)
        #expect(audit.output.contains("2026-11-23T05:11:02.500Z") && audit.output.contains("held"))
    }

    @Test func aCameraThatIsNotKnownIsAnError() async throws {
        let result = try await run(["footage", "line9", "--start", "-1m", "--duration", "1m"]) { server in
            server.handle(IndexerMethods.coverage) { _, _ in throw RPCError.notFound("no camera line9") }
        }
        #expect(result.exitCode == 1)
        #expect(result.error == "sightglass: indexer: no camera line9\n")
    }
}
