// fake-camera: a camera that plays a scenario of FakeCamera until it is killed. Prints `ready rtsp://…` when it listens.
//
//     fake-camera lossy --port 8554
//     fake-camera --list

import ArgumentParser
import FakeCamera
import Foundation

@main
struct FakeCameraCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fake-camera", abstract: "Plays an RTSP camera, with or without faults, on 127.0.0.1.")

    @Argument(help: "The scenario; --list shows them all.")
    var scenario = "good"

    @Option(help: "Where to listen; 0: where there is room.")
    var port: UInt16 = 0

    @Option(help: "The path of the stream.")
    var path = "/main"

    @Option(help: "A file whose first line is the user as name:password, for the scenario login.")
    var user: String?

    @Flag(help: "Show all scenarios and end.")
    var list = false

    func validate() throws {
        guard list || Scenario.named(scenario) != nil else {
            throw ValidationError("there is no scenario \"\(scenario)\"; --list shows those that there are")
        }
        guard path.hasPrefix("/") else { throw ValidationError("--path \(path) must begin with a slash") }
        guard scenario != "login" || user != nil || list else { throw ValidationError("login needs --user FILE") }
    }

    func run() throws {
        guard !list else {
            for (name, purpose) in Scenario.names {
                print(name.padding(toLength: 20, withPad: " ", startingAt: 0) + purpose)
            }
            return
        }
        guard var chosen = Scenario.named(scenario, user: try user.map(Self.readUser)) else { return }
        chosen.keepsRecord = false
        let camera = try FakeCamera(chosen, path: path, port: port)
        // Written at once, so that a pipe shows it when it happens.
        FileHandle.standardOutput.write(Data("ready \(camera.url)\n".utf8))
        withExtendedLifetime(camera) { while true { pause() } }
    }

    private static func readUser(path: String) throws -> (name: String, password: String) {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let line = text.prefix { !$0.isNewline }
        guard let colon = line.firstIndex(of: ":") else {
            throw ValidationError("the first line of \(path) is no name:password")
        }
        return (String(line[..<colon]), String(line[line.index(after: colon)...]))
    }
}
