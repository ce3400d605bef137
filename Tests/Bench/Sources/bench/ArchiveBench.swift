// ArchiveBench: what it takes to bring footage from the recording volume to the archive, beside the tools that a script would use.
//
//   copy     files with all that an archived one has (hash on the way, read back, synced, sidecar, claimed and completed by RPC), by
//            a real archiver whose indexer is faked, beside cp, sync and sha256sum of the sources and of the copies
//   export   ten minutes as one exact clip by `sightglass export`, beside ffmpeg -f concat -c copy of as many whole segments
//   job      the same clip by an archive request: from its submission until it is done, manifest and all, by the indexer's clock
//   event    from the submission of an event whose footage is sealed until the file has its name on the archive volume, by its change
//            time
//
// Who is measured takes turns with its peer within a round; all of it is read from the page cache. Which pictures a clip shows is
// asked of ffmpeg, which reads the numbers that they carry (NumberedFilm); that is not measured.

import ArgumentParser
import Foundation

struct ArchiveBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive", abstract: "Copies, exact clips and events, beside cp, sha256sum and ffmpeg.",
        discussion: "Takes about 3 GB below /tmp. The first run makes a film, which takes a minute.")

    enum Part: String, ExpressibleByArgument, CaseIterable { case copy, clip, event }

    @Option(help: "Files that are copied in a round.") var files = 40
    @Option(name: .customLong("file-mib"), help: "Size of each, in MiB.") var fileMiB = 25
    @Option(help: "Rounds; each measures everybody once.") var rounds = 3
    @Option(help: "Events, each for a segment of its own; at most 122.") var events = 100
    @Option(help: "Only these parts: copy, clip, event.") var only: [Part] = []
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...ArchivedFilm.mostEvents).contains(events) else {
            throw ValidationError("--events is 1 to \(ArchivedFilm.mostEvents): there are no more segments.")
        }
    }

    func run() throws {
        let machine = Machine.current()
        let parts = only.isEmpty ? Part.allCases : only
        var report = Report(bench: "archive", machine: machine, rounds: rounds)
        if parts.contains(.copy) {
            try ArchiveCopies(bin: bin, files: files, fileBytes: fileMiB << 20, rounds: rounds).run(&report)
        }
        if parts.contains(.clip) || parts.contains(.event) {
            try NumberedFilm.prepare()
            let film = try ArchivedFilm(bin: bin)
            defer { film.end() }
            if parts.contains(.clip) { try film.clips(rounds, &report) }
            if parts.contains(.event) { try film.events(events, &report) }
        }
        throw ExitCode(try report.finish(writingTo: common.output))
    }
}
