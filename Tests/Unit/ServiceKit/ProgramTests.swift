// ServiceProgram and StopSequence: what a process does between its command line and its exit code. Signals go to the test
// process itself, while StopSequence traps them; hence one test at a time.
import Foundation
import Glibc
import Logging
import RPC
import ServiceLifecycle
import Synchronization
import Testing
import Wire

@testable import ServiceKit

private final class Journal: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func note(_ line: String) { lines.withLock { $0.append(line) } }

    func runtime(_ settings: Settings = Settings()) -> ServiceRuntime {
        let logger = Logger(label: "test") { label in
            StandardErrorLog(
                label: label, service: "indexer-0", level: .info, format: .text, clock: ManualWallClock()
            ) { [self] line in note(line) }
        }
        return ServiceRuntime(role: "indexer", settings: settings, logger: logger)
    }
}

private struct VolumeAway: Error, CustomStringConvertible {
    let description = "/data: it carries no marker;\nrun: sightglass volume adopt"
}

@Suite("Program", .serialized)
struct ProgramTests {
    private let program = ServiceProgram(
        role: "indexer", summary: "The catalogue.",
        settings: [Setting<Int>("lease-ms", default: 1, range: 1...2, help: "x", reason: "y")])

    @Test func wrongSettingsAreOneLineAndNothingStarts() {
        guard case .refuse(let line) = program.prepare(arguments: ["--lese-ms", "1"], environment: [:]) else {
            Issue.record("not refused")
            return
        }
        #expect(line == "indexer: unknown setting '--lese-ms': did you mean '--lease-ms'?\n")
        for arguments in [["--config", "/nowhere/x.yaml"], ["--config", "/"]] {
            guard case .refuse(let line) = program.prepare(arguments: arguments, environment: [:]) else {
                Issue.record("not refused: \(arguments)")
                continue
            }
            #expect(line.hasPrefix("indexer: cannot read the file /"))
            #expect(line.filter(\.isNewline) == "\n")
        }
    }

    @Test func helpAndVersionAreForStandardOutput() {
        guard case .print(let help) = program.prepare(arguments: ["--help"], environment: [:]),
            case .print(let version) = program.prepare(arguments: ["--version"], environment: [:])
        else {
            Issue.record("nothing to print")
            return
        }
        #expect(help.hasPrefix("indexer: The catalogue.\n"))
        #expect(version == "indexer \(ServiceProgram.version)\n")
    }

