// doctor: what of a site needs a person, and what to do next.

import ArgumentParser
import JSON

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "What of the site needs a person, and what to do next.",
        discussion: """
            Looks at services and their versions, clocks, cameras and leases, volumes, spools, the catalogue, requests, uploads, \
            counters of losses, and certificates that end soon. Changes nothing.

            Exit status 0 where all is well, 1 where something needs attention, 2 where something is wrong.
            """)

    @OptionGroup var connections: Connections
    @Flag(help: "Show only what is not well.") var brief = false
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let list = SiteDiagnosis(facts: try await SiteInspector(connections: connections).read()).checks
            if json {
                print(JSONValue.object(list.json).text(.indented))
            } else {
                let shown = brief ? CheckList(checks: list.checks.filter { $0.verdict != .good }) : list
                if shown.checks.isEmpty { print("all is well") } else { print(shown.lines.joined(separator: "\n")) }
            }
            switch list.verdict {
            case .good: break
            case .attention: throw Status.notAsWished
            case .wrong: throw Status.wrong
            }
        }
    }
}
