// fake-service: a neighbour for whoever works on one service alone. It answers plausibly and prints what it is asked.
//
//     fake-service indexer --listen ipc:///run/sightglass/indexer.rpc --hints ipc:///run/sightglass/indexer.hints

import ArgumentParser
import Fakes
import Foundation

enum Role: String, ExpressibleByArgument, CaseIterable {
    case indexer
    case assetRegistry = "asset-registry"
    case captureController = "capture-controller"
    case mqttEdgeAdapter = "mqtt-edge-adapter"
}

@main
struct FakeServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fake-service", abstract: "Plays one service of Sightglass for its neighbours.")

    @Argument(help: "Which service to play: \(Role.allCases.map(\.rawValue).joined(separator: ", ")).")
    var role: Role

    @Option(help: "Where to answer requests, for example ipc:///run/sightglass/indexer.rpc.")
    var listen: String

    @Option(help: "Where to publish hints; needed for indexer and asset-registry.")
    var hints: String = ""

    func validate() throws {
        let needsHints = role == .indexer || role == .assetRegistry
        guard !needsHints || !hints.isEmpty else { throw ValidationError("\(role.rawValue) needs --hints ADDRESS") }
    }

    func run() async throws {
        // Written at once, so that a pipe shows each line when it happens.
        let log: @Sendable (String) -> Void = { FileHandle.standardOutput.write(Data(($0 + "\n").utf8)) }
        let server: FakeServer
        let fake: any Sendable
        switch role {
        case .indexer:
            let indexer = try FakeIndexer(address: listen, hints: hints, log: log)
            (server, fake) = (indexer.server, indexer)
        case .assetRegistry:
            let registry = try FakeRegistry(address: listen, hints: hints, log: log)
            (server, fake) = (registry.server, registry)
        case .captureController:
            let controller = try FakeController(address: listen, log: log)
            (server, fake) = (controller.server, controller)
        case .mqttEdgeAdapter:
            let adapter = try FakeAdapter(address: listen, log: log)
            (server, fake) = (adapter.server, adapter)
        }
        server.start()
        log("fake \(role.rawValue) on \(listen); end it with ctrl-c")
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in _ = fake }
    }
}
