// uploads: backlog, progress and failures of the uploads, and another chance for what was set aside.

import ArgumentParser
import Foundation
import JSON
import Wire

struct UploadsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "uploads", abstract: "What is to be uploaded, how far it is, and what could not be.",
        subcommands: [ListCommand.self, ReviveCommand.self], defaultSubcommand: ListCommand.self)

    struct ListCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Backlog, rate, files on their way and those set aside (the default).",
            discussion: """
                Files are shown in the order in which they go up: by priority, then what an event wants, then what is due first, \
                then the oldest. With --watch it goes on until nothing waits any more. Exit status 1 where files are set aside.
                """)

        @OptionGroup var connections: Connections
        @Flag(help: "Go on showing it until nothing waits any more.") var watch = false
        @Flag(help: "Show what was set aside, and why.") var failed = false
        @Option(help: "How many files, 0 to 1000.") var limit: UInt32 = 20
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            if limit > 1000 { throw ValidationError("--limit \(limit): 0 to 1000 are possible.") }
            if watch, failed { throw ValidationError("--watch and --failed do not go together.") }
        }

        func run() async throws {
            try await reporting {
                let indexer = try connections.client(.indexer)
                let uploads = watch ? try await follow(indexer) : try await ask(indexer)
                if json { print(JSONValue.of(uploads).text(.indented)) } else { show(uploads) }
                if uploads.setAsideFiles ?? 0 > 0 { throw Status.notAsWished }
            }
        }

        private func ask(_ indexer: Client) async throws(Failure) -> ListUploadsReply {
            try await indexer.call(
                IndexerMethods.listUploads, ListUploadsRequest(setAsideOnly: failed, limit: limit))
        }

        private func show(_ uploads: ListUploadsReply) {
            let report = UploadReport(uploads: uploads, nowUs: WindowArguments.nowUs())
            if !failed {
                print(report.totals.joined(separator: "\n"))
                let signs: BarSigns = Terminal.showsBlocks(isTerminal: Terminal.isOutput) ? .blocks : .ascii
                let bars = report.bars(width: Terminal.width(of: STDOUT_FILENO), signs: signs)
                if !bars.isEmpty { print("\n" + bars.joined(separator: "\n")) }
                if let next = report.next { print("\n" + next) }
                return
            }
            print(report.failed)
            if uploads.nextPageToken != nil {
                printError("there are more; \(uploads.setAsideFiles ?? 0) in all, see --limit")
            }
        }

        /// Shows the uploads again and again where a terminal is, else a line for each change. An indexer that restarts
        /// meanwhile is waited for.
        private func follow(_ indexer: Client) async throws -> ListUploadsReply {
            let notice = InterruptNotice("the uploads go on; see them with `sightglass uploads`")
            defer { notice.end() }
            let lines = StatusLine()
            defer { lines.clear() }
            var shown = ""
            var isAway = false
            while true {
                do {
                    let uploads = try await ask(indexer)
                    isAway = false
                    let report = UploadReport(uploads: uploads, nowUs: WindowArguments.nowUs())
                    if lines.isShown {
                        let signs: BarSigns = Terminal.showsBlocks(isTerminal: true) ? .blocks : .ascii
                        let bars = report.bars(width: Terminal.width(of: STDERR_FILENO), signs: signs)
                        // More would scroll away above a small window.
                        lines.show(report.totals + bars.prefix(12))
                    } else if report.line != shown {
                        shown = report.line
                        printError(shown)
                    }
                    if uploads.waitingFiles ?? 0 == 0 { return uploads }
                } catch {
                    guard error.status == Status.serviceAway else { throw error }
                    lines.clear()
                    if !isAway { printError(error.message) }
                    isAway = true
                }
                // A person watches; more often than the uploaders say how far they are makes no sense.
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    struct ReviveCommand: AsyncParsableCommand {
        enum Side: String, ExpressibleByArgument, CaseIterable { case upload, archive }

        static let configuration = CommandConfiguration(
            commandName: "revive", abstract: "Try files again that were set aside, with all their attempts.",
            discussion: """
                Their requests are open again until they end anew. What was not set aside is passed over, and so is what nobody \
                wants any more because its request was cancelled.
                """)

        @OptionGroup var connections: Connections
        @Argument(help: "Items, as `sightglass uploads --failed` names them.") var items: [UInt64] = []
        @Flag(help: "Everything that was set aside.") var all = false
        @Option(help: "Only what could not be uploaded, or only what could not be archived.") var work: Side?
        @Flag(help: "Print JSON.") var json = false

        /// The contract's bound of one question.
        private static let mostAtOnce = 1000
        /// A hundred thousand files take the indexer some minutes.
        private static let longest = Duration.seconds(600)

        func validate() throws {
            if all == !items.isEmpty { throw ValidationError("Name items, or give --all.") }
        }

        func run() async throws {
            try await reporting {
                let indexer = try connections.client(.indexer)
                let side = work.map { $0 == .upload ? Work.upload : .archive }
                var revived: UInt64 = 0
                for start in stride(from: 0, to: max(1, items.count), by: Self.mostAtOnce) {
                    let piece = Array(items[start..<min(items.count, start + Self.mostAtOnce)])
                    revived +=
                        try await indexer.call(
                            IndexerMethods.reviveItems,
                            ReviveItemsRequest(
                                itemIDs: piece, all: all ? true : nil, work: side, requestedBy: connections.operatorName
                            ),
                            within: Self.longest
                        ).revived ?? 0
                }
                if json {
                    print(JSONValue.fields(["revived": .integer(revived)]).text(.indented))
                } else {
                    print(revived == 0 ? "nothing of it was set aside" : "revived \(counted(revived, "file"))")
                }
            }
        }
    }
}
