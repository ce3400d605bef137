// Segments that have their names on the volume and that no life of this controller noted: it was killed between the one and the
// other. The comparison with the catalogue finds them too, but it comes later: by then recording has begun again, and the time of such
// a file would have been told as one in which nothing was recorded.
import CivilTime
import Media
import Volume

struct UnnotedFiles: Sendable {
    let volume: VolumeRoot
    let inventory: Inventory

    /// The segments in the folders where each source recorded last, in the order of their names. Blocks: for the start of the
    /// service.
    func find() throws -> [RelativePath] {
        var found: [String] = []
        for newest in try inventory.newestSegments() {
            for folder in try Self.folders(of: newest) {
                try volume.forEachFile(below: folder) { (entry) throws(VolumeError) in
                    let path = entry.path.string
                    if path.hasSuffix(".mp4"),
                        path.split(separator: "/").last ?? "" > newest.path.split(separator: "/").last ?? ""
                    {
                        found.append(path)
                    }
                    return true
                }
            }
        }
        return try inventory.unnoted(found).map { try RelativePath($0) }
    }

    /// The hours in which what follows a segment can have begun: that of its start, of its end, and the one behind it.
    static func folders(of newest: Inventory.NewestSegment) throws -> [RelativePath] {
        // Hour, day, month and year, and the file's name.
        let stream = try RelativePath(newest.path).parts.dropLast(5).joined(separator: "/")
        let hours = [newest.span.startUs, newest.span.endUs, newest.span.endUs + 3_600_000_000].compactMap {
            TimeStamp(us: $0)?.hourFolders
        }
        return try Array(Set(hours)).sorted().map { try RelativePath(stream.isEmpty ? $0 : stream + "/" + $0) }
    }
}

extension Salvage {
    /// What published files tell, as if they were finished now. Blocks. One that cannot be read is left to the comparison.
    func note(_ paths: [RelativePath], _ result: inout SalvageResult) {
        for path in paths {
            do {
                let reader = try volume.reader(path)
                guard let info = try FragmentedMP4Reader(StagedBytes(reader: reader)).salvage().finalInfo else {
                    continue
                }
                result.take(info, path, volume.volumeID, try reader.digest())
            } catch {
                logger.debug("a file that nobody noted cannot be read yet: \(error)", metadata: ["path": "\(path)"])
            }
        }
    }
}
