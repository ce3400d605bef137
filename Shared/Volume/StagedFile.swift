// A file that is not complete yet, and how it gets its final name:
//
//   create  `.staging/{owner}.{epoch}.{label}`, O_EXCL
//   append  whole or not at all; CRC-64 is made along the way, and the SHA-256 too where nobody reads the file back
//   datasync  as often as the caller promises; what has been synced survives a power cut, the first time also the name in
//           staging, without which there is no way to the content
//   seal    fsync the file · make and sync the folders above the final name · publish without replacing · fsync the folder
//
// A crash at any step leaves the staging file, or the complete file under its final name, never a part under the final
// name. What is left in staging is found by `VolumeRoot.stagingEntries()` and either resumed and sealed, or discarded.
// Sealing the same content twice is not an error; other content under the same name is, and is left alone.
import Glibc
import Synchronization

/// What sealing gave.
public struct SealedFile: Sendable, Hashable {
    /// How the name came to be.
    public enum Outcome: Sendable, Hashable {
        /// This call published it.
        case published
        /// The same content had that name already.
        case alreadyThere
    }

    /// Its final name.
    public let path: RelativePath
    /// Size and SHA-256 of the content.
    public let digest: Digest
    /// How the name came to be.
    public let outcome: Outcome
}

/// What `StagedFile.create` does when the name is taken in staging.
public enum LeftoverPolicy: Sendable, Hashable {
    /// Fail with `.exists`.
    case refuse
    /// Remove what is there: for workers that start an item anew under a name nobody else uses.
    case remove
}

/// A growing file in staging. Safe to share: appends and the seal take turns, `datasync` runs beside appends. Calls block:
/// use them on a thread of your own. Dropping it closes it and leaves it in staging.
public final class StagedFile: Sendable {
    /// Its name in staging.
    public let name: StagingName

    private struct State {
        var file: OpenFile?
        var running: RunningDigest
        /// Bytes known to be on the storage.
        var syncedBytes: Int64
        /// Bytes that the device has, perhaps not for good yet; and those on their way to it.
        var (writtenBytes, begunBytes): (Int64, Int64)
        /// The name in staging is on the storage.
        var isNamed = false
        /// After a failed sync the kernel may forget unwritten pages and call the next sync a success.
        var failure: String?
    }

    private let volume: VolumeRoot
    private let state: Mutex<State>

    var calls: FileSystemCalls { volume.calls }
    /// Where it lies now, absolute.
    var path: String { volume.stagingPath + "/" + name.fileName }

    private init(_ volume: VolumeRoot, _ name: StagingName, _ file: OpenFile, _ running: sending RunningDigest) {
        self.volume = volume
        self.name = name
        let size = running.sizeBytes
        state = Mutex(
            State(file: file, running: running, syncedBytes: size, writtenBytes: size, begunBytes: size, failure: nil))
    }

    /// Makes an empty file in staging. Without `isHashed` its SHA-256 is made when it is read back, which `seal` then demands, and what
    /// was appended is known by its CRC-64 until then.
    /// Errors: `.exists` (policy `.refuse`), `.identityDiffers` when another volume is mounted there now, and what the
    /// operating system reports.
    public static func create(
        in volume: VolumeRoot, name: StagingName, leftover: LeftoverPolicy = .refuse, isHashed: Bool = true
    ) throws(VolumeError) -> StagedFile {
        try volume.checkStillThere()
        let path = volume.stagingPath + "/" + name.fileName
        if leftover == .remove {
            _ = try volume.calls.unlinkIfThere(path)
        }
        let file = try volume.calls.open(path, O_RDWR | O_CREAT | O_EXCL, call: .create)
        return StagedFile(volume, name, file, RunningDigest(isHashed: isHashed))
    }

    /// Opens what an earlier life left, keeps its first `keepingBytes` bytes and cuts off the rest. They are read once, for
    /// the SHA-256, and synced.
    public static func resume(
        in volume: VolumeRoot, name: StagingName, keepingBytes: Int64
    ) throws(VolumeError) -> StagedFile {
        let path = volume.stagingPath + "/" + name.fileName
        let running = try FileReader(opening: path, as: name.fileName, volume.calls).hasher(upTo: max(0, keepingBytes))
        guard running.sizeBytes == max(0, keepingBytes) else {
            throw VolumeError(.corrupted, path: path, "it is shorter than the \(keepingBytes) bytes to keep")
        }
        let file = try volume.calls.open(path, O_RDWR | O_NOFOLLOW)
        try volume.calls.truncate(file, to: running.sizeBytes)
        try volume.calls.sync(file)
        return StagedFile(volume, name, file, running)
    }

