// The files of an export: written under hidden names, sent to the device while they grow, synced, and named when all of them are complete.

import Clips
import ServiceKit
import Volume

struct ClipFiles {
    /// A file that has its name.
    struct Written {
        let path: String
        let clip: Clip
    }

    /// Sent to the device at once: a hundredth of a second of a disk.
    private static let writtenBytes = 8 << 20

    let maker: ClipMaker
    /// Of the first file.
    let path: String

    /// Makes the clips of a window. Throws ClipProblem and VolumeError; nothing is left of what was begun.
    func write(_ wish: ClipWish) async throws -> [Written] {
        // Two: segments are parsed side by side.
        let copying = BlockingLane("export", threads: 2)
        let sending = BlockingLane("export-write")
        var begun: [NewFile] = []
        do {
            // Before anything is read: a name that is taken is told at once.
            begun.append(try await copying.run { [path] in try NewFile(at: path) })
            let clips = try await maker.clips(wish, on: copying)
            for number in clips.indices.dropFirst() {
                let name = Self.name(path, number: number + 1)
                begun.append(try await copying.run { try NewFile(at: name) })
            }
            for (clip, file) in zip(clips, begun) {
                try await copying.run { try file.reserve(clip.sizeBytes) }
                // A failure is remembered by the file, which then does not get its name.
                let behind = WorkBehind(every: Self.writtenBytes, on: sending) { try file.beginWriteBack() }
                try await maker.write(clip, on: copying) { bytes in
                    try file.append(bytes)
                    behind.appended(bytes.count)
                }
                await behind.end()
            }
            for file in begun { try await copying.run { try file.publish() } }
            return zip(begun, clips).map { Written(path: $0.path, clip: $1) }
        } catch {
            for file in begun { try? await copying.run { try file.discard() } }
            throw error
        }
    }

    /// "clip-2.mp4" for "clip.mp4".
    static func name(_ path: String, number: Int) -> String {
        let nameStart = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        guard let dot = path[nameStart...].lastIndex(of: "."), dot > nameStart else { return "\(path)-\(number)" }
        return "\(path[..<dot])-\(number)\(path[dot...])"
    }
}
