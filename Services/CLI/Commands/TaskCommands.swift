// start, stop: tasks.

import ArgumentParser
import Foundation
import JSON
import Wire

/// ASSET/STREAM on the command line.
struct StreamArgument: ExpressibleByArgument, Sendable {
    let name: StreamName

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        name = StreamName(asset: String(parts[0]), stream: String(parts[1]))
    }
}

struct StartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Start a task, or start it again with other settings.",
        discussion: """
            Settings given here count for this run only, over those of the stream. Without --set and --configuration the \
            stream's own settings are used.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "ASSET/STREAM") var stream: StreamArgument
    @Option(help: "A setting of this run: key=value, such as duration=30. May be repeated.") var set: [String] = []
    @Option(help: "A whole configuration of this run as JSON, or @FILE.") var configuration: String?
    @Option(name: .customLong("for"), help: "End by itself after this time, such as 10m; a week at most.")
    var endsAfter: DurationArgument?
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if configuration != nil, !set.isEmpty { throw ValidationError("Give --set or --configuration, not both.") }
        for pair in set where !pair.contains("=") || pair.hasPrefix("=") {
            throw ValidationError("--set \(pair): write key=value.")
        }
    }

    func run() async throws {
        try await reporting {
            let reply = try await connections.client(.assetRegistry).call(
                AssetRegistryMethods.setDesiredState,
                SetDesiredStateRequest(
                    stream: stream.name, running: true, overrideJSON: try overrideJSON(),
                    endsAfterMs: endsAfter.map { UInt64(max(1, $0.us / 1000)) }, startedBy: connections.operatorName),
                idempotencyKey: UUID().uuidString)
            report(reply, json: json)
        }
    }

    private func overrideJSON() throws(Failure) -> String? {
        if let configuration {
            guard configuration.hasPrefix("@") else { return configuration }
            let path = String(configuration.dropFirst())
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Failure("\(path): cannot be read")
            }
            return String(decoding: data, as: UTF8.self)
        }
        guard !set.isEmpty else { return nil }
        let members = set.map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return JSONValue.Member(key: String(parts[0]), value: Self.value(String(parts[1])))
        }
        return JSONValue.object(members).text()
    }

    /// Numbers and booleans as such, everything else as a text.
    static func value(_ text: String) -> JSONValue {
        switch text {
        case "true": .bool(true)
        case "false": .bool(false)
        default:
            Int64(text).map { .integer($0) } ?? Double(text).flatMap { $0.isFinite ? .real($0) : nil } ?? .string(text)
        }
    }
}

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop a task. It stays stopped until somebody starts it.")

    @OptionGroup var connections: Connections
    @Argument(help: "ASSET/STREAM") var stream: StreamArgument
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let reply = try await connections.client(.assetRegistry).call(
                AssetRegistryMethods.setDesiredState,
                SetDesiredStateRequest(stream: stream.name, running: false, startedBy: connections.operatorName),
                idempotencyKey: UUID().uuidString)
            report(reply, json: json)
        }
    }
}

private func report(_ reply: SetDesiredStateReply, json: Bool) {
    guard let stream = reply.stream else { return }
    if json {
        print(JSONValue.fields(["changed": .bool(optional: reply.changed), "stream": .of(stream)]).text(.indented))
        return
    }
    let running = stream.desired?.running == true
    let name = stream.name?.text ?? ""
    guard reply.changed == true else {
        print(Table.printable("\(name): \(running ? "runs already" : "was stopped already")"))
        return
    }
    let end = stream.desired?.endsAtUs.map { ", until \(TimeText.show($0))" } ?? ""
    let run = running ? " (run \(stream.desired?.runID ?? "")\(end))" : ""
    print(Table.printable("\(name): shall \(running ? "run" : "stop")\(run)"))
    printIssues(stream.issues)
}
