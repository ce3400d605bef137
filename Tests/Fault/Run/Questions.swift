// What the campaign asks the services by RPC, as values of the model. Nothing here changes anything.

import Foundation
import Harness
import RPC
import Wire

struct Questions: Sendable {
    private let registry: RPCClient
    private let indexer: RPCClient
    private let controller: RPCClient
    private let site: Site
    let recordingVolume: String

    init(site: Site) throws {
        func client(_ role: String) throws -> RPCClient {
            let address = try RPCAddress(parsing: "ipc://\(site.path)/run/\(role).rpc")
            return RPCClient(role: role, addresses: [address], caller: "fault-campaign")
        }
        self.site = site
        registry = try client("asset-registry")
        indexer = try client("indexer")
        controller = try client("capture-controller")
        let marker = try Data(contentsOf: URL(fileURLWithPath: site.path + "/recording/.sightglass-volume.json"))
        guard let id = try JSONDecoder().decode(JSON.self, from: marker)["volume_id"]?.text else {
            throw HarnessError("the recording volume has no identity")
        }
        recordingVolume = id
    }

    // MARK: Cameras and tasks

    /// What the controller says now.
    struct ControllerWord: Sendable {
        var sightings: [Sighting] = []
        /// Records that wait in its spool.
        var spooled = 0
        /// By topic of the retained status below the namespace: what it must say.
        var statuses: [String: String] = [:]
    }

    func controllerWord() async throws -> ControllerWord {
        let reply = try await controller.call(
            CaptureControllerMethods.listStatus, ListStatusRequest(), timeout: .milliseconds(1500))
        let atUs = nowUs()
        let running = Set(
            reply.tasks.filter { $0.state == .running && $0.stream?.stream == "clips" }.compactMap(\.stream?.asset))
        var word = ControllerWord(spooled: Int(reply.volumes.first?.spooledRecords ?? 0))
        for source in reply.sources {
            guard let camera = Self.camera(source.source) else { continue }
            let runID = source.state == .streaming ? source.runID : nil
            word.sightings.append(
                Sighting(
                    atUs: atUs, camera: camera, runID: runID,
                    isRecording: runID != nil && running.contains(camera.rawValue) && source.syncedToUs != nil))
            word.statuses["source-status/\(camera.device)/main"] = "\(source.state?.name ?? "") \(source.runID ?? "")"
        }
        for task in reply.tasks {
            guard let stream = task.stream else { continue }
            word.statuses["asset-status/\(stream.asset ?? "")/\(stream.stream ?? "")"] =
                "\(task.state?.name ?? "") \(task.runID ?? "")"
        }
        return word
    }

    /// Whether the registry says that a task shall run.
    func isWanted(_ task: StreamTask) async throws -> Bool {
        let configuration = try await registry.call(
            AssetRegistryMethods.getConfiguration, GetConfigurationRequest(), timeout: .seconds(2))
        let name = StreamName(asset: task.camera.rawValue, stream: task.stream)
        return configuration.streams.first { $0.name == name }?.desired?.running ?? false
    }

    /// What is wrong with the health of a service; nil for one that is well.
    func illness(of name: ProcessName) async throws -> String? {
        let address = try RPCAddress(parsing: "ipc://\(site.path)/run/\(name.rawValue).rpc")
        let client = RPCClient(role: name.role ?? name.rawValue, addresses: [address], caller: "fault-campaign")
        defer { client.close() }
        do {
            let health = try await client.call(HealthMethods.check, HealthRequest(), timeout: .seconds(5))
            if health.live != true { return "not live" }
            if health.ready != true { return "not ready: \(health.reasons.joined(separator: "; "))" }
            let away = health.neighbours.filter { $0.reachable != true }.compactMap(\.role)
            return away.isEmpty ? nil : "does not reach \(away.joined(separator: ", "))"
        } catch {
            return "does not tell its health: \(error)"
        }
    }

    // MARK: Requests

    func openRequests() async throws -> [String] {
        try await indexer.call(
            IndexerMethods.listRequests, ListRequestsRequest(openOnly: true, limit: 200), timeout: .seconds(5)
        ).requests.map { "\($0.requestID ?? "?") is \($0.state?.name ?? "?")" }
    }

    /// Items that a worker still has to do. The indexer counts them each quarter of a minute.
    func waitingItems() async throws -> Int {
        let health = try await indexer.call(HealthMethods.check, HealthRequest(), timeout: .seconds(5))
        return health.metrics.filter { $0.name == "sightglass_indexer_waiting_items" }.reduce(0) { sum, metric in
            sum + Int(metric.value ?? 0)
        }
    }

