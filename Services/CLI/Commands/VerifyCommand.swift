// verify: whether what manifests promise is on the archive volume, or in the blob store.

import ArgumentParser
import Foundation
import JSON
import RPC
import ServiceKit
import Volume
import Wire

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compare manifests with the files of an archive volume.",
        discussion: """
            PATH is a manifest (sightglass.requests/...) or a folder of an archive volume: then all manifests below it, or all \
            of the volume where it is its root. Each file that they name must be there with its size, its SHA-256 and a sidecar \
            that says the same. Of a file that is not there the indexer is asked whether it was uploaded and evicted. Exit \
            status 1 where something is wrong.

            With --deep each PATH may also be a request's name, and the blobs are looked at instead of the volume: the uploader \
            reads back every file that was uploaded and compares it. That takes as long as downloading them.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "Manifests, folders of an archive volume, or with --deep requests.") var paths: [String]
    @Flag(help: "Have the uploader read back what is in the blob store.") var deep = false
    @Flag(help: "Compare sizes, do not read the files.") var sizesOnly = false
    @Flag(help: "Do not ask the indexer.") var offline = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if paths.isEmpty { throw ValidationError("Name at least one manifest or folder.") }
        if deep, sizesOnly || offline {
            throw ValidationError(
                "--deep reads everything and asks the indexer: --sizes-only and --offline do not go with it.")
        }
    }

    func run() async throws {
        try await reporting {
            if deep { return try await lookIntoTheCloud() }
            let line = StatusLine()
            let (paths, depth) = (paths, sizesOnly ? CheckDepth.sizes : .hashes)
            let nowUs = WindowArguments.nowUs()
            let reports = try await BlockingLane.disks.run {
                try Self.check(paths, depth: depth, nowUs: nowUs) { report in
                    line.show("\(counted(report.files, "file")), \(sizeText(UInt64(clamping: report.bytes)))")
                }
            }
            line.clear()
            let absent = reports.flatMap(\.absent)
            var findings = Findings()
            for report in reports { findings.add(report.findings) }
            findings.add(
                try await DeliveredFiles.explain(
                    absent, asking: offline ? nil : try connections.client(.indexer)))
            show(reports, findings)
            if findings.isWrong { throw Status.notAsWished }
        }
    }

    /// One report per volume.
    private static func check(
        _ paths: [String], depth: CheckDepth, nowUs: Int64, progress: @escaping @Sendable (ArchiveReport) -> Void
    ) throws -> [ArchiveReport] {
        var inspections: [(root: String, inspection: ArchiveInspection, done: Set<RelativePath>)] = []
        for path in paths {
            let (volume, relative) = try archive(above: path)
            let known = inspections.firstIndex { $0.root == volume.path }
            let index = known ?? inspections.count
            if known == nil {
                inspections.append(
                    (volume.path, ArchiveInspection(volume, depth: depth, nowUs: nowUs, progress: progress), []))
            }
            let manifests = try manifests(relative, of: inspections[index].inspection, given: path)
            for manifest in manifests where inspections[index].done.insert(manifest).inserted {
                try inspections[index].inspection.checkManifest(manifest, withSidecars: true)
            }
        }
        return inspections.map(\.inspection.report)
    }

    // MARK: - Blobs

    /// What the arguments name: requests, and the manifests that were found of them.
    private struct Named: Sendable {
        var requestIDs: [String] = []
        var manifests: [ManifestDocument] = []
        var findings = Findings()

        mutating func add(_ requestID: String) {
            if !requestIDs.contains(requestID) { requestIDs.append(requestID) }
        }
    }

    private static func named(_ paths: [String], nowUs: Int64) throws -> Named {
        var named = Named()
        for path in paths {
            guard FileManager.default.fileExists(atPath: path) else {
                guard !path.contains("/") else {
                    throw Failure("\(path): there is no such file or folder, and no request has such a name")
                }
                named.add(path)
                continue
            }
            let (volume, relative) = try archive(above: path)
            var inspection = ArchiveInspection(volume, depth: .names, nowUs: nowUs)
            for manifest in try manifests(relative, of: inspection, given: path) {
                guard let document = try inspection.manifest(at: manifest) else { continue }
                named.add(document.requestID)
                named.manifests.append(document)
            }
            named.findings.add(inspection.report.findings)
        }
        return named
    }

    private func lookIntoTheCloud() async throws {
        let (paths, nowUs) = (paths, WindowArguments.nowUs())
        let named = try await BlockingLane.disks.run { try Self.named(paths, nowUs: nowUs) }
        let (indexer, uploader) = (try connections.client(.indexer), try connections.client(.cloudUploader))
        var files = CloudFiles()
        for requestID in named.requestIDs {
            let manifests = named.manifests.filter { $0.requestID == requestID }
            files.add(try await request(requestID, isNeeded: manifests.isEmpty, indexer), manifests)
        }
        var findings = named.findings
        findings.add(files.findings)
        var bytes: UInt64 = 0
        let line = StatusLine()
        defer { line.clear() }
        for (index, file) in files.uploaded.enumerated() {
            line.show(
                "\(index) of \(counted(files.uploaded.count, "blob")), \(sizeText(bytes)) read back; \(file.path)")
            let seen = try await CloudInspection.look(
                file, uploader, answerWithin: connections.answerWithin.duration)
            bytes += seen.bytes
            if let finding = seen.finding { findings.add(finding) }
        }
        line.clear()
        show(files, requests: named.requestIDs.count, bytes: bytes, findings)
        if findings.isWrong || files.uploaded.isEmpty || files.unnamedBytes > 0 { throw Status.notAsWished }
    }

    /// Nil where the indexer does not know it, which is no reason to end where its manifest is here.
    private func request(_ requestID: String, isNeeded: Bool, _ indexer: Client) async throws -> ArchiveRequest? {
        do throws(RPCError) {
            return try await indexer.rpc.call(
                IndexerMethods.getRequest, GetRequestRequest(requestID: requestID),
                timeout: connections.answerWithin.duration)
        } catch {
            if error.code == .notFound, !isNeeded { return nil }
            throw indexer.failure(error)
        }
    }

    private func show(_ files: CloudFiles, requests: Int, bytes: UInt64, _ findings: Findings) {
        if json {
            print(
                JSONValue.object(
                    [
                        .init(key: "requests", value: .integer(requests)),
                        .init(key: "blobs", value: .integer(files.uploaded.count)),
                        .init(key: "read_bytes", value: .integer(bytes)),
                        .init(key: "waiting", value: .integer(files.waiting)),
                        .init(key: "handed_over", value: .integer(files.handedOver)),
                        .init(key: "unnamed_bytes", value: .integer(files.unnamedBytes)),
                    ] + findings.json
                ).text(.indented))
            return
        }
        if !findings.rendered.isEmpty { print(findings.rendered + "\n") }
        if files.unnamedBytes > 0 {
            printError(
                "\(sizeText(files.unnamedBytes)) of more files did not fit into the indexer's answer: name the manifest instead"
            )
        }
        var rest: [String] = []
        if files.waiting > 0 { rest.append("\(counted(files.waiting, "file")) not uploaded") }
        if files.handedOver > 0 {
            rest.append(
                "\(files.handedOver) handed over to a volume that uploads by itself, which is not seen from here")
        }
        let isAll = !findings.isWrong && files.unnamedBytes == 0
        let verdict = files.uploaded.isEmpty ? "nothing to look at" : isAll ? "all is right" : "not all is right"
        let amount =
            "\(counted(requests, "request")), \(counted(files.uploaded.count, "blob")), \(sizeText(bytes)) read back"
        print("\(amount): \(([verdict] + rest).joined(separator: "; "))")
    }

    // MARK: - Paths

    private static func manifests(
        _ relative: RelativePath?, of inspection: ArchiveInspection, given path: String
    ) throws -> [RelativePath] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw Failure("\(path): there is no such file or folder; check the path, and that the volume is mounted")
        }
        if !isFolder.boolValue { return relative.map { [$0] } ?? [] }
        let found = try inspection.manifests(below: relative)
        guard !found.isEmpty else {
            throw Failure(
                "\(path): there is no manifest below it; they are in \(ArchiveLayout.manifestFolder) of an archive volume"
            )
        }
        return found
    }

    /// The archive volume that a path is on, by the marker above it, and the path on it; nil for its root.
    private static func archive(above path: String) throws -> (VolumeRoot, RelativePath?) {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        var folder = absolute
        while folder != "/", !folder.isEmpty {
            if FileManager.default.fileExists(atPath: folder + "/" + VolumeRoot.markerName) {
                let volume = try VolumeRoot.open(at: folder, role: .archive, access: .reader)
                let rest = absolute.dropFirst(folder.count).drop { $0 == "/" }
                return (volume, rest.isEmpty ? nil : try RelativePath(String(rest)))
            }
            folder = URL(fileURLWithPath: folder).deletingLastPathComponent().path
        }
        throw Failure(
            "\(path): no folder above it is a volume (none has \(VolumeRoot.markerName)); is the volume mounted?")
    }

    private func show(_ reports: [ArchiveReport], _ findings: Findings) {
        let manifests = reports.reduce(0) { $0 + $1.manifests }
        let files = reports.reduce(0) { $0 + $1.files }
        let bytes = reports.reduce(Int64(0)) { $0 + $1.bytes }
        let neverArchived = reports.reduce(0) { $0 + $1.neverArchived }
        if json {
            print(
                JSONValue.object(
                    [
                        .init(key: "manifests", value: .integer(manifests)),
                        .init(key: "files", value: .integer(files)), .init(key: "bytes", value: .integer(bytes)),
                        .init(key: "never_archived", value: .integer(neverArchived)),
                    ] + findings.json
                ).text(.indented))
            return
        }
        for (requestID, parts) in reports.flatMap({ $0.parts }).sorted(by: { $0.key < $1.key })
        where parts.seen.count < parts.all {
            printError(
                "the manifest of request \(requestID) has \(parts.all) parts; \(parts.seen.count) were looked at")
        }
        if !findings.rendered.isEmpty { print(findings.rendered + "\n") }
        let amount =
            "\(counted(manifests, "manifest")), \(counted(files, "file")), \(sizeText(UInt64(clamping: bytes)))"
        let never = neverArchived > 0 ? "; \(neverArchived) more that by the manifests could not be archived" : ""
        let verdict = findings.isWrong ? "not all is right" : "all is right"
        print("\(amount): \(verdict)\(never)")
    }
}
