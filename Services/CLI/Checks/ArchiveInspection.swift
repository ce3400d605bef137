// Reads an archive volume against its own documents: manifests against files, files against sidecars. Calls block; each file
// is read once, however many manifests name it. What the indexer knows of files that are gone: DeliveredFiles.swift.

import Volume

/// What was looked at and what came of it.
struct ArchiveReport: Sendable {
    var findings = Findings()
    /// Files that a manifest names and that are not there.
    var absent: [AbsentFile] = []
    var manifests = 0
    var files = 0
    var bytes: Int64 = 0
    /// Files so young that their sidecar may still come.
    var onTheirWay = 0
    /// Files of which the manifests say themselves that they could not be archived.
    var neverArchived = 0
    /// Of requests whose manifest has several parts: how many, and which were seen.
    var parts: [String: (all: Int, seen: Set<Int>)] = [:]
}

struct AbsentFile: Sendable, Equatable {
    let requestID: String
    let path: String
}

struct ArchiveInspection {
    /// Younger than this a file may lack what comes after it.
    static let settledUs: Int64 = 120_000_000
    /// Nothing is in the making for longer.
    static let leftoverUs: Int64 = 86_400_000_000

    private enum Seen {
        case absent
        case there(ContentFacts)
        case unreadable
    }

    private let volume: VolumeRoot
    private let depth: CheckDepth
    private let nowUs: Int64
    /// Told of files and bytes so far.
    private let progress: @Sendable (ArchiveReport) -> Void
    private var seen: [String: Seen] = [:]
    private var checkedSidecars: Set<String> = []
    private(set) var report = ArchiveReport()

    init(
        _ volume: VolumeRoot, depth: CheckDepth, nowUs: Int64,
        progress: @escaping @Sendable (ArchiveReport) -> Void = { _ in }
    ) {
        self.volume = volume
        self.depth = depth
        self.nowUs = nowUs
        self.progress = progress
    }

    /// Whether a path is one that only manifests have.
    static func isManifest(_ path: RelativePath) -> Bool {
        path.parts.first == ArchiveLayout.manifestFolder && path.name.hasSuffix(".json")
    }

    // MARK: - Manifests

    /// The manifests below a folder of the volume, or all; in order.
    func manifests(below folder: RelativePath?) throws(VolumeError) -> [RelativePath] {
        var found: [RelativePath] = []
        let all = try RelativePath(ArchiveLayout.manifestFolder)
        try volume.forEachFile(below: folder ?? all) { (entry) throws(VolumeError) in
            if Self.isManifest(entry.path) { found.append(entry.path) }
            return true
        }
        return found
    }

    /// Reads a manifest; nil where it is none, which is a finding.
    mutating func manifest(at path: RelativePath) throws(VolumeError) -> ManifestDocument? {
        report.manifests += 1
        do {
            return try ManifestDocument(read(path, atMost: ManifestDocument.mostBytes))
        } catch let error as DocumentProblem {
            report.findings.add(Finding(.manifest, path.string, error.text))
        } catch let error as VolumeError {
            try note(error, at: path)
        } catch {}
        return nil
    }

    /// Each file that a manifest names: there, with its size, SHA-256 and sidecar.
    mutating func checkManifest(_ path: RelativePath, withSidecars: Bool) throws(VolumeError) {
        guard let document = try manifest(at: path) else { return }
        if document.parts > 1 {
            report.parts[document.requestID, default: (document.parts, [])].seen.insert(document.part)
        }
        for file in document.files {
            if file.error != nil {
                report.neverArchived += 1
                continue
            }
            guard let filePath = try? RelativePath(file.path) else {
                report.findings.add(
                    Finding(.manifest, path.string, "names '\(file.path)', which is no path below the volume"))
                continue
            }
            switch try look(filePath) {
            case .absent: report.absent.append(AbsentFile(requestID: document.requestID, path: file.path))
            case .unreadable: break
            case .there(let found):
                report.findings.add(
                    file.content.differences(found, path: file.path, by: "the manifest of \(document.requestID)"))
                if withSidecars { try checkSidecar(of: filePath, file.content) }
            }
        }
    }

    // MARK: - The whole volume

    /// Every file with its sidecar, every sidecar with its file, every manifest, and staging.
    mutating func checkAll() throws(VolumeError) {
        var media: [VolumeEntry] = []
        var sidecars: [RelativePath] = []
        var manifests: [RelativePath] = []
        try volume.forEachFile { (entry) throws(VolumeError) in
            if Self.isManifest(entry.path) {
                manifests.append(entry.path)
            } else if entry.path.name.hasSuffix(".json") {
                sidecars.append(entry.path)
            } else {
                media.append(entry)
            }
            return true
        }
        var described: Set<String> = []
        for entry in media {
            guard let sidecar = try? ArchiveLayout.sidecar(of: entry.path) else {
                report.findings.add(Finding(.foreign, entry.path.string, "its name has no extension"))
                continue
            }
            described.insert(sidecar.string)
            try checkMedia(entry, sidecar)
        }
        for sidecar in sidecars where !described.contains(sidecar.string) { checkLoneSidecar(sidecar) }
        for manifest in manifests { try checkManifest(manifest, withSidecars: false) }
        report.findings.add(try Self.leftovers(of: volume, nowUs: nowUs))
    }