    /// Takes room for a file of which it is known how large it gets; it is cut to what was appended before it gets its name. Not for
    /// one that is to be resumed.
    public func reserve(_ sizeBytes: Int64) throws(VolumeError) {
        let file = try state.withLock { (state) throws(VolumeError) in try usable(state) }
        if sizeBytes > 0 { try volume.calls.allocate(file, sizeBytes: sizeBytes) }
    }

    /// Bytes appended so far.
    public var sizeBytes: Int64 { state.withLock { $0.running.sizeBytes } }
    /// Bytes known to be on the storage.
    public var syncedBytes: Int64 { state.withLock { $0.syncedBytes } }
    /// Size and SHA-256 of what was appended so far; no SHA-256 before it was read back, where it is made only then.
    public var digest: Digest { state.withLock { $0.running.digest } }

    /// Appends all of `bytes`, or nothing: after a failure the file has its earlier length and may be appended to again
    /// (when there is room again, for example).
    public func append(_ bytes: [UInt8]) throws(VolumeError) {
        try bytes.withBytes { (buffer) throws(VolumeError) in try append(buffer) }
    }

    /// The same from memory that the caller owns during the call.
    public func append(_ bytes: UnsafeRawBufferPointer) throws(VolumeError) {
        try append(bytes) { (file, size) throws(VolumeError) in try volume.calls.write(file, bytes, at: size) }
    }

