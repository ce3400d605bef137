// The state directory's disk is full because something else fills it (field lessons, test 26): the write-ahead log can take
// nothing more. Callers are told, health says why, nothing that was accepted is lost, also over a kill, and when there is room the
// same process goes on. Page by page of the catalogue itself: Tests/Unit/Indexer/FullDiskTests.swift.

import Foundation
import Harness
import RPC
import Testing
import Wire

/// Whether this process may mount a disk of its own: CAP_SYS_ADMIN, which is bit 21.
private let mayMount: Bool = {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    let bits = line.flatMap { UInt64($0.dropFirst("CapEff:".count).trimmingCharacters(in: .whitespaces), radix: 16) }
    return (bits ?? 0) & (1 << 21) != 0
}()

/// A disk of a few MiB in memory.
private struct SmallDisk {
    let path: String

    init(at path: String, mebibytes: Int) async throws {
        self.path = path
        let mounted = try await runTool("mount", ["-t", "tmpfs", "-o", "size=\(mebibytes)m,mode=0750", "none", path])
        guard mounted.exitCode == 0 else { throw HarnessError("mount: \(mounted.error)") }
    }

    /// Somebody else's file takes all that is left.
    func fill() throws {
        let descriptor = open(path + "/foreign", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        guard descriptor >= 0 else { throw HarnessError("open: \(errno)") }
        defer { close(descriptor) }
        let page = [UInt8](repeating: 7, count: 4096)
        while page.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == page.count {}
        guard errno == ENOSPC else { throw HarnessError("the disk could not be filled: \(errno)") }
    }

    func makeRoom() throws { try FileManager.default.removeItem(atPath: path + "/foreign") }
    func unmount() async { _ = try? await runTool("umount", ["-l", path]) }
}

@Suite(
    .enabled(if: ownsProcess, "it fills the disk of the process"),
    .enabled(if: mayMount, "only who may mount can fill a disk of his own"))
struct IndexerFullDiskTests {
    @Test func aFullDiskIsToldAndRoomEndsIt() async throws {
        let bench = try IndexerBench()
        let disk = try await SmallDisk(at: try bench.folder.makeFolder("state"), mebibytes: 8)
        do { try await play(bench, disk) } catch {
            await disk.unmount()
            throw error
        }
        await disk.unmount()
    }

    private func play(_ bench: IndexerBench, _ disk: SmallDisk) async throws {
        var process = try #require(try bench.start())
        try await bench.recordFootage()
        var accepted: [String] = []
        for round in 0..<3 {
            try disk.fill()
            // What is left of the log's last page may still take some.
            try await eventually("a request finds no room") {
                for number in 0..<200 {
                    let id = "r\(round)-\(accepted.count)-\(number)"
                    do {
                        // The client itself tries again until its time is over.
                        _ = try await bench.client.call(
                            IndexerMethods.submitArchive, bench.archive(id, 1000, 1010), timeout: .seconds(1))
                        accepted.append(id)
                    } catch let error as RPCError where error.code == .unavailable && error.message.contains("full") {
                        return true
                    }
                }
                return nil
            }
            let health = try await bench.client.health()
            #expect(health.live == true && health.ready == false)
            #expect(health.reasons.contains { $0.contains("check the disk of the state directory") })
            try await allAreThere(accepted, bench)
            if round == 1 {
                // Killed while the disk is full: the next life begins on a full disk.
                try await process.kill()
                process = try #require(try bench.start())
                try await allAreThere(accepted, bench)
            }
            try disk.makeRoom()
            _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("room\(round)", 1000, 1010))
            accepted.append("room\(round)")
            #expect(try await bench.client.health().ready == true)
        }
        try await process.kill()
        process = try #require(try bench.start())
        try await allAreThere(accepted, bench)
        try await process.terminate()
    }

    private func allAreThere(_ accepted: [String], _ bench: IndexerBench) async throws {
        for id in accepted { #expect(try await bench.request(id).state == .waiting) }
        let files = try await bench.call(IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID)).files
        #expect(files.count == 3)
    }
}