    @Test func aStartThatFailsIsExactlyOneLine() async {
        let journal = Journal()
        let code = await StopSequence(runtime: journal.runtime()).run { _ in throw VolumeAway() }
        #expect(code == 69)
        #expect(journal.all.count == 1)
        #expect(
            journal.all.first?.contains("cannot start: /data: it carries no marker; run: sightglass volume adopt")
                == true)
    }

    @Test func settingsThatDoNotFitTogetherEndWith64() async {
        let journal = Journal()
        let code = await StopSequence(runtime: journal.runtime()).run { _ in throw SettingsError("a and b clash") }
        #expect(code == 64)
        #expect(journal.all.count == 1)
    }

    @Test func anAddressThatCannotBeHadIsAnErrorOfTheStart() async {
        let journal = Journal()
        var settings = Settings()
        settings[CommonSettings.listen] = ["ipc:///nowhere/at/all.rpc"]
        let code = await StopSequence(runtime: journal.runtime(settings)).run { [try $0.makeServer()] }
        #expect(code == 69)
        #expect(journal.all.count == 1)
        #expect(journal.all.first?.contains("/nowhere/at/all.rpc") == true)
    }

    @Test func aLoopThatDiesEndsTheServiceWithItsReason() async {
        let journal = Journal()
        let code = await StopSequence(runtime: journal.runtime()).run { _ in
            [BackgroundLoop("loop") { throw VolumeAway() }]
        }
        #expect(code == 70)
        #expect(journal.all.last?.contains("failed: /data") == true)
    }

    @Test func aLoopThatReturnsEndsTheServiceWithItsName() async {
        let journal = Journal()
        let code = await StopSequence(runtime: journal.runtime()).run { _ in [BackgroundLoop("claims") {}] }
        #expect(code == 70)
        #expect(journal.all.count == 2)
        #expect(journal.all.last?.contains("claims") == true)
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func aSignalStopsLoopsThenTheServerAndEndsWithZero(signal: Int32) async throws {
        let journal = Journal()
        let folder = NSTemporaryDirectory() + "sk-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var settings = Settings()
        settings[CommonSettings.runDirectory] = folder
        let code = await StopSequence(runtime: journal.runtime(settings)).run { runtime in
            let server = try runtime.makeServer()
            let loop = BackgroundLoop("loop") {
                kill(getpid(), signal)
                do { try await Task.sleep(for: .seconds(3_600)) } catch {
                    journal.note("loop ended")
                    throw error
                }
            }
            return [server, loop]
        }
        #expect(code == 0)
        let all = journal.all
        #expect(all.count == 4)
        #expect(all.first?.contains("started") == true)
        #expect(all.first?.contains("listen=ipc://\(folder)/indexer.rpc") == true)
        #expect(all.contains { $0.contains("stopping") })
        #expect(all.dropLast().last == "loop ended")
        #expect(all.last?.contains("stopped") == true)
        #expect(!FileManager.default.fileExists(atPath: folder + "/indexer.rpc"))
    }

    @Test func whatIsToBeDoneBeforeIsDoneWhileEverythingRuns() async {
        let journal = Journal()
        let code = await StopSequence(runtime: journal.runtime()).run { runtime in
            runtime.beforeStopping { journal.note("prepared") }
            return [
                BackgroundLoop("loop") {
                    kill(getpid(), SIGTERM)
                    do { try await Task.sleep(for: .seconds(3_600)) } catch {
                        journal.note("loop ended")
                        throw error
                    }
                }
            ]
        }
        #expect(code == 0)
        let order = journal.all.filter { ["prepared", "loop ended"].contains($0) }
        #expect(order == ["prepared", "loop ended"])
    }

    @Test func aSecondSignalDoesNotWaitForIt() async {
        let journal = Journal()
        let code = await StopSequence(runtime: journal.runtime()).run { runtime in
            runtime.beforeStopping {
                kill(getpid(), SIGTERM)
                try? await Task.sleep(for: .seconds(3_600))
            }
            return [
                BackgroundLoop("loop") {
                    kill(getpid(), SIGTERM)
                    try await Task.sleep(for: .seconds(3_600))
                }
            ]
        }
        #expect(code == 0)
        #expect(journal.all.contains { $0.contains("a second signal: stopping without waiting") })
    }

    @Test func aSignalDuringTheStartEndsIt() async {
        let journal = Journal()
        let code = await StopSequence(runtime: journal.runtime()).run { _ in
            kill(getpid(), SIGTERM)
            try await Task.sleep(for: .seconds(3_600))
            return []
        }
        #expect(code == 0)
        #expect(journal.all.contains { $0.contains("stopping while starting") })
        #expect(!journal.all.contains { $0.contains("started") })
    }

    @Test func aLoopThatIgnoresTheStopIsCancelled() async {
        let journal = Journal()
        struct Stubborn: Service {
            func run() async throws {
                kill(getpid(), SIGTERM)
                try await Task.sleep(for: .seconds(3_600))
            }
        }
        let code = await StopSequence(runtime: journal.runtime()).run { _ in [Stubborn()] }
        #expect(code == 0)
        #expect(journal.all.last?.contains("stopped") == true)
    }

    @Test func aLoopOnATimerTurnsAgain() async {
        let journal = Journal()
        struct Enough: Error {}
        let code = await StopSequence(runtime: journal.runtime()).run { _ in
            [
                BackgroundLoop("turns", every: .milliseconds(1)) {
                    journal.note("turn")
                    if journal.all.filter({ $0 == "turn" }).count == 3 { throw Enough() }
                }
            ]
        }
        #expect(code == 70)
        #expect(journal.all.filter { $0 == "turn" }.count == 3)
    }
}
