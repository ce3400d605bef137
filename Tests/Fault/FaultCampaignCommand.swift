// fault-campaign: kills, pauses and restarts the processes of a whole site at random while events and requests come in, and checks
// that everything that was accepted is done or reported as not done, that files and catalogue agree, and that nothing is left
// behind. The random choices follow from a seed. Plan/ draws, Run/ carries out and looks, Model/ judges, Report/ writes.

import ArgumentParser
import Foundation
import Harness

@main
struct FaultCampaignCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fault-campaign",
        abstract: "Kills the services of a site at random and checks that no promise is broken.",
        discussion: """
            Executables are those beside this one, or in SIGHTGLASS_BIN. One line is printed for each fault and each outcome. \
            Exit status 0 only if nothing was wrong; the site's folder is kept otherwise.
            """)

    @Option(help: "What the random choices follow from. Absent: another one each time.")
    var seed: UInt64?

    @Option(help: "How many processes are killed. Default 20, with --archive 40.")
    var kills: Int?

    @Flag(help: "Overlapping requests for many cameras, while indexer, archivers and controller are killed.")
    var archive = false

    @Option(help: "With --archive: how many requests. Default half as many as kills, but at least 60.")
    var requests: Int?

    @Option(help: "With --archive: how many cameras, 3 to 8.")
    var cameras = Camera.allCases.count

    @Option(help: "No fault is begun after so many minutes.")
    var minutes: Double?

    @Option(help: "Every so many-th segment and clip is played by ffprobe; salvaged segments always are.")
    var playEach = 5

    @Option(help: "Folder for report.txt and report.json.")
    var report: String?

    @Flag(help: "Only print the plan.")
    var showPlan = false

    func validate() throws {
        if [kills, requests, playEach].contains(where: { ($0 ?? 1) < 1 }) {
            throw ValidationError("--kills, --requests and --play-each are at least 1.")
        }
        if !archive, requests != nil || cameras != Camera.allCases.count {
            throw ValidationError("--requests and --cameras go with --archive.")
        }
        if !(3...Camera.allCases.count).contains(cameras) {
            throw ValidationError("--cameras is 3 to \(Camera.allCases.count).")
        }
    }

    func run() async throws {
        // The seed must be known whatever happens, so it is drawn here and printed first.
        let seed = seed ?? UInt64.random(in: 1...999_999)
        let kills = kills ?? (archive ? 40 : 20)
        let kind = archive ? CampaignKind.archive(requests: requests ?? max(60, kills / 2), cameras: cameras) : .site
        let options = CampaignOptions(kind: kind, seed: seed, kills: kills, minutes: minutes, playEach: playEach)
        if showPlan {
            for planned in kind.plan(seed: seed, kills: kills) { print("+\(planned.waitMs) ms  \(planned.step)") }
            return
        }
        print("fault campaign: \(kind.options)--seed \(seed) --kills \(kills)")
        let campaign = try await Campaign.begin(options)
        let interrupts = Self.onInterrupt { await campaign.abandon() }
        defer { interrupts.forEach { $0.cancel() } }
        let snapshot: Snapshot
        do { snapshot = try await campaign.run() } catch {
            campaign.site.folder.keep()
            await campaign.abandon()
            print("the campaign itself failed: \(error); the site is kept in \(campaign.site.path)")
            throw ExitCode.failure
        }
        let result = await Report(campaign, snapshot)
        if let report {
            try result.write(to: report)
            print("report: \(report)/report.txt")
        }
        // What was wrong comes last: a long output is read from its end.
        print((result.summary + result.violationLines.prefix(20)).joined(separator: "\n"))
        guard result.violations.isEmpty else {
            campaign.site.folder.keep()
            await campaign.abandon()
            throw ExitCode.failure
        }
        try await campaign.site.down()
    }

    /// A campaign that is interrupted leaves no process behind.
    private static func onInterrupt(_ body: @escaping @Sendable () async -> Void) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                Task {
                    await body()
                    _exit(130)
                }
            }
            source.resume()
            return source
        }
    }
}
