// archive: has the footage of a window archived. First the controllers are asked to keep it, then the indexer records the
// request: so an indexer that is away costs no footage.

import ArgumentParser
import Footage
import Foundation
import JSON
import RPC
import Wire

struct ArchiveCommand: AsyncParsableCommand {
    enum Target: String, ExpressibleByArgument, CaseIterable { case cloud, archive }
    enum Form: String, ExpressibleByArgument, CaseIterable { case files, clip }

    static let configuration = CommandConfiguration(
        commandName: "archive", abstract: "Archive a window of one or more cameras.",
        discussion: """
            With --wait the exit status is 0 when all was delivered, 1 when it was partial, failed or cancelled; Ctrl-C ends \
            the waiting, not the request. The same --request-id again is the same request.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "Assets, or device/endpoint.") var cameras: [String]
    @OptionGroup var window: WindowArguments
    @Option(help: "cloud: done when it is in the blob store; archive: when it is on the archive volume.")
    var delivery: Target = .cloud
    @Option(help: "files: the recorded files; clip: one file that holds exactly the window.") var mode: Form = .files
    @Option(help: "Why, for audit and manifest.") var reason: String = ""
    /// Operators stand between events (100) and routine (0).
    @Option(help: "Higher comes first.") var priority: Int32 = 50
    @Option(
        parsing: .unconditional,
        help:
            "When it should be delivered, such as 2026-11-23T05:11:02Z or +30m: it goes before others of its priority.")
    var due: String?
    @Option(help: "Name of the request: letters, digits, '.', '_', '-'; made up where absent.") var requestID: String?
    @Flag(help: "Wait until it is done, and print the files.") var wait = false
    @Option(help: "Longest wait with --wait.") var waitAtMost: DurationArgument = DurationArgument(
        milliseconds: 3_600_000)
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if cameras.isEmpty { throw ValidationError("Name at least one camera.") }
        _ = try dueUs(nowUs: WindowArguments.nowUs())
    }

    private func dueUs(nowUs: Int64) throws -> Int64? {
        guard let due else { return nil }
        guard let us = TimeText.parse(due, nowUs: nowUs), us > 0 else {
            throw ValidationError("--due \(due): write 2026-11-23T05:11:02Z (with zone) or +30m.")
        }
        return us
    }

    func run() async throws {
        try await reporting {
            let nowUs = WindowArguments.nowUs()
            let window = try window.read(nowUs: nowUs)
            let id = requestID ?? "cli-\(UUID().uuidString.lowercased())"
            let ensured = try await ensure(window, id: id)
            let indexer = try connections.client(.indexer)
            let reply = try await submit(
                SubmitArchiveRequest(
                    requestID: id, window: window, cameras: ensured, requestedBy: connections.operatorName,
                    reason: reason.isEmpty ? nil : reason, delivery: delivery == .cloud ? .cloud : .archive,
                    mode: mode == .clip ? .clip : .files, priority: priority, dueUs: try dueUs(nowUs: nowUs)),
                to: indexer)
            if !wait {
                if json, let request = reply.request {
                    print(JSONValue.of(request).text(.indented))
                } else {
                    print(id)
                    printError("\(reply.receipt?.name ?? "accepted"); \(RequestWatch.ways(of: id))")
                }
                return
            }
            if !json, StatusLine().isShown { printError("request \(id): \(reply.receipt?.name ?? "accepted")") }
            let final = try await RequestWatch(id: id, indexer: indexer).follow(atMost: waitAtMost.duration)
            if json { print(JSONValue.of(final).text(.indented)) } else { RequestText.show(final) }
            if final.state != .done { throw Status.notAsWished }
        }
    }

    private func ensure(_ window: Window, id: String) async throws -> [RequestedCamera] {
        let registry = try connections.client(.assetRegistry)
        let connections = self.connections
        let controllers = ControllerClients(allowInsecure: connections.insecure) { address in
            try connections.rpcClient(Role.captureController.rawValue, address)
        }
        let requester = FootageRequester(
            neighbours: RPCFootageNeighbours(
                registry: registry.rpc, controllers: controllers, registryTimeout: connections.answerWithin.duration))
        let resolved: [RequestedCamera]
        do {
            resolved = try await requester.resolve(cameras)
        } catch {
            throw Failure(error, connections: connections)
        }
        let ensured = await requester.ensure(key: id, window: window, cameras: resolved)
        for camera in ensured {
            if let reason = camera.footageReason, !reason.isEmpty {
                printError(Table.printable("\(camera.camera ?? ""): \(camera.footage?.name ?? ""), \(reason)"))
            }
        }
        return ensured
    }

    private func submit(_ request: SubmitArchiveRequest, to indexer: Client) async throws(Failure) -> SubmitReply {
        do {
            return try await indexer.call(IndexerMethods.submitArchive, request)
        } catch {
            guard error.status == Status.serviceAway else { throw error }
            let held = request.cameras.contains { [.sealed, .recording, .dark].contains($0.footage) }
            let kept = held ? "The controllers keep the footage for 15 minutes. " : ""
            throw Failure(
                error.message + "\n\(kept)Whether the request was recorded is not known; the same again is safe: "
                    + "--request-id \(request.requestID ?? "") --start \(TimeText.show(request.window?.startUs)) "
                    + "--end \(TimeText.show(request.window?.endUs))", error.status)
        }
    }
}
