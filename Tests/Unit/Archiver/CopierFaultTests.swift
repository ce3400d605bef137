// An archive job that dies at each of its steps, whose disk fails at each of them, or whose volume goes away under it (field
// lessons, test 32). Steps are the system calls on the archive volume, so a new step of the copier is found by itself. What must
// hold: under a final name there is nothing or the whole file; whoever does the item next gives the same bytes, once.
import Clips
import Crypto
import Foundation
import Logging
import RPC
import Synchronization
import Testing
import Volume
import Wire

@testable import Archiver

@Suite struct CopierFaultTests {
    /// What is archived.
    enum Kind: String, CaseIterable, Sendable {
        case segment, manifest
    }

    /// Counts the calls on the archive volume; a test decides what becomes of each.
    final class Steps: Sendable {
        typealias Rule = @Sendable (_ number: Int, _ call: FileSystemCall, _ path: String) -> FileSystemFault?
        private let state = Mutex<(count: Int, rule: Rule?)>((0, nil))

        var count: Int { state.withLock { $0.count } }
        var calls: FileSystemCalls {
            FileSystemCalls { [self] call, path in
                let (number, rule) = state.withLock { state in
                    state.count += 1
                    return (state.count, state.rule)
                }
                return rule?(number, call, path)
            }
        }

        func begin(_ rule: @escaping Rule) { state.withLock { $0 = (0, rule) } }
        func end() { state.withLock { $0.rule = nil } }
    }

    /// Only clips ask for more than their item says.
    private struct Nobody: FootageCalls {
        func queryMedia(_ request: QueryMediaRequest) async throws(RPCError) -> QueryMediaReply {
            throw .unavailable("nobody")
        }
        func listVolumes() async throws(RPCError) -> ListVolumesReply { throw .unavailable("nobody") }
        func readSegment(
            _ request: ReadSegmentRequest, at address: String
        ) async throws(RPCError) -> ReadSegmentReply { throw .unavailable("nobody") }
    }

