// fsck: whether a volume holds what catalogue or documents say. Changes nothing, on the volume and in the catalogue.

import ArgumentParser
import Foundation
import JSON
import ServiceKit
import Volume
import Wire

struct FsckCommand: AsyncParsableCommand {
    enum CatalogueLevel: String, ExpressibleByArgument, CaseIterable { case quick, full }

    static let configuration = CommandConfiguration(
        commandName: "fsck", abstract: "Compare a volume with the catalogue, and check the catalogue.",
        discussion: """
            A recording volume is compared with the catalogue's rows, in both directions. On an archive volume files, sidecars \
            and manifests are compared with one another. names: what there is; sizes: also their sizes; hashes: also every \
            byte. Nothing is changed. Exit status 1 where something is wrong.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "The folder where the volume is mounted.") var path: String?
    @Option(help: "How closely files are looked at: names, sizes, hashes.") var level: CheckDepth = .sizes
    @Option(help: "Check the catalogue as well: quick, or full, which takes minutes where it is large.")
    var catalogue: CatalogueLevel?
    @Flag(help: "Print JSON.") var json = false

    /// A volume of a few files can have lost them all; one of many was not mounted.
    static let fewestRowsOfAMountedVolume = 20
    /// So many rows without a file are asked for again; where there are more, a deletion explains nothing.
    private static let mostAskedAgain = 200
    private static let catalogueCheckTakes = Duration.seconds(600)

    func validate() throws {
        if path == nil, catalogue == nil { throw ValidationError("Name a volume's folder, or give --catalogue.") }
    }

    func run() async throws {
        try await reporting {
            var findings = Findings()
            var members: [JSONValue.Member] = []
            var lines: [String] = []
            if let path {
                let part = try await checkVolume(URL(fileURLWithPath: path).standardizedFileURL.path)
                findings.add(part.findings)
                members += part.members
                lines.append(part.line)
            }
            if let catalogue {
                let reply = try await connections.client(.indexer).call(
                    IndexerMethods.checkCatalogue,
                    CheckCatalogueRequest(level: catalogue == .full ? .full : .quick), within: Self.catalogueCheckTakes)
                for problem in reply.problems { findings.add(Finding(.catalogue, "-", problem)) }
                members.append(.init(key: "catalogue_rows", value: .integer(reply.rows ?? 0)))
                lines.append(
                    "catalogue: \(counted(reply.rows ?? 0, "row")), \(counted(reply.problems.count, "problem"))")
            }
            if json {
                print(JSONValue.object(members + findings.json).text(.indented))
            } else {
                if !findings.rendered.isEmpty { print(findings.rendered + "\n") }
                for line in lines { print(Table.printable(line)) }
            }
            if findings.isWrong { throw Status.notAsWished }
        }
    }

    /// What the check of a volume gives to show.
    private struct Part {
        let findings: Findings
        let line: String
        let members: [JSONValue.Member]
    }

    private func checkVolume(_ path: String) async throws -> Part {
        let volume = try await BlockingLane.disks.run { try VolumeCommand.open(path) }
        return switch volume.identity.role {
        case .recording: try await checkRecording(volume)
        case .archive: try await checkArchive(volume)
        }
    }

    // MARK: - Recording volume

    private func checkRecording(_ volume: VolumeRoot) async throws -> Part {
        let line = StatusLine()
        defer { line.clear() }
        let indexer = try connections.client(.indexer)
        let comparison = RecordingComparison(volume, depth: level)
        line.show("listing \(volume.path)")
        let startUs = WindowArguments.nowUs()
        try await BlockingLane.disks.run { try comparison.listFiles(nowUs: startUs) }
        if try await compareRows(comparison, volume, indexer, line) {
            try await BlockingLane.disks.run { try comparison.judgeFilesWithoutRow(nowUs: WindowArguments.nowUs()) }
            try await judgeRowsWithoutFile(comparison, volume, indexer)
        }
        let report = comparison.report
        let files = "\(counted(report.files, "file")), \(sizeText(UInt64(clamping: report.bytes)))"
        let young = report.onTheirWay > 0 ? ", \(counted(report.onTheirWay, "file")) on the way there" : ""
        return Part(
            findings: report.findings,
            line:
                "recording volume \(volume.volumeID): \(files), \(counted(report.rows, "row")) of it in the catalogue\(young)",
            members: [
                .init(key: "volume_id", value: .string(volume.volumeID)),
                .init(key: "role", value: .string(volume.identity.role.rawValue)),
                .init(key: "files", value: .integer(report.files)),
                .init(key: "bytes", value: .integer(report.bytes)), .init(key: "rows", value: .integer(report.rows)),
                .init(key: "on_their_way", value: .integer(report.onTheirWay)),
            ])
    }

    /// Compares all rows, page by page; false where that makes no sense.
    private func compareRows(
        _ comparison: RecordingComparison, _ volume: VolumeRoot, _ indexer: Client, _ line: StatusLine
    ) async throws -> Bool {
        var after: String?
        while true {
            let reply = try await indexer.call(
                IndexerMethods.listFiles,
                ListFilesRequest(volumeID: volume.volumeID, afterPath: after, limit: 2000))
            let rows = reply.files
            if after == nil, comparison.report.files == 0, rows.count >= Self.fewestRowsOfAMountedVolume {
                comparison.giveUp(afterRows: rows.count)
                return false
            }
            try await BlockingLane.disks.run { try comparison.compare(rows) }
            line.show("\(comparison.report.rows) rows compared")
            guard reply.more == true, let last = rows.last?.path, last != after else { return true }
            after = last
        }
    }

    private func judgeRowsWithoutFile(
        _ comparison: RecordingComparison, _ volume: VolumeRoot, _ indexer: Client
    ) async throws {
        let suspects = comparison.report.withoutFile
        guard !suspects.isEmpty else { return }
        // The owner unlinks first and reports then: what was deleted in good order is reported by now.
        try await Task.sleep(for: .seconds(2))
        var known: [String] = []
        for path in suspects.prefix(Self.mostAskedAgain) where try await isKnown(path, volume.volumeID, indexer) {
            known.append(path)
        }
        let all = known + suspects.dropFirst(Self.mostAskedAgain)
        try await BlockingLane.disks.run { try comparison.judgeRowsWithoutFile(all) }
    }

    /// Whether the catalogue has a path. Files are listed after a path: after all of this one but its last letter it comes
    /// first, but for names that lie between the two.
    private func isKnown(_ path: String, _ volumeID: String, _ indexer: Client) async throws(Failure) -> Bool {
        let before = String(path.unicodeScalars.dropLast())
        let reply = try await indexer.call(
            IndexerMethods.listFiles,
            ListFilesRequest(volumeID: volumeID, afterPath: before.isEmpty ? nil : before, limit: 100))
        return reply.files.contains { $0.path == path }
    }

    // MARK: - Archive volume

    private func checkArchive(_ volume: VolumeRoot) async throws -> Part {
        let line = StatusLine()
        defer { line.clear() }
        let (level, nowUs) = (level, WindowArguments.nowUs())
        let report = try await BlockingLane.disks.run {
            var inspection = ArchiveInspection(volume, depth: level, nowUs: nowUs) { report in
                line.show("\(counted(report.files, "file")), \(sizeText(UInt64(clamping: report.bytes)))")
            }
            try inspection.checkAll()
            return inspection.report
        }
        line.clear()
        var findings = report.findings
        let indexer = try connections.client(.indexer)
        findings.add(try await DeliveredFiles.explain(report.absent, asking: indexer))
        let files = "\(counted(report.files, "file")), \(sizeText(UInt64(clamping: report.bytes)))"
        let young = report.onTheirWay > 0 ? ", \(counted(report.onTheirWay, "file")) whose sidecar is on its way" : ""
        return Part(
            findings: findings,
            line: "archive volume \(volume.volumeID): \(files), \(counted(report.manifests, "manifest"))\(young)",
            members: [
                .init(key: "volume_id", value: .string(volume.volumeID)),
                .init(key: "role", value: .string(volume.identity.role.rawValue)),
                .init(key: "files", value: .integer(report.files)),
                .init(key: "bytes", value: .integer(report.bytes)),
                .init(key: "manifests", value: .integer(report.manifests)),
                .init(key: "on_their_way", value: .integer(report.onTheirWay)),
            ])
    }
}