    /// What is held for requests.
    func holds() async throws -> [String] {
        try await indexer.call(IndexerMethods.listHolds, ListHoldsRequest(), timeout: .seconds(5)).holds
            .filter { $0.kind == .request }.map { "\($0.camera ?? "") for \($0.requestID ?? "nobody")" }
    }

    /// Ids of all requests.
    func requestIDs() async throws -> [String] {
        var ids: [String] = []
        var beforeUs: Int64?
        while true {
            let page = try await indexer.call(
                IndexerMethods.listRequests, ListRequestsRequest(limit: 200, beforeUs: beforeUs), timeout: .seconds(10)
            ).requests
            ids += page.compactMap(\.requestID)
            guard page.count == 200, let last = page.compactMap(\.acceptedUs).min() else { return ids }
            beforeUs = last
        }
    }

    func request(_ id: String) async throws -> RequestFact {
        let reply = try await indexer.call(
            IndexerMethods.getRequest, GetRequestRequest(requestID: id), timeout: .seconds(10))
        return RequestFact(
            id: id, state: reply.state?.name ?? "", reason: reply.reason ?? "", window: Self.span(reply.window),
            cameras: Set(reply.cameras.compactMap { Self.camera($0.source) }), eventKeys: Set(reply.eventKeys),
            acceptedUs: reply.acceptedUs ?? 0, finishedUs: reply.finishedUs, files: reply.files.map(Self.item),
            gaps: reply.gaps.compactMap(Self.gap), manifestPath: reply.manifestPath,
            manner: Manner(isClip: reply.mode == .clip, inCloud: reply.delivery == .cloud))
    }

    private static func item(_ file: DeliveredFile) -> DeliveredItem {
        var fact: FileFact?
        if let size = file.sizeBytes, let sha256 = file.sha256 {
            fact = FileFact(sizeBytes: Int64(clamping: size), sha256: hexadecimal(sha256))
        }
        return DeliveredItem(
            path: file.archivePath ?? "", isManifest: file.kind == .manifest, isSegment: file.kind == .segment,
            camera: file.camera.flatMap(Camera.init), state: file.state?.name ?? "", span: span(file.window),
            fact: fact, sourcePath: file.sourcePath, blobURL: file.blobURL, error: file.error,
            itemID: file.itemID ?? 0, isClip: file.kind == .clip)
    }

    // MARK: Footage

    /// All rows of the recording volume.
    func rows() async throws -> [MediaRow] {
        var rows: [MediaRow] = []
        var after: String?
        while true {
            let reply = try await indexer.call(
                IndexerMethods.listFiles,
                ListFilesRequest(volumeID: recordingVolume, afterPath: after, limit: 2000), timeout: .seconds(20))
            rows += reply.files.compactMap(Self.row)
            guard reply.more == true, let last = reply.files.last?.path else { return rows }
            after = last
        }
    }

    /// The footage and pictures that the catalogue shows.
    func shown() async throws -> [MediaRow] {
        var rows: [MediaRow] = []
        var token: String?
        repeat {
            let reply = try await indexer.call(
                IndexerMethods.queryMedia, QueryMediaRequest(limit: 2000, pageToken: token), timeout: .seconds(20))
            rows += reply.files.compactMap(Self.row)
            token = reply.nextPageToken
        } while token != nil
        return rows
    }

    /// What is missing of a camera within a span.
    func missing(_ camera: Camera, in span: Span) async throws -> [NamedGap] {
        try await indexer.call(
            IndexerMethods.coverage,
            CoverageRequest(
                source: SourceName(device: camera.device, endpoint: "main"),
                window: Window(startUs: span.startUs, endUs: span.endUs)), timeout: .seconds(20)
        ).gaps.compactMap(Self.gap)
    }

    private static func row(_ file: MediaFile) -> MediaRow? {
        guard let camera = camera(file.source), let path = file.path else { return nil }
        return MediaRow(
            path: path, camera: camera, isSegment: file.kind == .segment,
            span: Span(file.startUs ?? 0, file.endUs ?? 0),
            fact: FileFact(sizeBytes: Int64(clamping: file.sizeBytes ?? 0), sha256: hexadecimal(file.sha256 ?? [])),
            frames: Int(file.frames ?? 0), isSalvaged: file.salvaged ?? false, runID: file.runID ?? "")
    }

    private static func gap(_ gap: Gap) -> NamedGap? {
        camera(gap.source).map {
            NamedGap(camera: $0, span: span(gap.window), cause: gap.cause ?? "", reason: gap.reason ?? "")
        }
    }

    private static func span(_ window: Window?) -> Span { Span(window?.startUs ?? 0, window?.endUs ?? 0) }

    private static func camera(_ source: SourceName?) -> Camera? {
        Camera.allCases.first { $0.device == source?.device && source?.endpoint == "main" }
    }
}
