// status, health: what runs and how it is.

import ArgumentParser
import Footage
import JSON
import RPC
import Wire

/// Whether a service answered, and what.
struct ServiceHealth: Sendable {
    let role: Role
    let reply: HealthReply?
    let error: String?

    static func ask(_ role: Role, _ connections: Connections) async throws -> ServiceHealth {
        let client = try connections.client(role)
        // Two seconds: a service that takes longer to say how it is, is not well.
        let limit = min(connections.answerWithin.duration, .seconds(2))
        do {
            let reply = try await client.rpc.call(HealthMethods.check, HealthRequest(), timeout: limit)
            return ServiceHealth(role: role, reply: reply, error: nil)
        } catch {
            return ServiceHealth(role: role, reply: nil, error: error.message)
        }
    }
}

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "All services, sources and tasks on one screen.",
        discussion: "Exit status 1 where something is not as wished, 69 where no service answers.")

    @OptionGroup var connections: Connections
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        try await reporting {
            let services = try await allServices()
            let (controllers, configuration) = try await allControllers()
            let sources = controllers.flatMap(\.sources)
            let tasks = controllers.flatMap(\.tasks)
            let volumes = controllers.flatMap(\.volumes)
            if json {
                print(
                    JSONValue.fields([
                        "services": .array(services.map(Self.json)), "sources": .array(sources.map { .of($0) }),
                        "tasks": .array(tasks.map { .of($0) }), "volumes": .array(volumes.map { .of($0) }),
                        "configuration_revision": .integer(optional: configuration?.revision),
                    ]).text(.indented))
            } else {
                show(services, sources, tasks, volumes)
            }
            if services.allSatisfy({ $0.reply == nil }) {
                throw Failure(
                    "no service answers below \(connections.runDirectory): start them, or give --run-directory",
                    Status.serviceAway)
            }
            let wrong =
                services.contains { $0.reply?.ready != true } || tasks.contains { $0.state == .failed }
                || sources.contains { $0.state == .backingOff } || volumes.contains { $0.writable == false }
            if wrong { throw Status.notAsWished }
        }
    }

    private func allServices() async throws -> [ServiceHealth] {
        try await withThrowingTaskGroup(of: ServiceHealth.self) { group in
            for role in Role.allCases { group.addTask { try await ServiceHealth.ask(role, connections) } }
            var all: [ServiceHealth] = []
            for try await health in group { all.append(health) }
            return Role.allCases.compactMap { role in all.first { $0.role == role } }
        }
    }

    /// The status of each controller that holds a lease; of the one at the default address where none is known.
    private func allControllers() async throws -> ([ListStatusReply], Configuration?) {
        let registry = try connections.client(.assetRegistry)
        let limit = min(connections.answerWithin.duration, .seconds(2))
        let leases = try? await registry.rpc.call(AssetRegistryMethods.listLeases, ListLeasesRequest(), timeout: limit)
        let configuration = try? await registry.rpc.call(
            AssetRegistryMethods.getConfiguration, GetConfigurationRequest(), timeout: limit)
        var addresses = Set((leases?.leases ?? []).compactMap(\.holderAddress))
        if addresses.isEmpty { addresses.insert(try connections.address(of: .captureController).description) }
        let replies = await withTaskGroup(of: ListStatusReply?.self) { group in
            for address in addresses {
                group.addTask {
                    guard let client = try? connections.controller(at: address) else { return nil }
                    return try? await client.rpc.call(
                        CaptureControllerMethods.listStatus, ListStatusRequest(), timeout: limit)
                }
            }
            var replies: [ListStatusReply] = []
            for await reply in group { if let reply { replies.append(reply) } }
            return replies.sorted { ($0.controllerID ?? "") < ($1.controllerID ?? "") }
        }
        return (replies, configuration)
    }

    private static func json(_ service: ServiceHealth) -> JSONValue {
        .fields([
            "role": .string(service.role.rawValue), "answers": .bool(service.reply != nil),
            "error": .string(optional: service.error),
            "health": service.reply.map { .of($0) },
        ])
    }

    private func show(
        _ services: [ServiceHealth], _ sources: [SourceStatus], _ tasks: [TaskStatus], _ volumes: [VolumeStatus]
    ) {
        var table = Table(["SERVICE", "STATE", "UP", "NOTE"], whenEmpty: "")
        for service in services {
            let state = service.reply.map { $0.ready == true ? "ready" : "not ready" } ?? "away"
            let away = service.reply?.neighbours.filter { $0.reachable != true }.compactMap(\.role) ?? []
            let note = service.reply.map { reply in
                (reply.reasons + (away.isEmpty ? [] : ["waits for \(away.joined(separator: ", "))"])).joined(
                    separator: "; ")
            }
            let up = service.reply?.uptimeMs.map { DurationText.show(us: Int64($0) * 1000) } ?? "-"
            table.add([service.role.rawValue, state, up, note ?? service.error ?? ""])
        }
        print(table.rendered)
        var sourceTable = Table(
            ["SOURCE", "STATE", "VIDEO", "LAST PACKET", "SAFE TO", "NOTE"], whenEmpty: "no source is open")
        for source in sources {
            let video = source.videoCodec.map { "\($0) \(source.widthPx ?? 0)x\(source.heightPx ?? 0)" } ?? "-"
            sourceTable.add([
                source.source?.text ?? "", source.state?.name ?? "", video, TimeText.show(source.lastPacketUs),
                TimeText.show(source.syncedToUs), source.reason ?? "",
            ])
        }
        print("\n" + sourceTable.rendered)
        var taskTable = Table(
            ["TASK", "TYPE", "STATE", "MADE", "DROPPED", "LAST", "NOTE"], whenEmpty: "no task is known")
        for task in tasks {
            taskTable.add([
                task.stream?.text ?? "", task.type?.name ?? "", task.state?.name ?? "", "\(task.produced ?? 0)",
                "\(task.dropped ?? 0)", TimeText.show(task.lastOutputUs), task.error ?? task.lastOutput ?? "",
            ])
        }
        print("\n" + taskTable.rendered)
        guard !volumes.isEmpty else { return }
        var volumeTable = Table(["VOLUME", "ROLE", "FREE", "OF", "SPOOLED", "NOTE"], whenEmpty: "")
        for volume in volumes {
            volumeTable.add([
                volume.mountPath ?? "", volume.role ?? "", sizeText(volume.freeBytes), sizeText(volume.totalBytes),
                "\(volume.spooledRecords ?? 0)", volume.error ?? (volume.writable == false ? "not writable" : ""),
            ])
        }
        print("\n" + volumeTable.rendered)
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
