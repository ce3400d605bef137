// requests, request, cancel, holds, audit: what was asked for and what became of it.

import ArgumentParser
import JSON
import Volume
import Wire

/// A request for people.
enum RequestText {
    static func isFinal(_ state: RequestState?) -> Bool {
        [.done, .partial, .failed, .cancelled].contains(state)
    }

    static func show(_ request: ArchiveRequest) {
        func line(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty, value != "-" else { return }
            print(Table.printable("\(name): " + String(repeating: " ", count: max(0, 11 - name.count)) + value))
        }
        line("request", request.requestID)
        line("state", request.state?.name)
        line("reason", request.reason)
        if let window = request.window {
            let length = DurationText.show(us: (window.endUs ?? 0) - (window.startUs ?? 0))
            line("window", "\(TimeText.show(window.startUs)) to \(TimeText.show(window.endUs)) (\(length))")
        }
        line("cameras", request.cameras.compactMap(\.camera).joined(separator: ", "))
        line("delivery", request.delivery?.name)
        line("asked by", request.requestedBy)
        line("why", request.why)
        line("due", TimeText.show(request.dueUs))
        line("accepted", TimeText.show(request.acceptedUs))
        line("archived", TimeText.show(request.archivedUs))
        line("finished", TimeText.show(request.finishedUs))
        line("manifest", request.manifestPath)
        if let total = request.bytesTotal, total > 0 {
            line(
                "size",
                "\(sizeText(total)), archived \(sizeText(request.bytesArchived ?? 0)), uploaded \(sizeText(request.bytesUploaded ?? 0))"
            )
        }
        for gap in request.gaps {
            let why = [gap.cause, gap.reason].compactMap(\.self).joined(separator: ": ")
            line("missing", "\(TimeText.show(gap.window?.startUs)) to \(TimeText.show(gap.window?.endUs)) \(why)")
        }
        guard !request.files.isEmpty else { return }
        var table = Table(["KIND", "STATE", "SIZE", "SHA-256", "WHERE"], whenEmpty: "")
        for file in request.files {
            table.add([
                file.kind?.name ?? "", file.state?.name ?? "", sizeText(file.sizeBytes),
                file.sha256.map { String(Digest.hexadecimal($0).prefix(16)) } ?? "-",
                file.error ?? file.blobURL ?? file.archivePath ?? "",
            ])
        }
        print("\n" + table.rendered)
    }
}

struct RequestsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requests", abstract: "Archive requests, newest first.")

    @OptionGroup var connections: Connections
    @Flag(help: "Only those that have not ended.") var open = false
    @Option(help: "How many, 1 to 200.") var limit: UInt32 = 50
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let requests = try await connections.client(.indexer).call(
                IndexerMethods.listRequests, ListRequestsRequest(openOnly: open, limit: limit)
            ).requests
            if json {
                print(JSONValue.array(requests.map { .of($0) }).text(.indented))
                return
            }
            var table = Table(
                ["REQUEST", "STATE", "WINDOW FROM", "LENGTH", "CAMERAS", "ASKED BY", "NOTE"],
                whenEmpty: open ? "no open requests" : "no requests yet")
            for request in requests {
                let length = (request.window?.endUs ?? 0) - (request.window?.startUs ?? 0)
                table.add([
                    request.requestID ?? "", request.state?.name ?? "", TimeText.show(request.window?.startUs),
                    DurationText.show(us: length), request.cameras.compactMap(\.camera).joined(separator: ","),
                    request.requestedBy ?? "", request.reason ?? "",
                ])
            }
            print(table.rendered)
        }
    }
}

struct RequestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "request", abstract: "One archive request with its files.",
        discussion: "Exit status 1 where it is partial, failed or cancelled.")

    @OptionGroup var connections: Connections
    @Argument(help: "The request's name.") var id: String
    @Flag(help: "Wait until it has ended, and show how far it is.") var watch = false
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let indexer = try connections.client(.indexer)
            let request =
                watch
                ? try await RequestWatch(id: id, indexer: indexer).follow(atMost: nil)
                : try await indexer.call(IndexerMethods.getRequest, GetRequestRequest(requestID: id))
            if json { print(JSONValue.of(request).text(.indented)) } else { RequestText.show(request) }
            if RequestText.isFinal(request.state), request.state != .done { throw Status.notAsWished }
        }
    }
}

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Cancel an archive request. What was delivered stays.")

    @OptionGroup var connections: Connections
    @Argument(help: "The request's name.") var id: String
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let request = try await connections.client(.indexer).call(
                IndexerMethods.cancelRequest,
                CancelRequestRequest(requestID: id, requestedBy: connections.operatorName))
            if json {
                print(JSONValue.of(request).text(.indented))
            } else {
                print("\(id): \(request.state?.name ?? "")")
            }
            if request.state != .cancelled { throw Status.notAsWished }
        }
    }
}

struct HoldsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holds", abstract: "Footage that may not be deleted, and why.")

    @OptionGroup var connections: Connections
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let holds = try await connections.client(.indexer).call(IndexerMethods.listHolds, ListHoldsRequest()).holds
            if json {
                print(JSONValue.array(holds.map { .of($0) }).text(.indented))
                return
            }
            var table = Table(["HOLD", "KIND", "CAMERA", "FROM", "TO", "BY", "WHY"], whenEmpty: "nothing is held")
            for hold in holds {
                table.add([
                    hold.holdID ?? "", hold.kind?.name ?? "", hold.camera ?? hold.source?.text ?? "",
                    TimeText.show(hold.window?.startUs), TimeText.show(hold.window?.endUs), hold.placedBy ?? "",
                    hold.reason ?? hold.requestID ?? "",
                ])
            }
            print(table.rendered)
        }
    }
}

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Who asked for what, and what became of it.")

    @OptionGroup var connections: Connections
    @Option(parsing: .unconditional, help: "From when on: 2026-11-23T05:11:02Z, -1d, \"10m ago\".") var from: String?
    @Option(help: "How many, 1 to 1000.") var limit: UInt32 = 100
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if let from, TimeText.parse(from, nowUs: WindowArguments.nowUs()) == nil {
            throw ValidationError("--from \(from): write 2026-11-23T05:11:02Z (with zone), -1d or \"10m ago\".")
        }
    }

    func run() async throws {
        try await reporting {
            let fromUs = from.flatMap { TimeText.parse($0, nowUs: WindowArguments.nowUs()) }
            let entries = try await connections.client(.indexer).call(
                IndexerMethods.listAudit, ListAuditRequest(fromUs: fromUs, limit: limit)
            ).entries
            if json {
                print(JSONValue.array(entries.map { .of($0) }).text(.indented))
                return
            }
            var table = Table(["AT", "WHO", "DID", "WHAT", "DETAIL"], whenEmpty: "no entries")
            for entry in entries {
                table.add([
                    TimeText.show(entry.atUs), entry.who ?? "", entry.action ?? "", entry.subject ?? "",
                    entry.detail ?? "",
                ])
            }
            print(table.rendered)
            // The oldest come first: without a word the newest would seem to be the last one shown.
            if entries.count >= Int(limit), let last = entries.last {
                printError("there may be more; go on with --from \(TimeText.show(last.atUs))")
            }
        }
    }
}
