// Where the suites find the executables under test, and the folders they may use.

import Foundation
import Synchronization

/// The folder with the built executables: SIGHTGLASS_BIN, else the folder of the running test bundle.
public enum Executables {
    /// The folder.
    public static var folder: URL {
        if let named = ProcessInfo.processInfo.environment["SIGHTGLASS_BIN"], !named.isEmpty {
            return URL(fileURLWithPath: named)
        }
        return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    }

    /// One executable: "indexer" below `folder`, else the first of that name on PATH.
    public static func path(of name: String) throws -> URL {
        let built = folder.appendingPathComponent(name)
        if FileManager.default.isExecutableFile(atPath: built.path) { return built }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/usr/sbin").split(separator: ":")
        for folder in folders + ["/usr/sbin"] {
            let candidate = URL(fileURLWithPath: String(folder)).appendingPathComponent(name)
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
        }
        throw HarnessError("no executable \(name) in \(folder.path) or on PATH: build it, or set SIGHTGLASS_BIN")
    }

    /// The root of the repository, for scripts and test media.
    public static var repository: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
    }
}

/// What went wrong in a test's own machinery.
public struct HarnessError: Error, CustomStringConvertible {
    /// For the person who reads the failed test.
    public let description: String

    /// Says what went wrong.
    public init(_ description: String) { self.description = description }
}

/// A folder that exists as long as this object. Kept when the test environment sets SIGHTGLASS_KEEP, or after `keep`. What is in it
/// at the end must hold no credential but where the test itself put it (Canaries.swift).
public final class TemporaryDirectory: Sendable {
    /// The folder. Short, because an ipc socket's path has at most 107 bytes.
    public let url: URL
    private let isKept = Atomic(false)
    private let holdsSecrets: Bool
    private let shapes: Bool
    /// What the test wrote.
    private let written = Mutex<Set<String>>([])

    /// Makes an empty folder below the system's temporary folder. `holdsSecrets`: it is the place of credentials.
    /// `shapes`: also what only has the shape of a credential is none that may be in it.
    public init(holdsSecrets: Bool = false, shapes: Bool = true) throws {
        self.holdsSecrets = holdsSecrets
        self.shapes = shapes
        let name = "sg-" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
        url = URL(fileURLWithPath: "/tmp").appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    }

    /// Leaves the folder where it is, for a person to look at.
    public func keep() { isKept.store(true, ordering: .relaxed) }

    deinit {
        if !holdsSecrets {
            Canary.report(CanaryFiles(sparing: written.withLock { $0 }, shapes: shapes).finds(at: url.path))
        }
        if !isKept.load(ordering: .relaxed), ProcessInfo.processInfo.environment["SIGHTGLASS_KEEP"] == nil {
            try? FileManager.default.removeItem(at: url)
        }
    }

    /// A path below the folder.
    public func path(_ relative: String) -> String { url.appendingPathComponent(relative).path }

    /// Makes a folder below the folder and gives its path.
    @discardableResult public func makeFolder(_ relative: String) throws -> String {
        let path = path(relative)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Writes a text file below the folder and gives its path.
    @discardableResult public func write(_ text: String, to relative: String) throws -> String {
        let target = url.appendingPathComponent(relative)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: target, atomically: true, encoding: .utf8)
        written.withLock { _ = $0.insert(target.path) }
        return target.path
    }
}
