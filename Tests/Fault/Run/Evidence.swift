// Collects what the model judges: the catalogue by RPC, both volumes, the Blob server. What was read once and has not changed is
// not read again, so that a long campaign does not spend its time with hashing.

import Crypto
import Foundation
import Harness

actor Evidence {
    private let site: Site
    private let questions: Questions
    private let blobs: BlobReader
    /// Every so many-th new segment and clip is played by ffprobe; salvaged segments always are.
    private let playEach: Int
    private var documents: ArchiveDocuments
    private var hashed: [String: (size: Int64, modified: Double, fact: FileFact)] = [:]
    private var fetched: [String: FileFact] = [:]
    private var played: [String: String] = [:]
    private var seen = 0
    private var clips: [String: ClipFact] = [:]
    private var seenClips: Set<String> = []

    init(site: Site, questions: Questions, playEach: Int) throws {
        self.site = site
        self.questions = questions
        self.blobs = try BlobReader(site: site)
        self.playEach = playEach
        documents = ArchiveDocuments(site: site)
    }

    /// Files that ffprobe played so far.
    var playedCount: Int { played.count + clips.count }

    func snapshot(retainedStates: [String: String]) async throws -> Snapshot {
        var snapshot = Snapshot()
        snapshot.takenUs = nowUs()
        snapshot.retainedStates = retainedStates
        // Files before rows and rows before files: what is sealed meanwhile is in the second list of files.
        let before = try files(of: "recording")
        snapshot.rows = try await questions.rows()
        snapshot.shown = try await questions.shown()
        let after = try files(of: "recording")
        let known = Set(snapshot.rows.map(\.path))
        snapshot.recorded = after.filter { before[$0.key] != nil || known.contains($0.key) }
        for id in try await questions.requestIDs() { snapshot.requests.append(try await questions.request(id)) }
        snapshot.archive = try files(of: "archive")
        for name in try await blobs.names() {
            if fetched[name] == nil { fetched[name] = try await blobs.fact(name) }
            snapshot.blobs[name] = fetched[name]
        }
        let delivered = snapshot.requests.flatMap(\.files)
        let manifests = delivered.filter(\.isManifest).map(\.path) + snapshot.requests.compactMap(\.manifestPath)
        for path in Set(manifests) {
            if let file = snapshot.archive[path] { snapshot.manifests[path] = documents.manifest(path, file) }
        }
        for path in Set(delivered.filter { !$0.isManifest }.map { RequestCheck.sidecar(of: $0.path) }) {
            if let file = snapshot.archive[path] { snapshot.sidecars[path] = documents.sidecar(path, file) }
        }
        for path in Set(delivered.filter { $0.isClip && $0.isInArchive }.map(\.path)).sorted() {
            guard seenClips.insert(path).inserted, seenClips.count % playEach == 0 else { continue }
            clips[path] = try await show(path)
        }
        snapshot.clips = clips
        let word = try await questions.controllerWord()
        snapshot.liveRuns = Set(word.sightings.compactMap(\.runID))
        snapshot.recordingStaging = site.staged("recording")
        snapshot.archiveStaging = site.staged("archive")
        snapshot.spooledRecords = word.spooled
        snapshot.waitingItems = try await questions.waitingItems()
        snapshot.holds = try await questions.holds()
        for camera in Camera.allCases {
            let spans = snapshot.shown.filter { $0.camera == camera && $0.isSegment }.map(\.span)
            guard let startUs = spans.map(\.startUs).min(), let endUs = spans.map(\.endUs).max() else { continue }
            snapshot.missing += try await questions.missing(camera, in: Span(startUs, endUs))
        }
        for row in snapshot.rows where row.isSegment {
            guard played[row.path] == nil, snapshot.recorded[row.path] != nil else { continue }
            seen += 1
            if row.isSalvaged || seen % playEach == 0 { played[row.path] = try await play(row) }
        }
        snapshot.unplayable = played.filter { !$0.value.isEmpty }
        return snapshot
    }

    /// The published files of a volume, with their content.
    private func files(of volume: String) throws -> [String: FileFact] {
        let root = "\(site.path)/\(volume)"
        var facts: [String: FileFact] = [:]
        guard let walk = FileManager.default.enumerator(atPath: root) else { throw HarnessError("no folder \(root)") }
        while let path = walk.nextObject() as? String {
            if path.hasPrefix(".") {
                walk.skipDescendants()
                continue
            }
            guard let status = try? FileManager.default.attributesOfItem(atPath: "\(root)/\(path)"),
                status[.type] as? FileAttributeType == .typeRegular
            else { continue }
            let size = (status[.size] as? NSNumber)?.int64Value ?? 0
            let modified = (status[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
            let key = "\(volume)/\(path)"
            if let known = hashed[key], known.size == size, known.modified == modified {
                facts[path] = known.fact
                continue
            }
            guard let data = FileManager.default.contents(atPath: "\(root)/\(path)") else { continue }
            let fact = FileFact(sizeBytes: Int64(data.count), sha256: hexadecimal(SHA256.hash(data: data)))
            hashed[key] = (size, modified, fact)
            facts[path] = fact
        }
        return facts
    }

    /// What is wrong with a segment's packets; empty for one that plays. A file that made room meanwhile is not asked for more.
    private func play(_ row: MediaRow) async throws -> String {
        let path = "\(site.path)/recording/\(row.path)"
        let result = try await runTool(
            "ffprobe",
            [
                "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries", "stream=nb_read_packets",
                "-of", "csv=p=0", path,
            ])
        guard FileManager.default.fileExists(atPath: path) else { return "" }
        let error = result.error.trimmingCharacters(in: .whitespacesAndNewlines)
        if result.exitCode != 0 || !error.isEmpty { return "exit code \(result.exitCode) \(error.prefix(300))" }
        let packets = Int(result.output.prefix { $0.isNumber }) ?? 0
        return packets == row.frames ? "" : "\(packets) pictures in it, the catalogue says \(row.frames)"
    }

    /// The pictures of a clip that a player shows: all of them are decoded.
    private func show(_ path: String) async throws -> ClipFact {
        let result = try await runTool(
            "ffprobe",
            [
                "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames",
                "-of",
                "csv=p=0", site.archived(path),
            ])
        let error = result.error.trimmingCharacters(in: .whitespacesAndNewlines)
        if result.exitCode != 0 || !error.isEmpty {
            return .broken("exit code \(result.exitCode) \(error.prefix(300))")
        }
        return .pictures(Int(result.output.prefix { $0.isNumber }) ?? 0)
    }
}
