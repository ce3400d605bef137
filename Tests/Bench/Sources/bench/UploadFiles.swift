// UploadFiles: files of one size on an archive volume, with their sidecars, as an indexer offers them for upload.

import Foundation
import Volume
import Wire

struct UploadFiles {
    /// One file, and what is known of it since it was archived.
    struct File {
        /// Below the volume.
        let path: String
        let bytes: Int
        let digest: Digest
        let sidecar: [UInt8]

        var sidecarPath: String { path.split(separator: ".").dropLast().joined(separator: ".") + ".json" }
    }

    /// "small".
    let name: String
    let kind: ItemKind
    let contentType: String
    /// The volume.
    let folder: String
    private(set) var files: [File]

    /// Bytes of the files alone.
    var mediaBytes: Int { files.reduce(0) { $0 + $1.bytes } }
    /// Bytes of files and sidecars.
    var allBytes: Int { files.reduce(0) { $0 + $1.bytes + $1.sidecar.count } }

    /// Some of them.
    func first(_ count: Int) -> UploadFiles {
        var some = self
        some.files = Array(files.prefix(count))
        return some
    }

    /// Makes files of noise; a sparse one is a hole instead, which is read as fast, and takes no disk. They are in the page cache
    /// afterwards, because they are read for their checksums.
    static func make(
        _ name: String, _ kind: ItemKind, count: Int, bytes: Int, sparse: Bool = false, on volume: ServiceSite.Volume
    ) throws -> UploadFiles {
        let below = "cam1/2026/11/23/05"
        let folder = volume.path + "/" + below
        let (ending, type) = kind == .snapshot ? ("jpg", "image/jpeg") : ("mp4", "video/mp4")
        let noise =
            "head -c \(count * bytes) /dev/urandom | split -a 4 -d -b \(bytes) --additional-suffix=_cam1.\(ending) - segment_\(name)-"
        let hole = "truncate -s \(bytes) segment_\(name)-0000_cam1.\(ending)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        _ = try bench.run(["/bin/sh", "-c", "cd \(folder) && \(sparse ? hole : noise)"])
        let files = try (0..<count).map { number in
            let path = "\(below)/segment_\(name)-\(String(format: "%04d", number))_cam1.\(ending)"
            let digest = try FileReader(opening: "\(volume.path)/\(path)").digest()
            guard digest.sizeBytes == bytes else { throw BenchError("\(path) has \(digest.sizeBytes) bytes") }
            // As long as one of the indexer's.
            let sidecar = """
                {"camera_id":"cam1","location":"hall 3","segment_start":"2026-11-23T05:00:00.000000Z",\
                "segment_end":"2026-11-23T05:00:10.000000Z","duration_seconds":10.0,"file_name":"\(path)",\
                "sha256":"\(digest.hexadecimal)","size_bytes":\(bytes),"requests":["bench"]}
                """
            let file = File(path: path, bytes: bytes, digest: digest, sidecar: Array(sidecar.utf8))
            try Data(file.sidecar).write(to: URL(fileURLWithPath: "\(volume.path)/\(file.sidecarPath)"))
            return file
        }
        return UploadFiles(name: name, kind: kind, contentType: type, folder: volume.path, files: files)
    }

    /// The work, as the indexer of contract 1.4 gives it.
    func items(round: Int) -> [ClaimedItem] {
        files.enumerated().map { number, file in
            ClaimedItem(
                itemID: UInt64(round * 100_000 + number + 1), epoch: 1, kind: kind, archivePath: file.path,
                sizeBytes: UInt64(file.bytes), sha256: file.digest.sha256, sidecar: file.sidecar, camera: "cam1",
                window: Window(startUs: 1_795_410_000_000_000, endUs: 1_795_410_010_000_000), requestIDs: ["bench"],
                crc64: file.digest.crc64)
        }
    }

    /// Blobs of the sink that are missing, too many, committed twice, or not of the right size and hash.
    func faults(in blobs: [BlobSink.Blob]) -> [String] {
        var wanted: [String: (bytes: Int, sha256: String?)] = [:]
        for file in files {
            wanted[file.path] = (file.bytes, file.digest.hexadecimal)
            wanted[file.sidecarPath] = (file.sidecar.count, nil)
        }
        var faults: [String] = []
        for blob in blobs {
            guard let (bytes, sha256) = wanted.removeValue(forKey: blob.name) else {
                faults.append("\(blob.name): nobody asked for it")
                continue
            }
            if blob.commits != 1 { faults.append("\(blob.name): committed \(blob.commits) times") }
            if blob.bytes != bytes { faults.append("\(blob.name): \(blob.bytes) bytes instead of \(bytes)") }
            if let sha256, sha256 != blob.sha256 { faults.append("\(blob.name): its metadata give another SHA-256") }
        }
        return faults + wanted.keys.map { "\($0): not there" }
    }
}
