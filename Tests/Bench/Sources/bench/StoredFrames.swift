// StoredFrames: what is in the files of a recording volume, finished or growing.

import Foundation
import Media

enum StoredFrames {
    /// Frames of a file, counted in its fragments.
    static func count(in path: String) throws -> Int { Int(try content(of: path).videoFrames) }

    /// What a file has by now.
    static func content(of path: String) throws -> MP4Salvage {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BenchError("\(path) cannot be read") }
        defer { close(descriptor) }
        return try FragmentedMP4Reader(FileBytes(descriptor: descriptor)).salvage()
    }
}

/// Sees when new segments get their first frame: in the file that grows, before it has its final name.
struct FirstFrames {
    private let staging: String
    private var seen: Set<String>

    /// What is there already is not new.
    init(volume: String) {
        staging = volume + "/.staging"
        seen = Set(Self.names(staging))
    }

    private static func names(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    /// Waits for the first frames of segments of all those devices: seconds since 1970 at which a whole frame was found in the
    /// file. The folder is looked at each millisecond.
    mutating func wait(for devices: Set<String>, seconds: Double) throws -> [String: Double] {
        let end = ContinuousClock.now + .seconds(seconds)
        var found: [String: Double] = [:]
        while found.count < devices.count {
            guard ContinuousClock.now < end else {
                throw BenchError("no frame of \(devices.subtracting(found.keys).sorted()) within \(seconds) s")
            }
            for name in Self.names(staging) where !seen.contains(name) {
                // A file that is finished in this moment is no longer here; the next of its camera comes.
                guard let content = try? StoredFrames.content(of: staging + "/" + name), content.videoFrames > 0,
                    let device = content.info?.device
                else { continue }
                seen.insert(name)
                if devices.contains(device), found[device] == nil { found[device] = Date().timeIntervalSince1970 }
            }
            Thread.sleep(forTimeInterval: 0.001)
        }
        return found
    }
}
