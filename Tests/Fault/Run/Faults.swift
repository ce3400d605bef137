// Carries faults out: each process has a lane, so that what is done to one process happens in the order of the plan, and a fault
// of one never waits for the end of another's.

import Foundation
import Harness

struct Faults: Sendable {
    let processes: Processes
    let notebook: Notebook
    let blobs: BlobReader
    let lanes = Lanes()

    func perform(_ fault: Fault) async {
        switch fault {
        case .kill(let names, let downMs):
            for name in names { await lanes.put(name) { await kill(name, downMs: downMs) } }
        case .restart(let name, let downMs):
            await lanes.put(name) { await restart(name, downMs: downMs) }
        case .pause(let name, let ms):
            await lanes.put(name) { await pause(name, ms: ms) }
        case .storage(let trouble, let count):
            await notebook.count("storage")
            await notebook.say("storage", "\(trouble) for \(count) uploads")
            // A Blob server that is down at the moment has other trouble.
            try? await blobs.trouble(trouble, count: count)
        }
    }

    /// Starts again what ended by itself, and notes that it did.
    func raise(_ name: ProcessName, after end: String) async {
        await notebook.note([Violation(.process, name.rawValue, "ended by itself with \(end)")])
        await lanes.put(name) {
            let fault = await notebook.faultBegan(name, .kill)
            await start(name)
            await notebook.faultEnded(fault)
        }
    }

    private func kill(_ name: ProcessName, downMs: Int) async {
        let fault = await notebook.faultBegan(name, .kill)
        await notebook.say("kill", "\(name.rawValue)\(downMs > 0 ? ", down for \(downMs) ms" : "")")
        await attempt(name) { try await processes.kill(name) }
        try? await Task.sleep(for: .milliseconds(downMs))
        await start(name)
        await notebook.faultEnded(fault)
    }

    private func restart(_ name: ProcessName, downMs: Int) async {
        let fault = await notebook.faultBegan(name, .restart)
        await notebook.say("restart", "\(name.rawValue)\(downMs > 0 ? ", down for \(downMs) ms" : "")")
        await attempt(name) {
            if let violation = try await processes.stop(name) { await notebook.note([violation]) }
        }
        try? await Task.sleep(for: .milliseconds(downMs))
        await start(name)
        await notebook.faultEnded(fault)
    }

    private func pause(_ name: ProcessName, ms: Int) async {
        let fault = await notebook.faultBegan(name, .pause)
        await notebook.say("pause", "\(name.rawValue) for \(ms) ms")
        await processes.pause(name)
        try? await Task.sleep(for: .milliseconds(ms))
        await processes.resume(name)
        await notebook.faultEnded(fault)
    }

    func start(_ name: ProcessName) async { await attempt(name) { try await processes.start(name) } }

    private func attempt(_ name: ProcessName, _ body: () async throws -> Void) async {
        do { try await body() } catch {
            await notebook.note([Violation(.process, name.rawValue, "\(error)")])
        }
    }
}
