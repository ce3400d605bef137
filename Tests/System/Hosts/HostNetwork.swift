// Hosts on one machine: network namespaces with two networks, one on which the services speak to each other and one of the cameras.
// Each host has a link to either, which can be cut. Needs root.

import Foundation
import Harness

/// The networks of a site. `end` removes them.
final class HostNetwork: Sendable {
    /// The networks that a host is connected to.
    enum Link: String, CaseIterable, Sendable {
        /// Services.
        case control = "c"
        /// Cameras.
        case media = "m"
    }

    static let isAllowed = geteuid() == 0

    /// "core", which holds registry and indexer, and the controllers' hosts.
    let hosts: [String]
    private let tag: String
    private let hostsFile: String

    /// - Parameter folder: for the file with the hosts' names.
    init(hosts: [String], folder: TemporaryDirectory) async throws {
        self.hosts = hosts
        tag = String(UInt16.random(in: 0...UInt16.max), radix: 36)
        let lines = hosts.indices.map { "\(Self.address($0, .control)) \(hosts[$0])" }
        hostsFile = try folder.write(
            (["127.0.0.1 localhost"] + lines).joined(separator: "\n") + "\n", to: "hosts")
        for link in Link.allCases {
            try await ip(["link", "add", bridge(link), "type", "bridge"])
            try await ip(["addr", "add", "\(Self.address(nil, link))/24", "dev", bridge(link)])
            try await ip(["link", "set", bridge(link), "up"])
        }
        for (index, host) in hosts.enumerated() {
            try await ip(["netns", "add", namespace(host)])
            try await ip(["-n", namespace(host), "link", "set", "lo", "up"])
            for link in Link.allCases {
                let outer = outer(host, link)
                try await ip([
                    "link", "add", outer, "type", "veth", "peer", "name", "eth-\(link.rawValue)", "netns",
                    namespace(host),
                ])
                try await ip(["link", "set", outer, "master", bridge(link), "up"])
                let inner = ["-n", namespace(host)]
                try await ip(
                    inner + ["addr", "add", "\(Self.address(index, link))/24", "dev", "eth-\(link.rawValue)"])
                try await ip(inner + ["link", "set", "eth-\(link.rawValue)", "up"])
            }
        }
    }

    /// Where the test itself is on the network of the cameras.
    static let cameraAddress = address(nil, .media)

    private static func address(_ host: Int?, _ link: Link) -> String {
        "10.213.\(link == .control ? 1 : 2).\(host.map { $0 + 10 } ?? 1)"
    }

    private func bridge(_ link: Link) -> String { "sg\(tag)\(link.rawValue)" }
    private func namespace(_ host: String) -> String { "sg-\(tag)-\(host)" }
    private func outer(_ host: String, _ link: Link) -> String { "sg\(tag)\(link.rawValue)\(host)" }

    /// Cuts a host off, or connects it again: packets are lost, nobody is told.
    func set(_ host: String, _ link: Link, isUp: Bool) async throws {
        try await ip(["link", "set", outer(host, link), isUp ? "up" : "down"])
    }

    /// Starts an executable on a host. It keeps the process id: signals reach the service itself.
    func start(
        _ name: String, on host: String, _ arguments: [String], logs: TemporaryDirectory, label: String
    ) throws -> ServiceProcess {
        try ServiceProcess(
            "ip",
            [
                "netns", "exec", namespace(host), "bash", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
                hostsFile, try Executables.path(of: name).path,
            ] + arguments, logs: logs, label: label)
    }

    /// Removes all of it.
    func end() async {
        for host in hosts { _ = try? await ip(["netns", "del", namespace(host)]) }
        for link in Link.allCases { _ = try? await ip(["link", "del", bridge(link)]) }
    }

    private func ip(_ arguments: [String]) async throws {
        let result = try await runTool("ip", arguments)
        guard result.exitCode == 0 else {
            throw HarnessError("ip \(arguments.joined(separator: " ")): \(result.error)")
        }
    }
}
