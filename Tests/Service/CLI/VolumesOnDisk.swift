// Volumes as archiver and capture-controller leave them, and what a test does to them.

import Foundation
import Harness
import Volume

struct ArchiveOnDisk {
    let volume: VolumeRoot
    private let folder: String

    init(_ folder: TemporaryDirectory) throws {
        self.folder = try folder.makeFolder("archive")
        try VolumeRoot.adopt(at: self.folder, role: .archive, nowUs: 1_795_410_000_000_000)
        volume = try VolumeRoot.open(at: self.folder, role: .archive)
    }

    var path: String { folder }

    func absolute(_ relative: String) -> String { folder + "/" + relative }

    /// A file with its sidecar. Gives what a manifest says of it.
    @discardableResult func archive(_ path: String, _ text: String, sidecar: Bool = true) throws -> [String: Any] {
        let digest = try volume.put(text, at: path)
        let media = try RelativePath(path)
        let facts: [String: Any] = ["size_bytes": digest.sizeBytes, "sha256": digest.hexadecimal]
        if sidecar {
            try volume.put(
                Self.json(facts.merging(["file_name": media.name]) { $1 }),
                at: ArchiveLayout.sidecar(of: media).string)
        }
        return facts.merging(["path": path]) { $1 }
    }

    /// The manifest of a request. Gives its absolute path.
    @discardableResult func manifest(_ id: String, _ files: [[String: Any]]) throws -> String {
        let path = "\(ArchiveLayout.manifestFolder)/2026/11/23/\(id).json"
        try volume.put(
            Self.json(["request_id": id, "part": 1, "parts": 1, "files": files, "window": [String: Any]()]), at: path)
        return absolute(path)
    }

    func remove(_ relative: String) throws { try FileManager.default.removeItem(atPath: absolute(relative)) }

    func overwrite(_ relative: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: absolute(relative)))
    }

    private static func json(_ object: [String: Any]) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: object, options: .sortedKeys), as: UTF8.self)
    }
}

extension VolumeRoot {
    /// Publishes a file as a service does.
    @discardableResult func put(_ text: String, at path: String) throws -> Digest {
        let name = try StagingName(owner: "test", epoch: 1, label: "x")
        return try write(Array(text.utf8), to: RelativePath(path), staging: name).digest
    }

    /// Makes a file as old as if it had been written so long ago.
    func age(_ relative: String, seconds: Double = 3600) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -seconds)], ofItemAtPath: path + "/" + relative)
    }
}
