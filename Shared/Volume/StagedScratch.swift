// A staged file whose bytes come in any order: a muxer writes its index last and its header again. When all is written it goes
// on as a StagedFile, which reads it once for its digest. A crash leaves it in staging, like any other.
import Glibc

/// A file in staging that is written at any place. Used by one thread; every call may block.
public final class StagedScratch {
    private let volume: VolumeRoot
    private let name: StagingName
    private let file: OpenFile
    /// Behind the last byte that was written.
    public private(set) var sizeBytes: Int64 = 0

    /// Makes an empty file. Errors as `StagedFile.create` has them.
    public init(in volume: VolumeRoot, name: StagingName) throws(VolumeError) {
        try volume.checkStillThere()
        self.volume = volume
        self.name = name
        file = try volume.calls.open(
            volume.stagingPath + "/" + name.fileName, O_RDWR | O_CREAT | O_EXCL, call: .create)
    }

    /// Writes all of `bytes`. What lies between the end so far and `offset` becomes zeros.
    public func write(_ bytes: [UInt8], at offset: Int64) throws(VolumeError) {
        try bytes.withBytes { (buffer) throws(VolumeError) in try volume.calls.write(file, buffer, at: offset) }
        sizeBytes = max(sizeBytes, offset + Int64(bytes.count))
    }

    /// All is written. The file is synced; it can be sealed.
    public func finish() throws(VolumeError) -> StagedFile {
        try StagedFile.resume(in: volume, name: name, keepingBytes: sizeBytes)
    }

    /// Removes it.
    public func discard() throws(VolumeError) { try volume.discardStaged(name) }
}
