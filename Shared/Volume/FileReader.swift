// Reading files of a volume: in pieces at any offset, and whole as a SHA-256 and a CRC-64, either as the kernel has it or as
// the storage has it. Writing is in StagedFile.swift.
import Crypto
import Glibc

/// A SHA-256 and the size it was made over. Two are equal when these are.
public struct Digest: Sendable, Hashable {
    /// 32 bytes.
    public let sha256: [UInt8]
    /// Bytes that went into it.
    public let sizeBytes: Int64
    /// CRC-64/NVME of the same bytes: made in the same pass, where it costs a tenth of the SHA-256. Nil where only the SHA-256 was told.
    public let crc64: UInt64?

    /// A digest as given.
    public init(sha256: [UInt8], sizeBytes: Int64, crc64: UInt64? = nil) {
        self.sha256 = sha256
        self.sizeBytes = sizeBytes
        self.crc64 = crc64
    }

    /// What has the same SHA-256 has the same CRC-64.
    public static func == (left: Digest, right: Digest) -> Bool {
        left.sha256 == right.sha256 && left.sizeBytes == right.sizeBytes
    }

    /// By what makes two equal.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(sha256)
        hasher.combine(sizeBytes)
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

    let file: OpenFile
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

    /// Opens a file of no volume, by its absolute path. Error `.missing` when there is none.
    public convenience init(opening absolute: String) throws(VolumeError) {
        try self.init(opening: absolute, as: absolute, .live)
    }

    /// At most `count` bytes from `offset`; fewer only at the end of the file, none beyond it.
    public func read(at offset: Int64, count: Int) throws(VolumeError) -> [UInt8] {
        let available = Int(clamping: max(0, sizeBytes - max(0, offset)))
        var bytes = [UInt8](repeating: 0, count: max(0, min(count, available)))
        let got = try calls.read(file, into: &bytes, limit: bytes.count, at: max(0, offset))
        if got < bytes.count { bytes.removeLast(bytes.count - got) }
        return bytes
    }

    /// At most `count` bytes from `offset` to the place `start` of `buffer`, as far as it reaches; gives how many there were.
    public func read(
        at offset: Int64, count: Int, into buffer: inout [UInt8], from start: Int
    ) throws(VolumeError) -> Int {
        let available = Int(clamping: max(0, sizeBytes - max(0, offset)))
        return try calls.read(
            file, into: &buffer, from: max(0, start), limit: max(0, min(count, available)), at: max(0, offset))
    }

    /// The same into memory that the caller owns during the call, as much as it takes.
    public func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) throws(VolumeError) -> Int {
        let available = Int(clamping: max(0, sizeBytes - max(0, offset)))
        let room = UnsafeMutableRawBufferPointer(rebasing: memory[..<min(memory.count, available)])
        return try calls.read(file, into: room, at: max(0, offset))
    }

    /// SHA-256 and CRC-64 of the whole file. `fromStorage` asks the kernel to forget its copy first, so that what is checked is what
    /// the storage gives back; it works only for what has been synced.
    public func digest(fromStorage: Bool = false) throws(VolumeError) -> Digest {
        if fromStorage { calls.dropCache(file) }
        return try hasher(upTo: .max).digest
    }

    /// The running hash over the first `limit` bytes, to go on with.
    func hasher(upTo limit: Int64) throws(VolumeError) -> RunningDigest {
        var running = RunningDigest()
        try running.read(file, upTo: min(limit, sizeBytes), calls)
        return running
    }
}

/// SHA-256 and CRC-64 while they are being made, and how much went in.
public struct RunningDigest: Sendable {
    /// Nil where only the CRC-64 is made.
    private var hash: SHA256?
    private var crc = CRC64()

    /// Of nothing yet. Without `isHashed` there is no SHA-256, which takes nine tenths of the time.
    public init(isHashed: Bool = true) { hash = isHashed ? SHA256() : nil }

    /// Whether there is a SHA-256.
    var isHashed: Bool { hash != nil }

    /// That of the bytes so far.
    var crc64: CRC64 { crc }

    /// Bytes so far.
    public var sizeBytes: Int64 { crc.sizeBytes }

    /// Goes on with `bytes`.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash?.update(bufferPointer: bytes)
        crc.update(bytes)
    }

    /// What it is of the bytes so far.
    public var digest: Digest {
        Digest(sha256: hash.map { Array($0.finalize()) } ?? [], sizeBytes: crc.sizeBytes, crc64: crc.value)
    }
}

extension stat {
    /// Time of the last change of content.
    var modifiedUs: Int64 { Int64(st_mtim.tv_sec) * 1_000_000 + Int64(st_mtim.tv_nsec) / 1_000 }
}
