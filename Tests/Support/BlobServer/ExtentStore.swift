// The bytes of blobs and blocks: one file per extent in a folder, or buffers in memory. A file keeps a large blob out of
// memory; nothing is synced, because what a test or a demo needs is to survive a killed process, not a power cut.
import Foundation
import Glibc
import NIOCore
import Synchronization

final class ExtentStore: Sendable {
    private let folder: String?
    private let buffers = Mutex<[String: ByteBuffer]>([:])

    init(folder: String?) throws {
        self.folder = folder
        guard let folder else { return }
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw BlobServer.StartError(description: "Cannot make the folder \(folder): \(error.localizedDescription)")
        }
    }

    /// Begins an extent. It belongs to nobody until its `finish` is recorded.
    func makeWriter() throws -> ExtentWriter {
        let name = UUID().uuidString.lowercased()
        guard let folder else { return ExtentWriter(name: name, handle: nil) }
        let path = "\(folder)/\(name)"
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw ServiceError.internalError }
        return ExtentWriter(name: name, handle: handle)
    }

    /// Ends an extent and keeps its bytes.
    func finish(_ writer: ExtentWriter) -> Extent {
        if folder == nil {
            buffers.withLock { $0[writer.name] = writer.buffer }
        } else {
            try? writer.handle?.close()
        }
        return Extent(name: writer.name, sizeBytes: writer.sizeBytes)
    }

    /// Forgets an extent that was begun and is not wanted.
    func discard(_ writer: ExtentWriter) {
        try? writer.handle?.close()
        remove(Extent(name: writer.name, sizeBytes: 0))
    }

    func remove(_ extent: Extent) {
        if let folder {
            try? FileManager.default.removeItem(atPath: "\(folder)/\(extent.name)")
        } else {
            buffers.withLock { $0[extent.name] = nil }
        }
    }

    /// Removes files that no record names: what a killed process had begun.
    func keepOnly(_ names: Set<String>) {
        guard let folder, let found = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return }
        for name in found where !names.contains(name) {
            try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
    }

    /// Bytes of one extent from `offset` on; nil where it is gone.
    func read(_ extent: Extent, offset: Int, length: Int) -> ByteBuffer? {
        guard let folder else {
            return buffers.withLock { $0[extent.name]?.getSlice(at: offset, length: length) }
        }
        guard let handle = FileHandle(forReadingAtPath: "\(folder)/\(extent.name)") else { return nil }
        defer { try? handle.close() }
        guard (try? handle.seek(toOffset: UInt64(offset))) != nil, let data = try? handle.read(upToCount: length),
            data.count == length
        else { return nil }
        return ByteBuffer(bytes: data)
    }

    /// All bytes of a list of extents; nil where one is gone.
    func read(_ extents: [Extent]) -> [UInt8]? {
        var result: [UInt8] = []
        for extent in extents where extent.sizeBytes > 0 {
            guard let part = read(extent, offset: 0, length: extent.sizeBytes) else { return nil }
            result += part.readableBytesView
        }
        return result
    }
}

/// An extent that is being written, by the one connection that receives it.
final class ExtentWriter {
    let name: String
    let handle: FileHandle?
    private(set) var buffer = ByteBuffer()
    private(set) var sizeBytes = 0

    init(name: String, handle: FileHandle?) {
        self.name = name
        self.handle = handle
    }

    func append(_ bytes: ByteBuffer) throws {
        sizeBytes += bytes.readableBytes
        if let handle {
            try bytes.withUnsafeReadableBytes { part in
                var done = 0
                while done < part.count {
                    let written = Glibc.write(
                        handle.fileDescriptor, part.baseAddress?.advanced(by: done), part.count - done)
                    guard written > 0 || errno == EINTR else { throw ServiceError.internalError }
                    done += max(written, 0)
                }
            }
        } else {
            var copy = bytes
            buffer.writeBuffer(&copy)
        }
    }
}