    private mutating func checkMedia(_ entry: VolumeEntry, _ sidecar: RelativePath) throws(VolumeError) {
        guard case .there(let found) = try look(entry.path) else { return }
        if nowUs - entry.modifiedUs < Self.settledUs, !volume.exists(sidecar) {
            report.onTheirWay += 1
            return
        }
        guard let facts = try checkSidecar(of: entry.path, ContentFacts()) else { return }
        if depth > .names, facts.sizeBytes == nil || facts.sha256 == nil {
            report.findings.add(Finding(.sidecar, entry.path.string, "its sidecar says no size or no SHA-256"))
        }
        report.findings.add(facts.differences(found, path: entry.path.string, by: "its sidecar"))
    }

    private mutating func checkLoneSidecar(_ path: RelativePath) {
        guard let bytes = try? read(path, atMost: SidecarContent.mostBytes) else {
            // Evicted while we looked, as its file was.
            if volume.exists(path) { report.findings.add(Finding(.unreadable, path.string, "it cannot be read")) }
            return
        }
        guard let document = try? SidecarContent(bytes) else {
            report.findings.add(Finding(.sidecarAlone, path.string, "it cannot be read as JSON"))
            return
        }
        let folder = path.parent.map { $0.string + "/" } ?? ""
        let media = document.fileName.flatMap { try? RelativePath(folder + $0) }
        // The file may have come after the folder was listed.
        if let media, volume.exists(media) { return }
        guard volume.exists(path) else { return }
        report.findings.add(Finding(.sidecarAlone, path.string, "describes \(document.fileName ?? "no file")"))
    }

    /// What lies in staging for more than a day.
    static func leftovers(of volume: VolumeRoot, nowUs: Int64) throws(VolumeError) -> [Finding] {
        let entries: [StagingEntry]
        do { entries = try volume.stagingEntries() } catch let error where error.kind == .missing {
            // Staging may be on another file system.
            return []
        }
        return entries.filter { nowUs - $0.modifiedUs > leftoverUs }.map { entry in
            Finding(
                .leftover, "\(VolumeRoot.stagingName)/\(entry.fileName)",
                "\(entry.sizeBytes) bytes, last written \(TimeText.show(entry.modifiedUs))")
        }
    }

    // MARK: - Reading

    /// What a file's sidecar says; nil where there is none or it is unreadable, which is noted then. Checked against
    /// `expected` once per file.
    @discardableResult
    private mutating func checkSidecar(
        of path: RelativePath, _ expected: ContentFacts
    ) throws(VolumeError) -> ContentFacts? {
        guard checkedSidecars.insert(path.string).inserted else { return nil }
        do {
            let sidecar = try ArchiveLayout.sidecar(of: path)
            let document = try SidecarContent(read(sidecar, atMost: SidecarContent.mostBytes))
            report.findings.add(document.problems(of: path, expected, depth: depth))
            return document.content
        } catch let error as DocumentProblem {
            report.findings.add(Finding(.sidecar, path.string, "its sidecar: \(error.text)"))
        } catch let error as VolumeError where error.kind == .missing {
            // Both are gone: evicted while we looked.
            if volume.exists(path) { report.findings.add(Finding(.sidecar, path.string, "there is no sidecar")) }
        } catch let error as VolumeError {
            try note(error, at: path)
        } catch {}
        return nil
    }

    private mutating func look(_ path: RelativePath) throws(VolumeError) -> Seen {
        if let known = seen[path.string] { return known }
        let result: Seen
        do {
            let reader = try volume.reader(path)
            report.files += 1
            report.bytes += reader.sizeBytes
            result = .there(
                ContentFacts(
                    sizeBytes: depth >= .sizes ? reader.sizeBytes : nil,
                    sha256: depth >= .hashes ? try reader.digest().hexadecimal : nil))
            progress(report)
        } catch let error where error.kind == .missing {
            result = .absent
        } catch {
            try note(error, at: path)
            result = .unreadable
        }
        seen[path.string] = result
        return result
    }

    private func read(_ path: RelativePath, atMost mostBytes: Int64) throws -> [UInt8] {
        let reader = try volume.reader(path)
        guard reader.sizeBytes <= mostBytes else {
            throw DocumentProblem(text: "it has \(reader.sizeBytes) bytes, far more than is written here")
        }
        return try reader.read(at: 0, count: Int(reader.sizeBytes))
    }

    /// One file that cannot be read is a finding; a volume that went away ends the check.
    private mutating func note(_ error: VolumeError, at path: RelativePath) throws(VolumeError) {
        try volume.checkStillThere()
        report.findings.add(Finding(.unreadable, path.string, error.detail))
    }
}
