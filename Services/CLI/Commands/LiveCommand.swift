// live: a live stream for some minutes, and where to look at it.

import ArgumentParser
import Foundation
import JSON
import Wire

struct LiveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "live", abstract: "Start a live stream for a while, and print where it is played.",
        discussion: """
            Starts a stream of the asset whose task is stream-to-rtsp or stream-to-rtsps, waits until the media server has it, \
            and prints its address: play it with `ffplay ADDRESS` or any other player. It ends by itself.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "ASSET or ASSET/STREAM") var name: String
    @Option(name: .customLong("for"), help: "How long it runs, a week at most.")
    var length = DurationArgument(milliseconds: 600_000)
    @Option(help: "How long to wait for the first pictures at the media server.")
    var wait = DurationArgument(milliseconds: 15_000)
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let registry = try connections.client(.assetRegistry)
            let all = try await registry.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
            let stream = try Self.choose(name, of: all.streams)
            guard let streamName = stream.name, let source = stream.source else {
                throw Failure("\(name): its stream names no camera; see `sightglass get streams`")
            }
            let controller = try await connections.controller(holding: source, registry)
            _ = try await registry.call(
                AssetRegistryMethods.setDesiredState,
                SetDesiredStateRequest(
                    stream: streamName, running: true, endsAfterMs: UInt64(max(1, length.us / 1000)),
                    startedBy: connections.operatorName),
                idempotencyKey: UUID().uuidString)
            let address = try await running(streamName, controller) ?? stream.settings?.mediaServerURL ?? ""
            if json {
                print(
                    JSONValue.fields([
                        "stream": .string(streamName.text), "address": .string(address),
                        "ends_after_ms": .integer(length.us / 1000),
                    ]).text(.indented))
            } else {
                print(Table.printable(address))
                printError(
                    "\(streamName.text) runs for \(DurationText.show(us: length.us)); end it before with "
                        + "`sightglass stop \(streamName.text)`")
            }
        }
    }

    /// The stream that a name means.
    static func choose(_ name: String, of streams: [StreamDefinition]) throws(Failure) -> StreamDefinition {
        let live = streams.filter { [.streamToRtsp, .streamToRtsps].contains($0.settings?.type) }
        let meant = live.filter { $0.name?.text == name || $0.name?.asset == name }
        guard let first = meant.first else {
            let known = live.compactMap(\.name?.text).sorted().joined(separator: ", ")
            throw Failure(
                "\(name) has no stream of taskType stream-to-rtsp: "
                    + (known.isEmpty ? "no asset has one; add one and apply it" : "there are \(known)"))
        }
        guard meant.count == 1 else {
            let names = meant.compactMap(\.name?.text).sorted().joined(separator: ", ")
            throw Failure("\(name) has several live streams, name one: \(names)")
        }
        guard first.enabled == true else {
            throw Failure(
                "\(first.name?.text ?? name) does not run: "
                    + (first.issues.first?.message ?? "its asset or device is disabled"))
        }
        return first
    }

    /// Waits until the media server has pictures of it. Gives the address that the controller pushes to.
    private func running(_ stream: StreamName, _ controller: Client) async throws -> String? {
        let line = StatusLine()
        defer { line.clear() }
        line.show("waiting for the media server to have \(stream.text)")
        let end = ContinuousClock.now + wait.duration
        var task: TaskStatus?
        repeat {
            let status = try await controller.call(
                CaptureControllerMethods.listStatus, ListStatusRequest(asset: stream.asset, stream: stream.stream))
            task = status.tasks.first { $0.stream == stream }
            if task?.state == .running, (task?.produced ?? 0) > 0 { return task?.lastOutput }
            if task?.state == .failed { break }
            // The controller hears of the wish within a second.
            try await Task.sleep(for: .milliseconds(200))
        } while ContinuousClock.now < end
        throw Failure(
            "\(stream.text) does not run yet: \(task?.error ?? "the controller says nothing of it"); it goes on trying, see "
                + "`sightglass status`, and `sightglass probe \(stream.asset ?? "")` for its camera")
    }
}
