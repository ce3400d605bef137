// Which path an item gets on the archive volume. The form is ArchiveLayout's (Shared/Volume); here it is decided which
// number is free. Paths are never given twice, also when their item was dropped: a worker may have written there.

import RPC
import Volume
import Wire

/// A path and the stem that it shares with its sidecar.
struct ArchiveName: Sendable, Equatable {
    let path: String
    let stem: String

    init(_ path: RelativePath) {
        self.path = path.string
        let name = path.name
        let extensionLength = name.lastIndex(of: ".").map { name[$0...].utf8.count } ?? 0
        stem = String(decoding: path.string.utf8.dropLast(extensionLength), as: UTF8.self)
    }

    /// The name of the sidecar.
    var sidecarPath: String { stem + ".json" }
}

enum ArchiveNaming {
    /// More files than this of one camera in one second are not footage but a fault.
    static let mostPerSecond = 10_000

    /// The first free name for a media file or a clip.
    static func media(
        kind: ItemKind, camera: String, startUs: Int64, fileExtension: String, isTaken: (String) throws -> Bool
    ) throws -> ArchiveName {
        for number in 1...mostPerSecond {
            let path =
                switch kind {
                case .snapshot:
                    try ArchiveLayout.snapshot(
                        asset: camera, timeUs: startUs, fileExtension: fileExtension, number: number)
                case .clip:
                    try ArchiveLayout.clip(
                        asset: camera, startUs: startUs, fileExtension: fileExtension, number: number)
                default:
                    try ArchiveLayout.segment(
                        asset: camera, startUs: startUs, fileExtension: fileExtension, number: number)
                }
            let name = ArchiveName(path)
            if try !isTaken(name.stem) { return name }
        }
        throw RPCError.resourceExhausted("camera \(camera) has more than \(mostPerSecond) files in one second")
    }

    /// The first free name for a part of a manifest; part 1 has the request's id as its name.
    static func manifest(
        requestID: String, startUs: Int64, part: Int, isTaken: (String) throws -> Bool
    ) throws -> ArchiveName {
        let id = part == 1 ? requestID : "\(requestID).part\(part)"
        for number in 1...mostPerSecond {
            let numbered = number == 1 ? id : "\(id)_\(number)"
            let name = ArchiveName(try ArchiveLayout.manifest(requestID: numbered, startUs: startUs))
            if try !isTaken(name.stem) { return name }
        }
        throw RPCError.resourceExhausted("no name is free for the manifest of request \(requestID)")
    }
}
