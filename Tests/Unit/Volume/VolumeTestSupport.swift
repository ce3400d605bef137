// What the Volume tests share: a folder that goes away, a volume in it, and a plan of faults by number of call.
import Foundation
import Glibc
import Synchronization

@testable import Volume

/// A folder of its own below the system's temporary one; removed with the last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "volume-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func volume(
        _ role: VolumeRole = .recording, access: VolumeAccess = .writer, calls: FileSystemCalls? = nil
    ) throws -> VolumeRoot {
        // The volume keeps its folder, so that a test may drop the folder and go on with the volume.
        let calls = calls ?? FileSystemCalls { [self] _, path in path == self.path + "/never" ? .errno(EIO) : nil }
        if !FileManager.default.fileExists(atPath: path + "/" + VolumeRoot.markerName) {
            try VolumeRoot.adopt(at: path, role: role, nowUs: 1_795_410_372_000_000)
        }
        return try VolumeRoot.open(at: path, role: role, access: access, calls: calls)
    }

    func bytes(_ relative: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path + "/" + relative).map { Array($0) }
    }

    /// All files and folders below, without the marker and staging itself.
    func everything() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: path)
            .filter { $0 != VolumeRoot.markerName && $0 != VolumeRoot.stagingName }.sorted()
    }
}

/// Counts calls, remembers them, and makes some of them fail.
final class FaultPlan: Sendable {
    private struct State {
        var count = 0
        var trace: [String] = []
        var rule: @Sendable (Int, FileSystemCall, String) -> FileSystemFault? = { _, _, _ in nil }
    }

    private let state = Mutex(State())

    var calls: FileSystemCalls {
        FileSystemCalls { [self] call, path in
            state.withLock { state in
                state.count += 1
                state.trace.append("\(call.rawValue) \(path)")
                return state.rule(state.count, call, path)
            }
        }
    }

    var count: Int { state.withLock { $0.count } }
    var trace: [String] { state.withLock { $0.trace } }

    /// From now on calls are numbered from 1, and `rule` decides.
    func begin(_ rule: @escaping @Sendable (Int, FileSystemCall, String) -> FileSystemFault?) {
        state.withLock { $0 = State(count: 0, trace: [], rule: rule) }
    }

    func end() { begin { _, _, _ in nil } }
}

/// Content that differs at every place, so that a piece in the wrong place shows.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var value = seed
    return (0..<count).map { _ in
        value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: value >> 33)
    }
}

func staging(_ label: String, epoch: UInt64 = 7) throws -> StagingName {
    try StagingName(owner: "cc-0", epoch: epoch, label: label)
}

/// The kind of the VolumeError that `body` throws; nil when it throws none.
func failure(_ body: () throws -> Void) -> VolumeError.Kind? {
    do {
        try body()
        return nil
    } catch {
        return (error as? VolumeError)?.kind
    }
}