    /// A recording volume with one file, an archive volume, and archivers.
    final class Site: Sendable {
        let folder: String
        let archive: String
        private let recordingID: String
        private let sources: SourceFiles
        /// More than a piece that is copied at once; its sum.
        private static let content = (0..<1_100_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        private static let digest = Digest(sha256: sha(content), sizeBytes: Int64(content.count))
        private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

        init() throws {
            folder = NSTemporaryDirectory() + "copier-\(UUID().uuidString.lowercased())"
            archive = folder + "/archive"
            let recording = folder + "/recording"
            for path in [archive, recording] {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            }
            let nowUs: Int64 = 1_795_410_372_000_000
            recordingID = try VolumeRoot.adopt(at: recording, role: .recording, nowUs: nowUs).volumeID
            try VolumeRoot.adopt(at: archive, role: .archive, nowUs: nowUs)
            try FileManager.default.createDirectory(
                atPath: recording + "/cam1/clips", withIntermediateDirectories: true)
            try Data(Self.content).write(to: URL(fileURLWithPath: recording + "/cam1/clips/a.mp4"))
            sources = SourceFiles(paths: [recording], calls: Nobody())
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        /// A life of an archiver: the one place that knows how it is made.
        func copier(_ instance: String, _ calls: FileSystemCalls = .live) throws -> Copier {
            let volume = try VolumeRoot.open(at: archive, role: .archive, calls: calls)
            try ArchiveWork.removeLeftovers(of: instance, in: volume, logger: Self.logger)
            return Copier(
                volume: volume, instance: instance, sources: sources,
                clips: ItemClips(maker: ClipMaker(calls: Nobody(), volumes: [])), logger: Self.logger)
        }

        func item(_ kind: Kind, epoch: UInt64) -> ClaimedItem {
            switch kind {
            case .segment:
                ClaimedItem(
                    itemID: 7, epoch: epoch, kind: .segment,
                    source: MediaFile(
                        kind: .segment, volumeID: recordingID, path: "cam1/clips/a.mp4",
                        sizeBytes: UInt64(Self.content.count), sha256: Self.digest.sha256),
                    archivePath: "cam1/2026/11/23/05/segment_a_cam1.mp4", sidecar: Array(#"{"camera_id":"cam1"}"#.utf8))
            case .manifest:
                ClaimedItem(
                    itemID: 7, epoch: epoch, kind: .manifest, archivePath: "sightglass.requests/2026/11/23/r1.json",
                    content: Array(#"{"request_id":"r1"}"#.utf8))
            }
        }

        /// What must be on the archive volume in the end.
        func wanted(_ kind: Kind) -> [String: [UInt8]] {
            let item = item(kind, epoch: 1)
            guard kind == .segment else { return [item.archivePath ?? "": item.content ?? []] }
            let sidecar = try? SidecarDocument.filled(item.sidecar ?? [], with: Self.digest)
            return [item.archivePath ?? "": Self.content, "cam1/2026/11/23/05/segment_a_cam1.json": sidecar ?? []]
        }

        /// All files below a folder, without the volume's own.
        static func files(in root: String) throws -> [String: [UInt8]] {
            var found: [String: [UInt8]] = [:]
            for path in try FileManager.default.subpathsOfDirectory(atPath: root) where !path.hasPrefix(".") {
                var isFolder: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isFolder)
                if isFolder.boolValue { continue }
                found[path] = FileManager.default.contents(atPath: root + "/" + path).map { Array($0) } ?? []
            }
            return found
        }

        var staged: [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: archive + "/.staging")) ?? []
        }

        static func sha(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

        /// Does the item once more, without faults, and looks at everything.
        func finish(_ kind: Kind, by instance: String, _ place: String) async throws {
            let done = try await copier(instance).archive(item(kind, epoch: 2))
            let wanted = wanted(kind)
            let bytes = wanted[item(kind, epoch: 1).archivePath ?? ""] ?? []
            #expect(done.sizeBytes == UInt64(bytes.count) && done.sha256 == Self.sha(bytes), "\(place)")
            #expect(try Self.files(in: archive) == wanted, "\(place)")
            // Another's leftovers are removed by itself, when it is back.
            _ = try copier("archiver-0")
            #expect(staged == [], "\(place)")
        }
    }

    /// Whether files that are there are whole ones of those that are wanted.
    private func isWhole(_ files: [String: [UInt8]], of wanted: [String: [UInt8]]) -> Bool {
        files.allSatisfy { wanted[$0.key] == $0.value }
    }

    /// Dying is modelled as every call from the n-th on having no effect. The dead one's item is done by its next life or by
    /// another archiver.
    @Test(arguments: Kind.allCases, ["archiver-0", "archiver-1"])
    func aDeathAtAnyStepIsMadeGoodOnce(_ kind: Kind, by successor: String) async throws {
        for number in 1...1000 {
            let site = try Site()
            let steps = Steps()
            let dying = try site.copier("archiver-0", steps.calls)
            steps.begin { count, _, _ in count >= number ? .errno(EIO) : nil }
            let died = await fails { _ = try await dying.archive(site.item(kind, epoch: 1)) } != nil
            steps.end()
            #expect(isWhole(try Site.files(in: site.archive), of: site.wanted(kind)), "step \(number)")
            try await site.finish(kind, by: successor, "step \(number)")
            guard died else {
                #expect(number > 10)
                return
            }
        }
        Issue.record("the copy never ended")
    }

    @Test(arguments: Kind.allCases, [ENOSPC, EROFS, EIO])
    func aDiskThatFailsAtAnyStepIsToldAndTriedAgain(_ kind: Kind, number errno: Int32) async throws {
        for failing in 1...1000 {
            let site = try Site()
            let steps = Steps()
            let copier = try site.copier("archiver-0", steps.calls)
            steps.begin { count, _, _ in count == failing ? .errno(errno) : nil }
            let problem = await fails { _ = try await copier.archive(site.item(kind, epoch: 1)) }
            let wasReached = steps.count >= failing
            steps.end()
            #expect(problem?.isRetryable ?? true, "step \(failing): \(problem?.reason ?? "")")
            #expect(isWhole(try Site.files(in: site.archive), of: site.wanted(kind)), "step \(failing)")
            try await site.finish(kind, by: "archiver-0", "step \(failing)")
            guard wasReached else {
                #expect(problem == nil && failing > 10)
                return
            }
        }
        Issue.record("the copy never ended")
    }

    /// At each step the volume is unmounted: its folder is there and empty. No file may be made in it.
    @Test(arguments: Kind.allCases) func aVolumeThatVanishesAtAnyStepGetsNothingWhereItWas(_ kind: Kind) async throws {
        for number in 1...1000 {
            let site = try Site()
            let (archive, away) = (site.archive, site.folder + "/away")
            let steps = Steps()
            let copier = try site.copier("archiver-0", steps.calls)
            steps.begin { count, _, _ in
                if count == number {
                    rename(archive, away)
                    mkdir(archive, 0o770)
                }
                return nil
            }
            _ = await fails { _ = try await copier.archive(site.item(kind, epoch: 1)) }
            let wasReached = steps.count >= number
            steps.end()
            guard wasReached else {
                #expect(number > 10)
                return
            }
            #expect(try Site.files(in: archive) == [:], "step \(number)")
            try FileManager.default.removeItem(atPath: archive)
            try FileManager.default.moveItem(atPath: away, toPath: archive)
            #expect(isWhole(try Site.files(in: archive), of: site.wanted(kind)), "step \(number)")
            try await site.finish(kind, by: "archiver-0", "step \(number)")
        }
        Issue.record("the copy never ended")
    }

    /// What is told of the failure of a copy; nil where it does not fail.
    private func fails(_ body: () async throws -> Void) async -> ArchiveProblem? {
        do {
            try await body()
            return nil
        } catch let problem as ArchiveProblem {
            return problem
        } catch let error as VolumeError {
            return ArchiveProblem.onArchive(error)
        } catch {
            return ArchiveProblem(reason: "\(error)", isRetryable: false)
        }
    }
}
