// status, health: what runs and how it is.

import ArgumentParser
import Foundation
import JSON
import Wire

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "The whole site on one screen.",
        discussion: """
            Whether footage lands of each camera comes first: "lands" is safe on disk within seconds, "memory" is kept in memory \
            because nothing asks for more, "stuck" comes and is not written, "dark" gives no pictures, "unheld" has no \
            capture-controller.

            With --watch the screen is shown anew until Ctrl-C, where no terminal is one after the other; with --json then one \
            object per line. Exit status 1 where something is not as wished, 69 where no service answers.
            """)

    @OptionGroup var connections: Connections
    @Flag(help: "Go on showing it until Ctrl-C.") var watch = false
    @Option(help: "With --watch: time from one screen to the next.") var every = DurationArgument(milliseconds: 1000)
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let reader = SiteReader(connections: connections)
            if watch { try await follow(reader) }
            let status = try await reader.read()
            if json {
                print(status.json.text(.indented))
            } else {
                print(StatusScreen(status: status).lines.joined(separator: "\n"))
            }
            if status.isSilent {
                throw Failure(
                    "no service answers below \(connections.runDirectory): start them, or give --run-directory",
                    Status.serviceAway)
            }
            if !status.isWell { throw Status.notAsWished }
        }
    }

    /// Services that are away come back: nothing ends it but who watches.
    private func follow(_ reader: SiteReader) async throws -> Never {
        let screen = LiveScreen()
        while true {
            let status = try await reader.read()
            if json {
                screen.line(status.json.text())
            } else {
                screen.show { StatusScreen(status: status).lines(width: $0, height: $1) }
            }
            try await Task.sleep(for: every.duration)
        }
    }
}

struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "One service's health, for people and probes.",
        discussion: "Exit status 0 when ready, 1 when not, 69 when it does not answer.")

    @OptionGroup var connections: Connections
    @Argument(help: "The service: \(Role.allCases.map(\.rawValue).joined(separator: ", ")).") var role: Role
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let reply = try await connections.client(role).call(HealthMethods.check, HealthRequest())
            if json {
                print(JSONValue.of(reply).text(.indented))
            } else {
                print(
                    Table.printable("\(reply.service ?? role.rawValue): \(reply.ready == true ? "ready" : "not ready")")
                )
                for reason in reply.reasons { print(Table.printable("  \(reason)")) }
                for neighbour in reply.neighbours {
                    let state = neighbour.reachable == true ? "reachable" : "away: \(neighbour.error ?? "no answer")"
                    print(Table.printable("  \(neighbour.role ?? ""): \(state)"))
                }
                for metric in reply.metrics {
                    let labels = metric.labels.flatMap { $0.isEmpty ? nil : "{\($0)}" } ?? ""
                    print(Table.printable("  \(metric.name ?? "")\(labels) \(metric.value ?? 0)"))
                }
            }
            if reply.ready != true { throw Status.notAsWished }
        }
    }
}
