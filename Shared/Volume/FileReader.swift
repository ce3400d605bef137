// Reading files of a volume: in pieces at any offset, and whole as a SHA-256, either as the kernel has it or as the
// storage has it. Writing is in StagedFile.swift.
import Crypto
import Glibc

/// A SHA-256 and the size it was made over.
public struct Digest: Sendable, Hashable {
    /// 32 bytes.
    public let sha256: [UInt8]
    /// Bytes that went into it.
    public let sizeBytes: Int64

    /// A digest as given.
    public init(sha256: [UInt8], sizeBytes: Int64) {
        self.sha256 = sha256
        self.sizeBytes = sizeBytes
    }

    /// 64 lower-case hexadecimal digits.
    public var hexadecimal: String { Self.hexadecimal(sha256) }

    /// Any bytes as lower-case hexadecimal digits, two each.
    public static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}

/// An open file for reading. Calls block: use them on a thread of your own, not on Swift's cooperative pool.
public final class FileReader: Sendable {
    /// One piece of a whole read: large enough to be quick, small enough that many readers do not matter.
    static let pieceBytes = 1 << 20

    /// Its path on the volume, or its name in staging.
    public let path: String
    /// Size when it was opened. Published files never change.
    public let sizeBytes: Int64
    /// Last change, microseconds since 1970.
    public let modifiedUs: Int64

    private let file: OpenFile
    private let calls: FileSystemCalls

    init(opening absolute: String, as path: String, _ calls: FileSystemCalls) throws(VolumeError) {
        // Opening a FIFO that somebody put there must not wait for its other end.
        let file = try calls.open(absolute, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        let status = try calls.status(file)
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw VolumeError(.missing, path: absolute, "it is not a file")
        }
        self.file = file
        self.path = path
        self.calls = calls
        sizeBytes = Int64(status.st_size)
        modifiedUs = status.modifiedUs
    }

    /// At most `count` bytes from `offset`; fewer only at the end of the file, none beyond it.
    public func read(at offset: Int64, count: Int) throws(VolumeError) -> [UInt8] {
        let available = Int(clamping: max(0, sizeBytes - max(0, offset)))
        var bytes = [UInt8](repeating: 0, count: max(0, min(count, available)))
        let got = try calls.read(file, into: &bytes, limit: bytes.count, at: max(0, offset))
        if got < bytes.count { bytes.removeLast(bytes.count - got) }
        return bytes
    }

    /// SHA-256 of the whole file. `fromStorage` asks the kernel to forget its copy first, so that what is checked is what
    /// the storage gives back; it works only for what has been synced.
    public func digest(fromStorage: Bool = false) throws(VolumeError) -> Digest {
        if fromStorage { calls.dropCache(file) }
        return try hasher(upTo: .max).digest
    }

    /// The running hash over the first `limit` bytes, to go on with.
    func hasher(upTo limit: Int64) throws(VolumeError) -> RunningDigest {
        var running = RunningDigest()
        var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
        while running.sizeBytes < limit {
            let wanted = Int(min(Int64(buffer.count), limit - running.sizeBytes))
            let got = try calls.read(file, into: &buffer, limit: wanted, at: running.sizeBytes)
            if got == 0 { break }
            buffer.withUnsafeBytes { running.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
        }
        return running
    }
}

/// SHA-256 while it is being made, and how much went in.
struct RunningDigest {
    private var hash = SHA256()
    private(set) var sizeBytes: Int64 = 0

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bufferPointer: bytes)
        sizeBytes += Int64(bytes.count)
    }

    var digest: Digest { Digest(sha256: Array(hash.finalize()), sizeBytes: sizeBytes) }
}

extension stat {
    /// Time of the last change of content.
    var modifiedUs: Int64 { Int64(st_mtim.tv_sec) * 1_000_000 + Int64(st_mtim.tv_nsec) / 1_000 }
}
