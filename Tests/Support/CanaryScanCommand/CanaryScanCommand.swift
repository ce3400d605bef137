// canary-scan: looks for credentials where none belongs, for the checks that are no Swift. Harness/Canaries.swift says what it finds.
//
//     canary-scan site /tmp/site --but mqtt     processes, health, metrics and files of a site that runs
//     canary-scan files .build/tests.log        files and folders
//
// It ends with "passed  WHAT", or a line "FAILED  WHAT: ..." for each find and exit status 1.

import ArgumentParser
import Foundation
import Harness

@main
struct CanaryScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "canary-scan", abstract: "Looks for credentials where none belongs.",
        subcommands: [SiteCommand.self, FilesCommand.self])

    static func tell(_ finds: [CanaryFind], _ what: String) throws {
        guard !finds.isEmpty else { return print("passed  \(what)") }
        for find in finds { print("FAILED  \(what): \(find)") }
        throw ExitCode(1)
    }
}

struct SiteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site", abstract: "A site of deploy/local/site, while it runs.")

    @Argument(help: "The site's folder.")
    var folder: String

    @Option(help: "A file or folder below it where credentials belong, beside secrets and clients. May be repeated.")
    var but: [String] = []

    @Option(help: "What the line of the result says.")
    var name = "no credential in anything that the site shows or wrote"

    func run() async throws {
        guard FileManager.default.fileExists(atPath: folder + "/pids") else {
            throw ValidationError("\(folder) is no site: it has no folder pids")
        }
        let scan = SiteScan(folder: folder, sparing: but)
        try CanaryScanCommand.tell(await scan.running() + scan.written(), name)
    }
}

struct FilesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "files", abstract: "Files and folders.")

    @Argument(help: "The files and folders; one that is not there is passed over.")
    var paths: [String]

    @Option(help: "What the line of the result says.")
    var name = "no credential in the output"

    @Flag(help: "Not what only has the shape of a credential: for the output of tests, which show what they test with.")
    var canariesOnly = false

    func run() async throws {
        let files = CanaryFiles(shapes: !canariesOnly)
        try CanaryScanCommand.tell(paths.flatMap(files.finds), name)
    }
}