    private func append(
        _ bytes: UnsafeRawBufferPointer, _ write: (OpenFile, Int64) throws(VolumeError) -> Void
    ) throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            let file = try usable(state)
            let size = state.running.sizeBytes
            do throws(VolumeError) {
                try write(file, size)
            } catch {
                do throws(VolumeError) {
                    try volume.calls.truncate(file, to: size)
                } catch let second {
                    // Part of the bytes may lie behind the end; a later append would write over them, a seal would not.
                    state.failure = second.detail
                }
                throw error
            }
            state.running.update(bytes)
        }
    }

    /// Appends all of another file, in pieces: each is read for the checksums and copied inside the kernel, by sharing its blocks where
    /// the file system can. `goesOn` is asked after each piece, with its size; where it says no, this ends early and gives false. Only
    /// for a file that is empty. Errors: those of `append`, and of reading, which carry the source's path.
    public func append(
        allOf source: FileReader, while goesOn: (_ bytes: Int) -> Bool
    ) throws(VolumeError) -> Bool {
        var buffer = [UInt8](repeating: 0, count: FileReader.pieceBytes)
        while true {
            let offset = sizeBytes
            let got = try source.read(at: offset, count: buffer.count, into: &buffer, from: 0)
            if got == 0 { return true }
            try buffer.withBytes { (all) throws(VolumeError) in
                let bytes = UnsafeRawBufferPointer(rebasing: all[..<got])
                try append(bytes) { (file, size) throws(VolumeError) in
                    try volume.calls.copy(bytes, of: source.file, to: file, at: size)
                }
            }
            guard goesOn(got) else { return false }
        }
    }

    /// Makes everything appended before this call durable; gives how many bytes that is. Does not hold up appends.
    /// After a failure the file is `.unusable`: whether its bytes arrived can no longer be known.
    @discardableResult
    public func datasync() throws(VolumeError) -> Int64 {
        let (file, size, isNamed) = try state.withLock { (state) throws(VolumeError) in
            (try usable(state), state.running.sizeBytes, state.isNamed)
        }
        try noting { () throws(VolumeError) in
            try volume.calls.datasync(file)
            if !isNamed {
                try volume.calls.syncFolder(volume.stagingPath)
                state.withLock { $0.isNamed = true }
            }
        }
        return state.withLock { state in
            state.syncedBytes = max(state.syncedBytes, size)
            return state.syncedBytes
        }
    }

    /// Begins to bring what was appended to the device. Does not hold up appends. After a failure the file is `.unusable`.
    public func beginWriteBack() throws(VolumeError) {
        let (file, start, end) = try state.withLock { (state) throws(VolumeError) in
            let begun = state.begunBytes
            state.begunBytes = max(begun, state.running.sizeBytes)
            return (try usable(state), begun, state.begunBytes)
        }
        guard end > start else { return }
        try noting { () throws(VolumeError) in
            try volume.calls.writeBack(file, from: start, count: end - start, waits: false)
        }
    }

    /// Waits until the device has so many bytes more, or everything that was appended before this call; gives how many it has then, and
    /// whether that is everything. They can be read back from there; that a power cut leaves them is for `datasync` and `seal` to see
    /// to. After a failure the file is `.unusable`.
    func writtenBack(atMost stepBytes: Int64) throws(VolumeError) -> (bytes: Int64, isAll: Bool) {
        let (file, start, size) = try state.withLock { (state) throws(VolumeError) in
            (try usable(state), state.writtenBytes, state.running.sizeBytes)
        }
        guard size > start else { return (start, true) }
        let end = min(size, start + stepBytes)
        try noting { () throws(VolumeError) in
            try volume.calls.writeBack(file, from: start, count: end - start, waits: true)
        }
        return state.withLock { state in
            state.writtenBytes = max(state.writtenBytes, end)
            return (state.writtenBytes, state.writtenBytes >= size)
        }
    }

    /// Remembers that a call failed after which nobody knows what the storage has.
    private func noting(_ call: () throws(VolumeError) -> Void) throws(VolumeError) {
        do throws(VolumeError) { try call() } catch {
            state.withLock { $0.failure = error.detail }
            throw error
        }
    }

    /// Reads the file back from the device, once that has all of it, and compares with what was appended. Whether a power cut leaves it
    /// there is for `seal` to see to.
    /// Error `.corrupted` when they differ; the file is then `.unusable`. `readBack` may have read some of it already.
    /// Gives what it is.
    @discardableResult
    public func verifyReadBack(_ readBack: ReadBack? = nil) throws(VolumeError) -> Digest {
        let reading: ReadBack
        if let readBack { reading = readBack } else { reading = try ReadBack(of: self) }
        let found = try reading.finished()
        return try state.withLock { (state) throws(VolumeError) in
            let appended = state.running
            guard found.crc64 == appended.crc64, !appended.isHashed || found.digest == appended.digest else {
                let detail =
                    "read back \(found.sizeBytes) bytes with CRC-64 \(String(found.crc64.value, radix: 16)), expected "
                    + "\(appended.sizeBytes) bytes with \(String(appended.crc64.value, radix: 16))"
                state.failure = detail
                throw VolumeError(.corrupted, path: path, detail)
            }
            state.running = found
            return found.digest
        }
    }

    /// Gives the file its final name, durably. After success, and after `.exists`, it can no longer be appended to; after
    /// another error it may be tried again.
    /// Errors: `.exists` when the name is taken by other content (both are kept), and what the operating system reports.
    public func seal(as path: RelativePath) throws(VolumeError) -> SealedFile {
        try state.withLock { (state) throws(VolumeError) in
            let file = try usable(state)
            do throws(VolumeError) {
                // Where more room was taken than was needed.
                if try volume.calls.status(file).st_size != state.running.sizeBytes {
                    try volume.calls.truncate(file, to: state.running.sizeBytes)
                }
                try volume.calls.sync(file)
            } catch {
                state.failure = error.detail
                throw error
            }
            state.syncedBytes = state.running.sizeBytes
            guard state.running.isHashed else {
                throw VolumeError(
                    .unusable, path: volume.stagingPath + "/" + name.fileName, "it was not read back before its seal")
            }
            let digest = state.running.digest
            let staging = volume.stagingPath + "/" + name.fileName
            let outcome: SealedFile.Outcome
            do throws(VolumeError) {
                outcome = try volume.publish(staging, digest, as: path)
            } catch {
                if error.kind == .exists { state.file = nil }
                throw error
            }
            state.file = nil
            return SealedFile(path: path, digest: digest, outcome: outcome)
        }
    }

    /// Removes the file from staging. Harmless after a seal.
    public func discard() throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            guard state.file != nil else { return }
            _ = try volume.calls.unlinkIfThere(volume.stagingPath + "/" + name.fileName)
            state.file = nil
        }
    }

    private func usable(_ state: borrowing State) throws(VolumeError) -> OpenFile {
        func unusable(_ why: String) -> VolumeError {
            VolumeError(.unusable, path: volume.stagingPath + "/" + name.fileName, why)
        }
        if let failure = state.failure { throw unusable("an earlier failure left its content uncertain (\(failure))") }
        guard let file = state.file else { throw unusable("it was sealed or discarded") }
        return file
    }
}
