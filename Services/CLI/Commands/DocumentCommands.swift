// apply, get, delete: devices and assets.

import ArgumentParser
import Foundation
import JSON
import Wire

struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Apply device and asset documents (YAML or JSON).",
        discussion: "Exit status 1 where a stream or endpoint has an error; all others of the documents work then.")

    @OptionGroup var connections: Connections
    @Option(name: [.customShort("f"), .long], help: "File with documents, - for standard input. May be repeated.")
    var file: [String]
    @Flag(help: "Check only, change nothing.") var dryRun = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if file.isEmpty { throw ValidationError("Name at least one file with -f.") }
    }

    func run() async throws {
        try await reporting {
            let texts = try file.map { try ($0, Self.read($0)) }
            let registry = try connections.client(.assetRegistry)
            var documents: [AppliedDocument] = []
            for (path, text) in texts { documents += try await apply(text, from: path, registry) }
            report(documents)
            if documents.contains(where: { $0.issues.contains { $0.severity == .error } }) { throw Status.notAsWished }
        }
    }

    private func apply(_ text: String, from path: String, _ registry: Client) async throws -> [AppliedDocument] {
        do {
            return try await registry.call(
                AssetRegistryMethods.apply,
                ApplyRequest(text: text, origin: String("file \(path)".prefix(200)), dryRun: dryRun)
            ).documents
        } catch {
            throw Failure("\(path): \(error.message)", error.status)
        }
    }

    private func report(_ documents: [AppliedDocument]) {
        if json {
            print(JSONValue.array(documents.map { JSONValue.of($0) }).text(.indented))
            return
        }
        for document in documents {
            let verb = document.changed != true ? "unchanged" : dryRun ? "would change" : "applied"
            print(Table.printable("\(document.kind?.name ?? "document") \(document.name ?? ""): \(verb)"))
            printIssues(document.issues)
        }
    }

    private static func read(_ path: String) throws(Failure) -> String {
        let data =
            path == "-" ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: path)
        guard let data else { throw Failure("\(path): cannot be read; check that it exists and who may read it") }
        guard data.count <= 1 << 20 else { throw Failure("\(path): larger than 1 MiB; split it") }
        guard let text = String(data: data, encoding: .utf8) else { throw Failure("\(path): is not UTF-8 text") }
        return text
    }
}

/// Issues below the thing that they concern.
func printIssues(_ issues: [Issue]) {
    for issue in issues {
        let stream = issue.stream.map { " [\($0)]" } ?? ""
        print(Table.printable("  \(issue.severity?.name ?? "issue")\(stream): \(issue.message ?? "")"))
    }
}

struct GetCommand: AsyncParsableCommand {
    enum What: String, ExpressibleByArgument, CaseIterable { case devices, assets, streams, leases }

    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "List devices, assets, streams or leases.")

    @OptionGroup var connections: Connections
    @Argument(help: "devices, assets, streams or leases.") var what: What
    @Argument(help: "One device or asset by name.") var name: String?
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let registry = try connections.client(.assetRegistry)
            switch what {
            case .devices: try await documents(.device, registry)
            case .assets: try await documents(.asset, registry)
            case .streams: try await streams(registry)
            case .leases: try await leases(registry)
            }
        }
    }

    private func documents(_ kind: DocumentKind, _ registry: Client) async throws {
        let documents = try await registry.call(
            AssetRegistryMethods.getDocuments, GetDocumentsRequest(kind: kind, name: name)
        ).documents
        if json {
            print(JSONValue.array(documents.map { JSONValue.of($0) }).text(.indented))
            return
        }
        var table = Table(
            ["NAME", "REVISION", "ERRORS", "WARNINGS"],
            whenEmpty: "no \(kind.name)s; apply one with `sightglass apply -f`")
        for document in documents {
            table.add([
                document.name ?? "", "\(document.revision ?? 0)", "\(document.issues.count { $0.severity == .error })",
                "\(document.issues.count { $0.severity == .warning })",
            ])
        }
        print(table.rendered)
        if name != nil { for document in documents { printIssues(document.issues) } }
    }

    private func streams(_ registry: Client) async throws {
        let all = try await registry.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
        let streams = all.streams.filter { name == nil || $0.name?.asset == name }
        if json {
            print(JSONValue.array(streams.map { JSONValue.of($0) }).text(.indented))
            return
        }
        var table = Table(
            ["STREAM", "SOURCE", "TASK", "WISH", "BY", "ENDS", "NOTE"],
            whenEmpty: "no streams; apply an asset with streams")
        for stream in streams {
            let problem = stream.issues.first { $0.severity == .error } ?? stream.issues.first
            let note = problem?.message ?? (stream.enabled == true ? "" : "disabled")
            table.add([
                stream.name?.text ?? "", stream.source?.text ?? "-", stream.settings?.type?.name ?? "-",
                stream.desired?.running == true ? "run" : "stop", stream.desired?.startedBy ?? "-",
                TimeText.show(stream.desired?.endsAtUs), note,
            ])
        }
        print(table.rendered)
    }

    private func leases(_ registry: Client) async throws {
        let leases = try await registry.call(AssetRegistryMethods.listLeases, ListLeasesRequest()).leases
        if json {
            print(JSONValue.array(leases.map { JSONValue.of($0) }).text(.indented))
            return
        }
        var table = Table(
            ["SOURCE", "HOLDER", "EPOCH", "LEFT", "ADDRESS"],
            whenEmpty: "no source is held; is a capture-controller running?")
        for lease in leases {
            table.add([
                lease.source?.text ?? "", lease.holder ?? "", "\(lease.epoch ?? 0)",
                DurationText.show(us: Int64(lease.remainingMs ?? 0) * 1000), lease.holderAddress ?? "",
            ])
        }
        print(table.rendered)
    }
}

struct DeleteCommand: AsyncParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable { case device, asset }

    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a device or asset. Its footage stays.")

    @OptionGroup var connections: Connections
    @Argument(help: "device or asset.") var kind: Kind
    @Argument(help: "Its name.") var name: String

    func run() async throws {
        try await reporting {
            let reply = try await connections.client(.assetRegistry).call(
                AssetRegistryMethods.deleteDocument,
                DeleteDocumentRequest(kind: kind == .device ? .device : .asset, name: name))
            guard reply.existed == true else {
                throw Failure("there is no \(kind.rawValue) \(name): see `sightglass get \(kind.rawValue)s`")
            }
            print("\(kind.rawValue) \(name): deleted")
        }
    }
}
