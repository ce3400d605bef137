// Where files are read from: a descriptor, memory, or whatever else has bytes at offsets; and a window over one of these for reading
// that asks for a few bytes here and a few behind them.

#if canImport(Glibc)
import Glibc
#endif

/// Bytes that can be read at any offset.
public protocol ByteSource {
    /// Size in bytes.
    var size: Int64 { get }
    /// Up to `count` bytes from `offset` on; fewer only at the end.
    func read(at offset: Int64, count: Int) throws(MediaError) -> [UInt8]
}

/// A file, read with pread. Whoever opened the descriptor closes it.
public struct FileBytes: ByteSource {
    private let descriptor: Int32
    /// Size when it was opened for reading.
    public let size: Int64

    /// Reads from an open descriptor.
    public init(descriptor: Int32) throws(MediaError) {
        self.descriptor = descriptor
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw MediaError("a file's size cannot be read: \(String(cString: strerror(errno)))")
        }
        size = Int64(status.st_size)
    }

    /// Reads with pread until `count` bytes or the end.
    public func read(at offset: Int64, count: Int) throws(MediaError) -> [UInt8] {
        guard count > 0, offset >= 0 else { return [] }
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count, let base = buffer.baseAddress {
                let got = pread(descriptor, base + filled, count - filled, off_t(offset) + off_t(filled))
                if got < 0 && errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                filled += got
            }
        }
        guard failure == 0 else { throw MediaError("a file cannot be read: \(String(cString: strerror(failure)))") }
        return bytes
    }
}

/// Bytes in memory.
public struct MemoryBytes: ByteSource {
    private let bytes: [UInt8]
    /// Size in bytes.
    public var size: Int64 { Int64(bytes.count) }

    /// Reads from `bytes`.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A part of the array.
    public func read(at offset: Int64, count: Int) -> [UInt8] {
        guard offset >= 0, offset < size, count > 0 else { return [] }
        let start = Int(offset)
        return Array(bytes[start..<min(start + count, bytes.count)])
    }
}

/// Reads a few KiB at once, so that small reads behind each other are one of the source. For one reader at a time.
public final class WindowedBytes: ByteSource {
    /// A fragment's moof and the head of its mdat fit many times over; a page costs no more than a byte.
    private static let windowBytes = 4096

    private let source: any ByteSource
    private var window: [UInt8] = []
    private var windowOffset: Int64 = 0

    /// Reads from `source`; nothing is read before the first call.
    public init(_ source: any ByteSource) { self.source = source }

    /// As the source says.
    public var size: Int64 { source.size }

    /// Up to `count` bytes from `offset` on; fewer only at the end.
    public func read(at offset: Int64, count: Int) throws(MediaError) -> [UInt8] {
        guard count > 0, offset >= 0, offset < size else { return [] }
        let wanted = Int(min(Int64(count), size - offset))
        let isHere = offset >= windowOffset && offset - windowOffset <= Int64(window.count - wanted)
        if !isHere {
            window = try source.read(at: offset, count: max(wanted, Self.windowBytes))
            windowOffset = offset
        }
        let start = Int(offset - windowOffset)
        return Array(window[start..<min(start + wanted, window.count)])
    }
}
