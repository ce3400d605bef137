// EndToEndBench: an event's way, from its publication to its blob. How it is measured: EventTimelines.

import ArgumentParser

struct EndToEndBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "e2e", abstract: "Event published to file archived, and to blob committed.")

    @Option(help: "Events, each for footage of its own.") var events = 200
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    func run() throws {
        var report = Report(bench: "e2e", machine: .current(), rounds: events)
        let ways = try EventTimelines(events: events, bin: bin)
        report.figures += ways.figures("e2e.accepted", .none, \.accepted)
        report.figures += ways.figures("e2e.archived", .atMost(300), \.archived)
        report.figures += ways.figures("e2e.committed", .atMost(600), \.committed)
        report.figures += ways.figures("e2e.told-by-mqtt", .none, \.told)
        ways.addLost("e2e.lost", to: &report)
        throw ExitCode(try report.finish(writingTo: common.output))
    }
}
