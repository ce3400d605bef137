// What a media-worker may do, and when it ends: by its own hand, whatever its parent does.
import Foundation
import Harness
import Media
import Testing

@testable import MediaWork

@Suite struct ConfinementTests {
    private func worker() throws -> WorkerChild { try WorkerChild(try Executables.path(of: "media-worker").path) }

    private func lockedIn() async throws -> WorkerChild {
        let child = try worker()
        try await eventually("it is locked in") { try ProcessFacts.isLockedIn(child.processID) ? true : nil }
        return child
    }

    private func ends(_ child: WorkerChild) async throws -> String {
        try await eventually("the worker ends") { child.hasEnded ? true : nil }
        return child.end()
    }

    @Test func itHasNothingButItsSocket() async throws {
        // A descriptor that is open in the parent and would be inherited.
        let folder = try TemporaryDirectory()
        let open = Foundation.open(try folder.write("secret", to: "secret"), O_RDONLY)
        defer { close(open) }
        let child = try await lockedIn()
        defer { child.end() }
        let id = child.processID
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/fd")
        #expect(descriptors.sorted() == ["0", "1", "2", "3"])
        #expect(
            try ProcessFacts.text(id, "environ").split(separator: "\0").allSatisfy {
                $0 == "SWIFT_BACKTRACE=enable=no" || $0.hasPrefix("LD_LIBRARY_PATH=")
            })
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/cwd") == "/")
        #expect(getpgid(id) == id)
    }

    @Test func itIsLimited() async throws {
        let child = try await lockedIn()
        defer { child.end() }
        let limits = try ProcessFacts.text(child.processID, "limits").split(separator: "\n").map(String.init)
        func hard(_ name: String) throws -> Substring? {
            let line = try #require(limits.first { $0.hasPrefix(name) })
            return line.dropFirst(26).split(separator: " ").dropFirst().first
        }
        #expect(try hard("Max address space") == "2147483648")
        #expect(try hard("Max file size") == "0")
        #expect(try hard("Max core file size") == "0")
        #expect(try hard("Max open files") == "4")
        #expect(try ProcessFacts.text(child.processID, "status").contains("NoNewPrivs:\t1"))
    }

    @Test(arguments: [
        [UInt8](repeating: 0x47, count: 300), [1, 1, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255],
        // A picture, which only the worker sends.
        [1, 2, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 1, 0, 1, 0, 1, 9],
    ])
    func garbageEndsIt(bytes: [UInt8]) async throws {
        let child = try worker()
        #expect(send(child.socket.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        #expect(try await ends(child) == "exit code 76")
    }

    @Test func theParentsEndOfTheSocketEndsIt() async throws {
        let child = try worker()
        child.interrupt()
        #expect(try await ends(child) == "exit code 0")
    }

    /// A parent in another process: a worker, and where `holdsSocket`, another child that keeps the socket open.
    private static func parent(holdsSocket: Bool) throws -> String {
        """
        import os, socket, subprocess, time
        if os.open("/dev/null", os.O_RDONLY) > 3: raise SystemExit("descriptor 3 is taken")
        near, far = socket.socketpair()
        os.dup2(far.fileno(), 3)
        far.close()
        worker = subprocess.Popen(["\(try Executables.path(of: "media-worker").path)"], pass_fds=(3,))
        os.close(3)
        holder = subprocess.Popen(["sleep", "600"], pass_fds=(near.fileno(),)) if \(holdsSocket ? "True" : "False") else None
        print(worker.pid, holder.pid if holder else 0, flush=True)
        time.sleep(600)
        """
    }

    @Test(arguments: [false, true]) func theParentsDeathEndsIt(holdsSocket: Bool) async throws {
        let folder = try TemporaryDirectory()
        let parent = try ServiceProcess("python3", ["-c", Self.parent(holdsSocket: holdsSocket)], logs: folder)
        let ids = try await eventually("the worker is started") {
            let ids = parent.standardOutput.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
            return ids.count == 2 ? ids : nil
        }
        defer { if ids[1] > 0 { kill(ids[1], SIGKILL) } }
        try await eventually("it is locked in") { try ProcessFacts.isLockedIn(ids[0]) ? true : nil }
        #expect(ProcessFacts.isRunning(ids[0]))
        try await parent.kill()
        try await eventually("the worker ends") { ProcessFacts.isRunning(ids[0]) ? nil : true }
    }

    @Test(arguments: [[], ["--help"]]) func byHandThereIsNothingToStart(arguments: [String]) async throws {
        let folder = try TemporaryDirectory()
        let process = try ServiceProcess("media-worker", arguments, logs: folder)
        #expect(try await process.exitCode(within: .seconds(10)) == 64)
        #expect(process.standardError.contains("is started by capture-controller"))
    }
}
