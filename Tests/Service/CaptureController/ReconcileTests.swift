// A catalogue that came back older than the volume, while the controller went on recording: what it lost is recorded again, and
// what it still believes to be there is given up, without a restart.
import Fakes
import Foundation
import Harness
import RPC
import Synchronization
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct ReconcileTests {
    /// What a faked indexer remembers of one volume.
    private final class Memory: Sendable {
        let files = Mutex<[String: MediaFile]>([:])

        func install(in site: CameraSite) {
            let volume = VolumeStatus(volumeID: site.volumeID, role: "recording")
            site.indexer.recordMedia.answer { [self] request in
                files.withLock { files in
                    for file in request.records.compactMap(\.file) { files[file.path ?? ""] = file }
                }
                return RecordMediaReply(acknowledged: request.records.compactMap(\.spoolID))
            }
            site.indexer.listFiles.answer { [self] request in
                let all = files.withLock { $0.values.sorted { ($0.path ?? "") < ($1.path ?? "") } }
                let after = request.afterPath ?? ""
                return ListFilesReply(files: all.filter { ($0.path ?? "") > after }, more: false)
            }
            site.indexer.listVolumes.answer { [self] _ in
                let (count, bytes) = files.withLock { files in
                    (files.count, files.values.reduce(UInt64(0)) { $0 + ($1.sizeBytes ?? 0) })
                }
                return ListVolumesReply(volumes: [KnownVolume(volume: volume, files: UInt64(count), bytes: bytes)])
            }
            site.indexer.reportDeleted.answer { [self] request in
                files.withLock { files in for path in request.paths { files[path] = nil } }
                return ReportDeletedReply()
            }
        }
    }

    @Test func anOlderCatalogueIsMadeNewWhileRecordingGoesOn() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        let memory = Memory()
        memory.install(in: site)
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 1)])
        let controller = try site.startController(["--reconcile-seconds", "5"])
        try await eventually("four segments", within: .seconds(30)) {
            memory.files.withLock { $0.count } >= 4 ? true : nil
        }
        let lost = memory.files.withLock { files in
            let lost = files.keys.sorted().suffix(3)
            for path in lost { files[path] = nil }
            // Deleted after the backup was made.
            files["press/clips/2020/01/01/00/gone.mp4"] = MediaFile(
                kind: .segment, volumeID: site.volumeID, path: "press/clips/2020/01/01/00/gone.mp4", sizeBytes: 1)
            return Set(lost)
        }
        try await eventually("it knows them again", within: .seconds(40)) {
            memory.files.withLock { files in
                lost.isSubset(of: files.keys) && !files.keys.contains { $0.hasSuffix("gone.mp4") } ? true : nil
            }
        }
        #expect(try await site.task("clips")?.state == .running)
        try await controller.terminate()
        try await camera.kill()
    }
}
