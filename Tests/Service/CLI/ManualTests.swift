// deploy/local/manual: a manual page of each command.

import Foundation
import Harness
import Testing

@Suite struct ManualTests {
    @Test func eachCommandHasAPage() async throws {
        let folder = try TemporaryDirectory()
        let script = Executables.repository.appendingPathComponent("deploy/local/manual").path
        let program = try Executables.path(of: "sightglass").path
        let result = try await runTool("python3", [script, program, folder.url.path])
        #expect(result.exitCode == 0, "\(result.error)")
        let help = try await runTool("sightglass", ["--help"]).output
        let list = try #require(help.components(separatedBy: "SUBCOMMANDS:").last)
        let commands = list.matches(of: /\n  ([a-z]+)  +[A-Z]/).map { String($0.1) }
        #expect(commands.contains("probe") && commands.count > 20)
        for command in commands {
            let page = try String(contentsOfFile: folder.path("man1/sightglass-\(command).1"), encoding: .utf8)
            #expect(page.hasPrefix(".TH \"SIGHTGLASS-\(command.uppercased())\" 1"))
            #expect(page.contains(".SH NAME\nsightglass\\-\(command) \\- "))
            // What comes from a text must not be taken for a request.
            let requests = page.split(separator: "\n").filter { $0.hasPrefix(".") || $0.hasPrefix("'") }
            #expect(requests.allSatisfy { $0.firstMatch(of: /^\.(TH|SH|B|TP|PP)( |$)/) != nil })
        }
        let revive = try String(contentsOfFile: folder.path("man1/sightglass-uploads-revive.1"), encoding: .utf8)
        #expect(revive.contains("sightglass\\-uploads(1)"))
    }
}
